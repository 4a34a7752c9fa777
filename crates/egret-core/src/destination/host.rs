//! Hosts, and their one normal form.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str;
use std::sync::Arc;

use idna::AsciiDenyList;

use super::ipv4;

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
    /// An IPv6 address with a zone (`fe80::1%eth0`, RFC 4007): it names an interface of whoever
    /// wrote it, which means nothing here (RFC 6874 section 1).
    #[error("the IPv6 address has a zone")]
    Zone,
    /// Colons as of an IPv6 address without brackets.
    #[error("an IPv6 address must stand in brackets")]
    Unbracketed,
    /// A name whose last label is numeric and that is no IPv4 address in any spelling.
    #[error("the host looks like an IPv4 address but is none")]
    Ipv4,
    /// A name that is not ASCII and that IDNA (UTS 46) does not allow.
    #[error("the host is not a valid internationalised name")]
    Idna,
    /// The port is missing, empty, zero, not a number or above 65535.
    #[error("the port is missing or is no number from 1 to 65535")]
    Port,
    /// User information (`user@host`) stands in front of the host.
    #[error("user information in front of the host")]
    UserInfo,
}

/// The longest name without its trailing dot (RFC 1035 section 2.3.4 has 255 bytes on the wire).
const MAX_NAME: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// The longest text that is given to IDNA. UTF-8 needs up to four bytes for what becomes at least one
/// byte of an A-label; anything longer cannot become a name, and need not cost the work.
const MAX_UNICODE: usize = 4 * MAX_NAME;

impl Host {
    /// Reads a host as it stands in a URL, IPv6 literals in brackets.
    ///
    /// Percent signs are refused, not decoded (RFC 3986 would allow them): no client needs them, and
    /// two readers of one request must not disagree about its host.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        Self::from_bytes(text.as_bytes())
    }

    /// [`Host::parse`] for bytes that nobody has looked at yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        match bytes {
            [] => Err(HostError::Empty),
            [b'[', inner @ .., b']'] => parse_bracketed(inner),
            [b'[', ..] => Err(HostError::Ipv6),
            _ if bytes.is_ascii() => from_ascii(bytes),
            _ => from_unicode(bytes),
        }
    }

    /// The address, where the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }

    /// The name, where the host is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

fn parse_bracketed(inner: &[u8]) -> Result<Host, HostError> {
    if inner.contains(&b'%') {
        return Err(HostError::Zone);
    }
    let text = str::from_utf8(inner).map_err(|_| HostError::Ipv6)?;
    let address: Ipv6Addr = text.parse().map_err(|_| HostError::Ipv6)?;
    Ok(IpAddr::V6(address).into())
}

fn from_unicode(bytes: &[u8]) -> Result<Host, HostError> {
    if bytes.len() > MAX_UNICODE {
        return Err(HostError::TooLong);
    }
    // The deny list is left to `from_ascii`, which sees what the mapping yields: full-width slashes,
    // digits and dots are slashes, digits and dots by then.
    let ascii = idna::domain_to_ascii_cow(bytes, AsciiDenyList::EMPTY).map_err(|_| HostError::Idna)?;
    match ascii.as_bytes() {
        [] => Err(HostError::Empty),
        ascii if ascii.is_ascii() => from_ascii(ascii),
        _ => Err(HostError::Idna),
    }
}

fn from_ascii(bytes: &[u8]) -> Result<Host, HostError> {
    let scan = Scan::of(bytes)?;
    let name = scan.name;
    if scan.last_starts_with_digit && ipv4::ends_in_number(name) {
        return ipv4::parse(name).map(|v4| Host::Address(v4.into())).ok_or(HostError::Ipv4);
    }
    if !scan.has_upper_case {
        return shared(name);
    }
    let mut lower = [0; MAX_NAME];
    let lower = lower.get_mut(..name.len()).ok_or(HostError::TooLong)?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    shared(lower)
}

fn shared(name: &[u8]) -> Result<Host, HostError> {
    // The scan let ASCII alone through, so this conversion cannot fail.
    str::from_utf8(name).map(|name| Host::Name(name.into())).map_err(|_| HostError::Character)
}

/// What one pass over an ASCII name finds.
struct Scan<'a> {
    /// The name without its trailing dot.
    name: &'a [u8],
    has_upper_case: bool,
    last_starts_with_digit: bool,
}

impl<'a> Scan<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, HostError> {
        let name = bytes.strip_suffix(b".").unwrap_or(bytes);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        let mut has_upper_case = false;
        let mut label_start = 0;
        for (i, &byte) in name.iter().enumerate() {
            match CLASSES[usize::from(byte)] {
                Class::Plain => {}
                Class::Upper => has_upper_case = true,
                Class::Dot => {
                    check_label(i - label_start)?;
                    label_start = i + 1;
                }
                Class::At => return Err(HostError::UserInfo),
                Class::Bad => return Err(HostError::Character),
            }
        }
        check_label(name.len() - label_start)?;
        if name.len() > MAX_NAME {
            return Err(HostError::TooLong);
        }
        let last_starts_with_digit = name.get(label_start).is_some_and(u8::is_ascii_digit);
        Ok(Self { name, has_upper_case, last_starts_with_digit })
    }
}

fn check_label(len: usize) -> Result<(), HostError> {
    match len {
        0 => Err(HostError::EmptyLabel),
        1..=MAX_LABEL => Ok(()),
        _ => Err(HostError::TooLong),
    }
}

#[derive(Clone, Copy)]
enum Class {
    Plain,
    Upper,
    Dot,
    At,
    Bad,
}

/// Letters, digits and hyphens (RFC 1123 section 2.1), and the underscore, which real names have
/// (`_acme-challenge`, Windows machines, S3 buckets).
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Bad; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => Class::Plain,
            b'A'..=b'Z' => Class::Upper,
            b'.' => Class::Dot,
            b'@' => Class::At,
            _ => Class::Bad,
        };
        byte += 1;
    }
    classes
};

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
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
