//! A client that speaks TLS to the proxy, and then exactly the bytes it is told to.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::ca::TestLeaf;
use crate::message::{self, Message};
use crate::wait::PATIENCE;

/// How such clients are set up; they share sessions.
#[derive(Clone, Debug)]
pub struct TlsClients(Arc<ClientConfig>);

impl TlsClients {
    /// Clients that trust this CA and show this certificate.
    ///
    /// # Panics
    /// When a file is not what it should be.
    #[must_use]
    pub fn new(ca: &Path, leaf: Option<&TestLeaf>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Self(Arc::new(match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = CertificateDer::pem_file_iter(&leaf.certificate).unwrap().map(Result::unwrap);
                let key = PrivateKeyDer::from_pem_file(&leaf.key).unwrap();
                builder.with_client_auth_cert(chain.collect(), key).unwrap()
            }
        }))
    }

    /// Connects to `localhost` at this address. The handshake happens with the first bytes.
    ///
    /// # Errors
    /// The connection's, and the handshake's as far as it goes before the server has judged the client.
    pub fn connect(&self, address: SocketAddr) -> io::Result<TlsClient> {
        let tcp = TcpStream::connect_timeout(&address, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(TlsClient { stream })
    }
}

/// One connection.
#[derive(Debug)]
pub struct TlsClient {
    /// The stream.
    pub stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsClient {
    /// A request and its response, read until it is complete.
    ///
    /// # Errors
    /// The connection's.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> io::Result<Message> {
        let request = request.as_ref();
        let method = request.split(|byte| *byte == b' ').next().unwrap_or_default();
        let method = String::from_utf8_lossy(method).into_owned();
        self.stream.write_all(request)?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let (mut messages, _) = message::responses(&bytes, &method, false);
            if messages.last().is_some_and(|message| message.complete && message.status() >= 200) {
                return Ok(messages.remove(messages.len() - 1));
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Sends bytes and reads as many back.
    ///
    /// # Errors
    /// The connection's.
    pub fn echo(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(bytes)?;
        let mut back = vec![0; bytes.len()];
        self.stream.read_exact(&mut back)?;
        Ok(back)
    }

    /// The certificate that the proxy showed, in DER.
    #[must_use]
    pub fn proxy_certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().map(|chain| chain[0].to_vec()).unwrap_or_default()
    }

    /// Whether a session of before was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}
