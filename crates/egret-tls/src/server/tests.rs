use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_core::identity::{NameKind, TlsVersion};
use egret_core::reason::Reason;
use egret_core::settings::{CertificateFiles, ClientAuth, ListenerTls};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, ServerConnection};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tempfile::TempDir;

use super::*;

/// A CA with a directory for what it makes.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A leaf: certificate and key in PEM.
    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a client");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn crl(&self, serials: &[u64], next_update: (i32, u8, u8)) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(next_update.0, next_update.1, next_update.2),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A listener's files, and who may speak to it.
struct Setting {
    directory: TempDir,
    ca: Ca,
    settings: ListenerTls,
}

impl Setting {
    fn new(client_auth: ClientAuth) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ca = Ca::new("the CA");
        let mut setting = Self {
            ca,
            settings: ListenerTls {
                certificates: Vec::new(),
                min_version: TlsVersion::Tls12,
                client_auth,
                client_ca: None,
                crls: Vec::new(),
                allowed_clients: Vec::new(),
            },
            directory,
        };
        setting.add_certificate("server", &["localhost"]);
        if client_auth != ClientAuth::None {
            setting.settings.client_ca = Some(setting.write("ca.pem", &setting.ca.pem));
        }
        setting
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn add_certificate(&mut self, name: &str, names: &[&str]) {
        let (certificate, key) = self.ca.leaf(|params| {
            params.subject_alt_names =
                names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        });
        let files = CertificateFiles {
            certificate: self.write(&format!("{name}.crt"), &certificate),
            key: Some(self.write(&format!("{name}.key"), &key)),
            password: None,
            ocsp: None,
        };
        self.settings.certificates.push(files);
    }

    fn load(&self) -> ServerTls {
        self.load_after(None)
    }

