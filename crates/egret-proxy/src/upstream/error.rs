//! What can go wrong on the way to an upstream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use egret_core::reason::Reason;
use egret_tls::roots::TrustError;

/// How long the phases of reaching an upstream took. `None`: the phase did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialPhases {
    /// Resolving the name (here: a parent's name).
    pub dns: Option<Duration>,
    /// Connecting, a parent's answer to CONNECT included.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
}

/// An upstream could not be reached.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct DialError {
    /// The reason code.
    pub reason: Reason,
    /// The particulars, for people. Never holds a secret.
    pub detail: String,
    /// Durations, as far as they are known.
    pub phases: DialPhases,
    /// The address dialled last, if it came to that.
    pub dialled: Option<SocketAddr>,
}

impl DialError {
    /// An error of which no more is known.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), phases: DialPhases::default(), dialled: None }
    }

    pub(super) fn at(mut self, dialled: SocketAddr) -> Self {
        self.dialled = Some(dialled);
        self
    }
}

/// A name could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct ResolveError {
    /// [`Reason::DnsNotFound`], [`Reason::DnsFailed`] or [`Reason::DnsTimeout`].
    pub reason: Reason,
    /// The particulars, for people. Shared, because errors are cached.
    pub detail: Arc<str>,
}

impl ResolveError {
    pub(super) fn new(reason: Reason, detail: impl Into<Arc<str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl From<ResolveError> for DialError {
    fn from(error: ResolveError) -> Self {
        Self::new(error.reason, &*error.detail)
    }
}

/// A snapshot cannot be put into force.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A PEM with further CAs cannot be used.
    #[error("{setting}: {source}")]
    Trust {
        /// Which setting it belongs to.
        setting: String,
        /// What is wrong with it.
        source: TrustError,
    },
    /// What is set for TLS with origins cannot be used.
    #[error("upstream.origins: {0}")]
    Origins(String),
    /// The TLS library refuses its configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The resolver cannot be set up.
    #[error("the resolver cannot be set up: {0}")]
    Resolver(String),
    /// The resolver's thread cannot be started.
    #[error("the resolver's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}
