//! Trace export: one span for each finished flow, sent to a collector with OTLP over HTTP.
//!
//! Spans are made from records after the fact, on a thread of their own. The data path hands over a
//! copy of the record, for sampled flows alone, and never waits: when the collector is slow or away
//! the queue fills, and what does not fit is counted.

mod client;
mod span;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test's collector reads bodies that the test wrote")]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use egret_core::record::FlowRecord;
use egret_core::settings::DnsSettings;

use client::Client;
use span::Spans;

/// Records that may wait for the exporter: a few seconds of a busy proxy, a few megabytes.
const QUEUE: usize = 4096;
/// Spans in one request; the specification's default for batches.
const BATCH: usize = 512;
/// How long spans gather before they are sent.
const GATHER: Duration = Duration::from_secs(2);
/// One request to the collector, repetitions included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans go and what they say.
#[derive(Clone)]
pub(crate) struct OtlpSettings {
    /// The collector's URL; `/v1/traces` is added when it has no path.
    pub(crate) endpoint: String,
    /// The share of new traces that is kept, 0 to 1. Traces begun by clients follow the client.
    pub(crate) sample: f64,
    /// `service.name`.
    pub(crate) service_name: String,
    /// Query strings are part of `url.full`. Off by default: they often hold secrets.
    pub(crate) include_query: bool,
    /// Header fields sent to the collector, for its credentials. Never printed.
    pub(crate) headers: Vec<(String, String)>,
    /// Name servers for the collector's name.
    pub(crate) dns: DnsSettings,
    /// How the collector's certificate is checked; needed for `https` alone.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSettings")
            .field("endpoint", &self.endpoint)
            .field("sample", &self.sample)
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}

/// Why export cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtlpError {
    /// The URL is none, or not one that can be posted to.
    #[error("the OTLP endpoint `{0}` is not an http:// or https:// URL")]
    Endpoint(String),
    /// An `https` collector without trust anchors.
    #[error("the OTLP endpoint is https:// and no TLS settings are given")]
    Tls,
    /// The resolver could not be made.
    #[error("the resolver for the OTLP endpoint: {0}")]
    Resolver(String),
    /// The exporter refused its settings.
    #[error("the OTLP exporter: {0}")]
    Exporter(String),
    /// No thread or runtime.
    #[error("the OTLP thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

/// The exporter of the process. Dropping it sends what waits, in the background, and ends its thread.
#[derive(Debug)]
pub(crate) struct Otlp {
    handle: OtlpHandle,
    flushes: mpsc::UnboundedSender<SyncSender<()>>,
}

/// One worker's way to the exporter.
#[derive(Clone, Debug)]
pub(crate) struct OtlpHandle {
    records: mpsc::Sender<FlowRecord>,
    sample: f64,
    dropped: Arc<AtomicU64>,
}

impl Otlp {
    /// Starts the exporting thread.
    ///
    /// # Errors
    /// The endpoint cannot be used, or the thread cannot start. That the collector is away is no error.
    pub(crate) fn start(settings: OtlpSettings) -> Result<Self, OtlpError> {
        let endpoint = traces_endpoint(&settings.endpoint)?;
        if endpoint.starts_with("https:") && settings.tls.is_none() {
            return Err(OtlpError::Tls);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = {
            let _inside = runtime.enter(); // The resolver looks for its runtime when it is made.
            Client::new(&settings.dns, settings.tls.clone()).map_err(OtlpError::Resolver)?
        };
        let exporter = exporter(&settings, endpoint, client)?;
        let (records, waiting) = mpsc::channel(QUEUE);
        let (flushes, orders) = mpsc::unbounded_channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let handle = OtlpHandle { records, sample: settings.sample, dropped: dropped.clone() };
        let export = Export {
            exporter,
            spans: Spans::new(settings.include_query),
            waiting,
            orders,
            dropped,
            failing: false,
        };
        std::thread::Builder::new().name("otlp".into()).spawn(move || runtime.block_on(export.run()))?;
        Ok(Self { handle, flushes })
    }

    /// A handle for a worker.
    pub(crate) fn handle(&self) -> OtlpHandle {
        self.handle.clone()
    }

    /// Spans lost so far: the queue was full, or the collector did not take them.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        self.handle.dropped.clone()
    }

