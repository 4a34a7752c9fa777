//! By which names the console is reached. Another site's page must not reach it under a name of its own
//! (DNS rebinding), nor with requests of its own making (forgery).

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};

use super::problem::Problem;

/// The name that reaches the console through the proxy.
pub const MAGIC_HOST: &str = egret_core::gate::CONSOLE_HOST;

/// The names.
#[derive(Clone, Debug)]
pub(crate) struct OwnNames(Vec<String>);

impl OwnNames {
    pub(crate) fn new(configured: &[String]) -> Self {
        let own = ["localhost", MAGIC_HOST].into_iter().map(str::to_owned);
        let configured = configured.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        Self(own.chain(configured).collect())
    }

    /// Whether this is one of them. An address is: it resolves to itself, and cannot be pointed elsewhere.
    pub(crate) fn has(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
        bare.parse::<IpAddr>().is_ok()
            || self.0.contains(&host)
            // Names beneath localhost never leave the machine (RFC 6761 section 6.3).
            || host.ends_with(".localhost")
    }

    /// Checks `Host`, and `Origin` where it is sent. Gives the authority that the client named.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
        let mut hosts = headers.get_all(HOST).iter();
        let (host, again) = (hosts.next().and_then(|value| value.to_str().ok()), hosts.next());
        let authority = uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default();
        if again.is_some() || !self.has(without_port(authority)) {
            let shown: String = authority.chars().take(80).collect();
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown-host",
                "The console is not known by this name",
            )
            .detail(format!("`{shown}` is not one of its names; a page elsewhere may have been pointed here"))
            .advice("Use its address or localhost, or add the name to `console.names`"));
        }
        for origin in headers.get_all(ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if rest != Some(&authority.to_ascii_lowercase()) {
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "cross-origin",
                    "This came from another site",
                )
                .detail("`Origin` is not the console's own")
                .advice("Open the console itself, or send no `Origin`"));
            }
        }
        Ok(authority.to_owned())
    }
}

/// The host of an authority.
pub(crate) fn without_port(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    authority.split(':').next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_names_alone() {
        let names = OwnNames::new(&["Console.Example.".to_owned()]);
        for own in
            ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]", "10.1.2.3", "egret.test", "console.example"]
        {
            assert!(names.has(own), "{own}");
        }
        for other in
            ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1", "0x7f.1"]
        {
            assert!(!names.has(other), "{other}");
        }
        assert_eq!(without_port("[::1]:8081"), "[::1]");
        assert_eq!(without_port("localhost:8081"), "localhost");
    }

    #[test]
    fn refuses_other_origins() {
        let names = OwnNames::new(&[]);
        let uri: Uri = "/".parse().unwrap();
        let ask = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            names.check(&uri, &headers).is_ok()
        };
        assert!(ask("localhost:8081", None));
        assert!(ask("localhost:8081", Some("http://localhost:8081")));
        for origin in ["null", "http://evil.example", "http://localhost:8082", "http://localhost", ""] {
            assert!(!ask("localhost:8081", Some(origin)), "{origin}");
        }
        assert!(!ask("evil.example", None));
    }
}
