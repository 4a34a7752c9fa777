//! One entry of a list, as it is meant.

use std::net::{IpAddr, Ipv6Addr};

use egret_core::pattern::{Scope, read_entry};
use ipnet::IpNet;

/// What an entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Everything.
    Any,
    /// A name and all under it.
    Domain(String),
    /// All under a name.
    Subdomains(String),
    Address(IpAddr),
    Network(IpNet),
    /// Limited to a port; as it is to be written.
    WithPort(String),
}

impl Entry {
    /// Reads an entry, with white space around it or without.
    ///
    /// # Errors
    /// What is wrong with it, naming it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // An IPv6 address without brackets has colons of its own, which are no ports.
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let (scope, port) = read_entry(text).map_err(|error| format!("`{}`: {error}", shown(text)))?;
        if let Some(port) = port {
            return match scope {
                Scope::Domain(name) => Ok(Self::WithPort(format!("{name}:{port}"))),
                Scope::Subdomains(name) => Ok(Self::WithPort(format!(".{name}:{port}"))),
                Scope::Network(IpNet::V4(network)) => {
                    Ok(Self::WithPort(format!("{}:{port}", network.addr())))
                }
                Scope::Network(IpNet::V6(_)) => Err(format!(
                    "`{}`: brackets make httpx fail when it starts; write the address without them and without a port",
                    shown(text)
                )),
                Scope::Any => Err(format!("`{}`: no client knows a port behind `*`", shown(text))),
            };
        }
        Ok(match scope {
            Scope::Any => Self::Any,
            Scope::Domain(name) => Self::Domain(name),
            Scope::Subdomains(name) => Self::Subdomains(name),
            Scope::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                Self::Address(network.addr())
            }
            Scope::Network(network) => Self::Network(network.trunc()),
        })
    }
}

/// As much of a text as belongs into a message.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut out: String = text.chars().take(MOST).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}
