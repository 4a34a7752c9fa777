//! Why a certificate is refused, and in which words different clients say so: people search for the words
//! that they see. `crates/egret/tests/certs` compares them with the real programs.

use jiff::Timestamp;
use serde::Serialize;

/// A program whose words are known. They are OpenSSL's of version 3, and in curl where it is built with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// curl.
    Curl,
    /// `openssl s_client -verify_return_error`, and what else prints OpenSSL's verify errors.
    Openssl,
    /// Programs in Go.
    Go,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saying {
    /// Which client.
    pub client: Client,
    /// Its words, or as much of them as does not vary; `None` if it accepts the certificate all the same.
    pub words: Option<String>,
}

/// Why a certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Refusal {
    /// It, or a certificate above it, is past its end.
    #[error("{subject} expired at {at}; renew it (`egret certs renew`)")]
    Expired {
        /// Which certificate.
        subject: String,
        /// Its end.
        #[serde(serialize_with = "super::certificate::display")]
        at: Timestamp,
    },
    /// It, or a certificate above it, is before its beginning.
    #[error(
        "{subject} is not valid before {at}; check the clock of this machine and of the one that made it"
    )]
    NotYetValid {
        /// Which certificate.
        subject: String,
        /// Its beginning.
        #[serde(serialize_with = "super::certificate::display")]
        at: Timestamp,
    },
    /// It is signed by itself, and not trusted.
    #[error("it is signed by itself, and the client does not trust it; give it to the client as a CA")]
    SelfSigned,
    /// Its chain ends in a root that is not trusted.
    #[error(
        "its chain ends in {root}, which the client does not trust; give the client that CA (curl --cacert, --proxy-cacert)"
    )]
    UntrustedRoot {
        /// The root.
        root: String,
    },
    /// Its issuer is neither in the file nor trusted.
    #[error(
        "{subject} was signed by {issuer}, which is neither in the file nor trusted; add it to the chain if it is an intermediate, or give it to the client if it is the root"
    )]
    MissingIssuer {
        /// The last certificate of the chain.
        subject: String,
        /// Who signed it.
        issuer: String,
    },
    /// There is a CA of the issuer's name, with another key.
    #[error(
        "{subject} was not signed by the {issuer} that is at hand, but by another CA of that name; find the one it was made with, or make it anew"
    )]
    Namesake {
        /// Which certificate.
        subject: String,
        /// The issuer's name.
        issuer: String,
        /// It says which key signed it, and it is another (authorityKeyIdentifier).
        key_id_differs: bool,
    },
    /// It is for other names.
    #[error("it is not for {host}, but for {}; use one of these, or make one for it (--san)", listed(names))]
    OtherName {
        /// The name that is wanted.
        host: String,
        /// The names it is for, with their kinds.
        names: Vec<String>,
        /// Its common name is the one that is wanted.
        common_name: bool,
    },
    /// It is not for this use.
    #[error("it is not for a {role} ({}); make one with `egret certs {role}`", listed(uses))]
    WrongUse {
        /// `server` or `client`.
        role: &'static str,
        /// What it is for (extendedKeyUsage).
        uses: Vec<String>,
    },
    /// A CA above it may not sign for its names.
    #[error(
        "a CA above it may not sign for one of its names ({}); leave the name out, or use another CA",
        listed(names)
    )]
    NameConstraint {
        /// The names that are forbidden, as far as can be told.
        names: Vec<String>,
    },
    /// There are more CAs than one of them allows.
    #[error(
        "there are more CAs between it and {root} than that one allows (pathLenConstraint); let the root sign it, or make the CAs anew"
    )]
    PathLength {
        /// The end of the chain.
        root: String,
    },
    /// What signed it is no CA.
    #[error("{subject} signed it, and is not a CA (basicConstraints); have a CA sign it")]
    NotCa {
        /// Which certificate.
        subject: String,
    },
    /// It is a CA itself.
    #[error(
        "it says that it is a CA (CA:TRUE), as `openssl req -x509` makes them, and rustls (Egret too) and browsers refuse a CA as a {role}; make one with `egret certs {role}`"
    )]
    IsCa {
        /// `server` or `client`.
        role: &'static str,
    },
    /// Something in it must be understood, and is not.
    #[error("it has a critical extension that clients do not know; have it made without")]
    CriticalExtension,
    /// The way it is signed is too weak or unknown.
    #[error("it is signed in a way that is too weak or not known ({algorithm}); have it signed with SHA-256")]
    Algorithm {
        /// Which way.
        algorithm: String,
    },
    /// Something else.
    #[error("it is not acceptable: {detail}")]
    Other {
        /// In the verifier's words.
        detail: String,
    },
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names if names.len() > 8 => format!("{} and {} more", names[..8].join(", "), names.len() - 8),
        names => names.join(", "),
    }
}

