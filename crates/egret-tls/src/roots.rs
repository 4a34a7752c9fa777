//! Trust stores: the roots of the system, or Mozilla's, and private CAs beside them.

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Where the general roots came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootsSource {
    /// The system's store (or `SSL_CERT_FILE`, `SSL_CERT_DIR`).
    System,
    /// Mozilla's list, built into the program; the system had none, as in an empty container.
    BuiltIn,
}

/// The roots that every upstream may be signed by.
#[derive(Clone, Debug)]
pub struct GeneralRoots {
    /// The roots.
    pub store: RootCertStore,
    /// Where they came from.
    pub source: RootsSource,
    /// What could not be read while loading them, for the log.
    pub warnings: Vec<String>,
}

/// Why a PEM with further CAs cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No certificate is in it.
    #[error("the PEM holds no certificate")]
    Empty,
    /// It is no PEM.
    #[error("certificate {index} of the PEM cannot be read: {detail}")]
    Pem {
        /// Counted from 1.
        index: usize,
        /// What is wrong with it.
        detail: String,
    },
    /// A certificate in it cannot be a trust anchor.
    #[error("certificate {index} of the PEM cannot be trusted: {detail}")]
    Certificate {
        /// Counted from 1.
        index: usize,
        /// What is wrong with it.
        detail: String,
    },
}

impl GeneralRoots {
    /// Loads the system's roots, or takes the built-in ones where the system has none.
    ///
    /// Reads files; not for the data path.
    #[must_use]
    pub fn load() -> Self {
        let native = rustls_native_certs::load_native_certs();
        let mut warnings: Vec<String> = native.errors.iter().map(ToString::to_string).collect();
        let mut store = RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(native.certs);
        if ignored > 0 {
            warnings.push(format!("{ignored} certificates of the system's store cannot be parsed"));
        }
        if added > 0 {
            return Self { store, source: RootsSource::System, warnings };
        }
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Self { store, source: RootsSource::BuiltIn, warnings }
    }

    /// These roots, and the CAs of a PEM beside them.
    ///
    /// # Errors
    /// Which certificate of the PEM cannot be used, and why. One bad certificate spoils all: a CA that
    /// somebody configured must not be missing without a word.
    pub fn with_pem(&self, pem: Option<&[u8]>) -> Result<RootCertStore, TrustError> {
        let mut store = self.store.clone();
        if let Some(pem) = pem {
            add_pem(&mut store, pem)?;
        }
        Ok(store)
    }
}

/// The certificates of the system's store, whole, as files of CAs have them. Empty where the system has none.
///
/// Reads files; not for the data path.
#[must_use]
pub fn system_certificates() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// The certificates of Mozilla's list, whole, built into the program.
#[must_use]
pub fn mozilla_certificates() -> &'static [CertificateDer<'static>] {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
}

/// The certificates of a PEM, whole; what cannot be read is left out ([`GeneralRoots::with_pem`] says so).
#[must_use]
pub fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).flatten().map(CertificateDer::into_owned).collect()
}

fn add_pem(store: &mut RootCertStore, pem: &[u8]) -> Result<(), TrustError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let certificate = certificate
            .map_err(|error| TrustError::Pem { index: count, detail: error.to_string() })?
            .into_owned();
        store
            .add(certificate)
            .map_err(|error| TrustError::Certificate { index: count, detail: error.to_string() })?;
    }
    if count == 0 { Err(TrustError::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn general() -> GeneralRoots {
        GeneralRoots { store: RootCertStore::empty(), source: RootsSource::BuiltIn, warnings: Vec::new() }
    }

    #[test]
    fn adds_every_certificate_of_a_pem() {
        let one = rcgen::generate_simple_self_signed(vec!["one.test".to_owned()]).unwrap();
        let two = rcgen::generate_simple_self_signed(vec!["two.test".to_owned()]).unwrap();
        let pem = format!("{}\n# the second\n{}", one.cert.pem(), two.cert.pem());
        assert_eq!(general().with_pem(Some(pem.as_bytes())).unwrap().len(), 2);
    }

    #[test]
    fn refuses_a_pem_without_certificates() {
        assert_eq!(general().with_pem(Some(b"hello")).unwrap_err(), TrustError::Empty);
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(general().with_pem(Some(key.as_bytes())).unwrap_err(), TrustError::Empty);
    }

    #[test]
    fn refuses_a_pem_with_one_broken_certificate_and_says_which() {
        let good = rcgen::generate_simple_self_signed(vec!["one.test".to_owned()]).unwrap().cert.pem();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = general().with_pem(Some(format!("{good}{broken}").as_bytes())).unwrap_err();
        assert!(matches!(error, TrustError::Certificate { index: 2, .. }), "{error}");
    }

    #[test]
    fn always_finds_general_roots() {
        let roots = GeneralRoots::load();
        assert!(!roots.store.is_empty());
    }
}
