//! The server side of an intercepted handshake.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, server::NoServerSessionStorage};

use super::Leaf;

/// Makes the configurations of intercepted handshakes. One is enough for a process: its tickets are good for any
/// certificate, for a client resumes a session only with the name it had.
#[derive(Debug)]
pub struct InterceptServer {
    template: ServerConfig,
}

/// The one certificate of a connection, whatever name the client sends: it was chosen before.
#[derive(Debug)]
struct Chosen(Arc<CertifiedKey>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// No certificate: what the template has before it is given one.
#[derive(Debug)]
struct Nothing;

impl ResolvesServerCert for Nothing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

impl InterceptServer {
    /// TLS 1.2 and 1.3, with stateless tickets and without early data, which can be replayed.
    ///
    /// # Errors
    /// The cryptographic provider cannot do it, or the system gives no random bytes.
    pub fn new() -> Result<Self, rustls::Error> {
        let mut template = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Nothing));
        template.ticketer = aws_lc_rs::Ticketer::new()?;
        template.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { template })
    }

    /// The configuration of one connection: this certificate, and these application protocols (`h2`,
    /// `http/1.1`), the most wanted first; none leaves ALPN out. With some, a client that offers others only is
    /// refused (`no_application_protocol`, RFC 7301 section 3.2), and one that offers none is served.
    #[must_use]
    pub fn config(&self, leaf: &Leaf, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = self.template.clone();
        config.cert_resolver = Arc::new(Chosen(leaf.certified.clone()));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}
