//! What is wrong with an origin: for people, what, why, and what to do.

use std::fmt;

use super::ProblemKind;

/// Names that are listed at most; some certificates have hundreds.
const LISTED: usize = 6;

/// What is wrong with an origin. `Display` is [`Problem::what`], then [`Problem::advice`]. Texts from
/// certificates in it are fit for a terminal, but not for HTML without escaping.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A certificate is past its end.
    Expired {
        /// Whose, if it is not the origin's own.
        above: Option<String>,
        /// Its end.
        at: String,
    },
    /// A certificate is not valid yet.
    NotYetValid {
        /// Whose, if it is not the origin's own.
        above: Option<String>,
        /// Its beginning.
        from: String,
    },
    /// The certificate is for other names.
    WrongName {
        /// The host asked for.
        host: String,
        /// The names it is for.
        presented: Vec<String>,
    },
    /// It has no name in subjectAltName.
    NoSan {
        /// The host asked for.
        host: String,
        /// Its subject, where the name may stand.
        subject: String,
    },
    /// Who signed it is not trusted.
    UnknownIssuer {
        /// The issuer that was looked for.
        issuer: String,
    },
    /// It is signed by itself.
    SelfSigned {
        /// Its subject.
        subject: String,
    },
    /// It leads up to a root that is not trusted.
    UnknownRoot {
        /// The root.
        root: String,
    },
    /// The origin does not send the certificate above its own.
    MissingIntermediate {
        /// The issuer that was looked for.
        issuer: String,
    },
    /// Its CA has taken it back.
    Revoked {
        /// How that is known.
        by: &'static str,
    },
    /// A key is too weak.
    WeakKey {
        /// Whose.
        subject: String,
        /// What it is.
        key: String,
    },
    /// A certificate is signed with a broken algorithm.
    WeakSignature {
        /// Which algorithm.
        algorithm: String,
    },
    /// A signature does not fit.
    BadSignature,
    /// A CA above it must not sign for the names in it.
    NameConstraint {
        /// Who signed it.
        issuer: String,
    },
    /// What signed it is no CA.
    NotACa {
        /// What signed it.
        issuer: String,
    },
    /// More CAs stand below one than it allows.
    PathLength,
    /// It is not for servers.
    WrongUse,
    /// The certificate of a CA is used as a server's.
    CaAsServer {
        /// Its subject.
        subject: String,
    },
    /// It cannot be read.
    BadEncoding {
        /// What the parser says.
        detail: String,
    },
    /// There is no certificate.
    NoCertificate,
    /// Only old versions are spoken.
    OldVersion,
    /// There is nothing in common.
    NothingInCommon {
        /// What.
        detail: String,
    },
    /// ALPN was answered with something that was not offered, or refused.
    Alpn {
        /// It answered with something that was not offered; otherwise it took none of what was.
        lied: bool,
    },
    /// The origin wants another certificate of the client, or any.
    ClientCertificate {
        /// The alert.
        alert: String,
    },
    /// What comes is no TLS.
    NotTls,
    /// The origin broke the protocol.
    Misbehaved {
        /// How.
        detail: String,
    },
    /// The origin ended the handshake with an alert.
    Alert {
        /// Which.
        alert: String,
    },
    /// The connection was reset.
    Reset,
    /// The connection was closed.
    Closed,
    /// Something else.
    Other {
        /// What.
        detail: String,
    },
}

