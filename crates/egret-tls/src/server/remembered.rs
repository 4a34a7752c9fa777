//! Client certificates that were judged good, so that a client that comes again costs no signature checks.
//! What is remembered dies with the verifier: other CAs, lists or names mean another verifier.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use egret_core::identity::ClientCertificate;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::names;

/// Certificates that are remembered. With more in use, all are forgotten and judged again, once.
const MOST: usize = 4096;

/// A certificate that was judged good.
#[derive(Debug)]
struct Good {
    certificate: Arc<ClientCertificate>,
    /// The time in which its whole chain is valid, both ends included, in seconds since the epoch.
    valid: (i64, i64),
}

/// The digest of a certificate with its chain.
pub(super) type Digest = [u8; 32];

/// Certificates that were judged good.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    good: Mutex<HashMap<Digest, Good>>,
}

impl Remembered {
    /// The names of a certificate that was judged good and is still valid.
    pub(super) fn find(&self, digest: &Digest, now: UnixTime) -> Option<Arc<ClientCertificate>> {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        let found = good.get(digest)?;
        let now = seconds(now);
        (found.valid.0 <= now && now <= found.valid.1).then(|| found.certificate.clone())
    }

    /// Remembers a certificate that was judged good just now.
    pub(super) fn add(
        &self,
        digest: Digest,
        chain: &[&CertificateDer<'_>],
        certificate: Arc<ClientCertificate>,
    ) {
        let mut valid = (i64::MIN, i64::MAX);
        for der in chain {
            let Some(parsed) = names::parse(der) else { return };
            let validity = parsed.validity();
            valid.0 = valid.0.max(validity.not_before.timestamp());
            valid.1 = valid.1.min(validity.not_after.timestamp());
        }
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= MOST {
            good.clear();
        }
        good.insert(digest, Good { certificate, valid });
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The digest of a certificate and the certificates that came with it. Lengths go in as well, so that no
/// two chains look the same.
pub(super) fn digest(certificate: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Digest {
    let mut context = Context::new(&SHA256);
    for der in std::iter::once(certificate).chain(intermediates) {
        context.update(&(der.len() as u64).to_be_bytes());
        context.update(der);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
