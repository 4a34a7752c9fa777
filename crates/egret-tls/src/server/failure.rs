//! A handshake with a client that failed: the reason code, and the particulars for people.

use egret_core::reason::Reason;
use rustls::{AlertDescription, CertRevocationListError, CertificateError, Error, PeerIncompatible};

use super::verifier::{RefusedCertificate, take_refused};
use crate::explain;

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason code.
    pub reason: Reason,
    /// The particulars.
    pub detail: String,
}

impl Failure {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Tells why the handshake failed that just did, on this thread.
#[must_use]
pub fn failure(error: &Error) -> Failure {
    let refused = take_refused();
    match error {
        Error::NoCertificatesPresented => Failure::new(
            Reason::ClientCertificateMissing,
            "the client sent no certificate, and this listener requires one (`clientAuth: required`)",
        ),
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => match &refused {
            Some(refused) => certificate(&refused.error, refused),
            // The signature with the client's key, which comes after the certificate's own.
            None => Failure::new(
                Reason::ClientCertificateInvalid,
                format!("the client did not prove that it has the key of its certificate: {error}"),
            ),
        },
        Error::AlertReceived(alert) => received(*alert),
        Error::PeerIncompatible(problem) => incompatible(problem),
        Error::NoApplicationProtocol => {
            Failure::new(Reason::ClientTlsFailed, "the client offers neither h2 nor http/1.1 (ALPN)")
        }
        Error::InvalidMessage(_) => Failure::new(
            Reason::ClientTlsFailed,
            format!("the client sent something that is not TLS ({error})"),
        ),
        other => Failure::new(Reason::ClientTlsFailed, other.to_string()),
    }
}

/// The judgement on a client's certificate.
pub(super) fn certificate(error: &Error, refused: &RefusedCertificate) -> Failure {
    let of = format!("the certificate of {}", refused.name);
    let (reason, detail) = match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => (
                Reason::ClientCertificateUnknownCa,
                format!("{of} is signed by `{}`, which is not among the CAs of `clientCA`", refused.issuer),
            ),
            CertificateError::BadSignature if refused.issuer_known => (
                Reason::ClientCertificateUnknownCa,
                format!(
                    "{of} is signed by another CA of the same name, `{}`: was the CA made anew since?",
                    refused.issuer
                ),
            ),
            CertificateError::ExpiredContext { not_after, .. } => {
                (Reason::ClientCertificateExpired, format!("{of} expired on {}", explain::time(*not_after)))
            }
            CertificateError::Expired => (Reason::ClientCertificateExpired, format!("{of} has expired")),
            CertificateError::NotValidYetContext { not_before, .. } => (
                Reason::ClientCertificateNotYetValid,
                format!("{of} is not valid before {}", explain::time(*not_before)),
            ),
            CertificateError::NotValidYet => {
                (Reason::ClientCertificateNotYetValid, format!("{of} is not valid yet"))
            }
            CertificateError::Revoked => (
                Reason::ClientCertificateRevoked,
                format!("{of}, signed by `{}`, was revoked", refused.issuer),
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
                Reason::ClientCertificatePurpose,
                format!("{of} has an extended key usage without clientAuth"),
            ),
            CertificateError::ApplicationVerificationFailure => (
                Reason::ClientCertificateName,
                format!("none of the certificate's names is in `allowedClients`: {}", refused.names),
            ),
            CertificateError::UnknownRevocationStatus => (
                Reason::ClientCertificateInvalid,
                format!(
                    "{of} may be revoked: no list of `crl` is from a CA of its chain (`{}`)",
                    refused.issuer
                ),
            ),
            CertificateError::ExpiredRevocationListContext { next_update, .. } => (
                Reason::ClientCertificateInvalid,
                format!(
                    "{of} may be revoked: the list of `crl` that says so is out of date since {}",
                    explain::time(*next_update)
                ),
            ),
            other => (Reason::ClientCertificateInvalid, format!("{of} is not acceptable: {other}")),
        },
        Error::InvalidCertRevocationList(error) => (
            Reason::ClientCertificateInvalid,
            format!("{of} cannot be looked up in the revocation lists of `crl`: {}", list(error)),
        ),
        other => (Reason::ClientCertificateInvalid, format!("{of} is not acceptable: {other}")),
    };
    Failure::new(reason, detail)
}

fn list(error: &CertRevocationListError) -> String {
    match error {
        CertRevocationListError::BadSignature => "the list is not signed by the CA it names".to_owned(),
        CertRevocationListError::IssuerInvalidForCrl => {
            "the CA may not sign lists (it lacks the key usage cRLSign)".to_owned()
        }
        other => format!("{other:?}"),
    }
}

/// The client ended the handshake, and said why.
fn received(alert: AlertDescription) -> Failure {
    let rejected = |why: &str| {
        let detail = format!("the client refused the proxy's certificate: {why} (alert {alert:?})");
        Failure::new(Reason::ProxyCertificateRejected, detail)
    };
    match alert {
        AlertDescription::UnknownCA => rejected("it does not trust the CA that signed it"),
        AlertDescription::DecryptError => {
            rejected("it knows another CA of the same name: was the CA made anew?")
        }
        AlertDescription::CertificateExpired => rejected("it takes it for expired"),
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            rejected("it does not trust it, or it is for another name")
        }
        AlertDescription::CertificateRevoked => rejected("it takes it for revoked"),
        AlertDescription::UnsupportedCertificate => rejected("it has no use for its kind of key or purpose"),
        AlertDescription::AccessDenied => rejected("it is not allowed there"),
        AlertDescription::BadCertificateStatusResponse => rejected("the OCSP response is no good to it"),
        other => Failure::new(
            Reason::ClientTlsFailed,
            format!("the client ended the handshake with the alert {other:?}"),
        ),
    }
}

/// Whether the client is too old, although what it lacks is noticed before its version: TLS 1.2 brought
/// the extension with signature algorithms (RFC 5246 section 7.4.1.4.1). The alert for it is then
/// `protocol_version`, by which people see what is wrong.
#[must_use]
pub fn is_too_old(error: &Error) -> bool {
    matches!(error, Error::PeerIncompatible(PeerIncompatible::SignatureAlgorithmsExtensionRequired))
}

fn incompatible(problem: &PeerIncompatible) -> Failure {
    use PeerIncompatible as P;
    let detail = match problem {
        P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::SupportedVersionsExtensionRequired
        | P::SignatureAlgorithmsExtensionRequired => {
            "the client speaks only versions of TLS that are out of use; TLS 1.2 and 1.3 are served here"
                .to_owned()
        }
        P::Tls13RequiredForQuic => "QUIC is not served".to_owned(),
        P::NoCipherSuitesInCommon => "client and proxy have no cipher suite in common".to_owned(),
        P::NoKxGroupsInCommon => "client and proxy have no key exchange group in common".to_owned(),
        P::NoSignatureSchemesInCommon | P::NoCertificateRequestSignatureSchemesInCommon => {
            "client and proxy have no signature scheme in common".to_owned()
        }
        other => format!("the client speaks no TLS that is served here ({other:?})"),
    };
    Failure::new(Reason::ClientTlsFailed, detail)
}