    fn load_after(&self, before: Option<&ServerTls>) -> ServerTls {
        ServerTls::load(&self.settings, before).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    fn client(
        &self,
        identity: Option<&(String, String)>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for certificate in files::cas_from_bytes(Path::new("ca"), self.ca.pem.as_bytes()).unwrap() {
            roots.add(certificate).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let path = Path::new("client");
                let identity = files::identity_from_bytes(
                    (path, certificate.as_bytes()),
                    Some((path, key.as_bytes())),
                    None,
                );
                let files::Identity { chain, key } = identity.unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

const LISTENER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8443);

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const EACH: [&[&rustls::SupportedProtocolVersion]; 2] =
    [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

struct Outcome {
    server: Result<ClientTls, Failure>,
    alert: Option<AlertDescription>,
}

/// Shakes hands in memory.
fn shake(tls: &ServerTls, client: &Arc<ClientConfig>, name: &str) -> Outcome {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(tls.config.clone()).unwrap();
    let (mut refused, mut alert) = (None, None);
    for _ in 0..10 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut flight = flight.as_slice();
        while !flight.is_empty() && refused.is_none() {
            server.read_tls(&mut flight).unwrap();
            refused = server.process_new_packets().err().map(|error| failure(&error));
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        let mut flight = flight.as_slice();
        while !flight.is_empty() {
            client.read_tls(&mut flight).unwrap();
            if let Err(Error::AlertReceived(received)) = client.process_new_packets() {
                alert = Some(received);
            }
            let _ = client.reader().read(&mut [0; 100]);
        }
    }
    let server = match refused {
        Some(refused) => Err(refused),
        None => tls.session(&server, LISTENER),
    };
    Outcome { server, alert }
}

#[test]
fn says_what_was_agreed() {
    let setting = Setting::new(ClientAuth::None);
    for (versions, expected) in EACH.into_iter().zip([TlsVersion::Tls12, TlsVersion::Tls13]) {
        let session = shake(&setting.load(), &setting.client(None, versions), "localhost").server.unwrap();
        assert_eq!(session.version, expected);
        assert!(session.cipher_suite.starts_with("TLS_"), "{}", session.cipher_suite);
        assert_eq!(session.server_name.as_deref(), Some("localhost"));
        assert!(session.certificate.is_none() && !session.resumed);
    }
}

#[test]
fn knows_a_client_by_its_names() {
    let setting = Setting::new(ClientAuth::Required);
    let identity = setting.ca.leaf(|params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.subject_alt_names = vec![
            SanType::DnsName("Build.Example".try_into().unwrap()),
            SanType::URI("spiffe://example.org/ns/ci/sa/build".try_into().unwrap()),
            SanType::Rfc822Name("build@EXAMPLE.org".try_into().unwrap()),
        ];
    });
    for versions in EACH {
        let session =
            shake(&setting.load(), &setting.client(Some(&identity), versions), "localhost").server.unwrap();
        let certificate = session.certificate.unwrap();
        assert_eq!(&**certificate.name(), "spiffe://example.org/ns/ci/sa/build");
        let names: Vec<String> = certificate.names().iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "uri:spiffe://example.org/ns/ci/sa/build",
                "dns:build.example",
                "email:build@example.org",
                "subject:O=Example\\, Inc.,CN=a client"
            ]
        );
        assert_eq!(certificate.names()[3].kind, NameKind::Subject);
        assert_eq!(certificate.organizations(), ["Example, Inc.".into()]);
        assert_eq!(&*certificate.workload().unwrap().namespace, "ci");
    }
}

/// Every way in which a certificate can be wrong, in both versions: reason, alert, and a word of the detail.
#[test]
fn tells_the_wrong_certificates_apart() {
    let mut setting = Setting::new(ClientAuth::Required);
    let crl = setting.ca.crl(&[77], (2099, 1, 1));
    setting.settings.crls.push(setting.write("ca.crl", &crl));
    setting.settings.allowed_clients = vec!["subject:CN=a client".parse().unwrap()];
    let tls = setting.load();
    let client_auth = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2021, 2, 3);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2098, 2, 3);
    let server_auth = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let revoked = |params: &mut CertificateParams| params.serial_number = Some(SerialNumber::from(77));
    let renamed =
        |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "another");
    use AlertDescription as Alert;
    let table = [
        (None, Reason::ClientCertificateMissing, Alert::CertificateRequired, "clientAuth: required"),
        (
            Some(Ca::new("other CA").leaf(client_auth)),
            Reason::ClientCertificateUnknownCa,
            Alert::UnknownCA,
            "`CN=other CA`",
        ),
        (
            Some(Ca::new("the CA").leaf(client_auth)),
            Reason::ClientCertificateUnknownCa,
            Alert::UnknownCA,
            "made anew",
        ),
        (
            Some(setting.ca.leaf(expired)),
            Reason::ClientCertificateExpired,
            Alert::CertificateExpired,
            "2021-02-03",
        ),
        (
            Some(setting.ca.leaf(early)),
            Reason::ClientCertificateNotYetValid,
            Alert::CertificateExpired,
            "2098-02-03",
        ),
        (
            Some(setting.ca.leaf(server_auth)),
            Reason::ClientCertificatePurpose,
            Alert::UnsupportedCertificate,
            "clientAuth",
        ),
        (
            Some(setting.ca.leaf(revoked)),
            Reason::ClientCertificateRevoked,
            Alert::CertificateRevoked,
            "revoked",
        ),
        (
            Some(setting.ca.leaf(renamed)),
            Reason::ClientCertificateName,
            Alert::AccessDenied,
            "subject:CN=another",
        ),
    ];
    for (identity, reason, alert, word) in table {
        for versions in EACH {
            let outcome = shake(&tls, &setting.client(identity.as_ref(), versions), "localhost");
            let failure = outcome.server.unwrap_err();
            assert_eq!(failure.reason, reason, "{}", failure.detail);
            assert_eq!(outcome.alert, Some(alert), "{}", failure.detail);
            assert!(failure.detail.contains(word), "{}", failure.detail);
        }
    }
    let good = setting.ca.leaf(client_auth);
    assert!(shake(&tls, &setting.client(Some(&good), BOTH), "localhost").server.is_ok());
}