impl Problem {
    /// Its class.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        use ProblemKind as Kind;
        match self {
            Self::Expired { .. } => Kind::Expired,
            Self::NotYetValid { .. } => Kind::NotYetValid,
            Self::WrongName { .. } => Kind::WrongName,
            Self::NoSan { .. } => Kind::NoSan,
            Self::UnknownIssuer { .. } => Kind::UnknownIssuer,
            Self::SelfSigned { .. } => Kind::SelfSigned,
            Self::UnknownRoot { .. } => Kind::UnknownRoot,
            Self::MissingIntermediate { .. } => Kind::MissingIntermediate,
            Self::Revoked { .. } => Kind::Revoked,
            Self::WeakKey { .. } => Kind::WeakKey,
            Self::WeakSignature { .. } => Kind::WeakSignature,
            Self::BadSignature => Kind::BadSignature,
            Self::NameConstraint { .. } => Kind::NameConstraint,
            Self::NotACa { .. } => Kind::NotACa,
            Self::PathLength => Kind::PathLength,
            Self::WrongUse => Kind::WrongUse,
            Self::CaAsServer { .. } => Kind::CaAsServer,
            Self::BadEncoding { .. } => Kind::BadEncoding,
            Self::NoCertificate => Kind::NoCertificate,
            Self::OldVersion => Kind::OldVersion,
            Self::NothingInCommon { .. } => Kind::NothingInCommon,
            Self::Alpn { .. } => Kind::Alpn,
            Self::ClientCertificate { .. } => Kind::ClientCertificate,
            Self::NotTls => Kind::NotTls,
            Self::Misbehaved { .. } => Kind::Misbehaved,
            Self::Alert { .. } => Kind::Alert,
            Self::Reset => Kind::Reset,
            Self::Closed => Kind::Closed,
            Self::Other { .. } => Kind::Other,
        }
    }

    /// What is wrong, and what makes that a danger: a clause that begins with "its certificate" or "it", for
    /// the origin.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Expired { above: None, at } => format!("its certificate expired on {at}"),
            Self::Expired { above: Some(subject), at } => {
                format!("the certificate of {subject}, above its own, expired on {at}")
            }
            Self::NotYetValid { above: None, from } => format!("its certificate is not valid before {from}"),
            Self::NotYetValid { above: Some(subject), from } => {
                format!("the certificate of {subject}, above its own, is not valid before {from}")
            }
            Self::WrongName { host, presented } => {
                format!("its certificate is not for {host}; it is for {}", list(presented))
            }
            Self::NoSan { host, subject } => format!(
                "its certificate names no host at all (it has no subjectAltName; its subject is {subject}), so it is not for {host}"
            ),
            Self::UnknownIssuer { issuer } => {
                format!("its certificate is signed by {issuer}, which is not trusted here")
            }
            Self::SelfSigned { subject } => format!(
                "its certificate is signed by itself ({subject}), so anybody could have made it"
            ),
            Self::UnknownRoot { root } => {
                format!("its certificate leads up to the root {root}, which is not trusted here")
            }
            Self::MissingIntermediate { issuer } => format!(
                "it does not send the certificate of {issuer}, which signed its own, and that is not known here"
            ),
            Self::Revoked { by } => format!("its certificate was revoked by its CA ({by})"),
            Self::WeakKey { subject, key } => {
                format!("the key of {subject} is too weak to prove anything ({key})")
            }
            Self::WeakSignature { algorithm } => format!(
                "its certificate, or one above it, is signed with {algorithm}, which can be forged"
            ),
            Self::BadSignature => {
                "its certificate has a signature that does not fit: it was changed, or another CA has the same name"
                    .to_owned()
            }
            Self::NameConstraint { issuer } => format!(
                "its certificate has names that the CA above it must not sign for (name constraints above or at {issuer})"
            ),
            Self::NotACa { issuer } => {
                format!("its certificate is signed by {issuer}, which is no CA and must not sign")
            }
            Self::PathLength => {
                "there are more CAs in its chain than one of them allows (path length)".to_owned()
            }
            Self::WrongUse => "its certificate is not for servers (extendedKeyUsage)".to_owned(),
            Self::CaAsServer { subject } => format!(
                "its certificate is that of a CA ({subject}, CA:TRUE) and not a server's; a self-signed certificate made for a server is usually of this kind"
            ),
            Self::BadEncoding { detail } => format!("its certificate cannot be read ({detail})"),
            Self::NoCertificate => "it presented no certificate".to_owned(),
            Self::OldVersion => {
                "it speaks only versions of TLS that are older than what is allowed here (1.2, if no rule for the host asks for 1.3)"
                    .to_owned()
            }
            Self::NothingInCommon { detail } => {
                format!("it speaks no cipher, group or signature that is accepted ({detail})")
            }
            Self::Alpn { lied: true } => {
                "it chose a protocol that was not offered (ALPN)".to_owned()
            }
            Self::Alpn { lied: false } => {
                "it speaks none of the protocols that were offered (ALPN)".to_owned()
            }
            Self::ClientCertificate { alert } => {
                format!("it does not accept the certificate shown to it, or wants one (alert {alert})")
            }
            Self::NotTls => "it answered with something that is not TLS, as a port for plain HTTP does".to_owned(),
            Self::Misbehaved { detail } => format!("it broke the TLS protocol ({detail})"),
            Self::Alert { alert } => format!("it refused the handshake with the alert {alert}"),
            Self::Reset => "it reset the connection during the TLS handshake".to_owned(),
            Self::Closed => "it closed the connection during the TLS handshake".to_owned(),
            Self::Other { detail } => format!("the TLS handshake failed: {detail}"),
        }
    }

    /// What can be done about it, and by whom.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Expired { above: None, .. } => {
                "whoever runs it has to renew the certificate; check the clock here if many origins are so"
            }
            Self::Expired { above: Some(_), .. } => {
                "whoever runs it has to send the CA's current certificate; check the clock here if many origins are so"
            }
            Self::NotYetValid { .. } => "check the clock here, and the one where the certificate was made",
            Self::WrongName { .. } => {
                "use one of the names that it is for, or have the name added to the certificate"
            }
            Self::NoSan { .. } => {
                "whoever runs it has to make a certificate with the name in subjectAltName; a common name has not been enough since 2017"
            }
            Self::UnknownIssuer { .. } | Self::UnknownRoot { .. } => {
                "if it is a private CA, add it to the CAs that are trusted for this host"
            }
            Self::SelfSigned { .. } | Self::CaAsServer { .. } => {
                "have it signed by a CA, or excuse this very certificate for this host"
            }
            Self::MissingIntermediate { .. } => {
                "whoever runs it has to configure the whole chain; browsers may hide this by fetching the missing one"
            }
            Self::Revoked { .. } => {
                "do not trust it; whoever runs it has to get a new certificate, and to ask what happened to the key of the old one"
            }
            Self::WeakKey { .. } => {
                "whoever runs it has to make a new key: ECDSA P-256, or RSA of 2048 bits or more"
            }
            Self::WeakSignature { .. } => {
                "whoever runs it has to get a certificate that is signed with SHA-256 or better"
            }
            Self::BadSignature => "look at the chain that it sends with `openssl s_client -showcerts`",
            Self::NameConstraint { .. } => {
                "whoever runs it has to get a certificate from a CA that may sign for the name"
            }
            Self::NotACa { .. } => "do not trust it; a certificate of a server was misused to sign another",
            Self::PathLength => "whoever runs the CA has to sign the CA below with a greater path length",
            Self::WrongUse => "whoever runs it has to get a certificate with serverAuth",
            Self::BadEncoding { .. } => {
                "whoever runs it has to make the certificate anew; look at it with `egret certs show`"
            }
            Self::NoCertificate => "whoever runs it has to configure one",
            Self::OldVersion => {
                "update the origin; TLS 1.1 and older are broken, and no setting brings them back, but a host can be tunnelled so that the client speaks with it itself"
            }
            Self::NothingInCommon { .. } => "update the origin, or tunnel the host",
            Self::Alpn { .. } => "set the host to HTTP/1.1 alone, or tunnel it",
            Self::ClientCertificate { .. } => {
                "set a client certificate for this host, or tunnel it so that the client shows its own"
            }
            Self::NotTls => "check the port; ask for http:// if it is meant",
            Self::Misbehaved { .. } | Self::Alert { .. } | Self::Other { .. } => {
                "try it with `openssl s_client -connect`, and tell whoever runs it"
            }
            Self::Reset | Self::Closed => {
                "a firewall in between may do that, or the origin is overloaded; try it from elsewhere"
            }
        }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}", self.what(), self.advice())
    }
}

fn list(names: &[String]) -> String {
    let mut listed: Vec<String> = names.iter().take(LISTED).cloned().collect();
    if names.len() > LISTED {
        listed.push(format!("{} more", names.len() - LISTED));
    }
    if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") }
}
