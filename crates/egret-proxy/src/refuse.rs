//! The one place that turns a refusal into what a client reads.

use std::fmt::Write as _;

use egret_core::flow_id::FlowId;
use egret_core::gate::{Basis, Denial};
use egret_core::reason::{Blame, Reason};
use egret_flows::rules::CLOSES;

/// A flow that is not served, and why.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The reason code.
    pub reason: Reason,
    /// The particulars, for people; empty for none. Never holds a secret.
    pub detail: String,
    /// The rule that decided, where one did.
    pub basis: Basis,
    /// Header fields that belong to the reason: challenges, when to try again.
    pub fields: Vec<(&'static str, String)>,
    /// Another status than the reason's, where a change rule says so.
    pub status: Option<u16>,
}

impl Refusal {
    /// A refusal with particulars.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), basis: Basis::default(), fields: Vec::new(), status: None }
    }

    /// The status that the client reads; 0 if it reads nothing.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.status {
            Some(CLOSES) => 0,
            Some(status) => status,
            None => self.reason.status(),
        }
    }

    /// Whether the connection is closed without a word.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.status == Some(CLOSES)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let Denial { reason, by, audit, detail } = denial;
        Self { reason, detail, basis: Basis { by, audit }, fields: Vec::new(), status: None }
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Text,
    /// A small page.
    Html,
    /// One JSON object (RFC 9457 members).
    Json,
}

impl Format {
    /// The format that an `Accept` value likes best: the first of ours that it names.
    #[must_use]
    pub fn for_accept(accept: Option<&[u8]>) -> Self {
        let Some(accept) = accept else { return Self::Text };
        for range in crate::http1::fields::list(accept) {
            let kind = range.split(|byte| *byte == b';').next().unwrap_or(range);
            let kind = crate::http1::fields::trim(kind);
            if kind.eq_ignore_ascii_case(b"text/html") {
                return Self::Html;
            }
            if kind.eq_ignore_ascii_case(b"application/json") || kind.ends_with(b"+json") {
                return Self::Json;
            }
            if kind.eq_ignore_ascii_case(b"text/plain") {
                return Self::Text;
            }
        }
        Self::Text
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
        }
    }
}

/// What a refusal is written for.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The flow.
    pub id: FlowId,
    /// The proxy's name, as in `Via`.
    pub proxy: &'a str,
    /// The format of the body.
    pub format: Format,
    /// Whom to ask, where configured.
    pub contact: Option<&'a str>,
    /// The request was HEAD: a length, but no body.
    pub head: bool,
    /// The connection is kept.
    pub keep_alive: bool,
    /// The target that was asked for; empty when none could be read.
    pub target: &'a str,
}