    /// Waits until every record handed over before is sent or lost, or `limit` has passed. True if
    /// they are. Blocks the calling thread.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        self.flushes.send(done).is_ok() && wait.recv_timeout(limit).is_ok()
    }
}

impl egret_proxy::worker::RecordSink for OtlpHandle {
    fn record(&self, record: &FlowRecord) {
        self.record(record);
    }
}

impl OtlpHandle {
    /// Hands over a finished flow. Flows without a span, unsampled ones and interim records are
    /// passed over. Never blocks.
    pub(crate) fn record(&self, record: &FlowRecord) {
        if span::is_exported(record, self.sample) && self.records.try_send(record.clone()).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The URL that traces are posted to (OTLP specification, "OTLP/HTTP request").
fn traces_endpoint(endpoint: &str) -> Result<String, OtlpError> {
    let wrong = || OtlpError::Endpoint(endpoint.to_owned());
    let uri: http::Uri = endpoint.parse().map_err(|_| wrong())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    let has_path = !matches!(uri.path(), "" | "/") || uri.query().is_some();
    let base = endpoint.trim_end_matches('/');
    Ok(if has_path { endpoint.to_owned() } else { format!("{base}/v1/traces") })
}

fn exporter(settings: &OtlpSettings, endpoint: String, client: Client) -> Result<SpanExporter, OtlpError> {
    let headers: HashMap<String, String> = settings.headers.iter().cloned().collect();
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_headers(headers)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| OtlpError::Exporter(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(settings.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    exporter.set_resource(&resource);
    Ok(exporter)
}

/// The thread's work.
struct Export {
    exporter: SpanExporter,
    spans: Spans,
    waiting: mpsc::Receiver<FlowRecord>,
    orders: mpsc::UnboundedReceiver<SyncSender<()>>,
    dropped: Arc<AtomicU64>,
    failing: bool,
}

impl Export {
    /// Sends batches until the owner is gone.
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut due = None;
        loop {
            let deadline = due.unwrap_or_else(Instant::now);
            let gathered = batch.len(); // Always below BATCH: a full batch is sent at once.
            tokio::select! {
                received = self.waiting.recv_many(&mut batch, BATCH - gathered) => {
                    if received > 0 {
                        due.get_or_insert_with(|| Instant::now() + GATHER);
                    }
                    if batch.len() < BATCH {
                        continue;
                    }
                }
                () = sleep_until(deadline), if due.is_some() => {}
                order = self.orders.recv() => {
                    self.send_everything(&mut batch).await;
                    match order {
                        // Whoever asked may have stopped waiting.
                        Some(done) => drop(done.try_send(())),
                        None => return,
                    }
                }
            }
            self.send(&mut batch).await;
            due = None;
        }
    }

    /// Sends what waits now, also when it is more than a batch.
    async fn send_everything(&mut self, batch: &mut Vec<FlowRecord>) {
        for _ in 0..=QUEUE / BATCH {
            while batch.len() < BATCH {
                match self.waiting.try_recv() {
                    Ok(record) => batch.push(record),
                    Err(_) => break,
                }
            }
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: &mut Vec<FlowRecord>) {
        if batch.is_empty() {
            return;
        }
        let spans: Vec<_> = batch.drain(..).filter_map(|record| self.spans.of(&record)).collect();
        let count = spans.len() as u64;
        match self.exporter.export(spans).await {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("traces reach the collector again");
                }
            }
            Err(error) => {
                self.dropped.fetch_add(count, Relaxed);
                // Once for each spell of failure.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "traces do not reach the collector; spans are dropped and counted");
                }
            }
        }
    }
}
