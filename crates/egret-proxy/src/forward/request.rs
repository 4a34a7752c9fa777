//! Writing the head of a request as the upstream gets it.

use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;

use egret_core::record::Protocol;
use egret_core::settings::{ForwardedHeader, HttpSettings};

use crate::http1::fields::{FieldName, list};
use crate::http1::target::Target;
use crate::http1::{BodyLength, Field, RequestHead};

/// The head of a request in origin form, and what it takes to send it to a parent proxy instead.
#[derive(Debug, Default)]
pub struct Written {
    /// The head, for an origin.
    pub head: Vec<u8>,
    /// Where the target stands in it.
    target: Range<usize>,
    /// The target in absolute form.
    absolute: Vec<u8>,
}

impl Written {
    /// The head for a parent proxy: the whole URL as its target (RFC 9112 section 3.2.2), and what
    /// the parent wants to see in `Proxy-Authorization`.
    #[must_use]
    pub fn for_parent(&self, authorization: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.len() + self.absolute.len() + 64);
        out.extend_from_slice(&self.head[..self.target.start]);
        out.extend_from_slice(&self.absolute);
        out.extend_from_slice(&self.head[self.target.end..self.head.len() - 2]);
        if let Some(value) = authorization {
            line(&mut out, b"Proxy-Authorization", value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// What else goes into a head.
#[derive(Clone, Copy, Debug)]
pub struct Extra<'a> {
    /// Settings.
    pub http: &'a HttpSettings,
    /// The client's address, for `Forwarded` and `X-Forwarded-For`.
    pub client: IpAddr,
    /// The `traceparent` to send in place of the client's.
    pub traceparent: Option<&'a [u8]>,
}

/// Writes the head of a request into the memory of `out`. The absolute form is written as well where
/// it `may_need_absolute`.
#[must_use]
pub fn write(
    mut out: Vec<u8>,
    input: &[u8],
    head: &RequestHead,
    may_need_absolute: bool,
    extra: &Extra<'_>,
) -> Written {
    out.clear();
    let Target::Absolute { scheme, authority, path, .. } = &head.target else {
        debug_assert!(false, "only absolute targets are forwarded");
        return Written::default();
    };
    let authority = &input[authority.clone()];
    let path = &input[path.clone()];
    out.extend_from_slice(&input[head.method.clone()]);
    out.push(b' ');
    let start = out.len();
    write_path(&mut out, input, head, path);
    let target = start..out.len();
    let mut absolute = Vec::new();
    if may_need_absolute {
        absolute.extend_from_slice(scheme.as_str().as_bytes());
        absolute.extend_from_slice(b"://");
        absolute.extend_from_slice(authority);
        if &out[target.clone()] != b"*" {
            absolute.extend_from_slice(&out[target.clone()]);
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let named = Named::read(input, &head.fields);
    if !head.fields.iter().any(|field| field.name == FieldName::Host) {
        line(&mut out, b"Host", authority);
    }
    for field in &head.fields {
        write_field(&mut out, input, head, field, &named, authority, extra);
    }
    if head.upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    }
    write_forwarded(&mut out, input, head, authority, extra);
    if let Some(value) = extra.traceparent {
        line(&mut out, b"traceparent", value);
    }
    if extra.http.send_via {
        write_via(&mut out, head.version, &extra.http.via);
    }
    out.extend_from_slice(b"\r\n");
    Written { head: out, target, absolute }
}

/// Writes this proxy's line of `Via`: the protocol that the message was received by, and the name.
pub fn write_via(out: &mut Vec<u8>, version: Protocol, name: &str) {
    let version: &[u8] = match version {
        Protocol::Http10 => b"1.0 ",
        // A handshake that failed forwards nothing.
        Protocol::Http11 | Protocol::Tls => b"1.1 ",
        Protocol::Http2 => b"2 ",
        // Not received over HTTP; no request of SOCKS is forwarded as one.
        Protocol::Socks4 | Protocol::Socks5 => b"1.1 ",
    };
    out.extend_from_slice(b"Via: ");
    out.extend_from_slice(version);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_path(out: &mut Vec<u8>, input: &[u8], head: &RequestHead, path: &[u8]) {
    match path.first() {
        // OPTIONS without a path asks the server as a whole (RFC 9112 section 3.2.4).
        None if &input[head.method.clone()] == b"OPTIONS" => out.push(b'*'),
        None => out.push(b'/'),
        Some(b'/') => out.extend_from_slice(path),
        Some(_) => {
            out.push(b'/');
            out.extend_from_slice(path);
        }
    }
}

fn write_field(
    out: &mut Vec<u8>,
    input: &[u8],
    head: &RequestHead,
    field: &Field,
    named: &Named<'_>,
    authority: &[u8],
    extra: &Extra<'_>,
) {
    match field.name {
        // The target is the truth about the host (RFC 9112 section 3.2.2).
        FieldName::Host => line(out, field.name_bytes(input), authority),
        FieldName::TransferEncoding if head.body == BodyLength::Chunked => {
            line(out, field.name_bytes(input), b"chunked");
        }
        FieldName::Upgrade if head.upgrade => copy(out, input, field),
        FieldName::MaxForwards if head.max_forwards.is_some() => {
            let left = head.max_forwards.unwrap_or(0).saturating_sub(1);
            line(out, field.name_bytes(input), left.to_string().as_bytes());
        }
        FieldName::Expect if !head.expects_continue => {}
        FieldName::XForwardedFor | FieldName::Forwarded if is_rewritten(field.name, extra.http.forwarded) => {
        }
        FieldName::Traceparent if extra.traceparent.is_some() => {}
        name if name.is_hop_by_hop() => {}
        FieldName::Other if named.contains(field.name_bytes(input)) => {}
        _ => copy(out, input, field),
    }
}

fn is_rewritten(name: FieldName, setting: ForwardedHeader) -> bool {
    match setting {
        ForwardedHeader::Off => false,
        ForwardedHeader::Remove | ForwardedHeader::Both => true,
        ForwardedHeader::XForwardedFor => name == FieldName::XForwardedFor,
        ForwardedHeader::Forwarded => name == FieldName::Forwarded,
    }
}

fn write_forwarded(out: &mut Vec<u8>, input: &[u8], head: &RequestHead, authority: &[u8], extra: &Extra<'_>) {
    let setting = extra.http.forwarded;
    if matches!(setting, ForwardedHeader::XForwardedFor | ForwardedHeader::Both) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        write_earlier(out, input, head, FieldName::XForwardedFor);
        let _ = write!(out, "{}\r\n", extra.client);
    }
    if matches!(setting, ForwardedHeader::Forwarded | ForwardedHeader::Both) {
        out.extend_from_slice(b"Forwarded: ");
        write_earlier(out, input, head, FieldName::Forwarded);
        let _ = match extra.client {
            IpAddr::V4(client) => write!(out, "for={client}"),
            IpAddr::V6(client) => write!(out, "for=\"[{client}]\""),
        };
        out.extend_from_slice(b";host=\"");
        out.extend(authority.iter().filter(|byte| !matches!(byte, b'"' | b'\\')));
        out.extend_from_slice(b"\";proto=http\r\n");
    }
}

fn write_earlier(out: &mut Vec<u8>, input: &[u8], head: &RequestHead, name: FieldName) {
    for field in head.fields.iter().filter(|field| field.name == name && !field.value(input).is_empty()) {
        out.extend_from_slice(field.value(input));
        out.extend_from_slice(b", ");
    }
}

/// The fields that `Connection` names: they concern this connection and end here.
#[derive(Debug, Default)]
pub struct Named<'a> {
    names: Vec<&'a [u8]>,
}

impl<'a> Named<'a> {
    /// Reads what `Connection` names.
    #[must_use]
    pub fn read(input: &'a [u8], fields: &[Field]) -> Self {
        let mut names = Vec::new();
        for field in fields.iter().filter(|field| field.name == FieldName::Connection) {
            names.extend(list(field.value(input)).filter(|name| {
                !name.eq_ignore_ascii_case(b"keep-alive")
                    && !name.eq_ignore_ascii_case(b"close")
                    && !name.eq_ignore_ascii_case(b"upgrade")
            }));
        }
        Self { names }
    }

    /// Whether a field is named. Fields that frame and route the message are not asked for: no
    /// sender may take those away (RFC 9110 section 7.6.1).
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.iter().any(|named| named.eq_ignore_ascii_case(name))
    }
}

/// Copies a field line as it was sent.
pub fn copy(out: &mut Vec<u8>, input: &[u8], field: &Field) {
    out.extend_from_slice(field.line(input));
    out.extend_from_slice(b"\r\n");
}

/// Writes a field line.
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether the message came through this proxy before (RFC 9110 section 7.6.3).
#[must_use]
pub fn passed_before(input: &[u8], fields: &[Field], via: &str) -> bool {
    fields.iter().filter(|field| field.name == FieldName::Via).any(|field| {
        list(field.value(input)).any(|hop| {
            let mut words = hop.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            words.nth(1).is_some_and(|by| by == via.as_bytes())
        })
    })
}
