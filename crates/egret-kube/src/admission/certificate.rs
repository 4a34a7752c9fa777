//! The webhook's certificate, which is changed while the server runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used. The one before stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No certificate in PEM.
    #[error("tls.crt has no certificate in PEM: {0}")]
    Chain(String),
    /// No private key in PEM.
    #[error("tls.key has no private key in PEM that can be read (PKCS#8, PKCS#1 or SEC 1, not encrypted)")]
    Key,
    /// They do not belong together, or are of a kind that is not supported.
    #[error("tls.crt and tls.key cannot be used together: {0}")]
    Pair(String),
}

/// The certificate in use. Clones are the same one.
#[derive(Clone, Default)]
pub struct Certificates {
    current: Arc<ArcSwapOption<CertifiedKey>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("set", &self.is_set()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Uses another one, from the next connection on. Both in PEM, as a Secret of type `kubernetes.io/tls` has them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn set(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| CertificateError::Chain(error.to_string()))?;
        if chain.is_empty() {
            return Err(CertificateError::Chain("it is empty".to_owned()));
        }
        // The error might show what the key looks like.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::Key)?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| CertificateError::Pair(error.to_string()))?;
        self.current.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.current.load().is_some()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}
