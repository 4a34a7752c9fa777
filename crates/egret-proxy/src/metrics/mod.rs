//! Metrics: counted by each worker on its own, added up when somebody asks.

mod clients;
mod collector;
mod docs;
mod exposition;
mod families;
mod histogram;
mod labels;
mod process;
mod rules;
mod sources;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;

pub use docs::{docs, markdown};
pub use exposition::Exposition;
pub use labels::{CredentialMethod, CredentialResult, Limit, MethodClass, Phase, PoolEvent, StatusClass};
pub use sources::{
    CertificateFigure, DnsFigures, InterceptionFigures, ParentFigure, Sources, WatchFigure, WorkloadFigures,
};
pub use worker::WorkerMetrics;

/// What `egret_build_info` says.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo {
    /// The version.
    pub version: &'static str,
    /// The commit it was built from, empty when unknown.
    pub revision: &'static str,
    /// The compiler, empty when unknown.
    pub rustc: &'static str,
}

/// The metrics of the process.
pub struct Metrics {
    inner: Arc<Inner>,
    registry: Registry,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Arc<WorkerMetrics>>,
    clients: Arc<clients::Clients>,
    workloads: Arc<clients::Clients<clients::Account>>,
    rules: Arc<rules::Rules>,
    sources: Sources,
    build: BuildInfo,
    generation: AtomicU64,
    reloads_ok: AtomicU64,
    reloads_refused: AtomicU64,
    last_success_millis: AtomicU64,
    draining: AtomicBool,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("workers", &self.inner.workers.len()).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics for so many workers, with the figures that others keep.
    #[must_use]
    pub fn new(workers: usize, build: BuildInfo, sources: Sources) -> Self {
        let clients: Arc<clients::Clients> = Arc::default();
        let workloads: Arc<clients::Clients<clients::Account>> = Arc::default();
        let rules: Arc<rules::Rules> = Arc::default();
        let most = egret_core::settings::Limits::default();
        clients.limit(most.client_names);
        workloads.limit(most.workload_names);
        let of_worker = || WorkerMetrics {
            clients: clients.clone(),
            workloads: workloads.clone(),
            rules: rules.clone(),
            ..WorkerMetrics::default()
        };
        let inner = Arc::new(Inner {
            workers: (0..workers.max(1)).map(|_| Arc::new(of_worker())).collect(),
            clients,
            workloads,
            rules,
            sources,
            build,
            generation: AtomicU64::new(0),
            reloads_ok: AtomicU64::new(0),
            reloads_refused: AtomicU64::new(0),
            last_success_millis: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector::Scrape(inner.clone())));
        Self { inner, registry }
    }

    /// The counters of one worker, from 0.
    #[must_use]
    pub fn worker(&self, worker: usize) -> Arc<WorkerMetrics> {
        self.inner.workers[worker % self.inner.workers.len()].clone()
    }

    /// How many clients' names are told apart (`limits.clientNames`). Those that are known stay.
    pub fn limit_client_names(&self, most: usize) {
        self.inner.clients.limit(most);
    }

    /// How many service accounts are told apart (`limits.workloadNames`). Those that are known stay.
    pub fn limit_workload_names(&self, most: usize) {
        self.inner.workloads.limit(most);
    }

    /// How many rules of policies are told apart (`limits.policyRules`). Those that are known stay.
    pub fn limit_policy_rules(&self, most: usize) {
        self.inner.rules.limit(most);
    }

    /// The first configuration is in use. Not counted as a reload.
    pub fn config_loaded(&self, generation: u64) {
        self.inner.generation.store(generation, Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.inner.last_success_millis.store(now.as_millis() as u64, Relaxed);
    }

    /// A reload brought this generation into use.
    pub fn config_reloaded(&self, generation: u64) {
        self.inner.reloads_ok.fetch_add(1, Relaxed);
        self.config_loaded(generation);
    }

    /// A reload was refused; the old configuration stays in use.
    pub fn config_refused(&self) {
        self.inner.reloads_refused.fetch_add(1, Relaxed);
    }

    /// Whether the process shuts down.
    pub fn set_draining(&self, draining: bool) {
        self.inner.draining.store(draining, Relaxed);
    }

    /// The text for a scrape. `accept` is the scraper's `Accept` field: OpenMetrics where it is asked
    /// for, the classic Prometheus format otherwise.
    #[must_use]
    pub fn render(&self, accept: Option<&str>) -> Exposition {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail; nothing of ours in the encoders does either.
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics could not be encoded");
        }
        exposition::negotiate(text, accept)
    }
}
