//! Names that a certificate is for: the kinds of subjectAltName (RFC 5280 section 4.2.1.6) that are used.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The longest SPIFFE ID (SPIFFE-ID section 2.3), in bytes; of other URIs too.
const URI_BYTES: usize = 2048;
/// The longest trust domain, in bytes.
const TRUST_DOMAIN_BYTES: usize = 255;

/// One name that a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A host name in lower case ASCII, perhaps with `*` as its first label.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// A URI; `spiffe://…` for a workload identity.
    Uri(String),
    /// An e-mail address.
    Email(String),
}

/// Why a name cannot stand in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be a name in a certificate: {detail}")]
pub struct NameError {
    /// What was given.
    pub name: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl Name {
    /// The kind, as openssl writes it: `DNS`, `IP`, `URI`, `email`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "DNS",
            Self::Ip(_) => "IP",
            Self::Uri(_) => "URI",
            Self::Email(_) => "email",
        }
    }

    /// The name without its kind.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Ip(address) => address.to_string(),
            Self::Dns(text) | Self::Uri(text) | Self::Email(text) => text.clone(),
        }
    }

    /// A SPIFFE ID (<https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>, section 2).
    ///
    /// # Errors
    /// It breaks one of the rules there.
    pub fn spiffe(text: &str) -> Result<Self, NameError> {
        check_spiffe(text).map_err(|detail| refused(text, detail))?;
        Ok(Self::Uri(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.kind(), self.value())
    }
}

fn refused(name: &str, detail: impl Into<String>) -> NameError {
    NameError { name: name.to_owned(), detail: detail.into() }
}

impl FromStr for Name {
    type Err = NameError;

    /// Takes openssl's form, `DNS:…`, `IP:…`, `URI:…`, `email:…`, or a bare name whose kind is plain.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let of_kind = |kind: &str| {
            let (found, rest) = text.split_once(':')?;
            found.eq_ignore_ascii_case(kind).then_some(rest)
        };
        if let Some(rest) = of_kind("DNS") {
            return dns(rest).map_err(|detail| refused(text, detail));
        }
        if let Some(rest) = of_kind("IP") {
            return ip(rest).ok_or_else(|| refused(text, "it is no IP address"));
        }
        if let Some(rest) = of_kind("URI") {
            return uri(rest).map_err(|detail| refused(text, detail));
        }
        if let Some(rest) = of_kind("email") {
            return email(rest).map_err(|detail| refused(text, detail));
        }
        if let Some(address) = ip(text) {
            return Ok(address);
        }
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return Err(refused(text, "it is a URL; give the host alone (or URI:… if you mean it)"));
        }
        let parsed = if text.contains("://") {
            uri(text)
        } else if text.contains('@') {
            email(text)
        } else {
            dns(text)
        };
        parsed.map_err(|detail| refused(text, detail))
    }
}

fn ip(text: &str) -> Option<Name> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(Name::Ip)
}

fn dns(text: &str) -> Result<Name, String> {
    let (wildcard, rest) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    if rest.contains('*') {
        return Err("a wildcard stands for the whole first label: *.example.com".to_owned());
    }
    if !wildcard.is_empty() && !rest.contains('.') {
        return Err("clients accept no wildcard right below a top-level domain".to_owned());
    }
    if rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        return Err("a certificate is for a host, without a port".to_owned());
    }
    let ascii = host(rest)?;
    if ascii.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("it is neither an IP address nor a host name".to_owned());
    }
    Ok(Name::Dns(format!("{wildcard}{ascii}")))
}

/// A host name in ASCII. Underscores are let through: names of services have them.
fn host(text: &str) -> Result<String, String> {
    if text.ends_with('.') {
        return Err("names in certificates end without a dot".to_owned());
    }
    let ascii = idna::domain_to_ascii(text).map_err(|_| "it is no host name".to_owned())?;
    let right = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if ascii.len() > 253 || !ascii.split('.').all(right) {
        return Err(
            "a host name has labels of 1 to 63 letters, digits and hyphens, 253 characters in all".to_owned()
        );
    }
    Ok(ascii)
}

