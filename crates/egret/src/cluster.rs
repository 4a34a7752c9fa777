//! The cluster that the proxy is in: the API server's news have a thread of their own, and the data path knows
//! them by a trait.

use std::sync::Arc;
use std::time::Duration;

use egret_config::KubernetesSettings;
use egret_core::identity::workloads::Workloads;
use egret_core::record::FlowRecord;
use egret_kube::identity::Cluster;
use egret_proxy::metrics::{WatchFigure, WorkloadFigures};
use egret_proxy::worker::RecordSink;
use tokio::sync::oneshot;

/// How long the start waits for the first lists. Longer, and a proxy whose API server is away would not serve.
const FIRST_LISTS: Duration = Duration::from_secs(5);

/// Begins to watch the cluster, and waits a moment for the first lists.
///
/// # Errors
/// Nothing says where the API server is, or a thread cannot be started.
pub(crate) async fn start(settings: KubernetesSettings) -> Result<Cluster, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let (give, take) = oneshot::channel();
    let main = async move {
        let cluster = Cluster::start(settings).await;
        let is_started = cluster.is_ok();
        if give.send(cluster).is_ok() && is_started {
            // For the life of the process.
            std::future::pending::<()>().await;
        }
    };
    std::thread::Builder::new()
        .name("egret-kube".to_owned())
        .spawn(move || runtime.block_on(main))
        .map_err(|error| error.to_string())?;
    let cluster = take.await.map_err(|_| "the thread that watches it has failed".to_owned())?;
    let cluster = cluster.map_err(|error| error.to_string())?;
    if !cluster.read(FIRST_LISTS).await {
        tracing::warn!(
            "the cluster could not be read within {FIRST_LISTS:?}: clients are not known as pods until it is"
        );
    }
    Ok(cluster)
}

/// The cluster, as the data path knows it.
pub(crate) fn workloads(cluster: Option<&Cluster>) -> Option<Arc<dyn Workloads>> {
    cluster.map(|cluster| Arc::new(cluster.clone()) as Arc<dyn Workloads>)
}

/// Figures for the metrics.
pub(crate) fn figures(cluster: &Cluster) -> WorkloadFigures {
    let figures = cluster.figures();
    let watches = figures.watches.iter().map(|watched| WatchFigure {
        kind: watched.kind,
        is_read: watched.is_read,
        behind_seconds: watched.behind.as_secs_f64(),
        failures: watched.failures,
    });
    WorkloadFigures {
        pods: figures.pods,
        ambiguous: figures.ambiguous,
        watches: watches.collect(),
        token_reviews: figures.token_reviews,
        events: figures.events,
    }
}

/// Hands records on to all that want them.
pub(crate) struct Sinks {
    /// The trace exporter.
    pub(crate) exporter: Option<Box<dyn RecordSink>>,
    /// What writes Events.
    pub(crate) cluster: Option<Cluster>,
}

impl Sinks {
    /// As the data path wants it: nothing, when nobody wants records.
    pub(crate) fn into_sink(self) -> Option<Arc<dyn RecordSink>> {
        (self.exporter.is_some() || self.cluster.is_some()).then(|| Arc::new(self) as Arc<dyn RecordSink>)
    }
}

impl RecordSink for Sinks {
    fn record(&self, record: &FlowRecord) {
        if let Some(exporter) = &self.exporter {
            exporter.record(record);
        }
        if let Some(cluster) = &self.cluster {
            cluster.record(record);
        }
    }
}