impl Refusal {
    /// What clients say to a server with this certificate.
    #[must_use]
    pub fn to_server(&self, now: Timestamp) -> Vec<Saying> {
        if let Self::IsCa { .. } = self {
            return [Client::Curl, Client::Openssl, Client::Go]
                .map(|client| Saying { client, words: None })
                .to_vec();
        }
        let curl = match self {
            Self::OtherName { common_name: true, names, .. } if names.is_empty() => None,
            Self::OtherName { host, .. } => {
                let host = host.trim_matches(['[', ']']);
                Some(format!(
                    "SSL: no alternative certificate subject name matches target host name '{host}'"
                ))
            }
            _ => self.openssl().map(|(_, text)| format!("SSL certificate problem: {text}")),
        };
        let openssl = match self {
            Self::OtherName { common_name: true, names, .. } if names.is_empty() => None,
            _ => self.openssl().map(|(code, text)| format!("verify error:num={code}:{text}")),
        };
        vec![
            Saying { client: Client::Curl, words: curl.map(|words| format!("curl: (60) {words}")) },
            Saying { client: Client::Openssl, words: openssl },
            Saying { client: Client::Go, words: self.go(now) },
        ]
    }

    /// OpenSSL's number (`X509_V_ERR_…`) and its words.
    fn openssl(&self) -> Option<(u8, &'static str)> {
        Some(match self {
            Self::Expired { .. } => (10, "certificate has expired"),
            Self::NotYetValid { .. } => (9, "certificate is not yet valid"),
            Self::SelfSigned => (18, "self-signed certificate"),
            Self::UntrustedRoot { .. } => (19, "self-signed certificate in certificate chain"),
            Self::Namesake { key_id_differs: false, .. } => (7, "certificate signature failure"),
            Self::MissingIssuer { .. } | Self::Namesake { .. } => {
                (20, "unable to get local issuer certificate")
            }
            Self::OtherName { host, .. } if is_address(host) => (64, "IP address mismatch"),
            Self::OtherName { .. } => (62, "hostname mismatch"),
            Self::WrongUse { .. } => (26, "unsuitable certificate purpose"),
            Self::NameConstraint { .. } => (47, "permitted subtree violation"),
            Self::PathLength { .. } => (25, "path length constraint exceeded"),
            Self::NotCa { .. } => (79, "invalid CA certificate"),
            Self::CriticalExtension => (34, "unhandled critical extension"),
            Self::Algorithm { .. } => (68, "CA signature digest algorithm too weak"),
            Self::IsCa { .. } | Self::Other { .. } => return None,
        })
    }

    fn go(&self, now: Timestamp) -> Option<String> {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let times = "x509: certificate has expired or is not yet valid: current time";
        Some(match self {
            Self::Expired { at, .. } => format!("{times} {now} is after {at}"),
            Self::NotYetValid { at, .. } => format!("{times} {now} is before {at}"),
            Self::SelfSigned
            | Self::UntrustedRoot { .. }
            | Self::MissingIssuer { .. }
            | Self::Namesake { .. }
            | Self::NotCa { .. }
            | Self::Algorithm { .. } => "x509: certificate signed by unknown authority".to_owned(),
            Self::OtherName { host, names, .. } => go_name(host, names),
            Self::WrongUse { .. } => "x509: certificate specifies an incompatible key usage".to_owned(),
            Self::NameConstraint { .. } => {
                "x509: a root or intermediate certificate is not authorized to sign for this name".to_owned()
            }
            Self::PathLength { .. } => "x509: too many intermediates for path length constraint".to_owned(),
            Self::CriticalExtension => "x509: unhandled critical extension".to_owned(),
            Self::IsCa { .. } | Self::Other { .. } => return None,
        })
    }

    /// What a client with this certificate sees when the server refuses it: the words for a TLS alert
    /// (RFC 8446 section 6.2).
    #[must_use]
    pub fn to_client(&self) -> Vec<Saying> {
        let (openssl, go) = match self {
            Self::Expired { .. } | Self::NotYetValid { .. } => ("certificate expired", "expired certificate"),
            Self::WrongUse { .. } => ("unsupported certificate", "unsupported certificate"),
            Self::SelfSigned | Self::UntrustedRoot { .. } | Self::MissingIssuer { .. } => {
                ("unknown ca", "unknown certificate authority")
            }
            Self::Namesake { .. } | Self::Algorithm { .. } => ("decrypt error", "error decrypting message"),
            Self::CriticalExtension => ("bad certificate", "bad certificate"),
            _ => ("certificate unknown", "unknown certificate"),
        };
        vec![
            Saying { client: Client::Curl, words: Some(format!("alert {openssl}")) },
            Saying { client: Client::Openssl, words: Some(format!("alert {openssl}")) },
            Saying { client: Client::Go, words: Some(format!("remote error: tls: {go}")) },
        ]
    }
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

fn go_name(host: &str, names: &[String]) -> String {
    let of_kind =
        |kind: &str| -> Vec<&str> { names.iter().filter_map(|name| name.strip_prefix(kind)).collect() };
    let (hosts, addresses) = (of_kind("DNS:"), of_kind("IP:"));
    if is_address(host) {
        return if addresses.is_empty() {
            format!("x509: cannot validate certificate for {host} because it doesn't contain any IP SANs")
        } else {
            format!("x509: certificate is valid for {}, not {host}", addresses.join(", "))
        };
    }
    if names.is_empty() {
        return "x509: certificate relies on legacy Common Name field, use SANs instead".to_owned();
    }
    if hosts.is_empty() {
        return format!("x509: certificate is not valid for any names, but wanted to match {host}");
    }
    format!("x509: certificate is valid for {}, not {host}", hosts.join(", "))
}
