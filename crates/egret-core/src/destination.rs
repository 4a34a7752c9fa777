//! Where a client wants to go: host and port, in one normal form.

use std::fmt;
use std::net::SocketAddr;

use memchr::memchr;

mod host;
mod ipv4;

pub use host::{Host, HostError};

/// A host and a port: what a flow asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The host asked for.
    pub host: Host,
    /// The port asked for, never zero.
    pub port: u16,
}

/// The most digits that a port may be written with. Leading zeros are legal (`port = *DIGIT`, RFC 3986
/// section 3.2.3), but nobody needs more than a few.
const MAX_PORT_DIGITS: usize = 8;

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
        Self::parse_bytes(text.as_bytes(), None)
    }

    /// [`Destination::parse_authority`] for bytes that nobody has looked at yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_authority_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        Self::parse_bytes(bytes, None)
    }

    /// Reads `host` or `host:port`; an absent or empty port is `default_port` (RFC 3986 section 3.2.3).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_with_default(text: &str, default_port: Option<u16>) -> Result<Self, HostError> {
        Self::parse_bytes(text.as_bytes(), default_port)
    }

    /// [`Destination::parse_with_default`] for bytes that nobody has looked at yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_bytes(bytes: &[u8], default_port: Option<u16>) -> Result<Self, HostError> {
        let (host, port) = split_port(bytes)?;
        // The host first: what is wrong with it tells more than what is wrong with the port.
        let host = Host::from_bytes(host)?;
        let port = match port {
            None | Some([]) => default_port.ok_or(HostError::Port)?,
            Some(digits) => parse_port(digits)?,
        };
        Ok(Self { host, port })
    }
}

/// Splits `host[:port]`. The colons of an IPv6 address are no separators because it stands in brackets.
fn split_port(bytes: &[u8]) -> Result<(&[u8], Option<&[u8]>), HostError> {
    if bytes.first() == Some(&b'[') {
        let end = memchr(b']', bytes).ok_or(HostError::Ipv6)? + 1;
        let (host, rest) = bytes.split_at(end);
        return match rest {
            [] => Ok((host, None)),
            [b':', port @ ..] => Ok((host, Some(port))),
            _ => Err(HostError::Ipv6),
        };
    }
    let Some(colon) = memchr(b':', bytes) else { return Ok((bytes, None)) };
    let (host, port) = (&bytes[..colon], &bytes[colon + 1..]);
    if memchr(b'@', port).is_some() {
        return Err(HostError::UserInfo);
    }
    if memchr(b':', port).is_some() {
        return Err(HostError::Unbracketed);
    }
    Ok((host, Some(port)))
}

/// Reads a port from 1 to 65535. Digits alone: no sign, no space.
pub(crate) fn parse_port(digits: &[u8]) -> Result<u16, HostError> {
    if digits.is_empty() || digits.len() > MAX_PORT_DIGITS {
        return Err(HostError::Port);
    }
    let mut port = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(HostError::Port);
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    match u16::try_from(port) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(HostError::Port),
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().into(), port: address.port() }
    }
}
