//! The built-in guard.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::address::{AddressClass, embedded_ipv4};
use crate::pattern::any_network_contains;
use crate::reason::Reason;

/// The built-in guard against reaching back into the proxy's own surroundings.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Switched off: no class of address is refused. The proxy's own listeners still are.
    pub disabled: bool,
    /// Loopback destinations are let through (all listeners are on loopback).
    pub allow_loopback: bool,
    /// Networks exempt from the guard.
    pub allow: Vec<IpNet>,
    /// Addresses that the proxy itself listens on. An unspecified address stands for every address
    /// of the machine, see `local_addresses`.
    pub listeners: Vec<SocketAddr>,
    /// Where the proxy's own console is, which clients on loopback reach by [`super::CONSOLE_HOST`].
    pub console: Option<SocketAddr>,
    /// The machine's own addresses, against which listeners on an unspecified address are checked.
    pub local_addresses: Vec<IpAddr>,
}

impl Guard {
    /// Why this address may not be dialled, if so.
    pub(super) fn refusal(&self, address: IpAddr, port: u16) -> Option<(Reason, String)> {
        let address = address.to_canonical();
        if self.is_own_listener(address, port) {
            return Some((Reason::LoopDetected, format!("{address} port {port} is this proxy itself")));
        }
        if self.disabled {
            return None;
        }
        let class = AddressClass::of(address);
        // Exemptions are for the address as it stands: whoever allows 127.0.0.0/8 does not mean the
        // loopback of a translator that `64:ff9b::7f00:1` leads to.
        let is_exempt = match class {
            AddressClass::Ordinary => true,
            AddressClass::Loopback if self.allow_loopback && address.is_loopback() => true,
            _ => any_network_contains(&self.allow, address),
        };
        if is_exempt {
            None
        } else {
            Some((Reason::DeniedByGuard, format!("{address} is {}", class.describe())))
        }
    }

    /// Whether the address and port lead to one of the proxy's own listeners, also through an IPv6
    /// address that hides an IPv4 one.
    pub(super) fn is_own_listener(&self, address: IpAddr, port: u16) -> bool {
        if self.listeners.iter().all(|listener| listener.port() != port) {
            return false;
        }
        let is_own = |address| self.listens_on(address, port);
        match address.to_canonical() {
            IpAddr::V4(v4) => is_own(IpAddr::V4(v4)),
            IpAddr::V6(v6) => {
                is_own(IpAddr::V6(v6))
                    || embedded_ipv4(v6).iter().any(|embedded| is_own(IpAddr::V4(embedded.address)))
            }
        }
    }

    fn listens_on(&self, address: IpAddr, port: u16) -> bool {
        // Connecting to 0.0.0.0 or :: reaches the machine itself.
        let is_this_machine = || {
            address.is_loopback()
                || address.is_unspecified()
                || self.local_addresses.iter().any(|local| local.to_canonical() == address)
        };
        self.listeners.iter().filter(|listener| listener.port() == port).any(|listener| {
            let own = listener.ip().to_canonical();
            own == address
                || (own.is_unspecified() && is_this_machine())
                || (own.is_loopback() && address.is_unspecified())
        })
    }
}
