//! Heads as the data path has them, taken apart for the store. They were checked before; what stands here
//! reads whatever it is given.

use crate::flow::{Headers, Request, Response};
use crate::redact::Redactor;

/// Lines of `name: value`, as they may be kept.
pub(crate) fn trailers(lines: &[u8], redactor: &Redactor) -> Headers {
    redactor.headers(fields(lines))
}

fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// The first line, in its three parts, and the rest.
fn first_line(head: &[u8]) -> ([String; 3], &[u8]) {
    let end = memchr::memchr(b'\n', head).unwrap_or(head.len());
    let line = String::from_utf8_lossy(head[..end].trim_ascii_end());
    let mut parts = line.splitn(3, ' ').map(str::to_owned);
    let parts = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    (parts, head.get(end + 1..).unwrap_or_default())
}

/// The version, without an allocation where it is one of the usual.
fn version(text: &str) -> std::borrow::Cow<'static, str> {
    match text {
        "HTTP/1.1" => "HTTP/1.1".into(),
        "HTTP/1.0" => "HTTP/1.0".into(),
        "HTTP/2" | "HTTP/2.0" => "HTTP/2".into(),
        other => other.to_owned().into(),
    }
}

/// A request's head, as it may be kept.
pub(crate) fn request_head(head: &[u8], scheme: &'static str, redactor: &Redactor) -> Request {
    let ([method, target, protocol], rest) = first_line(head);
    let mut request = Request {
        method: egret_core::record::MethodName::new(&method).known_or(method),
        scheme: scheme.into(),
        version: version(&protocol),
        headers: redactor.headers(fields(rest)),
        ..Request::default()
    };
    if request.method == "CONNECT" {
        request.scheme = "".into();
    }
    request.apply_target(&redactor.target(&target));
    if request.host.is_empty()
        && let Some(host) = request.headers.text("host").map(str::to_owned)
    {
        let port = match &*request.scheme {
            "https" => 443,
            "http" => 80,
            _ => 0,
        };
        request.apply_authority(&host, port);
    }
    request
}

/// A response's head, as it may be kept.
pub(crate) fn response_head(head: &[u8], redactor: &Redactor) -> Response {
    let ([protocol, status, phrase], rest) = first_line(head);
    Response {
        status: status.parse().unwrap_or(0),
        phrase,
        version: version(&protocol),
        headers: redactor.headers(fields(rest)),
        ..Response::default()
    }
}

/// Gives the known name of a method, which needs no memory of its own.
trait KnownOr {
    fn known_or(self, other: String) -> std::borrow::Cow<'static, str>;
}

impl KnownOr for egret_core::record::MethodName {
    fn known_or(self, other: String) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Known(name) => name.into(),
            Self::None | Self::Other(_) => other.into(),
        }
    }
}
