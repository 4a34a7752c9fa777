//! What is asked for: a URL or a tunnel's destination, and the request.

use std::time::SystemTime;

use egret_core::destination::{Destination, HostError};
use egret_core::policy::{Headers, RequestFacts};

/// A URL, read as the proxy reads one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) destination: Destination,
    /// The request; `None` for a tunnel of which nothing more is known.
    pub(super) url: Option<Url>,
}

/// What a URL says beyond its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: &'static str,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl Target {
    /// Reads `https://…`, `http://…` or `host:port`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, port, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", 443, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", 80, rest),
            Some((scheme, _)) => {
                return Err(format!(
                    "`{}` is neither http nor https; for any other protocol write host:port",
                    scheme.chars().take(20).collect::<String>()
                ));
            }
            None => return Self::parse_authority(text),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        let destination = Destination::parse_with_default(authority, Some(port)).map_err(wrong)?;
        let behind = behind.split('#').next().unwrap_or_default();
        let (path, query) = match behind.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (behind, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { destination, url: Some(Url { scheme, path: path.to_owned(), query }) })
    }

    /// Reads `host:port`.
    pub(super) fn parse_authority(text: &str) -> Result<Self, String> {
        let destination = Destination::parse_authority(text).map_err(|error| match error {
            HostError::Port => {
                "the port is missing or is no number from 1 to 65535; write https://host/, or host:443"
                    .to_owned()
            }
            error => wrong(error),
        })?;
        Ok(Self { destination, url: None })
    }

    /// Whether it is reached through a tunnel.
    pub(super) fn is_tunnel(&self) -> bool {
        self.url.as_ref().is_none_or(|url| url.scheme == "https")
    }
}

fn wrong(error: HostError) -> String {
    error.to_string()
}

/// The rest of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: Option<String>,
    pub(super) headers: Fields,
    pub(super) body_length: Option<u64>,
}

impl Request {
    /// The request as rules see it.
    pub(super) fn facts<'a>(&'a self, url: &'a Url) -> RequestFacts<'a> {
        RequestFacts {
            method: self.method.as_deref().unwrap_or("GET"),
            scheme: url.scheme,
            path: &url.path,
            query: url.query.as_deref(),
            headers: &self.headers,
            body_length: Some(self.body_length.unwrap_or(0)),
        }
    }
}

/// Header fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Headers for Fields {
    fn for_each(&self, field: &mut dyn FnMut(&str, &[u8])) {
        self.0.iter().for_each(|(name, value)| field(name, value.as_bytes()));
    }
}

/// Reads a time.
pub(super) fn time(text: &str) -> Result<SystemTime, String> {
    text.parse::<jiff::Timestamp>()
        .map(SystemTime::from)
        .map_err(|_| format!("`{text}` is no time; write it as in 2026-11-21T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls_as_the_proxy_does() {
        let read = |text: &str| {
            let target = Target::parse(text).unwrap();
            let url = target.url.clone();
            (target.destination.to_string(), target.is_tunnel(), url.map(|url| (url.path, url.query)))
        };
        let path = |path: &str, query: Option<&str>| Some((path.to_owned(), query.map(str::to_owned)));
        assert_eq!(read("https://Example.com"), ("example.com:443".into(), true, path("/", None)));
        assert_eq!(read("HTTP://a.test:81/x?y=1#z"), ("a.test:81".into(), false, path("/x", Some("y=1"))));
        assert_eq!(read("http://a.test?y"), ("a.test:80".into(), false, path("/", Some("y"))));
        assert_eq!(read("https://[::1]:8443/"), ("[::1]:8443".into(), true, path("/", None)));
        assert_eq!(read("mail.test:25"), ("mail.test:25".into(), true, None));
        for bad in ["example.com", "ftp://a.test/", "https://", "http://u:p@a.test/", "a.test:0"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
