//! The files that CAs come to.

use std::collections::HashMap;
use std::sync::Arc;

use egret_tls::bundle::Bundle;
use egret_tls::files::{Contents, FileProblem, Password, chain_pem, pkcs12_truststore};
use egret_tls::roots::mozilla_certificates;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use super::Trouble;

/// The public CAs and ours, PEM.
pub(crate) const ALL_KEY: &str = "ca-bundle.crt";
/// Ours alone, PEM.
pub(crate) const OWN_KEY: &str = "egret-ca.crt";
/// The public CAs and ours, PKCS#12 as keytool makes it.
pub(crate) const JAVA_KEY: &str = "ca-bundle.p12";
/// What keytool takes if nothing is said; the file holds no secret.
pub(crate) const PASSWORD: &str = "changeit";
/// What the API server takes in one ConfigMap, all keys together.
const LIMIT: usize = 1024 * 1024;
/// Of names and labels beside the data.
const MARGIN: usize = 16 * 1024;
const ALIAS: &str = "ca";

/// The files of one set of CAs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Which CAs are in it: SHA-256 over all of them.
    pub(crate) hash: String,
    /// [`ALL_KEY`].
    pub(crate) all: String,
    /// [`OWN_KEY`].
    pub(crate) own: String,
    /// [`JAVA_KEY`].
    pub(crate) java: Vec<u8>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Built {
    /// Puts them together. Ours come first: who looks into the file sees them.
    ///
    /// # Errors
    /// They do not fit into a ConfigMap, or a certificate cannot be written into PKCS#12.
    pub(crate) fn new(own: &[CertificateDer<'static>]) -> Result<Self, Trouble> {
        let mut bundle = Bundle::default();
        bundle.add(own.iter().cloned());
        bundle.add(mozilla_certificates().iter().cloned());
        let certificates = bundle.certificates().to_vec();
        let password = Password::new(PASSWORD.to_owned());
        let java = pkcs12_truststore(&certificates, ALIAS, &password)
            .map_err(|problem| Trouble::new("InvalidCA", problem.to_string()))?;
        let built =
            Self { hash: hash(&certificates), all: bundle.to_pem(), own: chain_pem(own), java, certificates };
        let size = built.all.len() + built.own.len() + built.java.len() + MARGIN;
        if size > LIMIT {
            return Err(Trouble::new(
                "BundleTooLarge",
                format!(
                    "the bundles take {size} bytes, and a ConfigMap takes {LIMIT}: name fewer CAs in trustedCA ({} are named)",
                    own.len()
                ),
            ));
        }
        Ok(built)
    }

    /// Whether this PKCS#12 has the same CAs. It is never the same bytes twice: salt is in it.
    pub(crate) fn is_same_java(&self, bytes: &[u8]) -> bool {
        if self.java == bytes {
            return true;
        }
        let password = Password::new(PASSWORD.to_owned());
        let read = |bytes: &[u8]| -> Result<Vec<CertificateDer<'static>>, FileProblem> {
            let contents = Contents::parse(bytes, Some(&password))?;
            Ok(contents.certificates().cloned().collect())
        };
        let Ok(mut found) = read(bytes) else { return false };
        let mut wanted = self.certificates.clone();
        for list in [&mut found, &mut wanted] {
            list.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        }
        found == wanted
    }

    /// The same, but for a PKCS#12 that is there already: what is applied again is the same to the byte.
    pub(crate) fn with_java(&self, java: Vec<u8>) -> Self {
        Self {
            hash: self.hash.clone(),
            all: self.all.clone(),
            own: self.own.clone(),
            java,
            certificates: self.certificates.clone(),
        }
    }
}

fn hash(certificates: &[CertificateDer<'static>]) -> String {
    let mut hasher = Sha256::new();
    // The form of the files, which a later version may change.
    hasher.update([1]);
    for certificate in certificates {
        hasher.update((certificate.len() as u64).to_be_bytes());
        hasher.update(certificate);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sets that are in use, so that each is put together once and not for each namespace.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    built: HashMap<Vec<CertificateDer<'static>>, Result<Arc<Built>, Trouble>>,
}

impl Cache {
    /// The files of these CAs.
    pub(crate) fn of(&mut self, own: &[CertificateDer<'static>]) -> Result<Arc<Built>, Trouble> {
        if let Some(known) = self.built.get(own) {
            return known.clone();
        }
        let built = Built::new(own).map(Arc::new);
        self.built.insert(own.to_vec(), built.clone());
        built
    }

    /// Forgets what nobody asked for.
    pub(crate) fn keep_only(&mut self, used: &[Vec<CertificateDer<'static>>]) {
        self.built.retain(|own, _| used.contains(own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca(name: &str) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn has_ours_beside_the_public_ones_and_alone() {
        let ours = ca("corp.test");
        let built = Built::new(std::slice::from_ref(&ours)).unwrap();
        assert_eq!(built.own, chain_pem([&ours]));
        let count = built.all.matches("BEGIN CERTIFICATE").count();
        assert_eq!(count, mozilla_certificates().len() + 1);
        assert!(built.all.find(&built.own).unwrap() < 200, "ours come first");
        assert!(built.all.len() + built.java.len() < LIMIT / 2, "half a ConfigMap is to spare");
    }

    #[test]
    fn knows_a_pkcs12_of_the_same_cas_again() {
        let ours = [ca("corp.test")];
        let (one, two) = (Built::new(&ours).unwrap(), Built::new(&ours).unwrap());
        assert_ne!(one.java, two.java, "salt");
        assert!(one.is_same_java(&two.java));
        assert!(!one.is_same_java(&Built::new(&[ca("other.test")]).unwrap().java));
        assert!(!one.is_same_java(b"no PKCS#12"));
    }

    #[test]
    fn refuses_what_does_not_fit_into_a_config_map() {
        let many: Vec<_> = (0..1200).map(|index| ca(&format!("ca-{index}.test"))).collect();
        let trouble = Built::new(&many).unwrap_err();
        assert_eq!(trouble.reason, "BundleTooLarge");
    }
}
