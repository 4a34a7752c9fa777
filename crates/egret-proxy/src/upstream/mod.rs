//! The way to an upstream: resolving names, dialling what was granted, TLS, and parent proxies.
//!
//! One [`Upstream`] serves all workers. What is in it and changes on reload is swapped whole; flows
//! under way end with what they began with.

mod dial;
mod error;
mod health;
pub mod http2;
pub mod met;
mod parent;
pub mod pool;
mod resolve;
mod service;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use egret_core::destination::{Destination, Host};
use egret_core::record::UpstreamTls;
use egret_core::settings::Snapshot;
use tokio::time::Instant;

pub use self::dial::{connect, set_keepalive};
pub use self::error::{DialError, DialPhases, ResolveError, UpstreamError};
pub use self::health::ParentHealth;
pub use self::parent::{ParentConnection, Tunnelled, proxy_authorization_value};
pub use self::resolve::{Addresses, DnsStats, Resolution};
pub use self::tls::Roots;
pub use egret_tls::client::Alpn;

use self::met::MetOrigins;
use self::parent::Groups;
use self::resolve::Resolver;
use self::tls::TlsState;
use crate::stream::Stream;

/// Everything that leads to upstreams, shared by all workers.
pub struct Upstream {
    resolver: Resolver,
    tls: ArcSwap<TlsState>,
    groups: ArcSwap<Groups>,
    met: MetOrigins,
}

impl Upstream {
    /// Sets up the resolver (with a thread of its own), the trust stores and the parents.
    ///
    /// Reads files: for start-up, not for the data path.
    ///
    /// # Errors
    /// What of the snapshot cannot be put into force.
    pub fn new(snapshot: &Snapshot) -> Result<Self, UpstreamError> {
        Ok(Self {
            resolver: Resolver::new(&snapshot.dns)?,
            tls: ArcSwap::from_pointee(TlsState::new(snapshot, None)?),
            groups: ArcSwap::from_pointee(Groups::new(snapshot, None)),
            met: MetOrigins::default(),
        })
    }

    /// Puts a new snapshot into force, wholly or not at all. The DNS cache, TLS sessions and the health
    /// of parents are kept where their settings did not change.
    ///
    /// Reads files: for a reload, not for the data path.
    ///
    /// # Errors
    /// What of the snapshot cannot be put into force; the old one stays then.
    pub fn apply(&self, snapshot: &Snapshot) -> Result<(), UpstreamError> {
        let tls = TlsState::new(snapshot, Some(&self.tls.load()))?;
        self.resolver.apply(&snapshot.dns)?;
        self.groups.store(Arc::new(Groups::new(snapshot, Some(&self.groups.load()))));
        self.tls.store(Arc::new(tls));
        self.met.clear();
        Ok(())
    }

    /// The addresses of a name (lower case, no trailing dot), if they are known: from the hosts file,
    /// or an answer that is still valid, be it negative. Never waits.
    pub fn resolve_cached(&self, name: &Arc<str>) -> Option<Resolution> {
        self.resolver.resolve_cached(name)
    }

    /// The addresses of a name (lower case, no trailing dot), the preferred family first.
    ///
    /// The question goes on when the caller goes away, and serves others.
    ///
    /// # Errors
    /// The name does not exist, the name servers failed, or did not answer in time.
    pub async fn resolve(&self, name: &Arc<str>) -> Resolution {
        self.resolver.resolve(name).await
    }

    /// Figures of the resolver.
    #[must_use]
    pub fn stats(&self) -> DnsStats {
        self.resolver.stats()
    }

    /// Shakes hands with a TLS server over a connection that stands. The server must prove that it is
    /// `host`; there is no way to switch that off.
    ///
    /// # Errors
    /// [`egret_core::reason::Reason::TlsCertificate`] where the certificate is at fault, with what is
    /// wrong with it; else [`egret_core::reason::Reason::TlsFailed`].
    pub async fn tls_connect(
        &self,
        io: Stream,
        host: &Host,
        roots: Roots<'_>,
        alpn: Alpn,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let tls = self.tls.load_full();
        tls.connect(io, host, roots, alpn, deadline).await.map(|(stream, _)| stream)
    }

    /// The same with an origin, and what was agreed.
    ///
    /// # Errors
    /// As [`Upstream::tls_connect`].
    pub async fn tls_connect_origin(
        &self,
        io: Stream,
        host: &Host,
        alpn: Alpn,
        deadline: Instant,
    ) -> Result<(Stream, Arc<UpstreamTls>), DialError> {
        let tls = self.tls.load_full();
        tls.connect(io, host, Roots::Origin, alpn, deadline).await
    }

    /// What is remembered of origins whose tunnels are looked into.
    #[must_use]
    pub fn met(&self) -> &MetOrigins {
        &self.met
    }

    /// How often there were too many configurations of TLS with origins, so that all were made again.
    #[must_use]
    pub fn tls_overflows(&self) -> u64 {
        self.tls.load().overflows()
    }

    /// Whether HTTP/2 is offered to an origin, where a client wants it.
    #[must_use]
    pub fn offers_http2(&self, host: &Host) -> bool {
        self.tls.load().offers_http2(host)
    }

    /// The state of every parent: group, address, whether it is up, and failures since the start.
    #[must_use]
    pub fn parents(&self) -> Vec<(Arc<str>, Destination, bool, u64)> {
        self.groups.load().states()
    }

    async fn addresses_of(&self, host: &Host) -> Resolution {
        match host {
            Host::Address(address) => Ok(Arc::from([*address] as [IpAddr; 1])),
            Host::Name(name) => self.resolve(name).await,
        }
    }
}
