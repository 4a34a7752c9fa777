//! What is watched of the cluster, and what it comes to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use kube::runtime::watcher::Config;
use kube::{Client, Error, Resource};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::api::jittered;
use super::api::{Failure, within};
use super::settings::Settings;
use super::watch::{Changes, Health, Watched, keep};
use crate::crd::EgressProxy;
use crate::no_proxy::ClusterFacts;
use crate::no_proxy::facts::{Lists, PROBE_ADDRESS, gather};

/// What nobody watches is asked for this often: it changes when a cluster is rebuilt.
const SLOWLY: Duration = Duration::from_secs(600);
/// Pods of the API server that are looked at.
const API_SERVERS: u32 = 10;

/// The lists that injection and bundles are made from. Every replica keeps them.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) namespaces: Watched<Namespace>,
    pub(crate) proxies: Watched<EgressProxy>,
    nodes: Watched<Node>,
    service_cidrs: Watched<ServiceCIDR>,
    kubernetes: Watched<Service>,
    endpoints: Watched<EndpointSlice>,
    slow: Arc<Mutex<Slow>>,
    /// What was drawn from the lists, and at which change.
    drawn: Arc<Mutex<Option<Drawn>>>,
    resolv_conf: Option<Arc<str>>,
    api_server: Arc<[String]>,
    pub(crate) changes: Changes,
}

/// What was drawn from the lists, and at which change of them.
type Drawn = (u64, Arc<ClusterFacts>);

/// What is asked for now and then. What cannot be had stays empty: there are other sources.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slow {
    kubeadm: Option<ConfigMap>,
    coredns: Option<ConfigMap>,
    api_servers: Vec<Pod>,
    probe: Option<String>,
}

impl Facts {
    /// Begins to watch. `host` is where the API server is.
    pub(crate) fn watch(tasks: &mut JoinSet<()>, client: &Client, settings: &Settings, host: &str) -> Self {
        let changes = Changes::new();
        let one = |name: &str| Config::default().fields(&format!("metadata.name={name}"));
        let kubernetes = Config::default().labels("kubernetes.io/service-name=kubernetes");
        let in_default = |client: &Client| client.clone();
        let service_cidrs: Watched<ServiceCIDR> =
            keep(tasks, Api::all(client.clone()), Config::default(), "ServiceCIDR", trim_metadata, &changes);
        let facts = Self {
            namespaces: keep(
                tasks,
                Api::all(client.clone()),
                Config::default(),
                "Namespace",
                trim_metadata,
                &changes,
            ),
            proxies: keep(
                tasks,
                Api::all(client.clone()),
                Config::default(),
                "EgressProxy",
                trim_metadata,
                &changes,
            ),
            nodes: keep(tasks, Api::all(client.clone()), Config::default(), "Node", trim_node, &changes),
            kubernetes: keep(
                tasks,
                Api::namespaced(in_default(client), "default"),
                one("kubernetes"),
                "Service",
                trim_metadata,
                &changes,
            ),
            endpoints: keep(
                tasks,
                Api::namespaced(in_default(client), "default"),
                kubernetes,
                "EndpointSlice",
                trim_metadata,
                &changes,
            ),
            service_cidrs,
            slow: Arc::default(),
            drawn: Arc::default(),
            resolv_conf: std::fs::read_to_string("/etc/resolv.conf").ok().map(Into::into),
            api_server: [host.to_owned()].into(),
            changes,
        };
        tasks.spawn(facts.clone().ask_slowly(client.clone(), settings.namespace.clone()));
        facts
    }

    /// How current each list is.
    pub(crate) fn health(&self) -> [&Arc<Health>; 6] {
        [
            &self.namespaces.health,
            &self.proxies.health,
            &self.nodes.health,
            &self.service_cidrs.health,
            &self.kubernetes.health,
            &self.endpoints.health,
        ]
    }

    /// Whether there is enough to inject by: the namespaces and the objects. All else has fall-backs.
    pub(crate) fn are_read(&self) -> bool {
        self.namespaces.health.is_read() && self.proxies.health.is_read()
    }

    /// Whether every list was read once, or cannot be for now.
    pub(crate) fn are_settled(&self) -> bool {
        self.health().iter().all(|health| health.is_read() || health.failures() > 0)
    }

