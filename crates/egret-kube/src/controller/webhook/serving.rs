//! What the webhook's listener shows: one certificate, changed while it runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use egret_tls::files::Identity;
use egret_tls::inspect::CertificateInfo;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate in use. Without one, handshakes fail, and the API server goes on as `failurePolicy` says.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    current: ArcSwapOption<Shown>,
}

/// A certificate, as it is shown and as it is known.
#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    /// SHA-256 of the certificate.
    print: String,
    not_after: Timestamp,
}

impl Serving {
    /// Shows this one from now on. Gives whether it is another than before.
    ///
    /// # Errors
    /// The key cannot be used.
    pub(crate) fn show(&self, identity: Identity) -> Result<bool, String> {
        let info = CertificateInfo::parse(&identity.chain[0])?;
        if self.current.load().as_ref().is_some_and(|shown| shown.print == info.sha256) {
            return Ok(false);
        }
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(identity.chain, identity.key, &provider)
            .map_err(|error| error.to_string())?;
        let shown = Shown { key: Arc::new(key), print: info.sha256, not_after: info.not_after };
        self.current.store(Some(Arc::new(shown)));
        Ok(true)
    }

    /// Its last second; `None` without one.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        self.current.load().as_ref().map(|shown| shown.not_after)
    }

    /// TLS towards the API server: HTTP/2 where it is offered, no client certificate (it sends none).
    ///
    /// # Errors
    /// The cryptographic provider does not know the usual versions of TLS.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().as_ref().map(|shown| shown.key.clone())
    }
}
