//! Who is behind an address, a token or a short name: what the proxy knows of its cluster.
//!
//! Watches of pods, namespaces and Services keep an index that the data path reads without a lock. Nothing of
//! it is needed for a flow to go on: with the API server away, what was last seen holds.

mod events;
mod index;
mod intern;
mod objects;
mod services;
mod table;
mod tokens;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use egret_config::KubernetesSettings;
use egret_config::file::BareServiceNames;
use egret_core::destination::Destination;
use egret_core::identity::workloads::{Behind, Later, Reviewed, ServiceName, Workloads};
use egret_core::identity::{Unattributed, Workload};
use egret_core::record::FlowRecord;
use kube::{Api, Client};
use tokio::runtime::Handle;
use tokio::sync::watch::{self as signal, Sender};

use self::events::Events;
use self::index::Index;
use self::objects::{Namespace, Pod, Service};
use self::services::{Services, domain_of};
use self::tokens::Tokens;
use crate::client::{Access, AccessError, connect};
use crate::watch::{Health, Scope, watch};

/// How long an address that turned out to be nobody's does not wait again.
const NOT_AGAIN: Duration = Duration::from_secs(60);
/// Addresses that are remembered for it.
const NOT_AGAIN_ADDRESSES: usize = 4096;

/// What is called with the addresses behind which it is somebody else now.
pub type OnChange = Box<dyn Fn(&HashSet<IpAddr>) + Send + Sync>;

/// What the proxy knows of its cluster.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KubernetesSettings,
    client: Client,
    index: Index,
    services: Services,
    tokens: Tokens,
    events: Option<Events>,
    pods: Vec<Arc<Health>>,
    others: Vec<Arc<Health>>,
    /// Counts what was published, for those who wait.
    published: Sender<u64>,
    waited: Mutex<HashMap<IpAddr, Instant>>,
    on_change: OnceLock<OnChange>,
    handle: Handle,
}

/// How current a list is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WatchFigures {
    /// The kind of object.
    pub kind: &'static str,
    /// It was read whole at least once.
    pub is_read: bool,
    /// For how long it may have been out of date; 0 while it is current.
    pub behind: Duration,
    /// Lists and watches that failed.
    pub failures: u64,
}

