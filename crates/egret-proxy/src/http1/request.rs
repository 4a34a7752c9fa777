//! The head of a request (RFC 9112 section 3).

use std::ops::Range;

use egret_core::destination::Destination;
use egret_core::record::Protocol;

use super::fields::{FieldName, Fields, is_token, list, parse_fields};
use super::framing::{BodyLength, request_body};
use super::target::{Target, parse as parse_target};
use super::{HeadLimits, ParseError, Parsed};

/// Empty lines forgiven before a request line (RFC 9112 section 2.2).
const MAX_EMPTY_LINES: usize = 4;

/// The head of a request, as positions in the buffer it was read into.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Range<usize>,
    /// The target as it was sent.
    pub target_text: Range<usize>,
    /// The target.
    pub target: Target,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Protocol,
    /// The fields, in order.
    pub fields: Fields,
    /// The length of the body.
    pub body: BodyLength,
    /// Whether the client wants the connection kept (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// What `Upgrade` asks for, where it counts: HTTP/1.1, named in `Connection`, and nothing that
    /// would change the protocol under the proxy's eyes.
    pub upgrade: bool,
    /// The client waits for 100 (Continue).
    pub expects_continue: bool,
    /// `Max-Forwards`, with TRACE and OPTIONS (RFC 9110 section 7.6.2).
    pub max_forwards: Option<u64>,
    /// The length of the head in bytes, leading empty lines and the last one included.
    pub length: usize,
}

/// Reads a request head from the front of `input`. `fields` is given back in the head; handing in a
/// used one saves an allocation.
///
/// # Errors
/// What is wrong with it. The connection cannot be used any more.
pub fn parse(
    input: &[u8],
    limits: &HeadLimits,
    mut fields: Fields,
) -> Result<Parsed<RequestHead>, ParseError> {
    fields.clear();
    let mut start = 0;
    while input[start..].starts_with(b"\r\n") && start < 2 * MAX_EMPTY_LINES {
        start += 2;
    }
    let rest = &input[start..];
    let Some(line_feed) = memchr::memchr(b'\n', rest) else {
        return partial_line(rest, limits);
    };
    if line_feed == 0 || rest[line_feed - 1] != b'\r' {
        return Err(ParseError::BareLf);
    }
    let line = start..start + line_feed - 1;
    let (method, target_text, version) = request_line(input, line, limits)?;
    let Some(length) = parse_fields(input, start + line_feed + 1, limits, &mut fields)? else {
        return if input.len() >= limits.bytes { Err(ParseError::HeadTooLarge) } else { Ok(Parsed::Partial) };
    };
    if length > limits.bytes {
        return Err(ParseError::HeadTooLarge);
    }
    let target = parse_target(input, target_text.clone(), &input[method.clone()])?;
    check_host(input, &fields, &target, version)?;
    let body = request_body(input, &fields, version)?;
    let is_connect = matches!(target, Target::Authority { .. });
    if is_connect && body != BodyLength::None {
        return Err(ParseError::ConnectBody);
    }
    let mut head = RequestHead {
        method,
        target_text,
        target,
        version,
        fields,
        body,
        keep_alive: version == Protocol::Http11,
        upgrade: false,
        expects_continue: false,
        max_forwards: None,
        length,
    };
    head.read_fields(input)?;
    Ok(Parsed::Complete(head))
}

fn partial_line<T>(rest: &[u8], limits: &HeadLimits) -> Result<Parsed<T>, ParseError> {
    // A line that can never become a request is not waited for: whoever speaks another protocol
    // learns it at once, and nothing is held in memory for them.
    let method_end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    let method = &rest[..method_end];
    if !method.is_empty() && !is_token(method) && method != b"\r" {
        return Err(ParseError::Method);
    }
    if method_end == 0 && !rest.is_empty() {
        return Err(ParseError::RequestLine);
    }
    if rest.len() > limits.target + 64 {
        return Err(ParseError::TargetTooLong);
    }
    if rest.len() >= limits.bytes { Err(ParseError::HeadTooLarge) } else { Ok(Parsed::Partial) }
}

type RequestLine = (Range<usize>, Range<usize>, Protocol);

fn request_line(input: &[u8], line: Range<usize>, limits: &HeadLimits) -> Result<RequestLine, ParseError> {
    let text = &input[line.clone()];
    if memchr::memchr(b'\r', text).is_some() {
        return Err(ParseError::BareCr);
    }
    let first = memchr::memchr(b' ', text).ok_or(ParseError::RequestLine)?;
    if first == 0 {
        return Err(ParseError::RequestLine);
    }
    let method = line.start..line.start + first;
    if !is_token(&input[method.clone()]) {
        return Err(ParseError::Method);
    }
    let last = memchr::memrchr(b' ', text).ok_or(ParseError::RequestLine)?;
    if last == first {
        return Err(ParseError::RequestLine);
    }
    let target = line.start + first + 1..line.start + last;
    if target.len() > limits.target {
        return Err(ParseError::TargetTooLong);
    }
    if target.is_empty() || memchr::memchr2(b' ', b'\t', &input[target.clone()]).is_some() {
        return Err(ParseError::RequestLine);
    }
    Ok((method, target, version(&text[last + 1..])?))
}

