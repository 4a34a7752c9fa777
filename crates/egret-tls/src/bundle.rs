//! Bundles of CAs: several sources, each certificate once.

use std::collections::HashSet;

use rustls_pki_types::CertificateDer;

use crate::files::certificate_pem;
use crate::inspect::CertificateInfo;

/// A bundle in the making.
#[derive(Debug, Default)]
pub struct Bundle {
    certificates: Vec<CertificateDer<'static>>,
    seen: HashSet<Vec<u8>>,
    /// Certificates that were there already.
    pub duplicates: usize,
}

impl Bundle {
    /// Adds certificates, and says how many were new.
    pub fn add(&mut self, certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> usize {
        let before = self.certificates.len();
        for certificate in certificates {
            if self.seen.insert(certificate.to_vec()) {
                self.certificates.push(certificate);
            } else {
                self.duplicates += 1;
            }
        }
        self.certificates.len() - before
    }

    /// The certificates, in the order in which they came.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The bundle in PEM, the subject above each certificate for people.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for certificate in &self.certificates {
            if let Ok(info) = CertificateInfo::parse(certificate) {
                // A comment of one line: what is in a name was made printable.
                text.push_str(&format!("# {}\n", info.subject));
            }
            text.push_str(&certificate_pem(certificate));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_each_certificate_once_in_the_order_of_arrival() {
        let make = |name: &str| {
            rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap().cert.der().clone()
        };
        let (one, two) = (make("one.test"), make("two.test"));
        let mut bundle = Bundle::default();
        assert_eq!(bundle.add([one.clone(), two.clone(), one.clone()]), 2);
        assert_eq!(bundle.add([two.clone()]), 0);
        assert_eq!((bundle.certificates(), bundle.duplicates), (&[one, two][..], 2));
        assert_eq!(bundle.to_pem().matches("BEGIN CERTIFICATE").count(), 2);
    }
}
