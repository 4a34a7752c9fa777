//! Patterns of policies, and the terms of host lists.

use egret_core::pattern::{Glob, GlobError, HostPattern};
use ipnet::IpNet;

use super::{Complaint, HostTerm, Network, Textual};
use crate::yaml::shorten;

/// A pattern for names and values: `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(pub Glob);

/// A pattern for service accounts, as `name` or `namespace/name`; `*` does not go past the slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPattern(pub Glob);

/// A pattern for paths of URLs: `*` does not go past `/`, `**` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(pub Glob);

/// A pattern for media types, as in `application/json` or `text/*`; in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(pub Glob);

/// A method of HTTP, in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(pub String);

/// The name of a header field, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(pub String);

/// What stands on a list of hosts: a pattern for names, an address or a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListTerm {
    /// A pattern.
    Host(HostPattern),
    /// A network.
    Network(IpNet),
}

fn glob(text: &str, read: fn(&str) -> Result<Glob, GlobError>) -> Result<Glob, Complaint> {
    if text.trim() != text {
        return Err(Complaint::new(format!("`{}` has spaces around it", shorten(text))).help("remove them"));
    }
    read(text).map_err(|error| {
        let complaint = Complaint::new(error.to_string());
        match error {
            GlobError::Empty => complaint.help("for any value write \"*\""),
            GlobError::TooManyStars => complaint.help("`**` stands for anything, and counts once"),
            GlobError::TooLong | GlobError::Control => complaint,
        }
    })
}

impl Textual for NamePattern {
    const FORMAT: &'static str = "name-pattern";
    const EXAMPLE: &'static str = "ci-*";

    fn read(text: &str) -> Result<Self, Complaint> {
        glob(text, Glob::new).map(Self)
    }

    fn write(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Textual for AccountPattern {
    const FORMAT: &'static str = "service-account";
    const EXAMPLE: &'static str = "team-a/builder";

    fn read(text: &str) -> Result<Self, Complaint> {
        let help = "write a name, as in builder, or a namespace with it, as in team-a/builder";
        // What a token calls it is understood too.
        let bare = text.strip_prefix("system:serviceaccount:").map(|rest| rest.replacen(':', "/", 1));
        let glob = glob(bare.as_deref().unwrap_or(text), Glob::path)?;
        match glob.as_str().split('/').collect::<Vec<_>>().as_slice() {
            [name] if !name.is_empty() => Ok(Self(glob)),
            [namespace, name] if !namespace.is_empty() && !name.is_empty() => Ok(Self(glob)),
            _ => Err(Complaint::new(format!("`{}` is no service account", shorten(text))).help(help)),
        }
    }

    fn write(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Textual for PathPattern {
    const FORMAT: &'static str = "path-pattern";
    const EXAMPLE: &'static str = "/v1/**";

    fn read(text: &str) -> Result<Self, Complaint> {
        let glob = glob(text, Glob::path)?;
        let wrong = |why: &str, help: String| {
            Err(Complaint::new(format!("`{}` matches no path: {why}", shorten(text))).help(help))
        };
        if text.contains("://") {
            return wrong("it is a URL", "write the path alone; the host stands under `to`".to_owned());
        }
        if !text.starts_with(['/', '*']) {
            let help = format!("write /{}, or **/{0} for any place", shorten(text));
            return wrong("paths begin with `/`", help);
        }
        if let Some((path, _)) = text.split_once('?') {
            let help = format!("write {}, and the keys under `query`", shorten(path));
            return wrong("the query is no part of it", help);
        }
        if text.contains(['#', ' ']) {
            return wrong("`#` and spaces never stand in it", "write a space as %20".to_owned());
        }
        Ok(Self(glob))
    }

    fn write(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Textual for MediaType {
    const FORMAT: &'static str = "media-type";
    const EXAMPLE: &'static str = "application/json";

    fn read(text: &str) -> Result<Self, Complaint> {
        let lower = text.to_ascii_lowercase();
        let glob = glob(&lower, Glob::path)?;
        let parts: Vec<&str> = lower.split('/').collect();
        let is_part = |part: &&str| !part.is_empty() && part.bytes().all(|b| is_token(b) || b == b'*');
        if lower == "*" || lower == "**" || (parts.len() == 2 && parts.iter().all(is_part)) {
            return Ok(Self(glob));
        }
        let complaint = Complaint::new(format!("`{}` is no media type", shorten(text)));
        Err(if lower.contains(';') {
            complaint.help("leave the parameters out, as in text/plain")
        } else {
            complaint.help("write it as in application/json or text/*")
        })
    }

    fn write(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Textual for Method {
    const FORMAT: &'static str = "method";
    const EXAMPLE: &'static str = "GET";

    fn read(text: &str) -> Result<Self, Complaint> {
        if text.is_empty() || text.len() > 32 || !text.bytes().all(is_token) || text.contains('*') {
            return Err(Complaint::new(format!("`{}` is no method", shorten(text)))
                .help("write it as in GET or POST; for every method leave the field out"));
        }
        Ok(Self(text.to_ascii_uppercase()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for HeaderName {
    const FORMAT: &'static str = "header-name";
    const EXAMPLE: &'static str = "x-api-version";

    fn read(text: &str) -> Result<Self, Complaint> {
        let wrong = || Complaint::new(format!("`{}` is no name of a header field", shorten(text)));
        match text.strip_suffix(':') {
            Some(name) => Err(wrong().help(format!("write {} without the colon", shorten(name)))),
            None if text.is_empty() || text.len() > 256 || !text.bytes().all(is_token) => {
                Err(wrong().help("write it as in content-type; values stand under `values`"))
            }
            None => Ok(Self(text.to_ascii_lowercase())),
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A character of a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Textual for ListTerm {
    const FORMAT: &'static str = "list-term";
    const EXAMPLE: &'static str = "**.example.com";

    fn read(text: &str) -> Result<Self, Complaint> {
        if text.contains('/') && !text.contains("://") {
            return Network::read(text).map(|network| Self::Network(network.0));
        }
        HostTerm::read(text).map(|term| Self::Host(term.pattern))
    }

    fn write(&self) -> String {
        match self {
            Self::Host(pattern) => pattern.to_string(),
            Self::Network(network) => network.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_never_match_are_refused() {
        for right in ["/", "/v1/*", "**/admin", "*", "/a%20b"] {
            assert!(PathPattern::read(right).is_ok(), "{right}");
        }
        for wrong in ["", "v1", "https://a.example/v1", "/v1?key=1", "/a b", "/a#b", " /a"] {
            assert!(PathPattern::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn service_accounts_have_at_most_a_namespace() {
        for (text, read) in [
            ("builder", "builder"),
            ("team-*/builder", "team-*/builder"),
            ("system:serviceaccount:team-a:builder", "team-a/builder"),
        ] {
            assert_eq!(AccountPattern::read(text).unwrap().write(), read);
        }
        for wrong in ["", "/", "a/", "/b", "a/b/c"] {
            assert!(AccountPattern::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn case_is_brought_into_normal_form() {
        assert_eq!(Method::read("get").unwrap().write(), "GET");
        assert_eq!(HeaderName::read("X-Api-Key").unwrap().write(), "x-api-key");
        assert_eq!(MediaType::read("Text/*").unwrap().write(), "text/*");
        for wrong in ["", "GET POST", "*", "G\u{e4}T"] {
            assert!(Method::read(wrong).is_err(), "{wrong}");
        }
        for wrong in ["json", "text/plain; charset=utf-8", "a/b/c", "/b"] {
            assert!(MediaType::read(wrong).is_err(), "{wrong}");
        }
    }
}
