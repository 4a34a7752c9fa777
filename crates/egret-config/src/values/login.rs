//! What `authentication` is written with.

use egret_core::authentication::KeyUrl;
use egret_core::destination::{Destination, Host};

use super::{Complaint, Textual};
use crate::yaml::shorten;

/// A text on one line: names in a directory, values of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(pub String);

/// The realm of challenges (RFC 9110 section 11.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm(pub String);

/// The URL of a directory server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUrl {
    text: String,
    /// It is `ldaps`.
    pub tls: bool,
    /// The server.
    pub server: Destination,
}

/// The URL of a JWK set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUrl {
    text: String,
    /// What it says.
    pub url: KeyUrl,
}

impl Textual for Words {
    const FORMAT: &'static str = "words";
    const EXAMPLE: &'static str = "ou=people,dc=corp,dc=example";

    fn read(text: &str) -> Result<Self, Complaint> {
        if text.trim().is_empty() {
            return Err(Complaint::new("the text is empty"));
        }
        if text.len() > 1000 {
            return Err(Complaint::new("the text is longer than 1000 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(Complaint::new("the text holds a line break or another control character"));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Realm {
    const FORMAT: &'static str = "realm";
    const EXAMPLE: &'static str = "egret";

    fn read(text: &str) -> Result<Self, Complaint> {
        // It stands in a header field as it is written.
        let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.is_empty() || text.len() > 100 || !is_printable {
            return Err(Complaint::new(format!("`{}` is no realm", shorten(text)))
                .help("a realm has 1 to 100 printable ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for DirectoryUrl {
    const FORMAT: &'static str = "directory-url";
    const EXAMPLE: &'static str = "ldaps://dc1.corp.example";

    fn read(text: &str) -> Result<Self, Complaint> {
        const HOW: &str = "write it as in ldaps://dc1.corp.example or ldap://dc1.corp.example:389";
        let wrong = |message: String| Complaint::new(message).help(HOW);
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("the URL of a directory server has no scheme".to_owned()))?;
        let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
            "ldaps" => (true, 636),
            "ldap" => (false, 389),
            _ => return Err(wrong("the scheme is neither ldaps nor ldap".to_owned())),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['@', '/', '?', '#']) {
            return Err(wrong("the URL of a directory server ends after the port".to_owned())
                .help("what else there is to say has fields of its own: base, filter, bindDN"));
        }
        let server = Destination::parse_with_default(authority, Some(port))
            .map_err(|error| wrong(format!("in the URL, {error}")))?;
        if matches!(server.host, Host::Address(std::net::IpAddr::V6(_))) {
            return Err(Complaint::new("an IPv6 address cannot stand here")
                .help("write a name that is in the server's certificate"));
        }
        Ok(Self { text: text.to_owned(), tls, server })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

impl Textual for KeysUrl {
    const FORMAT: &'static str = "keys-url";
    const EXAMPLE: &'static str = "https://login.corp.example/.well-known/jwks.json";

    fn read(text: &str) -> Result<Self, Complaint> {
        let wrong = |message: String| {
            Complaint::new(message).help("write it as in https://login.corp.example/.well-known/jwks.json")
        };
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            _ => return Err(wrong("the URL does not begin with https:// or http://".to_owned())),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("the URL holds user information".to_owned()));
        }
        if path.contains('#') || !path.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            return Err(wrong("the path of the URL holds a character that must be escaped".to_owned()));
        }
        let server = Destination::parse_with_default(authority, Some(if tls { 443 } else { 80 }))
            .map_err(|error| wrong(format!("in the URL, {error}")))?;
        if !tls && !is_loopback(&server) {
            return Err(Complaint::new("whoever is on the way could replace keys that come over http://")
                .help("write https://, or name a server on this machine (127.0.0.1)"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let url = KeyUrl { tls, server, authority: authority.to_owned(), path };
        Ok(Self { text: text.to_owned(), url })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

fn is_loopback(server: &Destination) -> bool {
    match &server.host {
        Host::Address(address) => address.to_canonical().is_loopback(),
        Host::Name(name) => &**name == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_directories_have_default_ports() {
        let url = DirectoryUrl::read("ldaps://dc1.corp.example").unwrap();
        assert_eq!((url.tls, url.server.to_string().as_str()), (true, "dc1.corp.example:636"));
        let url = DirectoryUrl::read("LDAP://10.0.0.1:3389/").unwrap();
        assert_eq!((url.tls, url.server.to_string().as_str()), (false, "10.0.0.1:3389"));
        for wrong in
            ["dc1.corp", "http://dc1", "ldap://", "ldap://u:p@dc1", "ldap://dc1/dc=x", "ldaps://[::1]"]
        {
            assert!(DirectoryUrl::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        let url = KeysUrl::read("https://login.corp.example/keys?v=2").unwrap().url;
        assert_eq!(
            (url.tls, url.path.as_str(), url.authority.as_str()),
            (true, "/keys?v=2", "login.corp.example")
        );
        assert_eq!(KeysUrl::read("http://127.0.0.1:8000").unwrap().url.path, "/");
        for wrong in [
            "http://login.corp/keys",
            "ftp://x/",
            "https://u:p@x/",
            "https://x/a b",
            "https://x/#a",
            "https:///k",
        ] {
            assert!(KeysUrl::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_realm_can_stand_in_a_field() {
        assert!(Realm::read("Corp \"proxy\"").is_ok());
        for wrong in ["", "a\r\nb", "pröxy", &"x".repeat(101)] {
            assert!(Realm::read(wrong).is_err(), "{wrong:?}");
        }
    }
}
