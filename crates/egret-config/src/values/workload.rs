//! What pods of a cluster are told: the proxy's URL, terms of NO_PROXY, CAs, and names of objects.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_core::destination::Destination;
use egret_core::pattern::read_entry;
use ipnet::IpNet;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, pem};

use super::{Complaint, Textual};
use crate::yaml::shorten;

/// The most certificates of a text, which is AKS's bound.
pub const MOST_CERTIFICATES: usize = 20;
/// The longest text with certificates, in bytes.
const LONGEST_PEM: usize = 512 * 1024;

/// The URL of the proxy as pods see it. It may hold a password: its text is never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkloadProxy {
    text: String,
    address: Destination,
    is_tls: bool,
    has_credentials: bool,
}

/// A term of NO_PROXY that every client, or at least none to its harm, understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadNoProxy(pub String);

/// Certificates: PEM, or base64 of PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificates {
    text: String,
    certificates: Vec<CertificateDer<'static>>,
}

/// The name of a Kubernetes object: a DNS subdomain in lower case (RFC 1123).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(pub String);

/// The name of a ClusterTrustBundle or of its signer, as in `corp.example/roots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerName(pub String);

impl WorkloadProxy {
    /// The URL as variables have it: with its port, without a slash at the end. It may hold a password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The proxy's host and port.
    #[must_use]
    pub fn address(&self) -> &Destination {
        &self.address
    }

    /// Whether clients have to speak TLS to it (`https://`).
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Whether a user name or password stands in it.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.has_credentials
    }
}

impl fmt::Debug for WorkloadProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkloadProxy({})", self.address)
    }
}

const HOW: &str = "write it as in http://egret.egret-system.svc.cluster.local:8888";

impl Textual for WorkloadProxy {
    const FORMAT: &'static str = "workload-proxy";
    const EXAMPLE: &'static str = "http://egret.egret-system.svc.cluster.local:8888";

    fn read(text: &str) -> Result<Self, Complaint> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Complaint::new(
                "the URL of the proxy has no scheme, and Node, aiohttp and Ruby fail without one",
            )
            .help(HOW));
        };
        let (scheme, is_tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", false, 80),
            "https" => ("https", true, 443),
            "socks4" | "socks5" | "socks5h" | "socks" => {
                return Err(Complaint::new(
                    "HTTP_PROXY takes an HTTP proxy, and few clients take a SOCKS proxy there",
                )
                .help("Egret speaks HTTP and SOCKS on the same port: write http://"));
            }
            // What is not a scheme may be a part of a password: it is not shown.
            _ => return Err(Complaint::new("the scheme is neither http nor https").help(HOW)),
        };
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(Complaint::new("the URL of a proxy ends after the port").help(HOW));
        }
        let must_be_escaped = |c: char| !c.is_ascii_graphic() || "/?#@[]<>\"'`{}|\\^".contains(c);
        if user_info.is_some_and(|user_info| user_info.contains(must_be_escaped)) {
            return Err(Complaint::new("the user information holds a character that must be escaped").help(
                "in user name and password write `@` as %40, `/` as %2F, `?` as %3F, `#` as %23, a space as %20",
            ));
        }
        let address = Destination::parse_with_default(authority, Some(default_port))
            .map_err(|error| Complaint::new(format!("in the URL of the proxy, {error}")).help(HOW))?;
        let text = match user_info {
            Some(user_info) => format!("{scheme}://{user_info}@{address}"),
            None => format!("{scheme}://{address}"),
        };
        Ok(Self { text, address, is_tls, has_credentials: user_info.is_some() })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

impl Textual for WorkloadNoProxy {
    const FORMAT: &'static str = "workload-no-proxy";
    const EXAMPLE: &'static str = ".corp.example";

