//! A private certificate authority on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;

/// A CA that signs leaves for test origins. Its certificate is a PEM file as long as this lives.
#[derive(Debug)]
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate of the CA as PEM files, which live as long as the CA.
#[derive(Clone, Debug)]
pub struct TestLeaf {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Both.
    pub combined: PathBuf,
}

impl TestCa {
    /// A new CA.
    #[must_use]
    pub fn new() -> Self {
        Self::named("Egret test CA")
    }

    /// A new CA of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), directory }
    }

    /// The CA's certificate as a PEM file.
    #[must_use]
    pub fn pem(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A directory that lives as long as the CA, for stores made from it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A server's certificate for these names, and its key, as PEM files that live as long as the CA.
    #[must_use]
    pub fn files(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Egret test server");
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let (certificate, key_file) =
            (self.directory.path().join("leaf.pem"), self.directory.path().join("leaf.key"));
        std::fs::write(&certificate, leaf.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (certificate, key_file)
    }

    /// Makes a certificate with the common name `name`, as files of that name.
    #[must_use]
    pub fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TestLeaf {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let write = |extension: &str, text: &str| {
            let path = self.directory.path().join(format!("{name}.{extension}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        TestLeaf {
            certificate: write("crt", &certificate),
            key: write("key", &key.serialize_pem()),
            combined: write("pem", &format!("{certificate}{}", key.serialize_pem())),
        }
    }

    /// Makes a certificate for a server of these names.
    #[must_use]
    pub fn server_leaf(&self, name: &str, names: &[&str]) -> TestLeaf {
        self.leaf(name, |params| {
            params.subject_alt_names =
                CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
                    .unwrap()
                    .subject_alt_names;
        })
    }

    /// The CA's key as a PEM file, for openssl.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        let path = self.directory.path().join("ca.key");
        std::fs::write(&path, self.issuer.key().serialize_pem()).unwrap();
        path
    }

    /// A revocation list of these serial numbers, valid until the end of a year, as a PEM file.
    #[must_use]
    pub fn crl(&self, file: &str, serials: &[u64], year: i32) -> PathBuf {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 12, 31),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.directory.path().join(file);
        std::fs::write(&path, params.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        path
    }

    /// What a server needs to answer as these names (DNS names or addresses), HTTP/1.1 in ALPN.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Egret test origin");
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
