//! What the tasks of one worker thread share, and what all workers share.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use egret_core::flow_id::{FlowId, FlowIds};
use egret_core::identity::workloads::Workloads;
use egret_core::record::FlowRecord;
use egret_core::settings::Snapshot;
use egret_flows::capture::CaptureHandle;
use egret_flows::changes::Changes;
use egret_flows::store::FlowStore;
use egret_tls::server::ServerTls;

use crate::access_log::AccessLogHandle;
use crate::control::Registry;
use crate::credentials::Credentials;
use crate::intercept::Interceptor;
use crate::metrics::{Limit, WorkerMetrics};
use crate::rates::Rates;
use crate::throttle::Throttle;
use crate::upstream::Upstream;
use crate::upstream::http2::Http2Origins;
use crate::upstream::pool::Pool;

/// Receives every finished record besides the access log and the store of flows: trace export.
pub trait RecordSink: Send + Sync {
    /// Takes a record. Must not block.
    fn record(&self, record: &FlowRecord);
}

/// What all workers share. Nothing in it is locked on the way of a request but for the shard of the
/// client's own address.
pub struct Shared {
    /// Resolver, TLS and parents.
    pub upstream: Arc<Upstream>,
    /// What credentials are checked against.
    pub credentials: Arc<Credentials>,
    /// Counts client connections.
    pub connections: Connections,
    /// What identities have done under rules with a rate limit. It outlives snapshots.
    pub rates: Rates,
    /// UDP associations that are open.
    pub udp_associations: Arc<AtomicUsize>,
    /// TLS of the listeners that speak it, by their addresses.
    pub tls: Vec<(SocketAddr, Arc<ArcSwap<ServerTls>>)>,
    /// TLS handshakes with clients that are under way.
    pub handshakes: Arc<AtomicUsize>,
    /// Bounds what the diagnostic log says about handshakes that fail.
    pub handshake_log: Throttle,
    /// What makes certificates for origins; `None` where nothing is intercepted. A reload puts another one in.
    pub interception: Arc<ArcSwapOption<Interceptor>>,
    /// Draining has begun.
    pub draining: AtomicBool,
    /// The share of flows that are traced when the client did not decide; `None`: tracing is off.
    pub trace_ratio: Option<f64>,
    /// Knows who is behind the addresses of a cluster; `None` outside of one.
    pub workloads: Option<Arc<dyn Workloads>>,
    /// Receives every finished record.
    pub sink: Option<Arc<dyn RecordSink>>,
    /// The store of flows, where there is one.
    pub flows: Option<FlowStore>,
    /// Change rules, breakpoints, and what is held.
    pub changes: Changes,
}

/// What the tasks of one worker share. Only its own thread touches it, so nothing here is contended.
pub struct Worker {
    /// The worker's number, from 0.
    pub index: usize,
    /// What flows are decided by. Each worker holds a copy of its own, so that counting references
    /// to it does not move a cache line between processors.
    pub snapshot: ArcSwap<Snapshot>,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Kept upstream connections.
    pub pool: Pool,
    /// Origins that are spoken with over HTTP/2.
    pub http2: Http2Origins,
    /// Counters.
    pub metrics: Arc<WorkerMetrics>,
    /// Access lines.
    pub log: AccessLogHandle,
    /// The way to the store of flows, with a queue that is this worker's alone.
    pub flows: Option<CaptureHandle>,
    /// When a decision may be explained again, in milliseconds since the worker began.
    explain_next: AtomicU64,
    began: Instant,
    /// Open client connections.
    pub registry: Arc<Registry>,
    /// How many client connections this worker serves; what accepting balances by.
    pub load: Arc<AtomicUsize>,
    /// Connections over a limit that have been answered and not yet closed.
    pub parting: AtomicUsize,
    ids: Mutex<FlowIds>,
    seed: AtomicU64,
}

impl Worker {
    /// A worker.
    #[must_use]
    pub fn new(
        index: usize,
        snapshot: Snapshot,
        shared: Arc<Shared>,
        metrics: Arc<WorkerMetrics>,
        log: AccessLogHandle,
        ids: FlowIds,
    ) -> Self {
        let flows = shared.flows.as_ref().map(FlowStore::handle);
        Self {
            index,
            snapshot: ArcSwap::from_pointee(snapshot),
            shared,
            pool: Pool::new(metrics.clone()),
            http2: Http2Origins::default(),
            metrics,
            log,
            flows,
            explain_next: AtomicU64::new(0),
            began: Instant::now(),
            registry: Arc::default(),
            load: Arc::default(),
            parting: AtomicUsize::new(0),
            ids: Mutex::new(ids),
            seed: AtomicU64::new(rand::random()),
        }
    }

    /// The next flow's id.
    pub fn next_id(&self) -> FlowId {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next_id()
    }

    /// A number that is hard to guess, for span ids and sampling.
    pub fn random(&self) -> u64 {
        // SplitMix64: well scattered, and one addition of shared state.
        let mut z = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Whether it is time to explain a decision again; then it is not for so long.
    pub fn may_explain(&self, every: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.began.elapsed());
        // Only this worker's thread asks, so nothing comes between.
        let may = now >= self.explain_next.load(Ordering::Relaxed);
        if may {
            self.explain_next.store(now.saturating_add(millis(every)), Ordering::Relaxed);
        }
        may
    }

    /// Whether draining has begun.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }
}

/// Shards of the table of clients.
const SHARDS: usize = 64;

/// Counts client connections, in all and by address.
#[derive(Debug)]
pub struct Connections {
    total: AtomicUsize,
    by_client: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

impl Default for Connections {
    fn default() -> Self {
        Self { total: AtomicUsize::new(0), by_client: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Connections {
    fn shard(&self, client: IpAddr) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        let last = match client {
            IpAddr::V4(v4) => v4.octets()[3] ^ v4.octets()[2],
            IpAddr::V6(v6) => v6.octets().iter().fold(0, |sum, octet| sum ^ octet),
        };
        self.by_client[usize::from(last) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn admit(&self, snapshot: &Snapshot) -> Result<(), Limit> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= snapshot.limits.connections {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(Limit::Connections);
        }
        Ok(())
    }

    /// Counts a connection that was admitted among those of its client.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn claim(&self, client: IpAddr, snapshot: &Snapshot) -> Result<(), Limit> {
        let client = client.to_canonical();
        let mut shard = self.shard(client);
        let count = shard.entry(client).or_insert(0);
        if *count >= snapshot.limits.connections_per_client {
            return Err(Limit::ConnectionsPerClient);
        }
        *count += 1;
        Ok(())
    }

    /// Counts a connection out, and from among its client's where it was claimed.
    pub fn leave(&self, client: Option<IpAddr>) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = client.map(|client| client.to_canonical()) else { return };
        let mut shard = self.shard(client);
        if let Some(count) = shard.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&client);
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }
}
