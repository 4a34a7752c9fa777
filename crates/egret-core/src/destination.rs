//! Where a client wants to go: host and port, in one normal form.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A host, normalised: names in lower case without a trailing dot, addresses as addresses however
/// they were spelled (`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`, `[::ffff:127.0.0.1]`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name: lower case, ASCII (IDNA A-labels), no trailing dot, at most 253 bytes.
    Name(Arc<str>),
    /// An IP address, IPv4-mapped IPv6 reduced to IPv4.
    Address(IpAddr),
}

/// Why a text is no host or authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing stands where the host should be.
    #[error("the host is empty")]
    Empty,
    /// A character that no host may have.
    #[error("the host has a character that no host may have")]
    Character,
    /// A label or the whole name is too long (RFC 1035 section 2.3.4).
    #[error("the host name or one of its labels is too long")]
    TooLong,
    /// A label is empty, as in `a..b`.
    #[error("the host name has an empty label")]
    EmptyLabel,
    /// Brackets that do not hold an IPv6 address.
    #[error("the brackets do not hold an IPv6 address")]
    Ipv6,
    /// A name whose last label is numeric and that is no IPv4 address in any spelling.
    #[error("the host looks like an IPv4 address but is none")]
    Ipv4,
    /// The port is missing, empty, zero, not a number or above 65535.
    #[error("the port is missing or is no number from 1 to 65535")]
    Port,
    /// User information (`user@host`) stands in front of the host.
    #[error("user information in front of the host")]
    UserInfo,
}

/// A host and a port: what a flow asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The host asked for.
    pub host: Host,
    /// The port asked for, never zero.
    pub port: u16,
}

impl Destination {
    /// The destination for a host and a port.
    #[must_use]
    pub fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }

    /// Reads `host:port` as in the target of CONNECT (RFC 9110 section 9.3.6): the port is required.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_authority(text: &str) -> Result<Self, HostError> {
        Self::parse_with_default(text, None)
    }

    /// Reads `host` or `host:port`; an absent or empty port is `default_port` (RFC 3986 section 3.2.3).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_with_default(text: &str, default_port: Option<u16>) -> Result<Self, HostError> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None | Some("") => default_port.ok_or(HostError::Port)?,
            Some(port) => port.parse().map_err(|_| HostError::Port)?,
        };
        Ok(Self { host: Host::parse(host)?, port })
    }
}

impl Host {
    /// Reads a host as it stands in a URL, IPv6 literals in brackets.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Address(address.ip().to_canonical()), port: address.port() }
    }
}
