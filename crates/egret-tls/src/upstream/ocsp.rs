//! Stapled OCSP responses (RFC 6960): whether the CA says in one that it has taken the certificate back.
//!
//! A response that cannot be read, is for another certificate or is not signed by the CA counts for nothing:
//! browsers do the same, for whoever could forge one could as well leave it out.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::chain::is_name;
use crate::server::ocsp::{BadResponse, Der, time};

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;

/// Responses with more bytes are not read. Real ones have one to three thousand.
const MAX_RESPONSE: usize = 64 * 1024;

type Algorithms<'a> = &'a [&'a dyn SignatureVerificationAlgorithm];

/// A public key, as the content of its SubjectPublicKeyInfo.
struct Key<'a> {
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> Key<'a> {
    fn read(content: &'a [u8]) -> Result<Self, BadResponse> {
        let mut fields = Der(content);
        let algorithm = fields.next(SEQUENCE)?;
        Ok(Self { algorithm, bits: bits(fields.next(BIT_STRING)?)? })
    }

    fn has_signed(
        &self,
        algorithms: Algorithms<'_>,
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        algorithms.iter().any(|known| {
            known.signature_alg_id().as_ref() == algorithm
                && known.public_key_alg_id().as_ref() == self.algorithm
                && known.verify_signature(self.bits, message, signature).is_ok()
        })
    }
}

/// Whether a response says that the certificate was revoked, and its CA has signed that.
pub(super) fn says_revoked(
    response: &[u8],
    certificate: &X509Certificate<'_>,
    above: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    algorithms: Algorithms<'_>,
    now: UnixTime,
) -> bool {
    if response.is_empty() || response.len() > MAX_RESPONSE {
        return false;
    }
    let issuer = certificate.issuer().as_raw();
    let above: Vec<_> = above.iter().filter_map(|der| X509Certificate::from_der(der).ok()).collect();
    let sent = above.iter().filter(|ca| ca.1.subject().as_raw() == issuer).filter_map(|ca| {
        let raw = ca.1.public_key().raw;
        Der(raw).whole(SEQUENCE).ok()
    });
    let trusted = anchors.iter().filter(|anchor| is_name(issuer, &anchor.subject));
    let keys = sent.chain(trusted.map(|anchor| anchor.subject_public_key_info.as_ref()));
    keys.filter_map(|content| Key::read(content).ok())
        .any(|key| revoked(response, certificate, &key, algorithms, now).unwrap_or(false))
}

fn revoked(
    response: &[u8],
    certificate: &X509Certificate<'_>,
    issuer: &Key<'_>,
    algorithms: Algorithms<'_>,
    now: UnixTime,
) -> Result<bool, BadResponse> {
    let mut outer = Der(Der(response).whole(SEQUENCE)?);
    if outer.next(ENUMERATED)? != [0] {
        return Ok(false);
    }
    let mut bytes = Der(Der(outer.next(CONTEXT_0)?).whole(SEQUENCE)?);
    bytes.any()?; // The type; there is only one.
    let mut basic = Der(Der(bytes.next(OCTETS)?).whole(SEQUENCE)?);
    let (signed, data) = basic.with_raw(SEQUENCE)?;
    if !lists_as_revoked(data, certificate, issuer, now)? {
        return Ok(false);
    }
    let algorithm = basic.next(SEQUENCE)?;
    let signature = bits(basic.next(BIT_STRING)?)?;
    if issuer.has_signed(algorithms, algorithm, signed, signature) {
        return Ok(true);
    }
    // Or by somebody whom the CA has appointed (RFC 6960 section 4.2.2.2).
    let Some(explicit) = basic.optional(CONTEXT_0) else { return Ok(false) };
    let mut certificates = Der(Der(explicit).whole(SEQUENCE)?);
    while !certificates.0.is_empty() {
        let (raw, _) = certificates.with_raw(SEQUENCE)?;
        if delegate(raw, certificate, issuer, algorithms, now)
            .is_some_and(|key| key.has_signed(algorithms, algorithm, signed, signature))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the response has this certificate among those that were revoked.
fn lists_as_revoked(
    data: &[u8],
    certificate: &X509Certificate<'_>,
    issuer: &Key<'_>,
    now: UnixTime,
) -> Result<bool, BadResponse> {
    let mut data = Der(data);
    data.optional(CONTEXT_0); // version
    data.any()?; // responderID
    data.next(GENERALIZED_TIME)?; // producedAt
    let mut singles = Der(data.next(SEQUENCE)?);
    while !singles.0.is_empty() {
        let mut single = Der(singles.next(SEQUENCE)?);
        let mut id = Der(single.next(SEQUENCE)?);
        id.any()?; // Hash algorithm: the length of the hashes tells it as well.
        let name = id.next(OCTETS)?;
        let key = id.next(OCTETS)?;
        let is_ours = id.next(INTEGER)? == certificate.raw_serial()
            && is_hash_of(name, certificate.issuer().as_raw())
            && is_hash_of(key, issuer.bits);
        let (status, _) = single.any()?;
        let this_update = time(single.next(GENERALIZED_TIME)?)?;
        if is_ours && status & 0x1f == 1 && this_update <= std::time::Duration::from_secs(now.as_secs()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_hash_of(hash: &[u8], bytes: &[u8]) -> bool {
    let algorithm = match hash.len() {
        20 => &SHA1_FOR_LEGACY_USE_ONLY,
        32 => &SHA256,
        48 => &SHA384,
        64 => &SHA512,
        _ => return false,
    };
    digest(algorithm, bytes).as_ref() == hash
}

/// The key of a certificate that the CA has signed for answering (`id-kp-OCSPSigning`).
fn delegate<'a>(
    raw: &'a [u8],
    certificate: &X509Certificate<'_>,
    issuer: &Key<'_>,
    algorithms: Algorithms<'_>,
    now: UnixTime,
) -> Option<Key<'a>> {
    let (_, parsed) = X509Certificate::from_der(raw).ok()?;
    let seconds = i64::try_from(now.as_secs()).ok()?;
    let validity = parsed.validity();
    let in_time = (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds);
    let may = parsed.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.ocsp_signing);
    if !in_time || !may || parsed.issuer().as_raw() != certificate.issuer().as_raw() {
        return None;
    }
    let mut fields = Der(Der(raw).whole(SEQUENCE).ok()?);
    let (tbs, _) = fields.with_raw(SEQUENCE).ok()?;
    let algorithm = fields.next(SEQUENCE).ok()?;
    let signature = bits(fields.next(BIT_STRING).ok()?).ok()?;
    if !issuer.has_signed(algorithms, algorithm, tbs, signature) {
        return None;
    }
    let key: &'a [u8] = parsed.tbs_certificate.subject_pki.raw;
    Key::read(Der(key).whole(SEQUENCE).ok()?).ok()
}

/// The bytes of a BIT STRING, which has whole ones here.
fn bits(content: &[u8]) -> Result<&[u8], BadResponse> {
    match content {
        [0, bytes @ ..] => Ok(bytes),
        _ => Err(BadResponse::Malformed),
    }
}