#[test]
fn a_revocation_list_that_says_nothing_lets_nobody_in() {
    let mut setting = Setting::new(ClientAuth::Required);
    let identity = setting.ca.leaf(|_| {});
    let client = setting.client(Some(&identity), BOTH);
    let old = setting.ca.crl(&[], (2021, 1, 1));
    setting.settings.crls = vec![setting.write("old.crl", &old)];
    let failure = shake(&setting.load(), &client, "localhost").server.unwrap_err();
    assert_eq!(failure.reason, Reason::ClientCertificateInvalid);
    assert!(failure.detail.contains("out of date since 2021-01-01"), "{}", failure.detail);

    let foreign = Ca::new("elsewhere").crl(&[], (2099, 1, 1));
    setting.settings.crls = vec![setting.write("foreign.crl", &foreign)];
    let failure = shake(&setting.load(), &client, "localhost").server.unwrap_err();
    assert!(failure.detail.contains("no list of `crl`"), "{}", failure.detail);
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_bad() {
    let setting = Setting::new(ClientAuth::Optional);
    let tls = setting.load();
    let session = shake(&tls, &setting.client(None, BOTH), "localhost").server.unwrap();
    assert_eq!(session.certificate, None);
    let good = setting.ca.leaf(|_| {});
    let session = shake(&tls, &setting.client(Some(&good), BOTH), "localhost").server.unwrap();
    assert_eq!(&**session.certificate.unwrap().name(), "CN=a client");
    let bad = Ca::new("other CA").leaf(|_| {});
    assert!(shake(&tls, &setting.client(Some(&bad), BOTH), "localhost").server.is_err());
}

#[test]
fn resumes_until_the_rules_change() {
    let mut setting = Setting::new(ClientAuth::Required);
    let identity = setting.ca.leaf(|params| params.serial_number = Some(SerialNumber::from(5)));
    for versions in EACH {
        setting.settings.crls.clear();
        let tls = setting.load();
        let client = setting.client(Some(&identity), versions);
        assert!(!shake(&tls, &client, "localhost").server.unwrap().resumed);
        let session = shake(&tls, &client, "localhost").server.unwrap();
        assert!(session.resumed);
        assert_eq!(&**session.certificate.unwrap().name(), "CN=a client", "the name is known all the same");

        setting.add_certificate("second", &["second.test"]);
        let tls = setting.load_after(Some(&tls));
        assert!(
            shake(&tls, &client, "localhost").server.unwrap().resumed,
            "a new certificate changes nothing"
        );

        let crl = setting.ca.crl(&[5], (2099, 1, 1));
        setting.settings.crls = vec![setting.write("ca.crl", &crl)];
        let tls = setting.load_after(Some(&tls));
        let failure = shake(&tls, &client, "localhost").server.unwrap_err();
        assert_eq!(
            failure.reason,
            Reason::ClientCertificateRevoked,
            "a session does not outlive a revocation"
        );
        setting.settings.certificates.truncate(1);
    }
}

#[test]
fn what_did_not_change_is_taken_over() {
    let setting = Setting::new(ClientAuth::Required);
    let before = setting.load();
    let after = setting.load_after(Some(&before));
    assert!(Arc::ptr_eq(&before.config, &after.config));
}

#[test]
fn the_name_chooses_the_certificate() {
    let mut setting = Setting::new(ClientAuth::None);
    setting.add_certificate("second", &["second.test", "*.wild.test"]);
    let tls = setting.load();
    for name in ["localhost", "second.test", "a.wild.test"] {
        // The client's own verification fails where it gets another certificate.
        assert!(shake(&tls, &setting.client(None, BOTH), name).server.is_ok(), "{name}");
    }
    let failure = shake(&tls, &setting.client(None, BOTH), "nobody.test").server.unwrap_err();
    assert_eq!(failure.reason, Reason::ProxyCertificateRejected, "{}", failure.detail);
}

#[test]
fn a_client_that_does_not_trust_the_proxy_is_told_apart() {
    let setting = Setting::new(ClientAuth::None);
    for (name, word) in [("other CA", "does not trust"), ("the CA", "made anew")] {
        let mut stranger = Setting::new(ClientAuth::None);
        stranger.ca = Ca::new(name);
        let failure = shake(&setting.load(), &stranger.client(None, BOTH), "localhost").server.unwrap_err();
        assert_eq!(failure.reason, Reason::ProxyCertificateRejected);
        assert!(failure.detail.contains(word), "{}", failure.detail);
    }
}

#[test]
fn only_tls_1_3_when_that_is_the_least() {
    let mut setting = Setting::new(ClientAuth::None);
    setting.settings.min_version = TlsVersion::Tls13;
    let tls = setting.load();
    let outcome = shake(&tls, &setting.client(None, EACH[0]), "localhost");
    assert_eq!(outcome.alert, Some(AlertDescription::ProtocolVersion));
    let failure = outcome.server.unwrap_err();
    assert_eq!(failure.reason, Reason::ClientTlsFailed);
    assert!(failure.detail.contains("versions of TLS"), "{}", failure.detail);
}

#[test]
fn names_the_setting_of_each_file_that_is_wrong() {
    let mut setting = Setting::new(ClientAuth::Required);
    setting.add_certificate("second", &["second.test"]);
    setting.settings.certificates[0].key = setting.settings.certificates[1].key.clone();
    setting.settings.certificates[1].certificate = setting.directory.path().join("nowhere.crt");
    setting.settings.client_ca = Some(setting.write("empty.pem", ""));
    setting.settings.crls = vec![setting.write("no.crl", "hello")];
    let errors = ServerTls::load(&setting.settings, None).unwrap_err();
    let settings: Vec<&str> = errors.iter().map(|error| error.setting.as_str()).collect();
    assert_eq!(
        settings,
        ["certificates/0/key", "certificates/1/certificate", "clientCA", "crl/0"],
        "{errors:#?}"
    );
    assert!(errors.iter().all(|error| error.help.is_some()), "{errors:#?}");
}

#[test]
fn warns_of_an_expired_certificate_and_goes_on() {
    let mut setting = Setting::new(ClientAuth::None);
    let (certificate, key) = setting.ca.leaf(|params| params.not_after = date_time_ymd(2021, 2, 3));
    setting.settings.certificates[0].certificate =
        setting.write("combined.pem", &format!("{key}{certificate}"));
    setting.settings.certificates[0].key = None;
    let tls = setting.load();
    assert!(tls.warnings[0].contains("expired on 2021-02-03"), "{:?}", tls.warnings);
}

#[test]
fn a_key_without_its_certificate_is_no_proof() {
    // A client that shows somebody else's certificate and signs with its own key.
    let setting = Setting::new(ClientAuth::Required);
    let (certificate, _) = setting.ca.leaf(|_| {});
    let key = KeyPair::generate().unwrap();
    let mut roots = RootCertStore::empty();
    for ca in files::cas_from_bytes(Path::new("ca"), setting.ca.pem.as_bytes()).unwrap() {
        roots.add(ca).unwrap();
    }
    let chain = files::cas_from_bytes(Path::new("leaf"), certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let signing = aws_lc_rs::default_provider().key_provider.load_private_key(key).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(BOTH)
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, signing)))));
    let failure = shake(&setting.load(), &Arc::new(config), "localhost").server.unwrap_err();
    assert_eq!(failure.reason, Reason::ClientCertificateInvalid);
    assert!(failure.detail.contains("did not prove"), "{}", failure.detail);
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn aes_128_is_chosen_where_the_client_has_no_wish_for_chacha20() {
    let setting = Setting::new(ClientAuth::None);
    let tls = setting.load();
    for versions in EACH {
        let session = shake(&tls, &setting.client(None, versions), "localhost").server.unwrap();
        assert!(session.cipher_suite.contains("AES_128_GCM_SHA256"), "{}", session.cipher_suite);
    }
}

