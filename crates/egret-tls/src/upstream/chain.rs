//! From what the verifier says about a chain to what is wrong with it.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Problem;
use crate::explain::time;
use crate::inspect::CertificateInfo;
use crate::printable;

/// RSA keys of fewer bits are refused (CA/Browser Forum Baseline Requirements, section 6.1.5).
const RSA_BITS: usize = 2048;

/// The certificates that an origin sent, parsed; those that cannot be are left out.
pub(super) struct Sent<'a> {
    pub(super) own: X509Certificate<'a>,
    above: Vec<X509Certificate<'a>>,
}

impl<'a> Sent<'a> {
    pub(super) fn parse(
        own: &'a CertificateDer<'_>,
        above: &'a [CertificateDer<'_>],
    ) -> Result<Self, Problem> {
        let parse = |der: &'a CertificateDer<'_>| match X509Certificate::from_der(der) {
            Ok((_, certificate)) => Ok(certificate),
            Err(error) => Err(Problem::BadEncoding { detail: printable::text(&error.to_string()) }),
        };
        // An origin that sends hundreds is not to cost more than one that sends a few.
        let above = above.iter().take(crate::files::Limit::CHAIN).filter_map(|der| parse(der).ok());
        Ok(Self { own: parse(own)?, above: above.collect() })
    }

    /// What is wrong, if the verifier says this.
    pub(super) fn problem(&self, error: Error, now: UnixTime, anchors: &[TrustAnchor<'_>]) -> Problem {
        let issuer = || printable::name(self.own.issuer());
        #[allow(deprecated)] // the forms without context are still there to be matched
        match error {
            Error::CertExpired { not_after, .. } => {
                Problem::Expired { above: self.culprit(now), at: time(not_after) }
            }
            Error::CertNotValidYet { not_before, .. } => {
                Problem::NotYetValid { above: self.culprit(now), from: time(not_before) }
            }
            Error::CertRevoked => Problem::Revoked { by: "a revocation list" },
            Error::UnknownIssuer => self.unknown(anchors),
            Error::InvalidSignatureForPublicKey => self.weak_key().unwrap_or(Problem::BadSignature),
            Error::UnsupportedSignatureAlgorithm
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => self.weak(),
            Error::NameConstraintViolation => Problem::NameConstraint { issuer: issuer() },
            Error::EndEntityUsedAsCa => Problem::NotACa { issuer: self.no_ca().unwrap_or_else(issuer) },
            Error::CaUsedAsEndEntity if self.is_self_issued() => {
                Problem::SelfSigned { subject: printable::name(self.own.subject()) }
            }
            Error::CaUsedAsEndEntity => Problem::CaAsServer { subject: printable::name(self.own.subject()) },
            Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Problem::PathLength,
            Error::RequiredEkuNotFound | Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                Problem::WrongUse
            }
            other => Problem::BadEncoding { detail: format!("{other:?}") },
        }
    }

    fn is_self_issued(&self) -> bool {
        self.own.subject().as_raw() == self.own.issuer().as_raw()
    }

    /// Whose time it is that is wrong, if not the origin's own.
    fn culprit(&self, now: UnixTime) -> Option<String> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let is_valid = |certificate: &X509Certificate<'_>| {
            let validity = certificate.validity();
            (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
        };
        if !is_valid(&self.own) {
            return None;
        }
        let above = self.above.iter().find(|certificate| !is_valid(certificate));
        Some(above.map_or_else(|| "a CA".to_owned(), |certificate| printable::name(certificate.subject())))
    }

    /// The highest certificate that the ones sent lead up to.
    fn top(&self) -> &X509Certificate<'a> {
        let mut top = &self.own;
        for _ in 0..self.above.len() {
            let next = self.above.iter().find(|certificate| {
                certificate.subject().as_raw() == top.issuer().as_raw()
                    && certificate.as_raw() != top.as_raw()
            });
            match next {
                Some(next) if top.subject().as_raw() != top.issuer().as_raw() => top = next,
                _ => break,
            }
        }
        top
    }

    fn unknown(&self, anchors: &[TrustAnchor<'_>]) -> Problem {
        if self.is_self_issued() {
            return Problem::SelfSigned { subject: printable::name(self.own.subject()) };
        }
        let top = self.top();
        let issuer = printable::name(top.issuer());
        if top.subject().as_raw() == top.issuer().as_raw() {
            return Problem::UnknownRoot { root: issuer };
        }
        if top.as_raw() != self.own.as_raw() {
            return Problem::UnknownIssuer { issuer };
        }
        // A CA that has others below it says where to get them; a private one signs servers itself. If a CA
        // that is trusted has this name, nothing is missing: it is another CA.
        let fetchable = top.iter_extensions().any(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => access.iter().any(|description| {
                description.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS
                    && matches!(description.access_location, GeneralName::URI(_))
            }),
            _ => false,
        });
        let known = anchors.iter().any(|anchor| is_name(top.issuer().as_raw(), &anchor.subject));
        if fetchable && !known {
            return Problem::MissingIntermediate { issuer };
        }
        Problem::UnknownIssuer { issuer }
    }

    /// A key that is too weak, of the origin or of a CA that it sent.
    pub(super) fn weak_key(&self) -> Option<Problem> {
        std::iter::once(&self.own).chain(&self.above).find_map(weak_key)
    }

    fn weak(&self) -> Problem {
        if let Some(problem) = self.weak_key() {
            return problem;
        }
        let is_broken = |name: &str| {
            let lower = name.to_ascii_lowercase();
            lower.contains("sha1") || lower.contains("md5") || lower.contains("md2")
        };
        let infos = std::iter::once(&self.own).chain(&self.above);
        let mut algorithms = infos.filter_map(|certificate| {
            let der = CertificateDer::from(certificate.as_raw());
            CertificateInfo::parse(&der).ok().map(|info| info.signature)
        });
        let broken = algorithms.find(|name| is_broken(name));
        let own =
            || CertificateInfo::parse(&CertificateDer::from(self.own.as_raw())).map(|info| info.signature);
        let algorithm = broken.or_else(|| own().ok()).unwrap_or_else(|| "an unknown algorithm".to_owned());
        Problem::WeakSignature { algorithm }
    }

    /// The issuer that is no CA.
    fn no_ca(&self) -> Option<String> {
        self.above
            .iter()
            .find(|certificate| !certificate.is_ca())
            .map(|certificate| printable::name(certificate.subject()))
    }
}

/// What is too weak about a certificate's key.
pub(super) fn weak_key(certificate: &X509Certificate<'_>) -> Option<Problem> {
    use x509_parser::public_key::PublicKey;
    let weak = |key: String| Some(Problem::WeakKey { subject: printable::name(certificate.subject()), key });
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS => weak(format!("RSA {}", key.key_size())),
        Ok(PublicKey::DSA(_)) => weak("DSA".to_owned()),
        _ => None,
    }
}

/// Whether a name, which is given with its tag and length, has these contents.
pub(super) fn is_name(raw: &[u8], contents: &[u8]) -> bool {
    raw.ends_with(contents) && raw.len() - contents.len() <= 4
}
