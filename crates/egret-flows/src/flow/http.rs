//! Requests and responses.

use serde::{Deserialize, Serialize};

use super::{Body, Endpoint, Headers, Word};

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// The method.
    pub method: Word,
    /// `http` or `https`; empty for CONNECT and for what is no HTTP.
    pub scheme: Word,
    /// The host, an IPv6 address without brackets.
    pub host: String,
    /// The port, 0 if it is not known.
    pub port: u16,
    /// Path and query as they were sent; empty for a tunnel.
    pub path: String,
    /// The version: `HTTP/1.1`, `HTTP/2`.
    pub version: Word,
    /// The header fields.
    pub headers: Headers,
    /// The body.
    pub body: Body,
    /// The trailer fields.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub trailers: Headers,
}

impl Request {
    /// Takes host, port and path from an absolute URL or `host:port`, where no head said them.
    pub(crate) fn apply_record(&mut self, method: &str, target: &str) {
        if self.method.is_empty() {
            self.method = method.to_owned().into();
        }
        if self.host.is_empty() {
            self.apply_target(target);
        }
    }

    /// Takes what a request target says (RFC 9112 section 3.2): absolute form, authority form, or a path.
    pub fn apply_target(&mut self, target: &str) {
        let Some((scheme, rest)) = target.split_once("://") else {
            if target.starts_with('/') || target == "*" {
                self.path = target.to_owned();
            } else {
                self.apply_authority(target, 0);
            }
            return;
        };
        let scheme = scheme.to_ascii_lowercase();
        let default_port = if scheme == "https" { 443 } else { 80 };
        self.scheme = match scheme.as_str() {
            "http" => "http".into(),
            "https" => "https".into(),
            _ => scheme.into(),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        self.apply_authority(&rest[..end], default_port);
        self.path =
            if rest[end..].starts_with('/') { rest[end..].to_owned() } else { format!("/{}", &rest[end..]) };
    }

    /// Takes `host[:port]`.
    pub fn apply_authority(&mut self, authority: &str, default_port: u16) {
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        self.host = host.to_owned();
        self.port = port.and_then(|digits| digits.parse().ok()).unwrap_or(default_port);
    }

    /// Host and port, if they are known.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        (!self.host.is_empty()).then(|| Endpoint { host: self.host.clone(), port: self.port })
    }

    /// Host, and the port where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (&*self.scheme, self.port) {
            (_, 0) | ("http", 80) | ("https", 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The URL; `host:port` for a tunnel.
    #[must_use]
    pub fn url(&self) -> String {
        if self.scheme.is_empty() {
            return format!("{}{}", self.authority(), self.path);
        }
        let path = if self.path == "*" { "" } else { self.path.as_str() };
        format!("{}://{}{path}", self.scheme, self.authority())
    }

    /// The query without its question mark, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        Some(self.path.split_once('?')?.1)
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.host.len()
            + self.path.len()
            + self.headers.memory()
            + self.trailers.memory()
            + self.body.memory()
    }
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase, as it was sent (HTTP/1 only).
    pub phrase: String,
    /// The version.
    pub version: Word,
    /// The header fields.
    pub headers: Headers,
    /// The body.
    pub body: Body,
    /// The trailer fields.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub trailers: Headers,
}

impl Response {
    /// About how many bytes it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.phrase.len() + self.headers.memory() + self.trailers.memory() + self.body.memory()
    }
}
