//! What one worker counts: plain additions on memory of its own, no lock and no look-up.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use egret_core::identity::{TlsVersion, Unattributed, Workload};
use egret_core::reason::Reason;
use egret_core::record::FlowRecord;

use super::clients::{Account, Clients};
use super::histogram::Histogram;
use super::labels::{CredentialMethod, CredentialResult, Limit, MethodClass, Phase, PoolEvent, StatusClass};
use super::rules::Rules;

/// Outcomes of a request: every reason, and one more for going well.
pub(super) const OUTCOMES: usize = Reason::COUNT + 1;

/// The counters of one worker. Only the worker's own thread adds to them (two threads that did could
/// lose counts); any thread may read. Aligned so that two workers' counters never share a cache line.
#[repr(align(128))]
#[derive(Debug)]
pub struct WorkerMetrics {
    pub(super) requests: Box<[AtomicU64]>,
    pub(super) connections_opened: AtomicU64,
    pub(super) connections_closed: AtomicU64,
    pub(super) tunnels_opened: AtomicU64,
    pub(super) tunnels_closed: AtomicU64,
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
    pub(super) phases: [Histogram; Phase::COUNT],
    pub(super) limits: [AtomicU64; Limit::COUNT],
    pub(super) pool: [AtomicU64; PoolEvent::COUNT],
    pub(super) credentials: [[AtomicU64; CredentialResult::COUNT]; CredentialMethod::COUNT],
    /// By version, and new before resumed.
    pub(super) handshakes: [[AtomicU64; 2]; 2],
    pub(super) handshake_failures: Box<[AtomicU64]>,
    /// Shared by all workers.
    pub(super) clients: Arc<Clients>,
    /// Shared by all workers.
    pub(super) workloads: Arc<Clients<Account>>,
    /// Of pods, and of each reason why there is none.
    pub(super) lookups: [AtomicU64; 1 + Unattributed::ALL.len()],
    /// Shared by all workers.
    pub(super) rules: Arc<Rules>,
    /// The one thread that may add.
    #[cfg(debug_assertions)]
    pub(super) writer: std::sync::OnceLock<std::thread::ThreadId>,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        let requests = MethodClass::COUNT * StatusClass::COUNT * OUTCOMES;
        Self {
            requests: (0..requests).map(|_| AtomicU64::new(0)).collect(),
            connections_opened: AtomicU64::new(0),
            connections_closed: AtomicU64::new(0),
            tunnels_opened: AtomicU64::new(0),
            tunnels_closed: AtomicU64::new(0),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
            phases: Default::default(),
            limits: Default::default(),
            pool: Default::default(),
            credentials: Default::default(),
            handshakes: Default::default(),
            handshake_failures: (0..Reason::COUNT).map(|_| AtomicU64::new(0)).collect(),
            clients: Arc::default(),
            workloads: Arc::default(),
            lookups: std::array::from_fn(|_| AtomicU64::new(0)),
            rules: Arc::default(),
            #[cfg(debug_assertions)]
            writer: std::sync::OnceLock::new(),
        }
    }
}

impl WorkerMetrics {
    /// Counts a finished flow: the request with its outcome, and the phases it had. Nothing for an
    /// interim record. Bytes are counted as they pass, with [`Self::bytes`].
    pub fn finished(&self, record: &FlowRecord) {
        if record.interim {
            return;
        }
        self.request(MethodClass::of(&record.method), record.status, record.reason);
        if let Some(name) = record.client_name()
            && self.clients.finished(name, record.reason)
        {
            self.limit_hit(Limit::ClientNames);
        }
        if let Some(workload) = &record.workload
            && self.workloads.finished(&account(workload), record.reason)
        {
            self.limit_hit(Limit::WorkloadNames);
        }
        let phases = &record.phases;
        let optional = [
            (Phase::Dns, phases.dns),
            (Phase::Connect, phases.connect),
            (Phase::Tls, phases.tls),
            (Phase::FirstByte, phases.first_byte),
        ];
        for (phase, duration) in optional {
            if let Some(duration) = duration {
                self.phase(phase, duration);
            }
        }
        self.phase(Phase::Total, phases.total);
    }

