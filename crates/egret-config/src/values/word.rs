//! Names, paths and patterns.

use std::path::PathBuf;

use egret_core::identity::{BadPattern, NamePattern};
use egret_core::pattern::{HostPattern, PortRange};

use super::{Complaint, Textual};
use crate::terms;
use crate::yaml::shorten;

/// A pattern for the names in client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPattern(pub NamePattern);

/// The name of a rule or group, shown to whoever is refused and in logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

/// The pseudonym in `Via` (RFC 9110 section 7.6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via(pub String);

/// A contact shown in refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact(pub String);

/// A sentence shown to whoever is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence(pub String);

/// A condition in CEL. What it means is for the compiler of conditions to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(pub String);

/// The service's name in traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(pub String);

/// A DNS search domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(pub String);

/// The path of a file; a relative one begins at the directory of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

/// The path of a file, or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePathOrOff(pub Option<PathBuf>);

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// A pattern for hosts: a name or address, `*.suffix` (one label), `**.suffix` (any depth), or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTerm {
    text: String,
    /// The pattern.
    pub pattern: HostPattern,
}

/// A term of a `NO_PROXY` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoProxyTerm(pub String);

/// What a PAC file answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacAnswer(pub String);

/// A port, or a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports(pub PortRange);

/// The longest condition, in bytes: nobody could review a longer one.
const LONGEST_CONDITION: usize = 4096;