fn uri(text: &str) -> Result<Name, String> {
    if text.to_ascii_lowercase().starts_with("spiffe:") {
        check_spiffe(text)?;
        return Ok(Name::Uri(text.to_owned()));
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("", ""));
    let scheme_is_right = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !scheme_is_right || rest.is_empty() {
        return Err("a URI has a scheme and something after it: scheme:rest".to_owned());
    }
    if text.len() > URI_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("a URI has visible ASCII characters only, {URI_BYTES} at most"));
    }
    Ok(Name::Uri(text.to_owned()))
}

fn check_spiffe(text: &str) -> Result<(), &'static str> {
    let Some(rest) = text.strip_prefix("spiffe://") else {
        return Err("a SPIFFE ID begins with spiffe:// in lower case");
    };
    if text.len() > URI_BYTES {
        return Err("a SPIFFE ID has 2048 bytes at most");
    }
    let (domain, path) = match rest.split_once('/') {
        Some((domain, path)) => (domain, Some(path)),
        None => (rest, None),
    };
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if domain.is_empty() || domain.len() > TRUST_DOMAIN_BYTES || !domain.bytes().all(in_domain) {
        return Err(
            "a trust domain has lower case letters, digits, dots, hyphens and underscores, and no port",
        );
    }
    let in_segment = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let right = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_segment)
    };
    match path {
        Some(path) if !path.split('/').all(right) => Err(
            "the path of a SPIFFE ID has segments of letters, digits, dots, hyphens and underscores, and no query",
        ),
        _ => Ok(()),
    }
}

fn email(text: &str) -> Result<Name, String> {
    let (local, domain) = text.split_once('@').ok_or("an e-mail address has an @")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte);
    if local.is_empty() || local.len() > 64 || !local.bytes().all(allowed) {
        return Err("the part before the @ has 1 to 64 letters, digits and signs, in ASCII".to_owned());
    }
    Ok(Name::Email(format!("{local}@{}", host(domain)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn tells_the_kind_of_a_bare_name() {
        assert_eq!(parse("Proxy.Example.COM").to_string(), "DNS:proxy.example.com");
        assert_eq!(parse("*.example.com").to_string(), "DNS:*.example.com");
        assert_eq!(parse("bücher.example").to_string(), "DNS:xn--bcher-kva.example");
        assert_eq!(parse("10.0.0.1").to_string(), "IP:10.0.0.1");
        assert_eq!(parse("[::1]"), parse("IP:::1"));
        assert_eq!(parse("spiffe://corp.example/ns/a/sa/b").kind(), "URI");
        assert_eq!(parse("ops@example.com").to_string(), "email:ops@example.com");
        assert_eq!(parse("URI:urn:uuid:1").to_string(), "URI:urn:uuid:1");
    }

    #[test]
    fn refuses_what_no_client_would_match() {
        for (text, part) in [
            ("https://proxy.example", "give the host alone"),
            ("proxy.example:8443", "without a port"),
            ("proxy.example.", "without a dot"),
            ("a.*.example", "wildcard"),
            ("*.com", "top-level"),
            ("", "labels"),
            ("a..b", "labels"),
            ("999.1.1.1", "neither an IP address"),
            ("IP:localhost", "no IP address"),
            ("a b", "labels"),
            ("email:nobody", "@"),
        ] {
            let error = text.parse::<Name>().unwrap_err();
            assert!(error.detail.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn refuses_a_spiffe_id_that_breaks_the_standard() {
        for text in [
            "spiffe://",
            "spiffe://Corp.example/a",
            "spiffe://corp.example:8443/a",
            "spiffe://user@corp.example/a",
            "spiffe://corp.example/",
            "spiffe://corp.example/a//b",
            "spiffe://corp.example/../b",
            "spiffe://corp.example/a?b",
            "SPIFFE://corp.example/a",
        ] {
            assert!(Name::spiffe(text).is_err(), "{text}");
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
        assert!(Name::spiffe("spiffe://corp.example").is_ok());
    }
}