    fn read(text: &str) -> Result<Self, Complaint> {
        let wrong = |why: &str| Complaint::new(format!("`{}` is no entry of noProxy: {why}", shorten(text)));
        if text.contains([',', ' ', '\t', '\n']) {
            return Err(wrong("it holds a comma or a space").help("make each an item of the list"));
        }
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            let help = format!("write .{}, which all clients understand", shorten(suffix));
            return Err(wrong("many clients do not understand `*.`").help(help));
        }
        if text.contains("://") {
            return Err(wrong("it is a URL").help("write the host alone"));
        }
        if let Some(inner) =
            text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner)
        {
            let help = format!("write the address bare: {}", shorten(inner));
            return Err(wrong("an address in brackets makes httpx fail, and others pass it over").help(help));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self(network.trunc().to_string()));
        }
        if let Some((address, _)) = text.split_once('%') {
            return Err(wrong("a zone means nothing in pods").help(format!("write {}", shorten(address))));
        }
        if let Some(help) = whole_network(text) {
            return Err(wrong("no client understands a part of an address").help(help));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        match read_entry(text) {
            Ok((_, Some(_))) => {
                let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
                let help = format!("write {} alone; it holds for every port", shorten(host));
                Err(wrong("many clients do not understand a port").help(help))
            }
            Ok(_) => Ok(Self(text.to_ascii_lowercase())),
            Err(error) => Err(wrong(&error.to_string())
                .help("write a domain as in .corp.example, an address, a network, or `*`")),
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// What to write for `10.` and `10.1.2.*`.
fn whole_network(text: &str) -> Option<String> {
    let start = text.strip_suffix('*').unwrap_or(text).strip_suffix('.')?;
    let octets: Vec<u8> = start.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    if octets.len() > 3 {
        return None;
    }
    let mut all = [0; 4];
    all[..octets.len()].copy_from_slice(&octets);
    let [a, b, c, d] = all;
    Some(format!("write the network: {a}.{b}.{c}.{d}/{}", octets.len() * 8))
}

impl CaCertificates {
    /// The certificates, in DER.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for CaCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaCertificates({})", self.certificates.len())
    }
}

impl Textual for CaCertificates {
    const FORMAT: &'static str = "ca-certificates";
    const EXAMPLE: &'static str = "-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUPb0mBuXeC0Yd9nM1n4kN5zD0uHcwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
";

    fn read(text: &str) -> Result<Self, Complaint> {
        let how = "write certificates in PEM, or base64 of such a text: base64 -w0 ca.crt";
        if text.len() > LONGEST_PEM {
            return Err(Complaint::new(format!("the certificates take more than {LONGEST_PEM} bytes")));
        }
        let decoded = if text.contains("-----BEGIN") {
            text.as_bytes().to_vec()
        } else {
            let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD
                .decode(packed)
                .map_err(|_| Complaint::new("this is neither PEM nor base64 of it: it is no CA").help(how))?
        };
        let mut certificates = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&decoded) {
            match section {
                Ok((SectionKind::Certificate, der)) => certificates.push(CertificateDer::from(der)),
                Ok((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => {
                    return Err(Complaint::new("a private key stands among the certificates").help(
                        "remove it, and make a new one: whoever can read the object has seen it by now",
                    ));
                }
                Ok(_) | Err(pem::Error::NoItemsFound) => {}
                Err(_) => {
                    return Err(
                        Complaint::new("the PEM is damaged, as a paste that lost a line is").help(how)
                    );
                }
            }
        }
        match certificates.len() {
            0 => Err(Complaint::new("there is no certificate in it").help(how)),
            1..=MOST_CERTIFICATES => Ok(Self { text: text.to_owned(), certificates }),
            count => Err(Complaint::new(format!(
                "there are {count} certificates in it, and at most {MOST_CERTIFICATES} may be"
            ))
            .help("name the roots alone; a whole bundle of public CAs is there anyway")),
        }
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

impl Textual for ObjectName {
    const FORMAT: &'static str = "object-name";
    const EXAMPLE: &'static str = "corp-ca";

    fn read(text: &str) -> Result<Self, Complaint> {
        let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            bytes.first().copied().is_some_and(is_edge)
                && bytes.last().copied().is_some_and(is_edge)
                && bytes.iter().all(|byte| is_edge(*byte) || *byte == b'-')
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Complaint::new(format!("`{}` is no name of an object", shorten(text))).help(
                "it has lower-case letters, digits, `-` and `.`, and begins and ends with a letter or digit",
            ))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for SignerName {
    const FORMAT: &'static str = "signer-name";
    const EXAMPLE: &'static str = "corp.example/roots";

    fn read(text: &str) -> Result<Self, Complaint> {
        let is_known =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-./:".contains(&byte);
        if (1..=571).contains(&text.len()) && text.bytes().all(is_known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Complaint::new(format!("`{}` is no name of a ClusterTrustBundle or signer", shorten(text)))
                .help("write it as in corp-roots or corp.example/roots"))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}