    /// What the cluster's own names and networks are, as far as is known.
    pub(crate) fn of_cluster(&self) -> Arc<ClusterFacts> {
        // Before the lists are read: what changes meanwhile is seen the next time.
        let count = self.changes.count();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = drawn.as_ref()
            && *at == count
        {
            return known.clone();
        }
        let facts = Arc::new(self.draw());
        *drawn = Some((count, facts.clone()));
        facts
    }

    fn draw(&self) -> ClusterFacts {
        fn all<K: Resource<DynamicType = ()> + Clone + 'static>(watched: &Watched<K>) -> Vec<K> {
            let mut all: Vec<K> = watched.store.state().iter().map(|object| (**object).clone()).collect();
            all.sort_by(|a, b| a.meta().name.cmp(&b.meta().name));
            all
        }
        let (cidrs, nodes, endpoints) = (all(&self.service_cidrs), all(&self.nodes), all(&self.endpoints));
        let kubernetes = all(&self.kubernetes);
        let slow = self.slow();
        let served = self.service_cidrs.health.is_read() && !self.service_cidrs.health.is_absent();
        gather(&Lists {
            service_cidrs: served.then_some(&cidrs[..]),
            nodes: &nodes,
            kubernetes_service: kubernetes.first(),
            endpoint_slices: &endpoints,
            api_server_pods: &slow.api_servers,
            kubeadm_config: slow.kubeadm.as_ref(),
            coredns: slow.coredns.as_ref(),
            probe_message: slow.probe.as_deref(),
            resolv_conf: self.resolv_conf.as_deref(),
            api_server_names: &self.api_server,
        })
    }

    fn slow(&self) -> Slow {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask_slowly(self, client: Client, namespace: String) {
        loop {
            let found = Slow {
                kubeadm: optional(&client, "kubeadm-config").await,
                coredns: optional(&client, "coredns").await,
                api_servers: api_servers(&client).await,
                // Whether the kind is served shows soon; the answer is a fall-back alone.
                probe: match self.service_cidrs.health.is_absent() {
                    true => probe(&client, &namespace).await,
                    false => None,
                },
            };
            let changed = {
                let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *slow, found.clone()) != found
            };
            if changed {
                self.changes.tell();
            }
            sleep(jittered(SLOWLY)).await;
        }
    }
}

async fn optional(client: &Client, name: &str) -> Option<ConfigMap> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let mut found = passed(within(api.get_opt(name)).await, name)??;
    trim_metadata(&mut found);
    Some(found)
}

async fn api_servers(client: &Client) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    let parameters = ListParams::default().labels("component=kube-apiserver").limit(API_SERVERS);
    let list = passed(within(api.list(&parameters)).await, "pods of the API server");
    let mut pods = list.map(|list| list.items).unwrap_or_default();
    for pod in &mut pods {
        trim_metadata(pod);
        pod.status = None;
    }
    pods
}

/// Asks, without making anything, for a Service with an address that it cannot have: the refusal names the networks.
async fn probe(client: &Client, namespace: &str) -> Option<String> {
    let api: Api<Service> = Api::namespaced(client.clone(), namespace);
    let service = Service {
        metadata: ObjectMeta { name: Some("egret-probe".to_owned()), ..ObjectMeta::default() },
        spec: Some(ServiceSpec {
            cluster_ip: Some(PROBE_ADDRESS.to_owned()),
            ports: Some(vec![k8s_openapi::api::core::v1::ServicePort { port: 1, ..Default::default() }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    match within(api.create(&parameters, &service)).await {
        Err(Failure::Api(Error::Api(status))) if status.code == 422 => Some(status.message.clone()),
        _ => None,
    }
}

fn passed<T>(result: Result<T, Failure>, what: &str) -> Option<T> {
    result.map_err(|failure| tracing::debug!(%failure, what, "not to be had; there are other sources")).ok()
}

fn trim_metadata<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Conditions and images are most of a node, and change every few seconds.
fn trim_node(node: &mut Node) {
    node.metadata.managed_fields = None;
    node.metadata.annotations = None;
    if let Some(status) = &mut node.status {
        *status = k8s_openapi::api::core::v1::NodeStatus {
            addresses: status.addresses.take(),
            ..Default::default()
        };
    }
}
