//! Judging client certificates.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use egret_core::identity::{ClientCertificate, NamePattern};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::failure::{self, Failure};
use super::remembered::{self, Remembered};
use super::{SettingError, names, provider};

/// CAs whose names are sent along when a certificate is asked for, so that a client with several chooses
/// the right one (RFC 8446 section 4.2.4). A bundle of hundreds would only make handshakes larger.
const HINTS: usize = 32;

thread_local! {
    /// The certificate that was refused last on this thread. A handshake fails within one call, so who
    /// made the call finds here what the error itself cannot carry.
    static REFUSED: RefCell<Option<RefusedCertificate>> = const { RefCell::new(None) };
}

/// A client certificate that was refused, for the log.
#[derive(Clone, Debug)]
pub(super) struct RefusedCertificate {
    /// The error, before it was changed for the sake of the alert.
    pub(super) error: Error,
    /// Its name.
    pub(super) name: String,
    /// All its names.
    pub(super) names: String,
    /// Who signed it.
    pub(super) issuer: String,
    /// A CA of that name is trusted.
    pub(super) issuer_known: bool,
}

/// When a list is out of date. One that does not say so is never.
fn next_update(list: &CertificateRevocationListDer<'_>) -> UnixTime {
    let parsed = CertificateRevocationList::from_der(list).ok();
    let next = parsed.and_then(|(_, parsed)| u64::try_from(parsed.next_update()?.timestamp()).ok());
    UnixTime::since_unix_epoch(Duration::from_secs(next.unwrap_or(u64::MAX)))
}

/// Takes what is known of the certificate that was refused last.
pub(super) fn take_refused() -> Option<RefusedCertificate> {
    REFUSED.with_borrow_mut(Option::take)
}

/// webpki's verification, and then the names.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    roots: Arc<RootCertStore>,
    allowed: Vec<NamePattern>,
    /// When the first of the revocation lists is out of date.
    lists_until: Option<UnixTime>,
    remembered: Remembered,
}

impl ClientVerifier {
    pub(super) fn new(
        roots: RootCertStore,
        crls: Vec<CertificateRevocationListDer<'static>>,
        allowed: Vec<NamePattern>,
        mandatory: bool,
    ) -> Result<Self, SettingError> {
        let roots = Arc::new(roots);
        let lists_until = crls.iter().map(next_update).min();
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .with_crls(crls)
            // A list past its nextUpdate says nothing of what was revoked since.
            .enforce_revocation_expiration();
        if !mandatory {
            builder = builder.allow_unauthenticated();
        }
        if roots.len() > HINTS {
            builder = builder.clear_root_hint_subjects();
        }
        let inner = builder.build().map_err(|error| SettingError {
            setting: "crl".to_owned(),
            message: format!("the revocation lists cannot be used: {error}"),
            help: Some("delta and indirect lists (RFC 5280 section 5.2) are not supported".to_owned()),
        })?;
        Ok(Self { inner, roots, allowed, lists_until, remembered: Remembered::default() })
    }

    /// Judges a certificate: signatures, validity, purpose, revocation, names. Gives its names. One that
    /// was judged good before, and is still valid, is good.
    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Arc<ClientCertificate>, Error> {
        let digest = remembered::digest(certificate, intermediates);
        let lists_are_fresh = self.lists_until.is_none_or(|until| now < until);
        if lists_are_fresh && let Some(known) = self.remembered.find(&digest, now) {
            return Ok(known);
        }
        self.inner.verify_client_cert(certificate, intermediates, now)?;
        let whole = std::iter::once(certificate).chain(intermediates).map(|der| der.to_vec().into());
        let names = Arc::new(names::of_client(certificate).with_chain(whole.collect()));
        if !self.allowed.is_empty() && !names.matches_any(&self.allowed) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let chain: Vec<_> = std::iter::once(certificate).chain(intermediates).collect();
        self.remembered.add(digest, &chain, names.clone());
        Ok(names)
    }

    /// Judges the certificate of a session that stands: it was judged good in the handshake, or in that of
    /// the session that was resumed, and may have ended since.
    pub(super) fn judge_again(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Arc<ClientCertificate>, Failure> {
        self.judge(certificate, intermediates, now)
            .map_err(|error| failure::certificate(&error, &self.refused(certificate, &error)))
    }

    fn refused(&self, certificate: &CertificateDer<'_>, error: &Error) -> RefusedCertificate {
        let described = names::describe(certificate);
        let (name, issuer) = described.unwrap_or_else(|| ("(unreadable)".to_owned(), String::new()));
        let names: Vec<String> =
            names::of_client(certificate).names().iter().map(ToString::to_string).collect();
        let issuer_known = names::parse(certificate).is_some_and(|parsed| {
            let issuer = parsed.issuer().as_raw();
            self.roots.subjects().iter().any(|subject| subject.as_ref() == issuer)
        });
        RefusedCertificate { error: error.clone(), name, names: names.join(", "), issuer, issuer_known }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let error = match self.judge(end_entity, intermediates, now) {
            Ok(_) => return Ok(ClientCertVerified::assertion()),
            Err(error) => error,
        };
        REFUSED.with_borrow_mut(|slot| *slot = Some(self.refused(end_entity, &error)));
        Err(match error {
            // A CA that was made anew under its old name: the alert for it is unknown_ca, and not the
            // decrypt_error that stands for a bad signature.
            Error::InvalidCertificate(CertificateError::BadSignature) => {
                CertificateError::UnknownIssuer.into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
