//! Requests that are addressed to the proxy itself.

use std::fmt::Write as _;

use egret_core::reason::Reason;
use egret_core::record::Protocol;

use crate::client::Client;
use crate::flow::Flow;
use crate::http1::fields::FieldName;
use crate::http1::{Field, RequestHead};
use crate::refuse::Refusal;

mod pac;

/// An answer of the proxy's own.
#[derive(Debug)]
pub struct Answer {
    /// The status with its phrase.
    pub status: (u16, &'static str),
    /// The media type of the body.
    pub media_type: &'static str,
    /// Further fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn text(status: (u16, &'static str), body: &str) -> Self {
        Self {
            status,
            media_type: "text/plain; charset=utf-8",
            fields: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// The answer as an HTTP/1.1 response.
    #[must_use]
    pub fn http1(&self, head: bool, keep_alive: bool) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status.0, self.status.1);
        let _ = write!(out, "Content-Type: {}\r\nContent-Length: {}\r\n", self.media_type, self.body.len());
        for (name, value) in &self.fields {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        if !keep_alive {
            out.push_str("Connection: close\r\n");
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        if !head {
            out.extend_from_slice(&self.body);
        }
        out
    }
}

/// Answers a request for a path of the proxy itself. `authority` is how the client calls the proxy.
///
/// # Errors
/// The refusal, when the proxy has nothing there.
pub fn answer(flow: &Flow, method: &str, path: &str, authority: &str) -> Result<Answer, Refusal> {
    if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return Err(Refusal::new(Reason::NotAProxyRequest, format!("{method} {path} names no origin")));
    }
    if method == "OPTIONS" {
        let mut answer = Answer::text((200, "OK"), "");
        answer.fields.push(("Allow", "GET, HEAD, OPTIONS, CONNECT, TRACE".to_owned()));
        return Ok(answer);
    }
    match path.split('?').next().unwrap_or(path) {
        "/" => Ok(page(authority, if flow.identity.tls.is_some() { "https" } else { "http" })),
        "/proxy.pac" | "/wpad.dat" => Ok(Answer {
            status: (200, "OK"),
            media_type: "application/x-ns-proxy-autoconfig",
            fields: vec![("Cache-Control", "max-age=300".to_owned())],
            body: pac::write(&flow.snapshot.pac, authority, flow.identity.tls.is_some()).into_bytes(),
        }),
        "/healthz" => Ok(Answer::text((200, "OK"), "ok\n")),
        "/readyz" if flow.worker.draining() => Ok(Answer::text((503, "Service Unavailable"), "draining\n")),
        "/readyz" => Ok(Answer::text((200, "OK"), "ok\n")),
        _ => Err(Refusal::new(Reason::NotAProxyRequest, format!("{path} is not a page of this proxy"))),
    }
}

fn page(listener: &str, scheme: &str) -> Answer {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Egret</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem}}\
         code{{background:#8882;padding:.1em .3em}}</style><h1>Egret</h1><p>This is an egress proxy. It is \
         working: to use it, give its address to a program as an HTTP proxy.</p>\
         <pre><code>curl -x {scheme}://{listener} https://example.com/</code></pre>\
         <p>For browsers and desktops there is <a href=\"/proxy.pac\">/proxy.pac</a>.</p>\
         <p>Version {}</p></html>\n",
        env!("CARGO_PKG_VERSION"),
    );
    Answer {
        status: (200, "OK"),
        media_type: "text/html; charset=utf-8",
        fields: vec![
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ],
        body: body.into_bytes(),
    }
}

/// Answers TRACE or OPTIONS whose `Max-Forwards` is used up (RFC 9110 sections 7.6.2, 9.3.7, 9.3.8).
#[must_use]
pub fn last_hop(client: &Client, head: &RequestHead) -> Answer {
    let input = client.filled();
    if head.method_text(input) == "OPTIONS" {
        let mut answer = Answer::text((200, "OK"), "");
        answer
            .fields
            .push(("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH, CONNECT".to_owned()));
        return answer;
    }
    let mut body = Vec::new();
    body.extend_from_slice(&input[head.method.clone()]);
    body.push(b' ');
    body.extend_from_slice(&input[head.target_text.clone()]);
    body.extend_from_slice(if head.version == Protocol::Http10 {
        b" HTTP/1.0\r\n"
    } else {
        b" HTTP/1.1\r\n"
    });
    for field in head.fields.iter().filter(|field| !is_sensitive(field, input)) {
        body.extend_from_slice(field.line(input));
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"\r\n");
    Answer { status: (200, "OK"), media_type: "message/http", fields: Vec::new(), body }
}

fn is_sensitive(field: &Field, input: &[u8]) -> bool {
    matches!(field.name, FieldName::Authorization | FieldName::ProxyAuthorization)
        || field.name_bytes(input).eq_ignore_ascii_case(b"cookie")
}