#[test]
fn a_certificate_that_was_good_before_is_still_looked_at() {
    // Judged good once and remembered; judged by another time, or under other lists, it is not.
    let setting = Setting::new(ClientAuth::Required);
    let (certificate, _) = setting.ca.leaf(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
    });
    let chain = files::cas_from_bytes(Path::new("leaf"), certificate.as_bytes()).unwrap();
    let tls = setting.load();
    let verifier = tls.verifier.as_ref().unwrap();
    let at = |year: u64| UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
    let judge =
        |year| verifier.judge_again(&chain[0], &[], at(year)).map(|_| ()).map_err(|failure| failure.reason);
    assert_eq!(judge(2050), Ok(()));
    assert_eq!(judge(2060), Ok(()));
    assert_eq!(judge(2095), Err(Reason::ClientCertificateExpired));
    assert_eq!(judge(2010), Err(Reason::ClientCertificateNotYetValid));
    assert_eq!(judge(2050), Ok(()));
}

#[test]
fn a_list_that_ends_ends_what_was_remembered_by_it() {
    let mut setting = Setting::new(ClientAuth::Required);
    let crl = setting.ca.crl(&[], (2040, 1, 1));
    setting.settings.crls = vec![setting.write("ca.crl", &crl)];
    let (certificate, _) = setting.ca.leaf(|params| params.not_after = date_time_ymd(2090, 1, 1));
    let chain = files::cas_from_bytes(Path::new("leaf"), certificate.as_bytes()).unwrap();
    let tls = setting.load();
    let verifier = tls.verifier.as_ref().unwrap();
    let at = |year: u64| UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
    let judge =
        |year| verifier.judge_again(&chain[0], &[], at(year)).map(|_| ()).map_err(|failure| failure.reason);
    assert_eq!(judge(2035), Ok(()));
    assert_eq!(judge(2045), Err(Reason::ClientCertificateInvalid));
}

#[test]
fn a_session_that_stands_is_judged_by_new_rules() {
    let mut setting = Setting::new(ClientAuth::Optional);
    let tls = setting.load();
    let identity = setting.ca.leaf(|params| params.serial_number = Some(SerialNumber::from(5)));
    let named = shake(&tls, &setting.client(Some(&identity), BOTH), "localhost").server.unwrap();
    let nobody = shake(&tls, &setting.client(None, BOTH), "localhost").server.unwrap();
    assert_eq!((tls.still_admits(&named), tls.still_admits(&nobody)), (Ok(()), Ok(())));

    setting.settings.client_auth = ClientAuth::Required;
    let tls = setting.load_after(Some(&tls));
    assert_eq!(tls.still_admits(&named), Ok(()));
    assert_eq!(tls.still_admits(&nobody).unwrap_err().reason, Reason::ClientCertificateMissing);

    let crl = setting.ca.crl(&[5], (2099, 1, 1));
    setting.settings.crls = vec![setting.write("ca.crl", &crl)];
    let tls = setting.load_after(Some(&tls));
    assert_eq!(tls.still_admits(&named).unwrap_err().reason, Reason::ClientCertificateRevoked);
}
