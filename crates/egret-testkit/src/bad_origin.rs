//! TLS origins with one thing wrong each: real servers on loopback, most of them rustls, and openssl where rustls
//! would have no part in it (old versions, weak keys).
//!
//! All are for [`NAME`], and signed by one root but where that is what is wrong; whoever trusts the root
//! ([`BadOrigins::roots`]) and has the revocation list ([`BadOrigins::crl`]) sees that very thing and no other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::server::{Connection, Server};
use crate::tools::succeed;

/// The name that all origins are asked for.
pub const NAME: &str = "origin.test";

/// What is wrong with an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// Nothing: an intermediate is between, and sent along.
    NoneBelowIntermediate,
    /// Nothing: it speaks TLS 1.2 alone.
    NoneOverTls12,
    /// Its certificate ended in 2021.
    Expired,
    /// It begins in 2099.
    NotYetValid,
    /// It is for `other.test` and `*.other.test`.
    WrongName,
    /// It has the name in its subject alone.
    NoSan,
    /// It is signed by itself, for a server.
    SelfSigned,
    /// It is signed by itself and a CA, as `openssl req -x509` makes it.
    SelfSignedCa,
    /// The root is not trusted, and not sent.
    UnknownIssuer,
    /// The root is not trusted, and sent.
    UnknownRoot,
    /// The intermediate is not sent.
    MissingIntermediate,
    /// The intermediate ended in 2021.
    ExpiredIntermediate,
    /// It stands in [`BadOrigins::crl`].
    RevokedByCrl,
    /// An OCSP response is stapled that says so.
    RevokedByOcsp,
    /// Its key is RSA with 1024 bits.
    WeakKey,
    /// It is signed with SHA-1.
    Sha1,
    /// It is signed with MD5.
    Md5,
    /// The intermediate may sign for `allowed.test` alone.
    NameConstraint,
    /// It is signed by a certificate with CA:FALSE.
    NotACa,
    /// It stands below two CAs, and the upper allows one.
    PathLength,
    /// It is for clients.
    WrongUse,
    /// Another CA of the root's name has signed it.
    BadSignature,
    /// Its certificate is no certificate.
    BadEncoding,
    /// TLS 1.0 alone.
    Tls10,
    /// TLS 1.1 alone.
    Tls11,
    /// It wants a client certificate.
    ClientCertificate,
    /// It resets the connection when the ClientHello has come.
    Reset,
    /// It closes the connection then.
    Close,
    /// It answers with an alert.
    Alert,
    /// It chooses a protocol in ALPN that was not offered.
    LyingAlpn,
    /// It refuses what is offered in ALPN.
    NoCommonAlpn,
    /// It answers with random bytes.
    Garbage,
    /// It answers with HTTP.
    PlainHttp,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::None,
        Self::NoneBelowIntermediate,
        Self::NoneOverTls12,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongName,
        Self::NoSan,
        Self::SelfSigned,
        Self::SelfSignedCa,
        Self::UnknownIssuer,
        Self::UnknownRoot,
        Self::MissingIntermediate,
        Self::ExpiredIntermediate,
        Self::RevokedByCrl,
        Self::RevokedByOcsp,
        Self::WeakKey,
        Self::Sha1,
        Self::Md5,
        Self::NameConstraint,
        Self::NotACa,
        Self::PathLength,
        Self::WrongUse,
        Self::BadSignature,
        Self::BadEncoding,
        Self::Tls10,
        Self::Tls11,
        Self::ClientCertificate,
        Self::Reset,
        Self::Close,
        Self::Alert,
        Self::LyingAlpn,
        Self::NoCommonAlpn,
        Self::Garbage,
        Self::PlainHttp,
    ];

    /// The code that Egret has for it; none where nothing is wrong.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::None | Self::NoneBelowIntermediate | Self::NoneOverTls12 => return None,
            Self::Expired | Self::ExpiredIntermediate => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongName => "wrong-name",
            Self::NoSan => "no-san",
            Self::SelfSigned | Self::SelfSignedCa => "self-signed",
            Self::UnknownIssuer => "unknown-issuer",
            Self::UnknownRoot => "unknown-root",
            Self::MissingIntermediate => "missing-intermediate",
            Self::RevokedByCrl | Self::RevokedByOcsp => "revoked",
            Self::WeakKey => "weak-key",
            Self::Sha1 | Self::Md5 => "weak-signature",
            Self::NameConstraint => "name-constraint",
            Self::NotACa => "not-a-ca",
            Self::PathLength => "path-length",
            Self::WrongUse => "wrong-use",
            Self::BadSignature => "bad-signature",
            Self::BadEncoding => "bad-encoding",
            Self::Tls10 | Self::Tls11 => "old-version",
            Self::ClientCertificate => "client-certificate",
            Self::Reset => "reset",
            Self::Close => "closed",
            Self::Alert => "alert",
            Self::LyingAlpn | Self::NoCommonAlpn => "alpn",
            Self::Garbage | Self::PlainHttp => "not-tls",
        })
    }
}

