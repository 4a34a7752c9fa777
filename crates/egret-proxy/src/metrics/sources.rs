//! Figures that other parts of the program keep, asked for on each scrape.

use std::fmt;
use std::sync::Arc;

use egret_flows::store::StoreCounts;
use egret_tls::interception::MintCounts;

use super::labels::Limit;
use crate::credentials::CredentialsFigures;

/// What the resolver counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsFigures {
    /// Look-ups answered from the cache with addresses.
    pub cache_hits: u64,
    /// Look-ups answered from the cache with "no such name" or a kept failure.
    pub negative_hits: u64,
    /// Look-ups that had to ask.
    pub cache_misses: u64,
    /// Look-ups that waited for a query that was already under way.
    pub shared: u64,
    /// Look-ups answered with an expired answer, because the name servers failed.
    pub stale: u64,
    /// Look-ups that failed; a name that does not exist is no failure.
    pub failures: u64,
    /// Names in the cache now.
    pub cache_entries: u64,
}

/// The health of one parent proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentFigure {
    /// The group's name.
    pub group: Arc<str>,
    /// The parent's host and port, without credentials.
    pub parent: String,
    /// It is used when its turn comes; false while it is passed over after a failure.
    pub up: bool,
}

/// A certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFigure {
    /// The listener's address.
    pub listener: String,
    /// The certificate's first name.
    pub certificate: String,
    /// When it ends, in seconds since the epoch.
    pub not_after: i64,
}

/// What interception has done, and its CA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterceptionFigures {
    /// Certificates for origins.
    pub leaves: MintCounts,
    /// When the CA ends, in seconds since the epoch.
    pub ca_not_after: i64,
}

/// How current a list of the API server is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WatchFigure {
    /// The kind of object.
    pub kind: &'static str,
    /// It was read whole at least once.
    pub is_read: bool,
    /// For how long it may have been out of date; 0 while it is current.
    pub behind_seconds: f64,
    /// Lists and watches that failed.
    pub failures: u64,
}

/// What is known of a cluster's workloads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadFigures {
    /// Pods with an address.
    pub pods: u64,
    /// Addresses of more than one pod.
    pub ambiguous: u64,
    /// The lists.
    pub watches: Vec<WatchFigure>,
    /// Reviews of tokens by their results.
    pub token_reviews: Vec<(&'static str, u64)>,
    /// Events by what became of them.
    pub events: Vec<(&'static str, u64)>,
}

type Ask<T> = Option<Box<dyn Fn() -> T + Send + Sync>>;

/// Where the figures come from. Those that are absent leave no metric.
#[derive(Default)]
pub struct Sources {
    /// The resolver, all workers together.
    pub dns: Ask<DnsFigures>,
    /// The parents of all groups. Their number is bounded by the configuration.
    pub parents: Ask<Vec<ParentFigure>>,
    /// What is remembered of credentials, and how their back ends are; `None` where none are asked for.
    pub credentials: Ask<Option<CredentialsFigures>>,
    /// Interception; `None` where nothing is intercepted.
    pub interception: Ask<Option<InterceptionFigures>>,
    /// How often limits were struck that no worker counts.
    pub limits: Ask<Vec<(Limit, u64)>>,
    /// Lines that the access log dropped.
    pub access_log_dropped: Ask<u64>,
    /// TLS handshakes with clients that are under way.
    pub handshakes: Ask<u64>,
    /// The certificates of all listeners. Their number is bounded by the configuration.
    pub certificates: Ask<Vec<CertificateFigure>>,
    /// What the store of flows counts, where there is one.
    pub flows: Ask<StoreCounts>,
    /// What is known of the workloads of a cluster, where there is one.
    pub workloads: Ask<WorkloadFigures>,
    /// Spans that the trace exporter dropped, where traces are exported.
    pub spans_dropped: Ask<u64>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("dns", &self.dns.is_some())
            .field("parents", &self.parents.is_some())
            .field("credentials", &self.credentials.is_some())
            .field("interception", &self.interception.is_some())
            .field("limits", &self.limits.is_some())
            .field("access_log_dropped", &self.access_log_dropped.is_some())
            .field("handshakes", &self.handshakes.is_some())
            .field("certificates", &self.certificates.is_some())
            .field("flows", &self.flows.is_some())
            .field("workloads", &self.workloads.is_some())
            .field("spans_dropped", &self.spans_dropped.is_some())
            .finish()
    }
}
