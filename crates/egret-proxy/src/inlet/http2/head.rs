//! The head of a request, written out as HTTP/1.1.
//!
//! The frame layer has refused what is malformed in itself (RFC 9113 section 8.2): pseudo-header fields
//! that are missing, doubled or behind others, names with capitals, connection-specific fields, `TE`
//! with anything but `trailers`. Everything else is judged by the parser that reads what is written
//! here.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_core::reason::Reason;
use h2::ext::Protocol;
use http::request::Parts;
use http::{Method, header};
use sha1::{Digest as _, Sha1};

use super::reader::Framing;
use crate::refuse::Refusal;

/// What a request is, as HTTP/1.1.
#[derive(Debug)]
pub(super) struct Head {
    /// The head.
    pub(super) bytes: Vec<u8>,
    /// How the body follows it.
    pub(super) framing: Framing,
    /// What `Sec-WebSocket-Accept` has to be, for an extended CONNECT.
    pub(super) accept: Option<String>,
}

/// Writes the head of a request. `length` is that of the body, where all of it has come already;
/// `local` is where the client's connection leads.
///
/// # Errors
/// An extended CONNECT for a protocol other than WebSocket (RFC 9220 section 3 wants 501 for it).
pub(super) fn write(parts: &Parts, length: Option<usize>, local: SocketAddr) -> Result<Head, Refusal> {
    let mut bytes = Vec::with_capacity(512);
    let mut framing = Framing::Raw;
    let mut accept = None;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let protocol = parts.extensions.get::<Protocol>();
    if parts.method == Method::CONNECT && protocol.is_none() {
        start(&mut bytes, "CONNECT", &["", authority.unwrap_or_default()]);
    } else {
        let method = if protocol.is_some() { "GET" } else { parts.method.as_str() };
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        match (parts.uri.scheme_str(), authority) {
            (Some(scheme), Some(authority)) if !is_own(authority, local) => {
                // `*` asks the origin as a whole, which absolute-form tells by an empty path.
                let path = if path == "*" { "" } else { path };
                start(&mut bytes, method, &[scheme, "://", authority, path]);
            }
            _ => start(&mut bytes, method, &[path]),
        }
    }
    if let Some(authority) = authority
        && !parts.headers.contains_key(header::HOST)
    {
        line(&mut bytes, "host", authority.as_bytes());
    }
    copy_fields(&mut bytes, parts, protocol.is_some());
    if let Some(protocol) = protocol {
        if !protocol.as_str().eq_ignore_ascii_case("websocket") {
            let detail = format!(":protocol `{}` (only websocket is served, RFC 8441)", protocol.as_str());
            return Err(Refusal::new(Reason::MethodUnsupported, detail));
        }
        accept = Some(ask_for_websocket(&mut bytes, parts));
    } else if parts.method != Method::CONNECT && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        match length {
            None => {
                framing = Framing::Chunked;
                line(&mut bytes, "transfer-encoding", b"chunked");
            }
            // Nothing is said of no body where none is expected (RFC 9110 section 8.6).
            Some(0) if !matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) => {}
            Some(length) => line(&mut bytes, "content-length", length.to_string().as_bytes()),
        }
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(Head { bytes, framing, accept })
}

fn start(out: &mut Vec<u8>, method: &str, target: &[&str]) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    for part in target {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn copy_fields(out: &mut Vec<u8>, parts: &Parts, websocket: bool) {
    for (name, values) in parts.headers.keys().map(|name| (name, parts.headers.get_all(name))) {
        // The key is this proxy's to choose: the client's does not come back to it (RFC 8441 section 5).
        if websocket && *name == header::SEC_WEBSOCKET_KEY {
            continue;
        }
        if *name == header::COOKIE {
            // Crumbs are one field again outside of HTTP/2 (RFC 9113 section 8.2.3).
            let crumbs: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            line(out, "cookie", &crumbs.join(&b"; "[..]));
            continue;
        }
        for value in values {
            line(out, name.as_str(), value.as_bytes());
        }
    }
}

/// Adds what makes a WebSocket handshake of a GET (RFC 6455 section 4.1), and gives what has to come
/// back.
fn ask_for_websocket(out: &mut Vec<u8>, parts: &Parts) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    line(out, "upgrade", b"websocket");
    line(out, "connection", b"Upgrade");
    line(out, "sec-websocket-key", key.as_bytes());
    if !parts.headers.contains_key(header::SEC_WEBSOCKET_VERSION) {
        line(out, "sec-websocket-version", b"13");
    }
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a request is addressed to the proxy itself. In HTTP/2 the form of the target does not tell,
/// as it does in HTTP/1.1 (RFC 9112 section 3.2).
fn is_own(authority: &str, local: SocketAddr) -> bool {
    if authority.parse() == Ok(local) {
        return true;
    }
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let ip = local.ip().to_canonical();
    port.parse() == Ok(local.port())
        && match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(host) => host.to_canonical() == ip,
            Err(_) => host.eq_ignore_ascii_case("localhost") && ip.is_loopback(),
        }
}