impl Refusal {
    /// The refusal as an HTTP/1.1 response. The reason phrase carries code and flow id, because it is
    /// all that many clients show of a refused CONNECT.
    #[must_use]
    pub fn http1(&self, reply: &Reply<'_>) -> Vec<u8> {
        let body = self.body(reply);
        let mut out = String::with_capacity(512 + body.len());
        let facts = self.reason.facts();
        let _ = write!(out, "HTTP/1.1 {} egret {} {}\r\n", self.status(), facts.code, reply.id);
        for (name, value) in self.fields(reply) {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n", body.len());
        if !reply.keep_alive {
            out.push_str("Connection: close\r\n");
        }
        out.push_str("\r\n");
        if !reply.head {
            out.push_str(&body);
        }
        out.into_bytes()
    }

    /// The header fields, those about framing left out.
    #[must_use]
    pub fn fields(&self, reply: &Reply<'_>) -> Vec<(&'static str, String)> {
        let facts = self.reason.facts();
        let mut fields = vec![
            ("Proxy-Status", self.proxy_status(reply.proxy)),
            ("Egret-Flow", reply.id.to_string()),
            ("Content-Type", reply.format.media_type().to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ];
        if facts.status == 503 {
            fields.push(("Retry-After", "1".to_owned()));
        }
        fields.extend(self.fields.iter().cloned());
        if facts.status == 405 {
            fields.push(("Allow", "GET, HEAD, OPTIONS".to_owned()));
        }
        fields
    }

    /// The value of `Proxy-Status` (RFC 9209).
    #[must_use]
    pub fn proxy_status(&self, proxy: &str) -> String {
        let facts = self.reason.facts();
        let mut value = format!("{}; error={}; details=\"{}", token(proxy), facts.proxy_error, facts.code);
        if !self.detail.is_empty() {
            value.push_str(": ");
            push_quoted(&mut value, &self.detail);
        }
        value.push('"');
        value
    }

    /// The body: what happened, why, and what to try.
    #[must_use]
    pub fn body(&self, reply: &Reply<'_>) -> String {
        match reply.format {
            Format::Text => self.text(reply),
            Format::Html => self.html(reply),
            Format::Json => self.json(reply),
        }
    }

    fn whose(&self) -> &'static str {
        match self.reason.blame() {
            Blame::Client => "the client",
            Blame::Upstream => "the destination, or the way to it",
            Blame::Policy => "the rules of this proxy",
            Blame::Egret => "this proxy",
        }
    }

    fn lines(&self, reply: &Reply<'_>) -> Vec<(&'static str, String)> {
        let facts = self.reason.facts();
        let mut lines = vec![("What happened", facts.what.to_owned())];
        if !self.detail.is_empty() {
            lines.push(("In particular", self.detail.clone()));
        }
        if !reply.target.is_empty() {
            lines.push(("Asked for", reply.target.to_owned()));
        }
        if let Some(said) = self.said() {
            lines.push(("Why", said.to_owned()));
        }
        if let Some(facts) = &self.basis.by {
            lines.push(("Rule", format!("{} of policy {}", facts.rule, facts.policy)));
        }
        lines.push(("Where it lies", self.whose().to_owned()));
        lines.push(("What to try", facts.advice.to_owned()));
        if let Some(contact) = self.contact(reply) {
            lines.push(("Whom to ask", contact.to_owned()));
        }
        lines.push(("Reason code", facts.code.to_owned()));
        lines.push(("Flow", reply.id.to_string()));
        lines
    }

    /// Whom to ask: whom the rule names, else whom the configuration names.
    fn contact<'a>(&'a self, reply: &Reply<'a>) -> Option<&'a str> {
        self.basis.by.as_ref().and_then(|facts| facts.contact.as_deref()).or(reply.contact)
    }

    /// What the rule says to whoever is refused.
    fn said(&self) -> Option<&str> {
        self.basis.by.as_ref().and_then(|facts| facts.reason.as_deref())
    }

    fn text(&self, reply: &Reply<'_>) -> String {
        let mut out = format!("Egret did not serve this request: {}.\n\n", self.reason);
        for (name, value) in self.lines(reply) {
            let _ = writeln!(out, "{name}: {}", printable(&value));
        }
        out
    }

    fn html(&self, reply: &Reply<'_>) -> String {
        let mut out = String::from(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>Egret: ",
        );
        out.push_str(self.reason.code());
        out.push_str(
            "</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;\
             padding:0 1rem;color:#222;background:#fff}dt{font-weight:600;margin-top:.8rem}dd{margin:0;\
             overflow-wrap:anywhere}code{background:#eee;padding:.1em .3em}@media(prefers-color-scheme:dark)\
             {body{color:#ddd;background:#1b1b1b}code{background:#333}}</style><h1>Egret did not serve this \
             request</h1><p><code>",
        );
        out.push_str(self.reason.code());
        out.push_str("</code></p><dl>");
        for (name, value) in self.lines(reply) {
            let _ = write!(out, "<dt>{name}</dt><dd>");
            push_html(&mut out, &value);
            out.push_str("</dd>");
        }
        out.push_str("</dl></html>\n");
        out
    }

    fn json(&self, reply: &Reply<'_>) -> String {
        let facts = self.reason.facts();
        let mut out = String::from("{");
        let status = self.status().to_string();
        let flow = reply.id.to_string();
        let by = self.basis.by.as_deref();
        let members: [(&str, Option<&str>); 12] = [
            ("title", Some(facts.what)),
            ("code", Some(facts.code)),
            ("blame", Some(facts.blame.as_str())),
            ("detail", Some(self.detail.as_str()).filter(|detail| !detail.is_empty())),
            ("policy", by.map(|facts| &*facts.policy)),
            ("rule", by.map(|facts| &*facts.rule)),
            ("reason", self.said()),
            ("target", Some(reply.target).filter(|target| !target.is_empty())),
            ("advice", Some(facts.advice)),
            ("contact", self.contact(reply)),
            ("flow", Some(&flow)),
            ("proxy", Some(reply.proxy)),
        ];
        let _ = write!(out, "\"status\":{status}");
        for (name, value) in members {
            if let Some(value) = value {
                let _ = write!(out, ",\"{name}\":\"");
                push_json(&mut out, value);
                out.push('"');
            }
        }
        out.push_str("}\n");
        out
    }
}

/// A name as a structured-field token; what cannot stand in one is replaced.
fn token(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._:".contains(c) { c } else { '_' }).collect()
}

/// A string as the inside of a structured-field string (RFC 8941 section 3.3.3), which is ASCII.
fn push_quoted(out: &mut String, text: &str) {
    for c in text.chars().take(300) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn push_html(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
}

fn push_json(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '<') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
}