/// Figures for the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterFigures {
    /// Pods that are known.
    pub pods: u64,
    /// Addresses of more than one pod.
    pub ambiguous: u64,
    /// The lists.
    pub watches: Vec<WatchFigures>,
    /// Reviews of tokens by their results.
    pub token_reviews: Vec<(&'static str, u64)>,
    /// Refusals by what became of their Events.
    pub events: Vec<(&'static str, u64)>,
}

impl Cluster {
    /// Connects and begins to watch, on the runtime that it is called within. The API server may be away.
    ///
    /// # Errors
    /// Nothing says where the API server is, or what says so cannot be used.
    pub async fn start(settings: KubernetesSettings) -> Result<Self, AccessError> {
        let access = Access { kubeconfig: settings.kubeconfig.clone(), part: "proxy" };
        let client = connect(&access).await?;
        let domain = settings
            .cluster_domain
            .clone()
            .or_else(|| domain_of(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()));
        let domain = domain.unwrap_or_else(|| "cluster.local".to_owned());
        let lists = settings.namespaces.len().max(1);
        let mut others = Vec::new();
        if settings.namespaces.is_empty() {
            others.push(Arc::new(Health::new("namespaces")));
        }
        if settings.bare_service_names != BareServiceNames::Ignore {
            others.push(Arc::new(Health::new("services")));
        }
        let inner = Arc::new(Inner {
            index: Index::default(),
            services: Services::new(settings.bare_service_names, domain),
            tokens: Tokens::new(client.clone(), settings.token_audience.clone(), settings.token_cache),
            events: settings.events.then(|| Events::start(client.clone())),
            pods: (0..lists).map(|_| Arc::new(Health::new("pods"))).collect(),
            others,
            published: Sender::new(0),
            waited: Mutex::default(),
            on_change: OnceLock::new(),
            handle: Handle::current(),
            client,
            settings,
        });
        inner.watch_pods();
        for health in &inner.others {
            match health.kind() {
                "namespaces" => inner.watch_namespaces(health.clone()),
                _ => inner.watch_services(health.clone()),
            }
        }
        Ok(Self { inner })
    }

    /// The client of the API server.
    #[must_use]
    pub fn client(&self) -> Client {
        self.inner.client.clone()
    }

    /// Says what is to be called when it is somebody else behind addresses. Told once.
    pub fn on_change(&self, call: OnChange) {
        let _ = self.inner.on_change.set(call);
    }

    /// Waits until the pods were read once, and the rest was tried, for so long at most. False: they were not.
    pub async fn read(&self, most: Duration) -> bool {
        let inner = &self.inner;
        // What RBAC does not allow stays so; pods alone are worth waiting for.
        let is_read = || {
            inner.pods.iter().all(|health| health.is_read())
                && inner.others.iter().all(|health| health.is_read() || health.failures() > 0)
        };
        let deadline = tokio::time::Instant::now() + most;
        while !is_read() {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Takes a finished flow: a refusal of a pod becomes an Event.
    pub fn record(&self, record: &FlowRecord) {
        if let Some(events) = &self.inner.events {
            events.record(record);
        }
    }

    /// Figures for the metrics.
    #[must_use]
    pub fn figures(&self) -> ClusterFigures {
        let inner = &self.inner;
        let index = inner.index.figures();
        let mut watches: Vec<WatchFigures> = Vec::new();
        for health in inner.pods.iter().chain(&inner.others) {
            let figures = WatchFigures {
                kind: health.kind(),
                is_read: health.is_read(),
                behind: health.behind_for().unwrap_or_default(),
                failures: health.failures(),
            };
            // Pods of several namespaces are several lists; the worst of them counts.
            match watches.iter_mut().find(|known| known.kind == figures.kind) {
                Some(known) => {
                    known.is_read &= figures.is_read;
                    known.behind = known.behind.max(figures.behind);
                    known.failures += figures.failures;
                }
                None => watches.push(figures),
            }
        }
        let reviews = &inner.tokens.counts;
        let events = inner.events.as_ref().map(|events| {
            let counts = &events.counts;
            vec![
                ("written", counts.written.load(Relaxed)),
                ("joined", counts.joined.load(Relaxed)),
                ("limited", counts.limited.load(Relaxed)),
                ("failed", counts.failed.load(Relaxed)),
            ]
        });
        ClusterFigures {
            pods: index.pods as u64,
            ambiguous: index.ambiguous as u64,
            watches,
            token_reviews: vec![
                ("good", reviews.good.load(Relaxed)),
                ("refused", reviews.refused.load(Relaxed)),
                ("unavailable", reviews.unavailable.load(Relaxed)),
            ],
            events: events.unwrap_or_default(),
        }
    }
}

impl Inner {
    fn watch_pods(self: &Arc<Self>) {
        let fields = self.settings.node.as_ref().map(|node| format!("spec.nodeName={node}"));
        let scope = Scope { fields: fields.unwrap_or_default(), labels: String::new() };
        let namespaces: Vec<Option<&String>> = match self.settings.namespaces.as_slice() {
            [] => vec![None],
            namespaces => namespaces.iter().map(Some).collect(),
        };
        for (list, namespace) in namespaces.into_iter().enumerate() {
            let api: Api<Pod> = match namespace {
                None => Api::all(self.client.clone()),
                Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            };
            let (inner, health, scope) = (self.clone(), self.pods[list].clone(), scope.clone());
            self.handle.spawn(async move {
                watch(api, scope, &health, |change| inner.changed(&inner.index.pods(list, change))).await;
            });
        }
    }

    fn watch_namespaces(self: &Arc<Self>, health: Arc<Health>) {
        let (inner, api) = (self.clone(), Api::<Namespace>::all(self.client.clone()));
        self.handle.spawn(async move {
            let tell = |change| inner.changed(&inner.index.namespaces(change));
            watch(api, Scope::default(), &health, tell).await;
        });
    }

    fn watch_services(self: &Arc<Self>, health: Arc<Health>) {
        let (inner, api) = (self.clone(), Api::<Service>::all(self.client.clone()));
        self.handle.spawn(async move {
            watch(api, Scope::default(), &health, |change| inner.services.change(change)).await;
        });
    }

    fn changed(&self, addresses: &HashSet<IpAddr>) {
        if addresses.is_empty() {
            return;
        }
        self.published.send_modify(|count| *count = count.wrapping_add(1));
        if let Some(call) = self.on_change.get() {
            call(addresses);
        }
    }

    /// Whether what is known of pods is too old to be believed.
    fn is_stale(&self) -> bool {
        let Some(most) = self.settings.staleness else { return false };
        self.pods.iter().any(|health| health.behind_for().is_some_and(|behind| behind > most))
    }

    fn behind(&self, address: IpAddr) -> Behind {
        if self.is_stale() { Behind::Nobody(Unattributed::Stale) } else { self.index.behind(address) }
    }

    /// Whether a request from an unknown address is to wait now; if so, the next one is not for a while.
    fn waits(&self, address: IpAddr) -> bool {
        // Without news there is nothing to wait for.
        if self.settings.unknown_source_wait.is_zero()
            || self.pods.iter().any(|health| health.is_read() && health.behind_for().is_some())
        {
            return false;
        }
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if waited.get(&address).is_some_and(|last| now.duration_since(*last) < NOT_AGAIN) {
            return false;
        }
        if waited.len() >= NOT_AGAIN_ADDRESSES {
            waited.retain(|_, last| now.duration_since(*last) < NOT_AGAIN);
            if waited.len() >= NOT_AGAIN_ADDRESSES {
                return false;
            }
        }
        waited.insert(address, now);
        true
    }

    async fn appeared(&self, address: IpAddr) -> Behind {
        let unknown = Behind::Nobody(Unattributed::Unknown);
        let mut published: signal::Receiver<u64> = self.published.subscribe();
        let now = self.behind(address);
        if now != unknown || !self.waits(address) {
            return now;
        }
        let known = async {
            loop {
                let now = self.behind(address);
                if now != unknown || published.changed().await.is_err() {
                    return now;
                }
            }
        };
        let known = tokio::time::timeout(self.settings.unknown_source_wait, known).await;
        let Ok(known) = known else { return self.behind(address) };
        // It is a pod's now; when it is another's later, that one may wait again.
        self.waited.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
        known
    }
}

impl Workloads for Cluster {
    fn behind(&self, address: IpAddr) -> Behind {
        self.inner.behind(address)
    }

    fn appeared(&self, address: IpAddr) -> Later<'_, Behind> {
        Box::pin(self.inner.appeared(address))
    }

    fn completed(&self, proved: &Arc<Workload>) -> Option<Arc<Workload>> {
        let index = &self.inner.index;
        if let Some(uid) = &proved.pod_uid {
            if let Some(pod) = index.pod(uid) {
                return Some(pod);
            }
            if index.has_ended(uid) {
                return None;
            }
        }
        match index.labels_of(&proved.namespace) {
            Some(labels) if labels != proved.namespace_labels => {
                Some(Arc::new(Workload { namespace_labels: labels, ..(**proved).clone() }))
            }
            _ => Some(proved.clone()),
        }
    }

    fn reviewed<'a>(&'a self, token: &'a str) -> Later<'a, Reviewed> {
        let (inner, token) = (self.inner.clone(), zeroize::Zeroizing::new(token.to_owned()));
        // On the runtime whose connections these are.
        let review = self.inner.handle.spawn(async move { inner.tokens.review(&token).await });
        Box::pin(
            async move { review.await.unwrap_or(Reviewed::Unavailable("the review of the token failed")) },
        )
    }

    fn service(&self, namespace: Option<&str>, destination: &Destination) -> Option<ServiceName> {
        self.inner.services.judge(namespace, destination)
    }
}
