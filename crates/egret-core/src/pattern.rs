//! Patterns that hosts, addresses and ports are matched against.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::destination::{Host, HostError, parse_port};

mod glob;
pub(crate) mod index;
mod no_proxy;

pub use glob::{Glob, GlobError};
pub use no_proxy::{EntryError, NoProxy, Scope, read_entry};

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing stands there.
    #[error("the pattern is empty")]
    Empty,
    /// A star in a place where it means nothing, as in `*foo` or `a.*.b`.
    #[error("`*` may stand alone, or as `*.` or `**.` in front of a name, and nowhere else")]
    Wildcard,
    /// `*.` or `**.` in front of an address.
    #[error("`*.` may stand in front of a name, not of an address")]
    WildcardAddress,
    /// No host, in the way that the error says.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A slash, and no network: the address or the length of the prefix is wrong.
    #[error("not a network: write an address, `/`, and the length of the prefix, as in `10.0.0.0/8`")]
    Network,
    /// Numbers and dots that clients do not take for an address (`10.`, `10.1.2.*`, `127.1`).
    #[error("not a full IPv4 address; for a network write `10.0.0.0/8`")]
    PartialAddress,
    /// A range of addresses.
    #[error("ranges of addresses are not understood; write networks, as in `10.0.0.0/8`")]
    AddressRange,
    /// No port or range of ports.
    #[error("not a port from 1 to 65535, or a range of them as in `8000-8999`")]
    Port,
}

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

impl HostPattern {
    /// Reads `*`, a name, an address (IPv6 with brackets or without), `*.suffix` or `**.suffix`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(suffix) = text.strip_prefix("**.") {
            return parse_suffix(suffix).map(Self::AnyDepth);
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            return parse_suffix(suffix).map(Self::OneLabel);
        }
        parse_exact(text).map(Self::Exact)
    }

    /// Whether the pattern names this host. Patterns with a suffix never name an address.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), host) => exact == host,
            (_, Host::Address(_)) => false,
            (Self::OneLabel(suffix), Host::Name(name)) => {
                before_suffix(name, suffix).is_some_and(|label| !label.contains('.'))
            }
            (Self::AnyDepth(suffix), Host::Name(name)) => before_suffix(name, suffix).is_some(),
        }
    }
}

/// What stands in front of `.suffix`; never empty, because names have no empty labels.
fn before_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_suffix(suffix)?.strip_suffix('.')
}

fn parse_suffix(suffix: &str) -> Result<String, PatternError> {
    match parse_exact(suffix)? {
        Host::Name(name) => Ok(name.as_ref().to_owned()),
        Host::Address(_) => Err(PatternError::WildcardAddress),
    }
}

fn parse_exact(text: &str) -> Result<Host, PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.contains('*') {
        return Err(PatternError::Wildcard);
    }
    match text.parse::<Ipv6Addr>() {
        Ok(address) => Ok(IpAddr::V6(address).into()),
        Err(_) => Ok(Host::parse(text)?),
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => host.fmt(f),
            Self::OneLabel(suffix) => write!(f, "*.{suffix}"),
            Self::AnyDepth(suffix) => write!(f, "**.{suffix}"),
        }
    }
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
    /// Reads `443` or `8000-8999`. The ends are from 1 to 65535, the first not after the last.
    ///
    /// # Errors
    /// [`PatternError::Port`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |digits: &str| parse_port(digits.as_bytes()).map_err(|_| PatternError::Port);
        let range = Self { first: port(first)?, last: port(last)? };
        if range.first > range.last { Err(PatternError::Port) } else { Ok(range) }
    }

    /// Whether the range holds the port.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortRange {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// Whether any of the networks holds the address, IPv4-mapped IPv6 reduced to IPv4 on both sides.
#[must_use]
pub fn any_network_contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| canonical_network(*network).contains(&address))
}

/// A network within ::ffff:0:0/96 as the IPv4 network that it is; any other as it stands.
pub(crate) fn canonical_network(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    match (v6.network().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => Ipv4Net::new(v4, prefix).map_or(network, IpNet::V4),
        _ => network,
    }
}
