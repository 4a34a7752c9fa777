//! The round that keeps every bundle right. The leader alone makes it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use egret_config::file::{CertificateStatus, EgressProxySpec};
use egret_tls::inspect::CertificateInfo;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Config;
use kube::{Client, ResourceExt as _};
use rustls_pki_types::CertificateDer;
use tokio::task::JoinSet;

use super::built::{Built, Cache};
use super::cluster::TrustBundles;
use super::openshift::{Labelled, SELECTOR};
use super::own_ca::{OwnCa, Rotation};
use super::publish::{Publisher, State, Task, count, remove, trim};
use super::{Ca, Trouble, sources};
use crate::controller::api::explain;
use crate::controller::events::{Events, Object};
use crate::controller::facts::Facts;
use crate::controller::metrics::{BundleState, Metrics};
use crate::controller::pods::Pods;
use crate::controller::select::{is_for, is_terminating};
use crate::controller::settings::{CA_NAME, Settings};
use crate::controller::watch::{Changes, Watched, keep};
use crate::controller::{LABELS_SELECTOR, proxies};
use crate::crd::EgressProxy;

/// How often sources that nobody watches are looked at: referenced ConfigMaps, Secrets and ClusterTrustBundles.
const LOOK: Duration = Duration::from_secs(10);
/// How many namespaces a condition names.
const NAMED: usize = 5;

/// What the CAs of an EgressProxy came to; for its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The generation that this is about.
    pub(crate) generation: i64,
    /// The CAs that are published.
    pub(crate) certificates: Vec<CertificateStatus>,
    /// What is wrong.
    pub(crate) trouble: Option<Trouble>,
    /// Namespaces that have the bundles.
    pub(crate) namespaces: usize,
}

/// What was found in the last round, by EgressProxy. Empty until then.
pub(crate) type Outcomes = Arc<Mutex<HashMap<String, Outcome>>>;

/// Keeps the bundles.
pub(crate) struct Keeper {
    client: Client,
    settings: Settings,
    facts: Facts,
    pods: Pods,
    events: Events,
    metrics: Arc<Metrics>,
    outcomes: Outcomes,
    trusted: Arc<Mutex<HashMap<String, Vec<CertificateDer<'static>>>>>,
    found: Changes,
    own: OwnCa,
    trust_bundles: TrustBundles,
    cache: Cache,
    publisher: Publisher,
    labelled: Labelled,
    live: Watched<PartialObjectMeta<ConfigMap>>,
    asking: Watched<PartialObjectMeta<ConfigMap>>,
    changes: Changes,
    last_good: HashMap<String, Vec<Ca>>,
    /// What is published as ClusterTrustBundles.
    in_cluster: HashMap<String, String>,
    /// What was said to be wrong.
    said: Mutex<HashMap<&'static str, String>>,
    cleaned: bool,
}

/// What a round needs to know of the cluster.
struct View {
    proxies: Vec<Arc<EgressProxy>>,
    namespaces: Vec<Arc<Namespace>>,
    /// Some object cannot be read: whom it selects is not known, so nothing is taken away.
    unsure: bool,
}

impl Keeper {
    /// Begins to watch what the bundles are in.
    pub(crate) fn new(
        tasks: &mut JoinSet<()>,
        client: &Client,
        settings: &Settings,
        context: &super::super::leader::Context,
    ) -> Self {
        let changes = Changes::new();
        let trimmed: fn(&mut PartialObjectMeta<ConfigMap>) = |object| trim(&mut object.metadata);
        let every = || Api::<PartialObjectMeta<ConfigMap>>::all(client.clone());
        let live = keep(
            tasks,
            every(),
            Config::default().labels(LABELS_SELECTOR),
            "ConfigMap of bundles",
            trimmed,
            &changes,
        );
        let asking = keep(
            tasks,
            every(),
            Config::default().labels(SELECTOR),
            "ConfigMap with OpenShift's label",
            trimmed,
            &changes,
        );
        Self {
            client: client.clone(),
            settings: settings.clone(),
            facts: context.facts.clone(),
            pods: context.pods.clone(),
            events: context.events.clone(),
            metrics: context.metrics.clone(),
            outcomes: context.outcomes.clone(),
            trusted: context.trusted.clone(),
            found: context.found.clone(),
            own: OwnCa::new(&settings.namespace),
            trust_bundles: TrustBundles::default(),
            cache: Cache::default(),
            publisher: Publisher::default(),
            labelled: Labelled::default(),
            live,
            asking,
            changes,
            last_good: HashMap::new(),
            in_cluster: HashMap::new(),
            said: Mutex::default(),
            cleaned: false,
        }
    }

