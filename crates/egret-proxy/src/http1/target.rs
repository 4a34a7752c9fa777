//! The request target and its four forms (RFC 9112 section 3.2).

use std::ops::Range;

use egret_core::destination::{Destination, HostError};

use super::ParseError;

/// The scheme of an absolute target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`: the proxy itself speaks TLS to the origin.
    Https,
}

impl Scheme {
    /// The port where none is named.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A request target. Ranges are positions in the head.
#[derive(Clone, Debug)]
pub enum Target {
    /// `/path?query`: the proxy itself is addressed.
    Origin,
    /// `scheme://host/path`: a request to be forwarded.
    Absolute {
        /// The scheme.
        scheme: Scheme,
        /// Where to.
        destination: Destination,
        /// `host[:port]` as it was sent.
        authority: Range<usize>,
        /// Path and query as they were sent; may be empty.
        path: Range<usize>,
    },
    /// `host:port`, with CONNECT.
    Authority {
        /// Where to.
        destination: Destination,
    },
    /// `*`, with OPTIONS.
    Asterisk,
}

/// Reads the target at `range`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(head: &[u8], range: Range<usize>, method: &[u8]) -> Result<Target, ParseError> {
    let target = &head[range.clone()];
    // A fragment is never sent (RFC 9112 section 3.2.1). Bytes above ASCII are not valid either, but
    // real clients send them and no reader takes them for a separator.
    if target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f || *byte == b'#') {
        return Err(ParseError::Target);
    }
    if method == b"CONNECT" {
        let destination = host_port(target, None)?;
        return Ok(Target::Authority { destination });
    }
    match target {
        [] => Err(ParseError::RequestLine),
        [b'/', ..] => Ok(Target::Origin),
        b"*" if method == b"OPTIONS" => Ok(Target::Asterisk),
        _ => parse_absolute(head, range),
    }
}

fn parse_absolute(head: &[u8], range: Range<usize>) -> Result<Target, ParseError> {
    let target = &head[range.clone()];
    let colon = memchr::memchr(b':', target).ok_or(ParseError::TargetForm)?;
    let (name, rest) = (&target[..colon], &target[colon + 1..]);
    if !name.first().is_some_and(u8::is_ascii_alphabetic)
        || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    {
        return Err(ParseError::TargetForm);
    }
    if !rest.starts_with(b"//") {
        return Err(ParseError::TargetForm);
    }
    let scheme = if name.eq_ignore_ascii_case(b"http") {
        Scheme::Http
    } else if name.eq_ignore_ascii_case(b"https") {
        Scheme::Https
    } else {
        return Err(ParseError::Scheme);
    };
    let start = range.start + colon + 3;
    let after = &head[start..range.end];
    let length = after.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after.len());
    let authority = start..start + length;
    let destination = host_port(&head[authority.clone()], Some(scheme.default_port()))?;
    Ok(Target::Absolute { scheme, destination, path: authority.end..range.end, authority })
}

fn host_port(text: &[u8], default_port: Option<u16>) -> Result<Destination, ParseError> {
    let text = std::str::from_utf8(text).map_err(|_| ParseError::TargetHost)?;
    Destination::parse_with_default(text, default_port).map_err(|error| match error {
        HostError::UserInfo => ParseError::UserInfo,
        _ if text.contains('@') => ParseError::UserInfo,
        _ => ParseError::TargetHost,
    })
}
