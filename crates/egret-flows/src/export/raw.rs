//! Messages in the form of HTTP/1.1, with the body as it was captured.

use std::borrow::Cow;

use crate::flow::{Flow, Headers};

/// The request; `body` is what was captured of its body.
#[must_use]
pub fn request(flow: &Flow, body: &[u8]) -> Vec<u8> {
    let request = &flow.request;
    let target: Cow<'_, str> =
        if request.path.is_empty() { request.authority().into() } else { request.path.as_str().into() };
    let mut out = format!("{} {target} {}\r\n", request.method, version(&request.version)).into_bytes();
    // HTTP/2 says the host elsewhere.
    if request.headers.first(b"host").is_none() && !request.host.is_empty() {
        out.extend_from_slice(format!("Host: {}\r\n", request.authority()).as_bytes());
    }
    message(out, &request.headers, body, &request.trailers)
}

/// The response, if there is one; `body` is what was captured of its body.
#[must_use]
pub fn response(flow: &Flow, body: &[u8]) -> Option<Vec<u8>> {
    let response = flow.response.as_ref()?;
    let out =
        format!("{} {} {}\r\n", version(&response.version), response.status, response.phrase).into_bytes();
    Some(message(out, &response.headers, body, &response.trailers))
}

fn version(version: &str) -> &str {
    if version.is_empty() { "HTTP/1.1" } else { version }
}

fn message(mut out: Vec<u8>, headers: &Headers, body: &[u8], trailers: &Headers) -> Vec<u8> {
    fields(&mut out, headers);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    if !trailers.is_empty() {
        out.extend_from_slice(b"\r\n");
        fields(&mut out, trailers);
    }
    out
}

fn fields(out: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in headers.iter() {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}
