//! Why a client did not go on when it was shown a certificate of the interception CA: whether it does not trust
//! the CA, or insists on the origin's own certificate ("pinned"), or something else.
//!
//! A client says at most one byte about it, an alert (RFC 8446 section 6), and programs differ in which they send.
//! So one rejection is a guess; what is made of it counts how often it repeats.

use std::io;

use rustls::{AlertDescription, Error};

/// How far a handshake with a client had come when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The client has not been shown a certificate.
    BeforeCertificate,
    /// It has been shown one, and has not finished the handshake.
    AfterCertificate,
    /// It has finished the handshake, and sent nothing after: some programs look at the certificate only then.
    Finished,
    /// It has sent a request.
    Used,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an alert.
    Alert(AlertDescription),
    /// The client closed the connection, with a close_notify alert or without.
    Closed,
    /// The client reset it.
    Reset,
    /// What the client sent was refused here.
    Refused,
    /// The client took too long.
    TimedOut,
}

impl End {
    /// The alert's name in RFC 8446, if it ended with one: `unknown_ca`, `bad_certificate`, …
    #[must_use]
    pub fn alert(&self) -> Option<String> {
        let Self::Alert(alert) = self else { return None };
        let name = format!("{alert:?}");
        let mut text = String::new();
        let mut capital = true;
        for letter in name.chars() {
            // Several capitals in a row are one word: UnknownCA.
            if letter.is_ascii_uppercase() && !capital {
                text.push('_');
            }
            capital = letter.is_ascii_uppercase();
            text.push(letter.to_ascii_lowercase());
        }
        Some(text)
    }

    /// How a connection ended that gave this error.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::AlertReceived(AlertDescription::CloseNotify)) => Self::Closed,
            Some(Error::AlertReceived(alert)) => Self::Alert(*alert),
            Some(_) => Self::Refused,
            None => match error.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted => Self::Reset,
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
                _ => Self::Closed,
            },
        }
    }
}

/// What is known about a client that did not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How far it had come.
    pub stage: Stage,
    /// How it ended.
    pub end: End,
    /// The same client has taken a certificate of this CA for another host: it trusts the CA, and if it refuses
    /// one, then for that host.
    pub trusts_ca_elsewhere: bool,
}

/// Why a client did not go on, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// It does not trust the CA: the CA has to be installed where this program looks.
    CaNotTrusted,
    /// It looks pinned: it insists on the origin's own certificate, and cannot be intercepted.
    Pinned,
    /// It is something else, and no reason for passthrough.
    Other(Cause),
}

/// What else it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The certificate has ended or not begun for it: a clock is wrong.
    Clock,
    /// It wants something else of the certificate: a kind of key, a stapled response, a name.
    Certificate,
    /// There is no common version, cipher or protocol.
    NothingInCommon,
    /// The client gave up, or went away before it was shown anything.
    GaveUp,
    /// It took too long.
    TimedOut,
    /// One side broke the protocol.
    Protocol,
}

impl Rejection {
    /// A word for records, metrics and messages.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::CaNotTrusted => "ca-not-trusted",
            Self::Pinned => "pinned",
            Self::Other(Cause::Clock) => "clock",
            Self::Other(Cause::Certificate) => "certificate",
            Self::Other(Cause::NothingInCommon) => "nothing-in-common",
            Self::Other(Cause::GaveUp) => "gave-up",
            Self::Other(Cause::TimedOut) => "timed-out",
            Self::Other(Cause::Protocol) => "protocol",
        }
    }

    /// A sentence for people: what it means, and what to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::CaNotTrusted => {
                "the client does not trust the interception CA; install it where this program looks (`egret ca export`)"
            }
            Self::Pinned => {
                "the client looks pinned: it goes away when it is shown another certificate than the origin's own; tunnel this host for it (Node and Java's HttpClient go as silently where the interception CA is not installed: look at other hosts first)"
            }
            Self::Other(Cause::Clock) => {
                "for the client the certificate has ended or not begun; check its clock, and the one here"
            }
            Self::Other(Cause::Certificate) => {
                "the client wants something else of a certificate than others do; tunnel this host for it"
            }
            Self::Other(Cause::NothingInCommon) => {
                "the client has no version of TLS, cipher or protocol in common with Egret; update it, or tunnel this host for it"
            }
            Self::Other(Cause::GaveUp) => "the client went away; look at its own log",
            Self::Other(Cause::TimedOut) => {
                "the client took too long; look at its own log, and at the network"
            }
            Self::Other(Cause::Protocol) => "the client broke the TLS protocol, or finds that Egret did",
        }
    }
}

/// Tells why a client did not go on. `None` when it did: it has sent a request.
#[must_use]
pub fn classify(observed: &Observed) -> Option<Rejection> {
    use AlertDescription as Alert;
    let shown = observed.stage != Stage::BeforeCertificate;
    // What a client says that takes certificates of no such CA, and a client that takes none but one.
    let refused = if observed.trusts_ca_elsewhere { Rejection::Pinned } else { Rejection::CaNotTrusted };
    Some(match observed.end {
        _ if observed.stage == Stage::Used => return None,
        // OpenSSL (curl, Python, Ruby, PHP); NSS.
        End::Alert(Alert::UnknownCA) => refused,
        // Go; Java, BoringSSL (Chrome, Android) and rustls' platform verifier.
        End::Alert(Alert::BadCertificate | Alert::CertificateUnknown) if shown => refused,
        // OpenSSL, when the program itself has refused what was a good chain.
        End::Alert(Alert::HandshakeFailure | Alert::AccessDenied) if shown => Rejection::Pinned,
        End::Alert(Alert::CertificateExpired) => Rejection::Other(Cause::Clock),
        End::Alert(
            Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateUnobtainable
            | Alert::BadCertificateStatusResponse
            | Alert::BadCertificateHashValue
            | Alert::UnrecognisedName
            | Alert::BadCertificate
            | Alert::CertificateUnknown,
        ) => Rejection::Other(Cause::Certificate),
        End::Alert(
            Alert::HandshakeFailure
            | Alert::AccessDenied
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
            | Alert::NoApplicationProtocol
            | Alert::InappropriateFallback,
        ) => Rejection::Other(Cause::NothingInCommon),
        End::Alert(Alert::UserCanceled | Alert::CloseNotify) => Rejection::Other(Cause::GaveUp),
        End::Alert(_) | End::Refused => Rejection::Other(Cause::Protocol),
        // Without a word, right after the certificate: OkHttp, curl and others compare pins when the handshake is
        // over; but so does Node with the CA, and Java's HttpClient closes before its alert is out. Nothing but
        // other hosts tells them apart.
        End::Closed | End::Reset if shown => Rejection::Pinned,
        End::Closed | End::Reset => Rejection::Other(Cause::GaveUp),
        End::TimedOut => Rejection::Other(Cause::TimedOut),
    })
}