/// A CA in memory.
struct Ca {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Ca {
    fn make(name: &str, above: Option<&Self>, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer()).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Self { params, key, certificate }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate and key for [`NAME`].
    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (leaf_params(change).signed_by(&key, &self.issuer()).unwrap(), key)
    }
}

fn leaf_params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    params
}

/// Where the CA's certificate could be fetched (RFC 5280 section 4.2.2.1), as public CAs say.
fn ca_issuers() -> CustomExtension {
    let url = b"http://ca.test/ca.crt";
    let location = [&[0x86, url.len() as u8][..], url].concat();
    let method = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let description = [&[0x30, (method.len() + location.len()) as u8][..], &method, &location].concat();
    let content = [&[0x30, description.len() as u8][..], &description].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// A serial number that is revoked.
const REVOKED: u64 = 4711;

/// Makes bad origins.
pub struct BadOrigins {
    directory: TempDir,
    root: Ca,
}

impl Default for BadOrigins {
    fn default() -> Self {
        Self::new()
    }
}

/// A running origin; dropped, it ends.
#[derive(Debug)]
pub struct BadOrigin {
    address: SocketAddr,
    _server: Option<Server>,
    openssl: Option<Child>,
}

impl BadOrigin {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for BadOrigin {
    fn drop(&mut self) {
        if let Some(child) = &mut self.openssl {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl BadOrigins {
    /// A root for them.
    #[must_use]
    pub fn new() -> Self {
        let (root, directory) =
            (Ca::make("Egret bad origins root", None, |_| {}), tempfile::tempdir().unwrap());
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("root.pem"), root.certificate.pem()).unwrap();
        std::fs::write(path("root.key"), root.key.serialize_pem()).unwrap();
        // The signatures of old are not made with elliptic curves.
        openssl(
            directory.path(),
            "req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -days 30 -subj /CN=rsa-root",
        );
        let rsa = std::fs::read_to_string(path("rsa.pem")).unwrap();
        std::fs::write(path("roots.pem"), format!("{}{rsa}", root.certificate.pem())).unwrap();
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(REVOKED),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let crl = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(path("crl.pem"), crl.signed_by(&root.issuer()).unwrap().pem().unwrap()).unwrap();
        Self { directory, root }
    }

    /// The roots to trust, as a PEM file.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.path("roots.pem")
    }

    /// The revocation list to use, as a PEM file.
    #[must_use]
    pub fn crl(&self) -> PathBuf {
        self.path("crl.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts an origin with this fault. It answers each connection whose handshake succeeds with a small
    /// HTTP/1.1 response.
    #[must_use]
    pub fn start(&self, fault: Fault) -> BadOrigin {
        let root = &self.root;
        let intermediate =
            |change: fn(&mut CertificateParams)| Ca::make("Egret bad intermediate", Some(root), change);
        let below = |ca: &Ca, leaf: (Certificate, KeyPair)| tls(&[&leaf.0, &ca.certificate], &leaf.1);
        let alone = |leaf: (Certificate, KeyPair)| tls(&[&leaf.0], &leaf.1);
        match fault {
            Fault::None => alone(root.leaf(|_| {})),
            Fault::Expired => alone(root.leaf(|params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            })),
            Fault::NotYetValid => alone(root.leaf(|params| {
                params.not_before = date_time_ymd(2099, 1, 1);
                params.not_after = date_time_ymd(2099, 12, 31);
            })),
            Fault::WrongName => alone(root.leaf(|params| {
                let names = ["other.test", "*.other.test"].map(str::to_owned);
                params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
            })),
            Fault::NoSan => alone(root.leaf(|params| params.subject_alt_names.clear())),
            Fault::SelfSigned | Fault::SelfSignedCa => {
                let key = KeyPair::generate().unwrap();
                let params = leaf_params(|params| {
                    if fault == Fault::SelfSignedCa {
                        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                    }
                });
                alone((params.self_signed(&key).unwrap(), key))
            }
            Fault::UnknownIssuer => alone(Ca::make("Unknown root", None, |_| {}).leaf(|_| {})),
            Fault::UnknownRoot => {
                let other = Ca::make("Unknown root", None, |_| {});
                below(&other, other.leaf(|_| {}))
            }
            Fault::NoneBelowIntermediate => {
                let ca = intermediate(|_| {});
                below(&ca, ca.leaf(|_| {}))
            }
            Fault::MissingIntermediate => {
                alone(intermediate(|_| {}).leaf(|params| params.custom_extensions.push(ca_issuers())))
            }
            Fault::ExpiredIntermediate => {
                let ca = intermediate(|params| {
                    params.not_before = date_time_ymd(2020, 1, 1);
                    params.not_after = date_time_ymd(2021, 1, 1);
                });
                below(&ca, ca.leaf(|_| {}))
            }
            Fault::RevokedByCrl => {
                alone(root.leaf(|params| params.serial_number = Some(SerialNumber::from(REVOKED))))
            }
            Fault::RevokedByOcsp => self.revoked_by_ocsp(),
            Fault::NameConstraint => {
                let ca = intermediate(|params| {
                    params.name_constraints = Some(NameConstraints {
                        permitted_subtrees: vec![GeneralSubtree::DnsName("allowed.test".to_owned())],
                        excluded_subtrees: Vec::new(),
                    });
                });
                below(&ca, ca.leaf(|_| {}))
            }
            Fault::NotACa => {
                let ca = intermediate(|params| {
                    params.is_ca = IsCa::ExplicitNoCa;
                    params.key_usages.clear();
                });
                below(&ca, ca.leaf(|_| {}))
            }
            Fault::PathLength => {
                let upper = intermediate(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
                let lower = Ca::make("Egret lower intermediate", Some(&upper), |_| {});
                let (leaf, key) = lower.leaf(|_| {});
                tls(&[&leaf, &lower.certificate, &upper.certificate], &key)
            }
            Fault::WrongUse => alone(root.leaf(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            })),
            Fault::BadSignature => alone(Ca::make("Egret bad origins root", None, |_| {}).leaf(|_| {})),
            Fault::BadEncoding => {
                let (leaf, key) = root.leaf(|_| {});
                let mut der = leaf.der().to_vec();
                der[4] = 0x31; // The certificate proper is no SEQUENCE.
                served(vec![der.into()], &key, None, &[])
            }
            Fault::NoCommonAlpn => {
                let (leaf, key) = root.leaf(|_| {});
                served(vec![leaf.der().clone()], &key, None, &[b"acme-tls/1"])
            }
            Fault::Sha1 => self.weak("sha1", "rsa:2048", "-sha1"),
            Fault::Md5 => self.weak("md5", "rsa:2048", "-md5"),
            Fault::WeakKey => self.weak("weak", "rsa:1024", "-sha256"),
            Fault::NoneOverTls12 | Fault::Tls10 | Fault::Tls11 | Fault::ClientCertificate => {
                let (leaf, key) = root.leaf(|_| {});
                std::fs::write(self.path("good.pem"), leaf.pem()).unwrap();
                std::fs::write(self.path("good.key"), key.serialize_pem()).unwrap();
                let further = match fault {
                    Fault::Tls10 => "-tls1",
                    Fault::Tls11 => "-tls1_1",
                    Fault::NoneOverTls12 => "-tls1_2",
                    _ => "-Verify 1 -verify_return_error",
                };
                self.s_server("good.pem", "good.key", further)
            }
            Fault::Reset => raw(|mut connection| {
                connection.read_some();
                let _ =
                    socket2::SockRef::from(&connection.stream).set_linger(Some(std::time::Duration::ZERO));
            }),
            Fault::Close => raw(|mut connection| {
                connection.read_some();
            }),
            Fault::Alert => answering(b"\x15\x03\x03\x00\x02\x02\x50"), // internal_error
            Fault::LyingAlpn => answering(&lying_server_hello()),
            Fault::Garbage => answering(&[0xa5; 600]),
            Fault::PlainHttp => answering(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
        }
    }

    /// A certificate by openssl, served by openssl.
    fn weak(&self, name: &str, key: &str, digest: &str) -> BadOrigin {
        let dir = self.directory.path();
        std::fs::write(self.path(&format!("{name}.ext")), format!("subjectAltName=DNS:{NAME}\n")).unwrap();
        openssl(
            dir,
            &format!("req -new -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={NAME}"),
        );
        openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA rsa.pem -CAkey rsa.key -days 30 {digest} -extfile {name}.ext -out {name}.pem"
            ),
        );
        self.s_server(&format!("{name}.pem"), &format!("{name}.key"), "")
    }

    /// openssl, with all that is old switched on.
    fn s_server(&self, certificate: &str, key: &str, further: &str) -> BadOrigin {
        let line = format!(
            "s_server -accept 127.0.0.1:0 -www -cert {certificate} -key {key} -cipher ALL:@SECLEVEL=0 {further}"
        );
        let mut child = Command::new("openssl")
            .current_dir(self.directory.path())
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.ok()?.strip_prefix("ACCEPT ")?.parse().ok())
            .expect("openssl s_server says where it listens");
        // Read on, or it would stop when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        BadOrigin { address, _server: None, openssl: Some(child) }
    }

    fn revoked_by_ocsp(&self) -> BadOrigin {
        let (leaf, key) = self.root.leaf(|params| params.serial_number = Some(SerialNumber::from(815u64)));
        let dir = self.directory.path();
        std::fs::write(self.path("ocsp.pem"), leaf.pem()).unwrap();
        // 815 in hexadecimal, as it stands in the index of a CA.
        std::fs::write(
            self.path("index"),
            "R\t990101000000Z\t240101000000Z\t032F\tunknown\t/CN=origin.test\n",
        )
        .unwrap();
        openssl(dir, "ocsp -issuer root.pem -cert ocsp.pem -reqout request.der");
        openssl(
            dir,
            "ocsp -index index -CA root.pem -rsigner root.pem -rkey root.key -reqin request.der -respout response.der -ndays 3",
        );
        let response = std::fs::read(self.path("response.der")).unwrap();
        served(vec![leaf.der().clone()], &key, Some(response), &[])
    }
}

fn openssl(dir: &Path, line: &str) {
    succeed(Command::new("openssl").current_dir(dir).args(line.split_whitespace()));
}

fn raw(serve: impl Fn(Connection) + Send + Sync + 'static) -> BadOrigin {
    let server = Server::start(serve);
    BadOrigin { address: server.address(), _server: Some(server), openssl: None }
}

/// Waits for the ClientHello, answers with these bytes, and closes when the client has.
fn answering(bytes: &[u8]) -> BadOrigin {
    let bytes = bytes.to_vec();
    raw(move |mut connection| {
        connection.read_some();
        let _ = connection.stream.write_all(&bytes);
        let _ = connection.stream.shutdown(std::net::Shutdown::Write);
        while connection.read_some() > 0 {}
    })
}

/// A ServerHello of TLS 1.2 that chooses `spdy/1` in ALPN.
fn lying_server_hello() -> Vec<u8> {
    let alpn = [&[0, 16, 0, 9, 0, 7, 6][..], b"spdy/1"].concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[9; 32]);
    body.extend_from_slice(&[0, 0xc0, 0x2b, 0]); // no session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression
    // Renegotiation info and the extended master secret, without which a client gives up before.
    let extensions = [&[0xff, 1, 0, 1, 0, 0, 23, 0, 0][..], &alpn].concat();
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    [&[0x16, 3, 3, 0, message.len() as u8][..], &message].concat()
}

fn tls(chain: &[&Certificate], key: &KeyPair) -> BadOrigin {
    served(chain.iter().map(|certificate| certificate.der().clone()).collect(), key, None, &[])
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// rustls, which does not look at the certificate that it shows.
fn served(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    ocsp: Option<Vec<u8>>,
    alpn: &[&[u8]],
) -> BadOrigin {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut certified = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).unwrap());
    certified.ocsp = ocsp;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    config.alpn_protocols = if alpn.is_empty() {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        alpn.iter().map(|protocol| protocol.to_vec()).collect()
    };
    let config = Arc::new(config);
    raw(move |mut connection| {
        let Ok(mut session) = rustls::ServerConnection::new(config.clone()) else { return };
        let mut stream = rustls::Stream::new(&mut session, &mut connection.stream);
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok_and(|read| read > 0) {
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
            session.send_close_notify();
            let _ = session.complete_io(&mut connection.stream);
        }
    })
}
