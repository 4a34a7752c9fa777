//! Who signed whom.

use rustls_pki_types::CertificateDer;
use serde::Serialize;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Signatures that are tried for one certificate; a hostile file may have a thousand issuers of one name.
const TRIED: usize = 20;

/// Who signed a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum SignedBy {
    /// Itself: it is a root, or a lone self-signed certificate.
    Itself,
    /// Another certificate of the file.
    File {
        /// Which one, counted from 1.
        number: usize,
    },
    /// A certificate that is trusted, and is not in the file.
    Trusted {
        /// Its subject.
        subject: String,
    },
    /// The one of that name that is at hand did not sign it: it is another CA of the same name.
    Namesake {
        /// The name.
        subject: String,
    },
    /// Nobody at hand.
    Unknown {
        /// The issuer's name.
        subject: String,
    },
}

/// Finds who signed each certificate, among these and the trusted ones.
pub(super) fn signed_by(
    certificates: &[X509Certificate<'_>],
    trusted: &[CertificateDer<'_>],
) -> Vec<SignedBy> {
    certificates.iter().enumerate().map(|(index, one)| signer(index, one, certificates, trusted)).collect()
}

/// The trusted certificate that signed this one, or is this one.
pub(super) fn anchor(
    one: &X509Certificate<'_>,
    trusted: &[CertificateDer<'_>],
) -> Option<super::CertificateInfo> {
    let parsed =
        trusted.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, parsed)| parsed);
    let mut issuers = parsed.filter(|candidate| candidate.subject().as_raw() == one.issuer().as_raw());
    let found = issuers.by_ref().take(TRIED).find(|candidate| {
        candidate.as_raw() == one.as_raw() || one.verify_signature(Some(candidate.public_key())).is_ok()
    });
    found.map(|found| super::CertificateInfo::of(&found))
}

fn signer(
    index: usize,
    one: &X509Certificate<'_>,
    certificates: &[X509Certificate<'_>],
    trusted: &[CertificateDer<'_>],
) -> SignedBy {
    let subject = crate::printable::name(one.issuer());
    let is_issuer = |candidate: &X509Certificate<'_>| candidate.subject().as_raw() == one.issuer().as_raw();
    let fits = |candidate: &X509Certificate<'_>| one.verify_signature(Some(candidate.public_key())).is_ok();
    if is_issuer(one) && fits(one) {
        return SignedBy::Itself;
    }
    let others =
        certificates.iter().enumerate().filter(|(other, candidate)| *other != index && is_issuer(candidate));
    let mut tried = 0;
    for (other, candidate) in others.take(TRIED) {
        tried += 1;
        if fits(candidate) {
            return SignedBy::File { number: other + 1 };
        }
    }
    // Parsing all public roots takes a millisecond.
    let parsed =
        trusted.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, parsed)| parsed);
    for candidate in parsed.filter(|candidate| is_issuer(candidate)).take(TRIED) {
        tried += 1;
        if fits(&candidate) {
            return SignedBy::Trusted { subject };
        }
    }
    if tried > 0 || is_issuer(one) { SignedBy::Namesake { subject } } else { SignedBy::Unknown { subject } }
}
