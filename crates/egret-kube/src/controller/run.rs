//! The running controller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ResourceExt as _};
use kube::core::PartialObjectMeta;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::api::within;
use super::bundle::cluster::TrustBundles;
use super::connect::Connected;
use super::facts::Facts;
use super::leader::lead;
use super::lease::Elector;
use super::metrics::{Kind, Metrics, help};
use super::proxies::compile::snapshot;
use super::settings::{LEASE, Settings};
use super::watch::Health;
use super::webhook::keep::{Registration, Shown};
use crate::admission::{Limits, Verdict, Webhook};
use crate::client::chain;
use crate::inject::labels;
use crate::validate::validate_in;

/// How often settings are compiled without a change, in case one was missed.
const COMPILE: Duration = Duration::from_secs(300);
/// How long is waited when a part of the leader's work broke down.
const BROKEN: Duration = Duration::from_secs(10);
/// The first word with the API server. After that, it may go away.
const HELLO: Duration = Duration::from_secs(20);

/// Why a controller cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The API server is not there.
    #[error(
        "the API server at {host} cannot be asked: {why}. Check that the kubeconfig or the service account is of this cluster, and that the network lets this through"
    )]
    Unreachable {
        /// Where it was looked for.
        host: String,
        /// Why not.
        why: String,
    },
}

/// A controller that can be run.
pub struct Controller {
    connected: Connected,
    settings: Settings,
    webhook: Webhook,
    metrics: Arc<Metrics>,
    status: watch::Sender<Option<Arc<Parts>>>,
}

impl fmt::Debug for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Controller").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What is asked by metrics and health.
struct Parts {
    facts: Facts,
    shown: Shown,
    leads: watch::Receiver<bool>,
}

/// How a controller is doing. Clones ask the same one.
#[derive(Clone)]
pub struct Status {
    webhook: Webhook,
    parts: watch::Receiver<Option<Arc<Parts>>>,
    registry: Arc<Registry>,
}

impl fmt::Debug for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Status").finish_non_exhaustive()
    }
}

impl Status {
    /// Why it should not be asked yet, or any more; `None` when it is ready: the webhook has its certificate and its
    /// settings, whether this replica leads or not.
    #[must_use]
    pub fn unready(&self) -> Option<&'static str> {
        self.webhook.unready()
    }

    /// Whether this replica leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.parts.borrow().as_ref().is_some_and(|parts| *parts.leads.borrow())
    }

    /// The metrics, in the text format of OpenMetrics.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Controller {
    /// A controller for a cluster. Asks the API server who it is.
    ///
    /// # Errors
    /// The API server cannot be asked.
    pub async fn new(connected: Connected, settings: Settings) -> Result<(Self, String), StartError> {
        let unreachable = |why: String| StartError::Unreachable { host: connected.host.clone(), why };
        let version = match timeout(HELLO, connected.client.apiserver_version()).await {
            Ok(Ok(version)) => version.git_version,
            Ok(Err(error)) => return Err(unreachable(chain(&error))),
            Err(_) => return Err(unreachable(format!("no answer within {} s", HELLO.as_secs()))),
        };
        let client = connected.client.clone();
        let webhook = Webhook::new(
            Limits::default(),
            |kind, object, namespace| {
                let report = validate_in(kind, object, namespace);
                let refused = (!report.is_valid()).then(|| report.one_line());
                Verdict { refused, warnings: report.warnings.iter().map(ToString::to_string).collect() }
            },
            Some(Box::new(move |name| {
                let (api, name) = (Api::<PartialObjectMeta<Namespace>>::all(client.clone()), name.to_owned());
                Box::pin(async move {
                    let found = within(api.get_opt(&name)).await.ok()??;
                    Some(labels(found.labels()))
                })
            })),
        );
        let (status, _) = watch::channel(None);
        let metrics = Arc::new(Metrics::default());
        Ok((Self { connected, settings, webhook, metrics, status }, version))
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        self.webhook.metrics().register(&mut registry);
        registry.register_collector(Box::new(Scraped { parts: self.status.subscribe() }));
        Status { webhook: self.webhook.clone(), parts: self.status.subscribe(), registry: Arc::new(registry) }
    }

    /// Runs until `stop` says so: then the Lease is given back, the webhook says that it wants no more, and goes on
    /// to answer for `drain`, for the API server needs a moment to take another replica.
    ///
    /// # Errors
    /// The webhook cannot be served.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
        drain: watch::Receiver<Duration>,
    ) -> std::io::Result<()> {
        let client = &self.connected.client;
        let mut tasks = JoinSet::new();
        let facts = Facts::watch(&mut tasks, client, &self.settings, &self.connected.host);
        let shown = Shown::watch(&mut tasks, client, &self.settings, self.webhook.certificates().clone());
        let (elector, leads) = Elector::new(
            Api::<Lease>::namespaced(client.clone(), &self.settings.namespace),
            LEASE,
            &self.settings.identity,
            self.settings.lease,
        );
        let parts = Parts { facts: facts.clone(), shown: shown.clone(), leads: leads.clone() };
        self.status.send_replace(Some(Arc::new(parts)));
        tasks.spawn(compile(self.clone_for_tasks(), facts.clone()));
        let elector = tokio::spawn(elector.run(stop.clone()));
        let leading = self.follow(leads, facts, shown);
        let mut end = stop.clone();
        let served = self.webhook.serve(listener, async {
            becomes(&mut end, true).await;
            self.webhook.begin_drain();
            let drain = *drain.borrow();
            tokio::time::sleep(drain).await;
        });
        let result = tokio::select! {
            result = served => result,
            () = leading => Ok(()),
        };
        // It gives the Lease back, within its own bounds.
        let _ = elector.await;
        result
    }

    fn clone_for_tasks(&self) -> Compiler {
        Compiler {
            connected: self.connected.clone(),
            webhook: self.webhook.clone(),
            namespace: self.settings.namespace.clone(),
        }
    }

    /// Leads while the Lease is held, and not a moment longer.
    async fn follow(&self, mut leads: watch::Receiver<bool>, facts: Facts, shown: Shown) {
        loop {
            if !becomes(&mut leads, true).await {
                // The elector ends with the process; the webhook goes on until then.
                return std::future::pending().await;
            }
            self.metrics.leader.set(1);
            self.metrics.leader_changes.inc();
            let registration = Registration {
                client: self.connected.client.clone(),
                settings: self.settings.clone(),
                shown: shown.clone(),
            };
            let work = lead(
                self.connected.client.clone(),
                self.settings.clone(),
                facts.clone(),
                self.metrics.clone(),
                registration,
            );
            tokio::select! {
                // Broken, it would break again at once.
                () = work => tokio::time::sleep(BROKEN).await,
                _ = becomes(&mut leads, false) => {}
            }
            self.metrics.leader.set(0);
            self.metrics.leader_changes.inc();
        }
    }
}