/// Printable text of a bounded length, on one line.
fn line(text: &str, what: &str, longest: usize) -> Result<String, Complaint> {
    if text.trim().is_empty() {
        return Err(Complaint::new(format!("{what} is empty")));
    }
    if text.chars().count() > longest {
        return Err(Complaint::new(format!("{what} is longer than {longest} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Complaint::new(format!("{what} holds a line break or another control character")));
    }
    Ok(text.to_owned())
}

impl Textual for Fingerprint {
    const FORMAT: &'static str = "sha256";
    const EXAMPLE: &'static str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn read(text: &str) -> Result<Self, Complaint> {
        let wrong = || {
            Complaint::new(format!("`{}` is no SHA-256", shorten(text)))
                .help("write 64 hexadecimal digits, as `egret certs show` or `openssl x509 -fingerprint -sha256` print them")
        };
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut value = [0; 32];
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (into, pair) in value.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(wrong()) };
            *into = high << 4 | low;
        }
        Ok(Self(value))
    }

    fn write(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Textual for ClientPattern {
    const FORMAT: &'static str = "client-name";
    const EXAMPLE: &'static str = "spiffe://cluster.local/ns/team-a/**";

    fn read(text: &str) -> Result<Self, Complaint> {
        text.parse().map(Self).map_err(|error| {
            let complaint = Complaint::new(shorten(&error.to_string()));
            match error {
                BadPattern::NoKind(_) => complaint.help(
                    "write uri:, dns:, email: or subject: before it, as in dns:build.example or subject:CN=build",
                ),
                BadPattern::Empty(_) => complaint.help("for any name of the kind write **"),
                BadPattern::Malformed { .. } => complaint,
            }
        })
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl Textual for Name {
    const FORMAT: &'static str = "name";
    const EXAMPLE: &'static str = "no-mail";

    fn read(text: &str) -> Result<Self, Complaint> {
        let text = line(text, "the name", 63)?;
        // It stands in header fields and metric labels; names made from places in the file have brackets.
        if text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/[]".contains(c)) {
            Ok(Self(text))
        } else {
            Err(Complaint::new(format!("`{}` is no name", shorten(&text)))
                .help("a name has letters, digits and . _ - / alone"))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Via {
    const FORMAT: &'static str = "via";
    const EXAMPLE: &'static str = "egret-eu-1";

    fn read(text: &str) -> Result<Self, Complaint> {
        let text = line(text, "the name in Via", 64)?;
        if text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:[]".contains(c)) {
            Ok(Self(text))
        } else {
            Err(Complaint::new(format!("`{}` cannot stand in Via", shorten(&text)))
                .help("write a name without spaces, as in egret-eu-1"))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Contact {
    const FORMAT: &'static str = "contact";
    const EXAMPLE: &'static str = "#platform on the company chat";

    fn read(text: &str) -> Result<Self, Complaint> {
        line(text, "the contact", 200).map(Self)
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Sentence {
    const FORMAT: &'static str = "sentence";
    const EXAMPLE: &'static str = "code is hosted on git.example alone";

    fn read(text: &str) -> Result<Self, Complaint> {
        line(text, "the text", 500).map(Self)
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Condition {
    const FORMAT: &'static str = "condition";
    const EXAMPLE: &'static str = "identity.user.startsWith('ci-')";

    fn read(text: &str) -> Result<Self, Complaint> {
        if text.trim().is_empty() {
            return Err(Complaint::new("the condition is empty").help("leave the field out"));
        }
        if text.len() > LONGEST_CONDITION {
            return Err(Complaint::new(format!("the condition is longer than {LONGEST_CONDITION} bytes")));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for ServiceName {
    const FORMAT: &'static str = "service-name";
    const EXAMPLE: &'static str = "egret";

    fn read(text: &str) -> Result<Self, Complaint> {
        line(text, "the service's name", 100).map(Self)
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Domain {
    const FORMAT: &'static str = "domain";
    const EXAMPLE: &'static str = "svc.cluster.local";

    fn read(text: &str) -> Result<Self, Complaint> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() <= 253 && name.split('.').all(is_label) {
            Ok(Self(name.to_ascii_lowercase()))
        } else {
            Err(Complaint::new(format!("`{}` is no domain", shorten(text)))
                .help("write it as in svc.cluster.local"))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for FilePath {
    const FORMAT: &'static str = "path";
    const EXAMPLE: &'static str = "/etc/egret/ca.pem";

    fn read(text: &str) -> Result<Self, Complaint> {
        line(text, "the path", 4096).map(|text| Self(PathBuf::from(text)))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}

impl Textual for FilePathOrOff {
    const FORMAT: &'static str = "path-or-off";
    const EXAMPLE: &'static str = "/etc/hosts";

    fn read(text: &str) -> Result<Self, Complaint> {
        if text == "off" { Ok(Self(None)) } else { FilePath::read(text).map(|path| Self(Some(path.0))) }
    }

    fn write(&self) -> String {
        self.0.as_ref().map_or_else(|| "off".to_owned(), |path| path.display().to_string())
    }
}

impl Textual for HostTerm {
    const FORMAT: &'static str = "host-pattern";
    const EXAMPLE: &'static str = "**.example.com";

    fn read(text: &str) -> Result<Self, Complaint> {
        let error = match terms::host_pattern(text) {
            Ok(pattern) => return Ok(Self { text: text.to_owned(), pattern }),
            Err(error) => error,
        };
        let complaint = Complaint::new(format!("`{}` is no pattern for hosts: {error}", shorten(text)));
        Err(if text.parse::<ipnet::IpNet>().is_ok() {
            complaint.help("networks stand under `cidrs`")
        } else if text.contains("://") {
            complaint.help("write the host alone, without scheme and path")
        } else if let Some(suffix) = text.strip_prefix('.') {
            complaint.help(format!("for every host under it write **.{}", shorten(suffix)))
        } else if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            complaint.help("ports stand under `ports`")
        } else {
            complaint.help(
                "write example.com, *.example.com (one label in front), **.example.com (any depth), or *",
            )
        })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

impl Textual for NoProxyTerm {
    const FORMAT: &'static str = "no-proxy";
    const EXAMPLE: &'static str = ".svc.cluster.local";

    fn read(text: &str) -> Result<Self, Complaint> {
        match terms::no_proxy([text]) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => {
                Err(Complaint::new(format!("`{}` is no term of a NO_PROXY list: {error}", shorten(text)))
                    .help("write a domain, an address, a network or `*`, one in each item of the list"))
            }
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for PacAnswer {
    const FORMAT: &'static str = "pac-answer";
    const EXAMPLE: &'static str = "PROXY proxy.example:8888";

    fn read(text: &str) -> Result<Self, Complaint> {
        let help = "write `PROXY host:port`, `HTTPS host:port`, `SOCKS5 host:port` or `DIRECT`, with `;` between several";
        let is_way = |way: &str| match way.trim().split_once(' ') {
            None => way.trim() == "DIRECT",
            Some((kind, place)) => {
                ["PROXY", "HTTP", "HTTPS", "SOCKS", "SOCKS4", "SOCKS5"].contains(&kind)
                    && egret_core::destination::Destination::parse_authority(place.trim()).is_ok()
            }
        };
        match text.split(';').all(is_way) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(Complaint::new(format!("`{}` is no answer of a PAC file", shorten(text))).help(help))
            }
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Ports {
    const FORMAT: &'static str = "port-range";
    const NUMBER: bool = true;
    const EXAMPLE: &'static str = "8000-8999";

    fn read(text: &str) -> Result<Self, Complaint> {
        terms::port_range(text)
            .map(Self)
            .map_err(|error| Complaint::new(format!("`{}` is {error}", shorten(text))))
    }

    fn write(&self) -> String {
        let PortRange { first, last } = self.0;
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    }
}
