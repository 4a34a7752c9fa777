//! What the webhook shows: one certificate, changed while it runs.

use std::sync::{Mutex, PoisonError};

use egret_tls::files::{Identity, chain_pem, key_pem};
use egret_tls::inspect::CertificateInfo;
use jiff::Timestamp;

use crate::admission::Certificates;

/// The certificate in use, and what is known of it. Without one, handshakes fail, and the API server goes on as
/// `failurePolicy` says.
#[derive(Debug)]
pub(crate) struct Serving {
    certificates: Certificates,
    current: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    /// SHA-256 of the certificate.
    print: String,
    not_after: Timestamp,
}

impl Serving {
    /// Nothing is shown yet.
    pub(crate) fn new(certificates: Certificates) -> Self {
        Self { certificates, current: Mutex::default() }
    }

    /// Shows this one from now on. Gives whether it is another than before.
    ///
    /// # Errors
    /// It cannot be used; the one before stays.
    pub(crate) fn show(&self, identity: &Identity) -> Result<bool, String> {
        let info = CertificateInfo::parse(&identity.chain[0])?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|known| known.print == info.sha256) {
            return Ok(false);
        }
        let key = key_pem(&identity.key).map_err(|problem| problem.to_string())?;
        self.certificates
            .set(chain_pem(&identity.chain).as_bytes(), key.as_bytes())
            .map_err(|error| error.to_string())?;
        *current = Some(Known { print: info.sha256, not_after: info.not_after });
        Ok(true)
    }

    /// Its last second; `None` without one.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|known| known.not_after)
    }
}