/// Reads `HTTP/1.0` or `HTTP/1.1`; a later minor version is read as 1.1 (RFC 9110 section 6.2).
pub(super) fn version(text: &[u8]) -> Result<Protocol, ParseError> {
    match text {
        b"HTTP/1.1" => Ok(Protocol::Http11),
        b"HTTP/1.0" => Ok(Protocol::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Protocol::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(ParseError::Version),
        _ => Err(ParseError::VersionSyntax),
    }
}

fn check_host(input: &[u8], fields: &Fields, target: &Target, version: Protocol) -> Result<(), ParseError> {
    let mut hosts = fields.iter().filter(|field| field.name == FieldName::Host);
    let Some(host) = hosts.next() else {
        return if version == Protocol::Http11 { Err(ParseError::HostMissing) } else { Ok(()) };
    };
    if hosts.next().is_some() {
        return Err(ParseError::HostTwice);
    }
    let value = host.value(input);
    let wanted = match target {
        Target::Absolute { destination, authority, .. } => {
            // The usual case, told without parsing: the client wrote the same twice.
            if value == &input[authority.clone()] {
                return Ok(());
            }
            Some((destination, destination_default(target)))
        }
        Target::Authority { destination } => Some((destination, Some(destination.port))),
        Target::Origin | Target::Asterisk => None,
    };
    let Some((destination, default_port)) = wanted else {
        return if value.is_empty() || parse_host(value, Some(80)).is_some() {
            Ok(())
        } else {
            Err(ParseError::HostInvalid)
        };
    };
    match parse_host(value, default_port) {
        Some(host) if host == *destination => Ok(()),
        Some(_) => Err(ParseError::HostContradicts),
        None if value.is_empty() => Err(ParseError::HostContradicts),
        None => Err(ParseError::HostInvalid),
    }
}

fn destination_default(target: &Target) -> Option<u16> {
    match target {
        Target::Absolute { scheme, .. } => Some(scheme.default_port()),
        _ => None,
    }
}

fn parse_host(value: &[u8], default_port: Option<u16>) -> Option<Destination> {
    std::str::from_utf8(value).ok().and_then(|text| Destination::parse_with_default(text, default_port).ok())
}

impl RequestHead {
    fn read_fields(&mut self, input: &[u8]) -> Result<(), ParseError> {
        let mut names_upgrade = false;
        let mut upgrade = None;
        let mut close = false;
        let mut keep = false;
        let counts_forwards = matches!(&input[self.method.clone()], b"TRACE" | b"OPTIONS");
        for field in &self.fields {
            match field.name {
                FieldName::Connection | FieldName::ProxyConnection => {
                    for option in list(field.value(input)) {
                        close |= option.eq_ignore_ascii_case(b"close");
                        keep |= option.eq_ignore_ascii_case(b"keep-alive");
                        names_upgrade |=
                            field.name == FieldName::Connection && option.eq_ignore_ascii_case(b"upgrade");
                    }
                }
                FieldName::Upgrade => upgrade = Some((upgrade.is_some(), field.value(input))),
                FieldName::Expect if self.version == Protocol::Http11 => {
                    if !field.value(input).eq_ignore_ascii_case(b"100-continue") {
                        return Err(ParseError::Expectation);
                    }
                    self.expects_continue = true;
                }
                FieldName::MaxForwards if counts_forwards => {
                    let value = field.value(input);
                    if value.is_empty() || value.len() > 10 || !value.iter().all(u8::is_ascii_digit) {
                        return Err(ParseError::MaxForwards);
                    }
                    let number = value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
                    self.max_forwards = Some(number);
                }
                _ => {}
            }
        }
        self.keep_alive = !close && (self.version == Protocol::Http11 || keep);
        self.upgrade = self.version == Protocol::Http11
            && names_upgrade
            && upgrade.is_some_and(|(twice, value)| !twice && is_safe_upgrade(value));
        Ok(())
    }

    /// The first field with this name.
    #[must_use]
    pub fn value<'a>(&self, name: FieldName, input: &'a [u8]) -> Option<&'a [u8]> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value(input))
    }

    /// The method as text.
    #[must_use]
    pub fn method_text<'a>(&self, input: &'a [u8]) -> &'a str {
        // A token is ASCII.
        std::str::from_utf8(&input[self.method.clone()]).unwrap_or("")
    }
}

/// An upgrade to HTTP/2 or to TLS would hide later requests from the proxy ("h2c smuggling"), so
/// those are never asked for upstream. One protocol at a time: a list leaves open what was agreed.
fn is_safe_upgrade(value: &[u8]) -> bool {
    let mut protocols = list(value);
    let Some(protocol) = protocols.next() else { return false };
    let lower = protocol.to_ascii_lowercase();
    protocols.next().is_none()
        && !lower.starts_with(b"h2")
        && !lower.starts_with(b"http")
        && !lower.starts_with(b"tls")
        && lower.split(|byte| *byte == b'/').all(is_token)
}