    /// Counts what policies decided on a finished flow, where there are any.
    pub fn decided(&self, record: &FlowRecord) {
        if self.rules.finished(record) {
            self.limit_hit(Limit::PolicyRules);
        }
    }

    /// In debug builds, and so in tests, a second thread that adds is found at once.
    fn assert_writer(&self) {
        #[cfg(debug_assertions)]
        {
            let current = std::thread::current().id();
            assert_eq!(*self.writer.get_or_init(|| current), current, "a worker's counters have one writer");
        }
    }

    /// Counts a request; `status` is what the client was sent, 0 for nothing.
    pub fn request(&self, method: MethodClass, status: u16, reason: Option<Reason>) {
        let outcome = reason.map_or(0, |reason| reason.index() + 1);
        let row = method.index() * StatusClass::COUNT + StatusClass::of(status).index();
        self.assert_writer();
        add(&self.requests[row * OUTCOMES + outcome], 1);
    }

    /// A client connection was accepted.
    pub fn connection_opened(&self) {
        self.assert_writer();
        add(&self.connections_opened, 1);
    }

    /// A client connection ended.
    pub fn connection_closed(&self) {
        self.assert_writer();
        add(&self.connections_closed, 1);
    }

    /// A tunnel stands.
    pub fn tunnel_opened(&self) {
        self.assert_writer();
        add(&self.tunnels_opened, 1);
    }

    /// A tunnel ended.
    pub fn tunnel_closed(&self) {
        self.assert_writer();
        add(&self.tunnels_closed, 1);
    }

    /// Payload bytes passed since the last call, client to upstream and upstream to client.
    pub fn bytes(&self, up: u64, down: u64) {
        self.assert_writer();
        add(&self.bytes_up, up);
        add(&self.bytes_down, down);
    }

    /// Payload bytes of a client with a name.
    pub fn client_bytes(&self, name: &Arc<str>, up: u64, down: u64) {
        if up > 0 || down > 0 {
            self.clients.bytes(name, up, down);
        }
    }

    /// Payload bytes of a workload.
    pub fn workload_bytes(&self, workload: &Workload, up: u64, down: u64) {
        if up > 0 || down > 0 {
            self.workloads.bytes(&account(workload), up, down);
        }
    }

    /// It was looked up who is behind a client's address: a pod, or why nobody is known.
    pub fn looked_up(&self, nobody: Option<Unattributed>) {
        self.assert_writer();
        let index = nobody.and_then(|why| Unattributed::ALL.iter().position(|known| *known == why));
        add(&self.lookups[index.map_or(0, |index| index + 1)], 1);
    }

    /// A TLS handshake with a client is complete.
    pub fn handshake(&self, version: TlsVersion, resumed: bool, took: Duration) {
        self.assert_writer();
        add(&self.handshakes[version as usize][usize::from(resumed)], 1);
        self.phase(Phase::ClientTls, took);
    }

    /// A TLS handshake with a client failed.
    pub fn handshake_failed(&self, reason: Reason) {
        self.assert_writer();
        add(&self.handshake_failures[reason.index()], 1);
    }

    /// A phase took this long.
    pub fn phase(&self, phase: Phase, duration: Duration) {
        self.assert_writer();
        self.phases[phase.index()].observe(duration);
    }

    /// A limit was struck.
    pub fn limit_hit(&self, limit: Limit) {
        self.assert_writer();
        add(&self.limits[limit.index()], 1);
    }

    /// Something was found out about credentials.
    pub fn credentials(&self, method: CredentialMethod, result: CredentialResult) {
        self.assert_writer();
        add(&self.credentials[method.index()][result.index()], 1);
    }

    /// Something happened with a kept upstream connection. Every [`PoolEvent::Kept`] has to be
    /// followed by one [`PoolEvent::Released`]: the gauge is their difference.
    pub fn pool(&self, event: PoolEvent) {
        self.assert_writer();
        add(&self.pool[event.index()], 1);
    }
}

fn account(workload: &Workload) -> Account {
    (workload.namespace.clone(), workload.service_account.clone().unwrap_or_default())
}

/// Adds to a counter that this thread alone writes: a load and a store, where an atomic addition would
/// hold up the processor to keep other writers out.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
    }
}
