//! Patterns that hosts, addresses and ports are matched against.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::destination::{Destination, Host};

/// A pattern for host names, as rules use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This name, or this address in any spelling.
    Exact(Host),
    /// `*.suffix`: exactly one label in front of the suffix (held without the leading dot).
    OneLabel(String),
    /// `**.suffix`: one label or more in front of the suffix (held without the leading dot).
    AnyDepth(String),
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl PortRange {
    /// Whether the range holds the port.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// A list in `NO_PROXY`'s terms, read as the union of what real clients understand: `ex.com` and
/// `.ex.com` and `*.ex.com` (the apex goes with its subdomains except for `*.ex.com`), addresses, CIDRs, `*`, and
/// `host:port`.
#[derive(Clone, Debug, Default)]
pub struct NoProxy {
    entries: Vec<NoProxyEntry>,
}

#[derive(Clone, Debug)]
enum NoProxyEntry {
    All,
}

impl NoProxy {
    /// Whether the list names this destination. `resolved` are the addresses the name is known to
    /// have; CIDR entries match those as well as literal addresses.
    #[must_use]
    pub fn matches(&self, destination: &Destination, resolved: &[IpAddr]) -> bool {
        let _ = (destination, resolved);
        self.entries.iter().any(|entry| match entry {
            NoProxyEntry::All => true,
        })
    }
}

/// Whether any of the networks holds the address, IPv4-mapped IPv6 reduced to IPv4.
#[must_use]
pub fn any_network_contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

impl HostPattern {
    /// Whether the pattern names this host.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), host) => exact == host,
            _ => false,
        }
    }
}
