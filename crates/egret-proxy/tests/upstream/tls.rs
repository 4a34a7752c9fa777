//! TLS to origins with certificates of every kind.

use std::net::SocketAddr;
use std::sync::Arc;

use egret_core::destination::Host;
use egret_core::reason::Reason;
use egret_core::settings::{Snapshot, UpstreamSettings};
use egret_proxy::stream::Stream;
use egret_proxy::upstream::{Alpn, DialError, Roots, Upstream, connect};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{CONNECTIONS, assert_echo, deadline, echo, grant, snapshot};

/// A CA of the test's own.
pub(crate) struct Ca {
    pub(crate) pem: Arc<[u8]>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem().into_bytes().into();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    pub(crate) fn server(&self, names: &[&str]) -> ServerConfig {
        self.sign(&params(names))
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// A TLS server that says hello and then gives back what it gets.
async fn serve(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        for _ in 0..CONNECTIONS {
            let Ok((tcp, _)) = listener.accept().await else { return };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let _ = tls.write_all(b"hello ").await;
                let _ = tls.flush().await;
                let (mut read, mut write) = tokio::io::split(tls);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

fn trusting(ca: Option<&Ca>) -> Upstream {
    let upstream =
        UpstreamSettings { trusted_ca: ca.map(|ca| ca.pem.clone()), ..UpstreamSettings::default() };
    Upstream::new(&Snapshot { upstream, ..snapshot(&[]) }).unwrap()
}

async fn shake(upstream: &Upstream, server: SocketAddr, host: &str) -> Result<Stream, DialError> {
    let grant = grant(&format!("origin.test:{}", server.port()), &[server.ip()]);
    let (io, _) = connect(&grant, &UpstreamSettings::default(), deadline(10)).await?;
    upstream.tls_connect(io, &Host::parse(host).unwrap(), Roots::Origin, Alpn::Http1, deadline(10)).await
}

async fn refused(upstream: &Upstream, server: SocketAddr, host: &str) -> DialError {
    shake(upstream, server, host).await.expect_err("the handshake must fail")
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_it_is_configured() {
    let ca = Ca::new();
    let server = serve(ca.server(&["origin.test", "127.0.0.1"])).await;
    let upstream = trusting(Some(&ca));
    for host in ["origin.test", "127.0.0.1"] {
        let mut io = shake(&upstream, server, host).await.unwrap();
        assert_eq!(io.alpn(), Some(&b"http/1.1"[..]));
        assert!(io.as_tcp().is_none());
        assert_echo(&mut io, b"").await;
    }
    let error = refused(&trusting(None), server, "origin.test").await;
    assert_eq!(error.reason, Reason::TlsCertificate);
    assert!(error.detail.starts_with("origin.test: its certificate is signed by"), "{error}");
    assert_eq!(error.dialled, Some(server));
    assert!(error.phases.tls.is_some());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_with_the_names_it_has() {
    let ca = Ca::new();
    let server = serve(ca.server(&["other.test", "*.more.test"])).await;
    let error = refused(&trusting(Some(&ca)), server, "origin.test").await;
    assert_eq!(error.reason, Reason::TlsCertificate);
    let what = "origin.test: its certificate is not for origin.test; it is for other.test, *.more.test (wrong-name);";
    assert!(error.detail.starts_with(what), "{error}");
}

#[tokio::test]
async fn certificates_out_of_their_time_are_refused_with_the_date() {
    let ca = Ca::new();
    let mut expired = params(&["origin.test"]);
    expired.not_before = date_time_ymd(2019, 1, 1);
    expired.not_after = date_time_ymd(2020, 2, 3);
    let error = refused(&trusting(Some(&ca)), serve(ca.sign(&expired)).await, "origin.test").await;
    assert_eq!(error.reason, Reason::TlsCertificate);
    assert!(
        error.detail.starts_with("origin.test: its certificate expired on 2020-02-03T00:00:00Z (expired);"),
        "{error}"
    );
    let mut early = params(&["origin.test"]);
    early.not_before = date_time_ymd(2999, 1, 1);
    let error = refused(&trusting(Some(&ca)), serve(ca.sign(&early)).await, "origin.test").await;
    assert_eq!(error.reason, Reason::TlsCertificate);
    assert!(error.detail.contains("not valid before 2999-01-01"), "{error}");
}

#[tokio::test]
async fn what_is_not_tls_is_no_fault_of_a_certificate() {
    let upstream = trusting(None);
    let error = refused(&upstream, echo("127.0.0.1:0").await, "origin.test").await;
    assert_eq!(error.reason, Reason::TlsFailed);
    assert!(error.detail.contains("not TLS"), "{error}");

    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closing.local_addr().unwrap();
    tokio::spawn(async move { closing.accept().await.map(drop) });
    assert_eq!(refused(&upstream, address, "origin.test").await.reason, Reason::TlsFailed);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = tokio::net::TcpStream::connect(silent.local_addr().unwrap()).await.unwrap();
    let soon = tokio::time::Instant::now() + std::time::Duration::from_millis(200);
    let host = Host::parse("origin.test").unwrap();
    let error = upstream.tls_connect(tcp.into(), &host, Roots::Origin, Alpn::Http1, soon).await.unwrap_err();
    assert_eq!(error.reason, Reason::TlsFailed);
    assert!(error.detail.contains("not complete after"), "{error}");
}

#[tokio::test]
async fn sessions_are_resumed_also_after_a_reload() {
    let ca = Ca::new();
    let server = serve(ca.server(&["origin.test"])).await;
    let settings = || UpstreamSettings { trusted_ca: Some(ca.pem.clone()), ..Default::default() };
    let with = |upstream| Snapshot { upstream, ..snapshot(&[]) };
    let upstream = Upstream::new(&with(settings())).unwrap();
    for round in 0..3 {
        let mut io = shake(&upstream, server, "origin.test").await.unwrap();
        assert_echo(&mut io, b"").await;
        let Stream::Tls(tls) = &io else { panic!("not TLS") };
        let kind = tls.connection().handshake_kind().unwrap();
        assert_eq!(kind == rustls::HandshakeKind::Resumed, round > 0, "round {round}: {kind:?}");
        upstream.apply(&with(settings())).unwrap();
    }
    upstream.apply(&with(UpstreamSettings::default())).unwrap();
    assert_eq!(refused(&upstream, server, "origin.test").await.reason, Reason::TlsCertificate);
}

#[test]
fn refuses_a_snapshot_with_an_unusable_ca_and_names_the_setting() {
    let upstream = UpstreamSettings { trusted_ca: Some(b"nonsense".to_vec().into()), ..Default::default() };
    let error = Upstream::new(&Snapshot { upstream, ..snapshot(&[]) }).err().unwrap().to_string();
    assert_eq!(error, "upstream.trustedCA: the PEM holds no certificate");
}
