//! From a handshake that failed to what is wrong with the origin.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, PeerMisbehaved};

use super::Problem;
use crate::explain;

impl Problem {
    /// What is wrong with an origin whose handshake failed with this error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => certificate(error),
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidMessage(_) => Self::NotTls,
            Error::NoApplicationProtocol => Self::Alpn { lied: false },
            Error::AlertReceived(alert) => of_alert(*alert),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::OldVersion,
            Error::PeerIncompatible(detail) => Self::NothingInCommon { detail: format!("{detail:?}") },
            Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
                Self::Alpn { lied: true }
            }
            Error::PeerMisbehaved(detail) => Self::Misbehaved { detail: format!("{detail:?}") },
            Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
                Self::Misbehaved { detail: error.to_string() }
            }
            Error::DecryptError => {
                Self::Misbehaved { detail: "what it sends cannot be decrypted".to_owned() }
            }
            other => Self::Other { detail: other.to_string() },
        }
    }

    /// [`Problem::of`] for what a stream gives. `None` for an error that is none of TLS and none of a connection
    /// that broke.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Option<Self> {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return Some(Self::of(error));
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Some(Self::Closed),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Some(Self::Reset)
            }
            _ => None,
        }
    }
}

fn certificate(error: &CertificateError) -> Problem {
    match error {
        CertificateError::Other(other) => match other.0.downcast_ref::<Problem>() {
            Some(problem) => problem.clone(),
            None => Problem::BadEncoding { detail: other.0.to_string() },
        },
        // What proves in the handshake that it has the key.
        CertificateError::BadSignature => Problem::BadSignature,
        other => {
            Problem::Other { detail: explain::explain(&Error::InvalidCertificate(other.clone())).detail }
        }
    }
}

fn of_alert(alert: AlertDescription) -> Problem {
    let name = || format!("{alert:?}");
    match alert {
        AlertDescription::ProtocolVersion => Problem::OldVersion,
        AlertDescription::NoApplicationProtocol => Problem::Alpn { lied: false },
        AlertDescription::InsufficientSecurity => Problem::NothingInCommon { detail: name() },
        // In TLS 1.2 a server that misses a client certificate says no more (RFC 5246 section 7.4.6).
        AlertDescription::HandshakeFailure => Problem::NothingInCommon {
            detail: "alert HandshakeFailure; with TLS 1.2 it may also miss a client certificate".to_owned(),
        },
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => Problem::ClientCertificate { alert: name() },
        _ => Problem::Alert { alert: name() },
    }
}