    /// Makes rounds for ever.
    pub(crate) async fn run(mut self) {
        let (mut facts, mut own) = (self.facts.changes.listen(), self.changes.listen());
        loop {
            tokio::select! {
                () = facts.changed_within(LOOK) => {}
                () = own.changed_within(LOOK) => {}
            }
            if self.facts.are_read() && self.live.health.is_read() {
                let went_well = self.round(Timestamp::now()).await;
                self.metrics.done("bundles", went_well);
            }
        }
    }

    async fn round(&mut self, now: Timestamp) -> bool {
        let view = self.view();
        let mut outcomes: HashMap<String, Outcome> = HashMap::new();
        let mut cas: HashMap<String, Option<Vec<Ca>>> = HashMap::new();
        for proxy in &view.proxies {
            let Some((spec, wanted)) = wants(proxy) else { continue };
            let found = sources::find(&self.client, &self.own, &self.trust_bundles, wanted, now).await;
            let mut outcome = Outcome { generation: proxy.generation(), ..Outcome::default() };
            let _ = spec;
            match found {
                Ok(found) => {
                    self.last_good.insert(proxy.name().to_owned(), found);
                }
                Err(trouble) => outcome.trouble = Some(trouble),
            }
            // What was trusted goes on to be trusted while its source is away.
            let known = self.last_good.get(proxy.name()).cloned();
            outcome.certificates = known.iter().flatten().map(status).collect();
            cas.insert(proxy.name().to_owned(), known);
            outcomes.insert(proxy.name().to_owned(), outcome);
        }
        self.last_good.retain(|name, _| outcomes.contains_key(name));
        let trusted = self
            .last_good
            .iter()
            .map(|(name, cas)| (name.clone(), cas.iter().map(|ca| ca.certificate.clone()).collect()));
        *self.trusted.lock().unwrap_or_else(PoisonError::into_inner) = trusted.collect();
        let wanted = self.wanted(&view, &cas, &mut outcomes);
        let states = self.publish(&wanted).await;
        self.account(&view, &states, &mut outcomes);
        let mut went_well = states.values().all(|state| matches!(state, State::Current | State::Gone));
        if !view.unsure {
            went_well &= self.clean(&view).await;
        }
        went_well &= self.fill_labelled(&view, &wanted).await;
        went_well &= self.publish_in_cluster(&view, &cas).await;
        self.rotate(went_well && !view.unsure, now).await;
        went_well &= outcomes.values().all(|outcome| outcome.trouble.is_none());
        let of_proxies =
            cas.values().flatten().map(|cas| cas.iter().map(|ca| ca.certificate.clone()).collect());
        let used: Vec<_> =
            wanted.values().map(|(own, _)| own.clone()).chain(of_proxies).chain([Vec::new()]).collect();
        self.cache.keep_only(&used);
        let changed = {
            let mut known = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, outcomes.clone()) != outcomes
        };
        if changed {
            self.found.tell();
        }
        went_well
    }

    fn view(&self) -> View {
        let proxies = proxies::ordered(&self.facts);
        let unsure = proxies.iter().any(|proxy| proxy.spec.value().is_none())
            || !self.facts.proxies.health.is_current()
            || !self.facts.namespaces.health.is_current();
        let mut namespaces = self.facts.namespaces.store.state();
        namespaces.sort_by_key(|namespace| namespace.name_any());
        View { proxies, namespaces, unsure }
    }

    /// The files of each namespace. A namespace of which not all CAs are known is left as it is.
    fn wanted(
        &mut self,
        view: &View,
        cas: &HashMap<String, Option<Vec<Ca>>>,
        outcomes: &mut HashMap<String, Outcome>,
    ) -> BTreeMap<String, (Vec<CertificateDer<'static>>, Arc<Built>)> {
        let mut wanted = BTreeMap::new();
        for namespace in view.namespaces.iter().filter(|namespace| !is_terminating(namespace)) {
            let mut own: Vec<CertificateDer<'static>> = Vec::new();
            let mut of: Vec<&str> = Vec::new();
            let mut known = true;
            for proxy in &view.proxies {
                let Some((spec, _)) = wants(proxy) else { continue };
                if !is_for(spec, namespace, &self.settings.namespace) {
                    continue;
                }
                of.push(proxy.name());
                match cas.get(proxy.name()) {
                    Some(Some(found)) => {
                        for ca in found {
                            if !own.contains(&ca.certificate) {
                                own.push(ca.certificate.clone());
                            }
                        }
                    }
                    _ => known = false,
                }
            }
            if of.is_empty() || !known {
                continue;
            }
            match self.cache.of(&own) {
                Ok(built) => {
                    wanted.insert(namespace.name_any(), (own, built));
                }
                Err(trouble) => {
                    for name in of {
                        if let Some(outcome) = outcomes.get_mut(name) {
                            outcome.trouble.get_or_insert(trouble.clone());
                        }
                    }
                }
            }
        }
        wanted
    }

    async fn publish(
        &mut self,
        wanted: &BTreeMap<String, (Vec<CertificateDer<'static>>, Arc<Built>)>,
    ) -> BTreeMap<String, State> {
        let live: HashMap<String, Arc<PartialObjectMeta<ConfigMap>>> = self
            .live
            .store
            .state()
            .into_iter()
            .filter(|object| object.name_any() == CA_NAME)
            .map(|object| (object.namespace().unwrap_or_default(), object))
            .collect();
        self.publisher.keep_only(&wanted.keys().map(String::as_str).collect::<HashSet<_>>());
        let mut states = BTreeMap::new();
        for (namespace, (_, built)) in wanted {
            let live = live.get(namespace).map(|object| Arc::new(object.metadata.clone()));
            let task = Task { namespace: namespace.clone(), built: built.clone(), live };
            let state = match self.publisher.is_current(&task) {
                true => State::Current,
                false => self.publisher.publish(&self.client, &task).await,
            };
            self.complain(namespace, &state).await;
            states.insert(namespace.clone(), state);
        }
        for (state, number) in count(&states) {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            self.metrics.bundles.get_or_create(&BundleState { state }).set(number);
        }
        states
    }

    async fn complain(&self, namespace: &str, state: &State) {
        let why = match state {
            State::Current | State::Gone => return,
            State::Foreign => foreign(namespace),
            State::Failed(why) => format!("the bundles could not be written: {why}"),
        };
        self.events.warn(&Object::namespace(namespace), "BundleNotPublished", &why).await;
    }

    /// Writes down for each EgressProxy how many namespaces have its CAs, and which do not.
    fn account(
        &self,
        view: &View,
        states: &BTreeMap<String, State>,
        outcomes: &mut HashMap<String, Outcome>,
    ) {
        for proxy in &view.proxies {
            let Some((spec, _)) = wants(proxy) else { continue };
            let Some(outcome) = outcomes.get_mut(proxy.name()) else { continue };
            let own = view
                .namespaces
                .iter()
                .filter(|namespace| is_for(spec, namespace, &self.settings.namespace))
                .filter_map(|namespace| Some((namespace.name_any(), states.get(&namespace.name_any())?)));
            let mut bad = Vec::new();
            for (name, state) in own {
                match state {
                    State::Current => outcome.namespaces += 1,
                    State::Gone => {}
                    State::Foreign => bad.push(foreign(&name)),
                    State::Failed(why) => bad.push(format!("namespace {name}: {why}")),
                }
            }
            if !bad.is_empty() && outcome.trouble.is_none() {
                let more = bad.len().saturating_sub(NAMED);
                bad.truncate(NAMED);
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                outcome.trouble =
                    Some(Trouble::new("BundleNotPublished", format!("{}{more}", bad.join("; "))));
            }
        }
    }

    /// Takes the bundles away where nobody wants them any more, and no pod has them mounted.
    async fn clean(&self, view: &View) -> bool {
        let selected: BTreeSet<String> = view
            .namespaces
            .iter()
            .filter(|namespace| {
                let mut wanting = view.proxies.iter().filter_map(|proxy| wants(proxy));
                is_terminating(namespace)
                    || wanting.any(|(spec, _)| is_for(spec, namespace, &self.settings.namespace))
            })
            .map(|namespace| namespace.name_any())
            .collect();
        let mut went_well = true;
        for object in self.live.store.state().iter().filter(|object| object.name_any() == CA_NAME) {
            let namespace = object.namespace().unwrap_or_default();
            if selected.contains(&namespace) || !self.pods.none_injected_in(&namespace) {
                continue;
            }
            match remove(&self.client, &namespace, &object.metadata).await {
                Ok(()) => {
                    tracing::info!(%namespace, "the bundles were taken away: no EgressProxy selects it")
                }
                Err(failure) => {
                    went_well = false;
                    self.once(
                        "bundles could not be taken away",
                        &format!("{namespace}: {}", explain(&failure)),
                    );
                }
            }
        }
        went_well
    }

    /// A label is a wish of its own: namespaces without injection get it too, with the public CAs at least.
    async fn fill_labelled(
        &mut self,
        view: &View,
        wanted: &BTreeMap<String, (Vec<CertificateDer<'static>>, Arc<Built>)>,
    ) -> bool {
        let asking = self.asking.store.state();
        if asking.is_empty() || view.proxies.is_empty() || self.labelled.is_left(&self.client).await {
            return true;
        }
        let Ok(public) = self.cache.of(&[]) else { return false };
        let mut went_well = true;
        for object in asking {
            let namespace = object.namespace().unwrap_or_default();
            let of_namespace = view.namespaces.iter().find(|found| found.name_any() == namespace);
            if of_namespace.is_none_or(|found| is_terminating(found)) || object.name_any() == CA_NAME {
                continue;
            }
            let built = wanted.get(&namespace).map_or(&public, |(_, built)| built);
            if let Err(failure) = self.labelled.fill(&self.client, &object, built).await {
                went_well = false;
                let why = format!("the bundle could not be written: {}", explain(&failure));
                let object = Object::config_map(&namespace, &object.name_any(), object.metadata.uid.clone());
                self.events.warn(&object, "BundleNotPublished", &why).await;
            }
        }
        went_well
    }

    /// The CAs of each EgressProxy, as ClusterTrustBundles.
    async fn publish_in_cluster(&mut self, view: &View, cas: &HashMap<String, Option<Vec<Ca>>>) -> bool {
        let mut went_well = true;
        let known = cas.iter().filter_map(|(name, found)| Some((name, found.as_ref()?)));
        for (name, found) in known.filter(|(_, found)| !found.is_empty()) {
            let own: Vec<_> = found.iter().map(|ca| ca.certificate.clone()).collect();
            let Ok(built) = self.cache.of(&own) else { continue };
            if self.in_cluster.get(name) == Some(&built.hash) {
                continue;
            }
            match self.trust_bundles.publish(&self.client, name, &built).await {
                Ok(()) => {
                    self.in_cluster.insert(name.clone(), built.hash.clone());
                }
                Err(failure) => {
                    went_well = false;
                    self.once("a ClusterTrustBundle could not be written", &explain(&failure));
                }
            }
        }
        let gone = self.in_cluster.keys().any(|name| !cas.contains_key(name));
        if !view.unsure && (gone || !self.cleaned) {
            let names: Vec<&str> = cas.keys().map(String::as_str).collect();
            match self.trust_bundles.keep_only(&self.client, &names).await {
                Ok(()) => {
                    self.in_cluster.retain(|name, _| cas.contains_key(name));
                    self.cleaned = true;
                }
                Err(failure) => {
                    went_well = false;
                    self.once("ClusterTrustBundles could not be taken away", &explain(&failure));
                }
            }
        }
        went_well
    }

    /// Says what is wrong, until it is something else.
    fn once(&self, what: &'static str, why: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(what, why.to_owned()).as_deref() != Some(why) {
            tracing::warn!(why, "{what}; trying again");
        }
    }

    async fn rotate(&self, published: bool, now: Timestamp) {
        let object = Object::secret(&self.settings.namespace, CA_NAME);
        match self.own.rotate(&self.client, published, now).await {
            Ok(Rotation::None) => {}
            Ok(Rotation::Done(what)) => {
                tracing::info!(what, "the CA for interception was changed");
                self.events.tell(&object, "CARotated", what).await;
                self.changes.tell();
            }
            Ok(Rotation::Refused(why)) => self.events.warn(&object, "CANotRotated", &why).await,
            Err(failure) => {
                self.once("the CA for interception could not be changed", &explain(&failure));
            }
        }
    }
}

fn foreign(namespace: &str) -> String {
    format!(
        "namespace {namespace} has a ConfigMap {CA_NAME} that is somebody else's; it is not overwritten: rename or delete it"
    )
}

/// Its settings and its CAs, where it has any and wants them in pods.
fn wants(proxy: &EgressProxy) -> Option<(&EgressProxySpec, &egret_config::file::TrustedCa)> {
    let spec = proxy.spec.value()?;
    let wanted = spec.trusted_ca.as_ref()?;
    (spec.inject.ca_trust && proxy.metadata.deletion_timestamp.is_none()).then_some((spec, wanted))
}

fn status(ca: &Ca) -> CertificateStatus {
    let info = CertificateInfo::parse(&ca.certificate).ok();
    CertificateStatus {
        sha256: info.as_ref().map(|info| info.sha256.clone()).unwrap_or_default(),
        subject: info.as_ref().map(|info| info.subject.clone()).unwrap_or_default(),
        source: ca.source.clone(),
        not_after: info.map(|info| info.not_after.to_string()),
    }
}
