//! TLS to the proxy: the certificates of both sides, and the client's part.
//!
//! What a handshake costs depends on what is agreed in it, so that the client offers one choice alone: TLS 1.3
//! with X25519 and AES-128-GCM. All keys are ECDSA P-256.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::client::Connection;

/// The hosts of origins that are looked into.
const HOSTS: &str = "*.bench.test";

/// Certificates that are made once for all measurements.
struct Certificates {
    authority: CertificateDer<'static>,
    server: CertificateDer<'static>,
    server_key_der: Vec<u8>,
    client: CertificateDer<'static>,
    client_key: Vec<u8>,
    /// Names and contents of the proxy's files.
    files: [(&'static str, String); 3],
}

fn certificates() -> io::Result<&'static Certificates> {
    static MADE: OnceLock<Result<Certificates, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make().map_err(|error| error.to_string()));
    made.as_ref().map_err(|error| io::Error::other(error.as_str()))
}

fn make() -> Result<Certificates, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "egret-bench CA");
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);
    let leaf = |name: &str, purpose: ExtendedKeyUsagePurpose| {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned(), HOSTS.to_owned()])?;
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        Ok::<_, rcgen::Error>((params.signed_by(&key, &issuer)?, key))
    };
    let (server, server_key) = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth)?;
    let (client, client_key) = leaf("client.bench.test", ExtendedKeyUsagePurpose::ClientAuth)?;
    Ok(Certificates {
        files: [
            ("ca.crt", authority.pem()),
            ("server.crt", server.pem()),
            ("server.key", server_key.serialize_pem()),
        ],
        authority: authority.der().clone(),
        server: server.der().clone(),
        server_key_der: server_key.serialize_der(),
        client: client.der().clone(),
        client_key: client_key.serialize_der(),
    })
}

/// Writes `ca.crt`, `server.crt` and `server.key` for a proxy, readable to one that gives up root.
///
/// # Errors
///
/// They cannot be made or written.
pub(crate) fn write_certificates(directory: &Path) -> io::Result<()> {
    for (name, text) in &certificates()?.files {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// A client with a certificate; with `resume` it keeps the sessions that it is given.
///
/// # Errors
///
/// The certificates cannot be made.
pub(crate) fn connector(resume: bool) -> io::Result<TlsConnector> {
    configure(resume, true)
}

fn configure(resume: bool, with_certificate: bool) -> io::Result<TlsConnector> {
    let certificates = certificates()?;
    let mut roots = RootCertStore::empty();
    roots.add(certificates.authority.clone()).map_err(io::Error::other)?;
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let mut config = if with_certificate {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificates.client_key.clone()));
        builder.with_client_auth_cert(vec![certificates.client.clone()], key).map_err(io::Error::other)?
    } else {
        builder.with_no_client_auth()
    };
    config.resumption = if resume { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What an origin answers with, HTTP/1.1 in ALPN.
///
/// # Errors
///
/// The certificates cannot be made.
pub(crate) fn acceptor() -> io::Result<TlsAcceptor> {
    let certificates = certificates()?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificates.server_key_der.clone()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificates.server.clone()], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A client that trusts the CA of a proxy that looks into tunnels, and keeps no sessions.
///
/// # Errors
///
/// This is no CA.
pub(crate) fn trusting(authority: &[u8]) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Connects to a proxy, with a handshake, and opens a tunnel to an origin.
///
/// # Errors
///
/// The connection, the handshake or CONNECT failed.
pub(crate) async fn tunnel(
    connector: &TlsConnector,
    proxy: SocketAddr,
    origin: SocketAddr,
) -> io::Result<Connection<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    Connection::over(connector.connect(name, stream).await?).into_tunnel(origin).await
}

/// Whether the proxy took up an earlier session.
pub(crate) fn was_resumed(tunnel: &Connection<TlsStream<TcpStream>>) -> bool {
    tunnel.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// A proxy that asks for no certificate would do less than the others.
///
/// # Errors
///
/// It answers a client without one.
pub(crate) async fn refuses_strangers(proxy: SocketAddr) -> io::Result<()> {
    let connector = configure(false, false)?;
    // Where to does not matter: a proxy that gets as far as an answer has asked for nothing.
    match tunnel(&connector, proxy, proxy).await {
        Ok(_) => Err(io::Error::other("the proxy asks for no client certificate")),
        Err(error) if error.to_string().contains("CONNECT was answered") => {
            Err(io::Error::other("the proxy asks for no client certificate"))
        }
        Err(_) => Ok(()),
    }
}
