//! URLs of parent proxies and of trace collectors.

use std::fmt;

use egret_core::destination::Destination;
use egret_core::route::{Credentials, Parent, ParentScheme};
use percent_encoding::percent_decode_str;

use super::{Complaint, Textual};
use crate::yaml::shorten;

/// The URL of a parent proxy. It may hold a password: its text is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    text: String,
    parent: Parent,
}

/// The URL of an OTLP collector over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub String);

impl ProxyUrl {
    /// The parent that the URL names.
    #[must_use]
    pub fn parent(&self) -> &Parent {
        &self.parent
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({})", self.parent.address)
    }
}

const HOW: &str = "write it as in http://proxy.corp:3128, https://proxy.corp:443 or socks5://proxy.corp:1080";

impl Textual for ProxyUrl {
    const FORMAT: &'static str = "proxy-url";
    const EXAMPLE: &'static str = "http://proxy.corp:3128";

    fn read(text: &str) -> Result<Self, Complaint> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Complaint::new("the URL of a proxy has no scheme").help(HOW));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => ParentScheme::Http,
            "https" => ParentScheme::Https,
            "socks5" | "socks5h" => ParentScheme::Socks5,
            "socks" | "socks4" | "socks4a" => {
                return Err(Complaint::new("only version 5 of SOCKS is spoken").help("write socks5://"));
            }
            // What is not a scheme may be a part of a password: it is not shown.
            _ => return Err(Complaint::new("the scheme is none of http, https and socks5").help(HOW)),
        };
        // A password with a `/` that should have been escaped still is no path: the last `@` decides.
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(Complaint::new("the URL of a proxy ends after the port").help(HOW));
        }
        if user_info.is_some_and(|user_info| user_info.contains(['/', '?', '#', '@', ' '])) {
            return Err(Complaint::new("the user information holds a character that must be escaped")
                .help("in user name and password write `@` as %40, `/` as %2F, `?` as %3F, `#` as %23, a space as %20"));
        }
        let address = Destination::parse_authority(authority)
            .map_err(|error| Complaint::new(format!("in the URL of a proxy, {error}")).help(HOW))?;
        let credentials = user_info.map(|user_info| credentials(user_info, scheme)).transpose()?;
        Ok(Self { text: text.to_owned(), parent: Parent { scheme, address, credentials } })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

fn credentials(user_info: &str, scheme: ParentScheme) -> Result<Credentials, Complaint> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decode = |part: &str| {
        percent_decode_str(part)
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| Complaint::new("the user information is not UTF-8 once its escapes are decoded"))
    };
    let credentials = Credentials { user: decode(user)?, password: decode(password)? };
    check_credentials(&credentials, scheme)?;
    Ok(credentials)
}

/// Whether user name and password can be sent: RFC 7617 section 2 for HTTP, RFC 1929 for SOCKS5.
pub(crate) fn check_credentials(credentials: &Credentials, scheme: ParentScheme) -> Result<(), Complaint> {
    let Credentials { user, password } = credentials;
    if user.is_empty() {
        return Err(Complaint::new("the user name is empty"));
    }
    if user.chars().chain(password.chars()).any(char::is_control) {
        return Err(Complaint::new("user name and password hold no control characters"));
    }
    match scheme {
        ParentScheme::Socks5 if user.len() > 255 || password.len() > 255 || password.is_empty() => {
            Err(Complaint::new("for SOCKS5, user name and password each have 1 to 255 bytes"))
        }
        ParentScheme::Http | ParentScheme::Https if user.contains(':') => {
            Err(Complaint::new("for HTTP, a user name holds no colon"))
        }
        _ => Ok(()),
    }
}

impl Textual for Endpoint {
    const FORMAT: &'static str = "http-url";
    const EXAMPLE: &'static str = "http://127.0.0.1:4318";

    fn read(text: &str) -> Result<Self, Complaint> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let default_port = if text.starts_with("https") { 443 } else { 80 };
        let wrong = |message: String| Complaint::new(message).help("write it as in http://127.0.0.1:4318");
        let rest = rest
            .ok_or_else(|| wrong(format!("`{}` does not begin with http:// or https://", shorten(text))))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if text.contains(['@', '?', '#', ' ']) || path.chars().any(char::is_control) {
            return Err(wrong("the URL holds user information, a query or a fragment".to_owned()));
        }
        Destination::parse_with_default(authority, Some(default_port))
            .map_err(|error| wrong(format!("in the URL, {error}")))?;
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded_and_never_printed() {
        let url = ProxyUrl::read("http://al%40ce:s%2Fcret%3A@proxy.corp:3128/").unwrap();
        let credentials = url.parent().credentials.clone().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("al@ce", "s/cret:"));
        assert_eq!(url.parent().address.to_string(), "proxy.corp:3128");
        assert!(!format!("{url:?}").contains("cret"));
    }

    #[test]
    fn refuses_urls_that_name_no_proxy() {
        for wrong in [
            "proxy.corp:3128",
            "ftp://proxy.corp:21",
            "socks4://proxy.corp:1080",
            "http://proxy.corp",
            "http://:3128",
            "http://proxy.corp:0",
            "http://proxy.corp:3128/path",
            "http://proxy.corp:3128?x",
            "http://u:p/w@proxy.corp:3128",
            "http://u%0d%0a:p@proxy.corp:3128",
            "http://u%3a:p@proxy.corp:3128",
            "http://@proxy.corp:3128",
            "http://%ff:p@proxy.corp:3128",
            "socks5://u@proxy.corp:1080",
        ] {
            let complaint = ProxyUrl::read(wrong).unwrap_err();
            assert!(!complaint.message.contains("p@"), "{complaint}");
        }
    }
}
