//! Client configurations: one for each set of roots, so that sessions are resumed.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

/// What is offered in ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// No ALPN at all.
    None,
    /// `http/1.1`.
    Http1,
    /// `h2`, then `http/1.1`.
    Http2OrHttp1,
}

/// Sessions kept for resumption in each configuration: server names, most recent first. Four times
/// rustls's default: a proxy talks to more servers than a client does.
const SESSIONS: usize = 1024;

/// The configurations for one set of roots. They share the verifier.
#[derive(Clone, Debug)]
pub struct ClientConfigs {
    plain: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl ClientConfigs {
    /// Configurations that trust these roots: TLS 1.2 and 1.3, verification always on.
    ///
    /// # Errors
    /// The cryptographic provider does not support the protocol versions; this does not happen with
    /// the one that is built in.
    pub fn new(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let mut plain = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        plain.resumption = Resumption::in_memory_sessions(SESSIONS);
        let with = |protocols: &[&[u8]]| {
            let mut config = plain.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            // A session of one ALPN offer must not be resumed under another (RFC 7301 section 3.1
            // lets servers negotiate anew, but not all do).
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            Arc::new(config)
        };
        let (http1, http2) = (with(&[b"http/1.1"]), with(&[b"h2", b"http/1.1"]));
        Ok(Self { plain: Arc::new(plain), http1, http2 })
    }

    /// The configuration that makes this offer.
    #[must_use]
    pub fn for_alpn(&self, alpn: Alpn) -> &Arc<ClientConfig> {
        match alpn {
            Alpn::None => &self.plain,
            Alpn::Http1 => &self.http1,
            Alpn::Http2OrHttp1 => &self.http2,
        }
    }
}