/// Waits for a value; `false` when it will never come. What it waits with is not held afterwards.
async fn becomes(receiver: &mut watch::Receiver<bool>, value: bool) -> bool {
    receiver.wait_for(|now| *now == value).await.is_ok()
}

/// What compiling needs.
struct Compiler {
    connected: Connected,
    webhook: Webhook,
    namespace: String,
}

/// Gives the webhook its settings, whenever something changes.
async fn compile(compiler: Compiler, facts: Facts) {
    let (mut changes, bundles) = (facts.changes.listen(), TrustBundles::default());
    loop {
        changes.changed_within(COMPILE).await;
        // A list that is not there yet would make other settings than the one that comes in a moment; one that cannot
        // be had does not hold up the others.
        if !(facts.are_read() && facts.are_settled()) {
            continue;
        }
        let projected = bundles.can_be_projected(&compiler.connected.client).await;
        let snapshot = snapshot(&facts, &compiler.namespace, projected);
        tracing::debug!(proxies = snapshot.proxies().len(), "new settings for the webhook");
        compiler.webhook.set_snapshot(snapshot);
    }
}

/// What is counted of a list.
type Figure = fn(&Health) -> u64;

/// Metrics that are asked for when somebody looks.
struct Scraped {
    parts: watch::Receiver<Option<Arc<Parts>>>,
}

impl fmt::Debug for Scraped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scraped").finish_non_exhaustive()
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let parts = self.parts.borrow().clone();
        let Some(parts) = parts else { return Ok(()) };
        let mut lists: Vec<&Arc<Health>> = parts.facts.health().to_vec();
        lists.extend(parts.shown.health());
        let name = "egret_controller_watch_current";
        let mut family = encoder.encode_descriptor(name, help(name), None, MetricType::Gauge)?;
        for health in &lists {
            let labels = Kind { kind: health.kind };
            ConstGauge::new(i64::from(health.is_current())).encode(family.encode_family(&labels)?)?;
        }
        let counters: [(&str, Figure); 2] = [
            ("egret_controller_watch_failures", Health::failures),
            ("egret_controller_watch_restarts", Health::restarts),
        ];
        for (name, figure) in counters {
            let meaning = help(&format!("{name}_total"));
            let mut family = encoder.encode_descriptor(name, meaning, None, MetricType::Counter)?;
            for health in &lists {
                let labels = Kind { kind: health.kind };
                ConstCounter::new(figure(health)).encode(family.encode_family(&labels)?)?;
            }
        }
        let name = "egret_controller_webhook_certificate_not_after_timestamp_seconds";
        let not_after = parts.shown.serving.not_after().map_or(0, |at| at.as_second());
        ConstGauge::new(not_after).encode(encoder.encode_descriptor(
            name,
            help(name),
            None,
            MetricType::Gauge,
        )?)
    }
}
