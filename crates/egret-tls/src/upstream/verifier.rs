//! Verifies what an origin shows.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::X509Certificate;

use super::chain::{self, Sent};
use super::{Exceptions, Problem, ocsp};
use crate::printable;

/// How often a chain is verified again, with one excuse more each time.
const ROUNDS: usize = 6;

/// Verifies the certificates of origins: signatures and validity up to a trusted root, uses, name constraints,
/// names, revocation by lists and by the stapled OCSP response, strength of keys and signatures.
///
/// Revocation is as browsers have it: what is known to be revoked is refused, and what is not known is no reason
/// to refuse, for most CAs publish no lists that could be fetched here.
#[derive(Clone)]
pub struct Verifier {
    trusted: Trusted,
    lists: Arc<[CertRevocationList<'static>]>,
    exceptions: Exceptions,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Whom an origin may be signed by.
#[derive(Clone)]
pub(super) struct Trusted {
    /// As chains are built with them.
    pub(super) roots: Arc<RootCertStore>,
    /// Those that were configured, whole.
    pub(super) configured: Arc<[CertificateDer<'static>]>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Verifier")
            .field("roots", &self.trusted.roots.len())
            .field("lists", &self.lists.len())
            .field("exceptions", &self.exceptions)
            .finish_non_exhaustive()
    }
}

/// How strictly a chain is looked at.
struct Strictness {
    at: UnixTime,
    moved: bool,
    revocation: bool,
    chain: bool,
}

impl Verifier {
    pub(super) fn new(
        trusted: Trusted,
        lists: Arc<[CertRevocationList<'static>]>,
        exceptions: Exceptions,
    ) -> Self {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        Self { trusted, lists, exceptions, algorithms }
    }

    /// Whether anything is excused by it.
    #[must_use]
    pub fn excuses(&self) -> bool {
        !self.exceptions.is_empty()
    }

    /// Verifies what an origin has shown: its certificate, those above it, and the stapled OCSP response, which
    /// may be empty. Gives what was wrong and excused: it is to stand in the record of the flow.
    ///
    /// # Errors
    /// What is wrong and not excused, the most telling first.
    pub fn check(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        stapled: &[u8],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Vec<Problem>, Problem> {
        let mut excused = Vec::new();
        let mut excuse = |problem: Problem| {
            if !self.exceptions.excuse(&problem, certificate) {
                return Err(problem);
            }
            if !excused.contains(&problem) {
                excused.push(problem);
            }
            Ok(())
        };
        let parsed = EndEntityCert::try_from(certificate)
            .map_err(|error| Problem::BadEncoding { detail: format!("{error:?}") })?;
        let sent = Sent::parse(certificate, above)?;
        // Before the chain: the handshake would fail on it in a way that nobody understands.
        if let Some(problem) = chain::weak_key(&sent.own) {
            return Err(problem);
        }
        let mut strictness = Strictness { at: now, moved: false, revocation: true, chain: true };
        for _ in 0..ROUNDS {
            let Err(error) = self.verify(&parsed, above, &strictness) else { break };
            if self.trusts_itself(certificate, &error) {
                strictness.chain = false;
                self.judge_alone(&sent.own).map_or(Ok(()), &mut excuse)?;
                continue;
            }
            let problem = sent.problem(error, strictness.at, &self.trusted.roots.roots);
            relax(&mut strictness, &problem, &sent.own);
            excuse(problem)?;
        }
        if !strictness.chain {
            // Who signed it is excused, or known, not when it ended.
            in_time(&sent.own, now).map_or(Ok(()), &mut excuse)?;
        }
        if ocsp::says_revoked(stapled, &sent.own, above, &self.trusted.roots.roots, self.algorithms.all, now)
        {
            excuse(Problem::Revoked { by: "the OCSP response that it sent along" })?;
        }
        if let Err(error) = parsed.verify_is_valid_for_subject_name(name) {
            excuse(wrong_name(error, &sent.own, name))?;
        }
        Ok(excused)
    }

    /// Whether a certificate that leads up to no root is to be trusted because this very one, byte for byte, was
    /// configured: as OpenSSL and Go have it. Self-signed certificates of appliances often say that they are a CA,
    /// and are refused as a server's by the rules for chains.
    fn trusts_itself(&self, certificate: &CertificateDer<'_>, error: &webpki::Error) -> bool {
        matches!(error, webpki::Error::CaUsedAsEndEntity | webpki::Error::UnknownIssuer)
            && self.trusted.configured.iter().any(|trusted| trusted == certificate)
    }

    /// What is wrong with a certificate that stands for itself, besides its time and its names: what a chain would
    /// have been asked about it.
    fn judge_alone(&self, own: &X509Certificate<'_>) -> Option<Problem> {
        // With and without the zero that keeps it positive: lists have it one way or the other.
        let serial = own.raw_serial();
        let serials = [serial, serial.strip_prefix(&[0]).unwrap_or(serial)];
        let listed = self.lists.iter().any(|list| {
            chain::is_name(own.issuer().as_raw(), list.issuer())
                && serials.iter().any(|serial| matches!(list.find_serial(serial), Ok(Some(_))))
        });
        if listed {
            return Some(Problem::Revoked { by: "a revocation list" });
        }
        match own.extended_key_usage() {
            Ok(None) => None,
            Ok(Some(uses)) if uses.value.server_auth || uses.value.any => None,
            Ok(Some(_)) | Err(_) => Some(Problem::WrongUse),
        }
    }

    fn verify(
        &self,
        certificate: &EndEntityCert<'_>,
        above: &[CertificateDer<'_>],
        strictness: &Strictness,
    ) -> Result<(), webpki::Error> {
        if !strictness.chain {
            return Ok(());
        }
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let revocation = match RevocationOptionsBuilder::new(&lists) {
            Ok(options) if strictness.revocation => Some(
                options
                    .with_depth(RevocationCheckDepth::Chain)
                    .with_status_policy(UnknownStatusPolicy::Allow)
                    // What was revoked once stays so; a list that is out of date is warned about elsewhere.
                    .with_expiration_policy(ExpirationPolicy::Ignore)
                    .build(),
            ),
            _ => None,
        };
        certificate
            .verify_for_usage(
                self.algorithms.all,
                &self.trusted.roots.roots,
                above,
                strictness.at,
                KeyUsage::server_auth(),
                revocation,
                None,
            )
            .map(drop)
    }
}

/// Looks less strictly where this problem was found, so that what else is wrong is found too.
fn relax(strictness: &mut Strictness, problem: &Problem, own: &X509Certificate<'_>) {
    let validity = own.validity();
    let at = |seconds: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    };
    match problem {
        Problem::Expired { above: None, .. } if !strictness.moved => {
            (strictness.at, strictness.moved) = (at(validity.not_after.timestamp()), true);
        }
        Problem::NotYetValid { above: None, .. } if !strictness.moved => {
            (strictness.at, strictness.moved) = (at(validity.not_before.timestamp()), true);
        }
        Problem::Revoked { .. } if strictness.revocation => strictness.revocation = false,
        _ => strictness.chain = false,
    }
}

fn in_time(own: &X509Certificate<'_>, now: UnixTime) -> Option<Problem> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let shown = |at: i64| {
        let at = std::time::Duration::from_secs(u64::try_from(at).unwrap_or(0));
        crate::explain::time(UnixTime::since_unix_epoch(at))
    };
    let (from, to) = (own.validity().not_before.timestamp(), own.validity().not_after.timestamp());
    if seconds > to {
        return Some(Problem::Expired { above: None, at: shown(to) });
    }
    (seconds < from).then(|| Problem::NotYetValid { above: None, from: shown(from) })
}

fn wrong_name(error: webpki::Error, own: &X509Certificate<'_>, name: &ServerName<'_>) -> Problem {
    let host = name.to_str().into_owned();
    match error {
        webpki::Error::CertNotValidForName(_) => {
            let presented = crate::inspect::CertificateInfo::parse(&CertificateDer::from(own.as_raw()))
                .map(|info| info.names)
                .unwrap_or_default();
            if presented.is_empty() {
                return Problem::NoSan { host, subject: printable::name(own.subject()) };
            }
            let bare = |name: String| match name.split_once(':') {
                Some(("DNS" | "IP", bare)) => bare.to_owned(),
                _ => name,
            };
            Problem::WrongName { host, presented: presented.into_iter().map(bare).collect() }
        }
        other => Problem::BadEncoding { detail: format!("{other:?}") },
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.check(end_entity, intermediates, ocsp_response, server_name, now) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            // Comes out again by `Problem::of`.
            Err(problem) => {
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(problem)))))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
