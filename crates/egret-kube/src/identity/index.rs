//! The pods of the cluster by their addresses.
//!
//! An address is a pod's when that pod runs and no other that runs has it. The end of a pod takes it out at
//! once. Two pods with one address, as news overtakes news, are nobody: who is not known for certain has no
//! identity. The address of a node is never a pod's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use egret_core::identity::workloads::Behind;
use egret_core::identity::{Labels, Owner, Unattributed, Workload};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::intern::Interner;
use super::objects::{Namespace, Pod};
use super::table::Table;
use crate::watch::Change;

/// Pods that have ended and are remembered, so that what proves to be one of them is refused.
const ENDED: usize = 16_384;

/// The index.
#[derive(Default)]
pub(crate) struct Index {
    by_address: Table<IpAddr, Behind>,
    by_uid: Table<Arc<str>, Arc<Workload>>,
    namespaces: Table<Arc<str>, Labels>,
    ended: RwLock<Ended>,
    writing: Mutex<Writing>,
}

#[derive(Default)]
struct Ended {
    known: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

/// What only the watches touch.
#[derive(Default)]
struct Writing {
    pods: HashMap<Arc<str>, Known>,
    /// The pods that have an address; more than one for a moment, or by a mistake.
    claims: HashMap<IpAddr, Vec<Arc<str>>>,
    /// Addresses of nodes, with the number of pods that tell of each.
    nodes: HashMap<IpAddr, usize>,
    ambiguous: usize,
    interner: Interner,
    /// What the lists that are being read have brought so far, by the scope of the list.
    listing: HashMap<usize, HashSet<Arc<str>>>,
    listing_namespaces: HashSet<Arc<str>>,
    labels: HashMap<Arc<str>, Labels>,
    /// Addresses to be published.
    dirty: HashSet<IpAddr>,
}

struct Known {
    workload: Arc<Workload>,
    /// Its own addresses; none for a pod on the node's network.
    addresses: Box<[IpAddr]>,
    node_addresses: Box<[IpAddr]>,
    /// By which list it is known.
    list: usize,
}

/// Figures for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexFigures {
    pub(crate) pods: usize,
    pub(crate) ambiguous: usize,
}

impl Index {
    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose an address is.
    pub(crate) fn behind(&self, address: IpAddr) -> Behind {
        let found = self.by_address.find(&address.to_canonical());
        found.unwrap_or(Behind::Nobody(Unattributed::Unknown))
    }

    /// The pod with this uid.
    pub(crate) fn pod(&self, uid: &str) -> Option<Arc<Workload>> {
        self.by_uid.find(uid)
    }

    /// Whether a pod is known to have ended.
    pub(crate) fn has_ended(&self, uid: &str) -> bool {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).known.contains(uid)
    }

    /// The labels of a namespace.
    pub(crate) fn labels_of(&self, namespace: &str) -> Option<Labels> {
        self.namespaces.find(namespace)
    }

    pub(crate) fn figures(&self) -> IndexFigures {
        let writing = self.writing();
        IndexFigures { pods: writing.pods.len(), ambiguous: writing.ambiguous }
    }

    /// Takes in what a watch of pods tells. `list` numbers the watches: each has a part of the pods. Gives the
    /// addresses behind which it is somebody else now, or the same with other labels.
    pub(crate) fn pods(&self, list: usize, change: Change<Pod>) -> HashSet<IpAddr> {
        let mut writing = self.writing();
        match change {
            Change::Begin => {
                writing.listing.insert(list, HashSet::new());
                return HashSet::new();
            }
            Change::Listed(pod) => {
                let uid = writing.interner.text(pod.metadata.uid.as_deref().unwrap_or_default());
                self.put(&mut writing, list, &pod);
                writing.listing.entry(list).or_default().insert(uid);
                // Of a list, nothing holds before all of it is there: what was there before may be gone.
                return HashSet::new();
            }
            Change::Complete => {
                let seen = writing.listing.remove(&list).unwrap_or_default();
                let is_gone = |(uid, known): &(&Arc<str>, &Known)| known.list == list && !seen.contains(*uid);
                let gone: Vec<_> = writing.pods.iter().filter(is_gone).map(|(uid, _)| uid.clone()).collect();
                gone.iter().for_each(|uid| self.take(&mut writing, uid));
            }
            Change::Applied(pod) => self.put(&mut writing, list, &pod),
            Change::Deleted(pod) => {
                let uid = pod.metadata.uid.unwrap_or_default();
                self.take(&mut writing, &uid);
                self.end(uid.as_str().into());
            }
        }
        writing.interner.tidy();
        self.publish(&mut writing)
    }

    /// Takes in what the watch of namespaces tells.
    pub(crate) fn namespaces(&self, change: Change<Namespace>) -> HashSet<IpAddr> {
        let mut writing = self.writing();
        match change {
            Change::Begin => writing.listing_namespaces.clear(),
            Change::Listed(namespace) => {
                let name = self.label(&mut writing, &namespace.metadata);
                writing.listing_namespaces.insert(name);
            }
            Change::Complete => {
                let seen = std::mem::take(&mut writing.listing_namespaces);
                let gone: Vec<_> =
                    writing.labels.keys().filter(|name| !seen.contains(*name)).cloned().collect();
                gone.into_iter().for_each(|name| self.unlabel(&mut writing, &name));
            }
            Change::Applied(namespace) => drop(self.label(&mut writing, &namespace.metadata)),
            Change::Deleted(namespace) => {
                self.unlabel(&mut writing, &namespace.metadata.name.unwrap_or_default());
            }
        }
        self.publish(&mut writing)
    }

    fn label(&self, writing: &mut Writing, metadata: &ObjectMeta) -> Arc<str> {
        let name = writing.interner.text(metadata.name.as_deref().unwrap_or_default());
        let labels = writing.interner.labels(metadata.labels.as_ref());
        if writing.labels.insert(name.clone(), labels.clone()).as_ref() != Some(&labels) {
            self.namespaces.apply([(name.clone(), Some(labels.clone()))]);
            self.relabel(writing, &name, &labels);
        }
        name
    }

    fn unlabel(&self, writing: &mut Writing, name: &str) {
        let name: Arc<str> = name.into();
        if writing.labels.remove(&name).is_some() {
            self.namespaces.apply([(name.clone(), None)]);
            self.relabel(writing, &name, &Labels::default());
        }
    }

    /// Gives the pods of a namespace its labels.
    fn relabel(&self, writing: &mut Writing, namespace: &str, labels: &Labels) {
        let mut changed = Vec::new();
        for (uid, known) in &mut writing.pods {
            if *known.workload.namespace == *namespace && known.workload.namespace_labels != *labels {
                let workload = Workload { namespace_labels: labels.clone(), ..(*known.workload).clone() };
                known.workload = Arc::new(workload);
                changed.push((uid.clone(), Some(known.workload.clone())));
                writing.dirty.extend(known.addresses.iter().copied());
            }
        }
        self.by_uid.apply(changed);
    }

    fn put(&self, writing: &mut Writing, list: usize, pod: &Pod) {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if pod.has_ended() {
            self.take(writing, uid);
            self.end(uid.into());
            return;
        }
        let workload = workload(writing, pod);
        let addresses = if pod.spec.host_network { Vec::new() } else { pod.addresses() };
        let mut node_addresses = pod.node_addresses();
        if pod.spec.host_network {
            node_addresses.extend(pod.addresses());
        }
        if let Some(known) = writing.pods.get_mut(uid)
            && *known.addresses == *addresses
            && *known.node_addresses == *node_addresses
        {
            known.list = list;
            if *known.workload == workload {
                return;
            }
            known.workload = Arc::new(workload);
            let (workload, uid) = (known.workload.clone(), writing.interner.text(uid));
            self.by_uid.apply([(uid, Some(workload))]);
            writing.dirty.extend(addresses);
            return;
        }
        self.take(writing, uid);
        let uid = writing.interner.text(uid);
        for address in &addresses {
            writing.claims.entry(*address).or_default().push(uid.clone());
        }
        for address in &node_addresses {
            *writing.nodes.entry(*address).or_default() += 1;
        }
        writing.dirty.extend(addresses.iter().chain(&node_addresses).copied());
        let workload = Arc::new(workload);
        self.by_uid.apply([(uid.clone(), Some(workload.clone()))]);
        let (addresses, node_addresses) = (addresses.into(), node_addresses.into());
        writing.pods.insert(uid, Known { workload, addresses, node_addresses, list });
    }

    fn take(&self, writing: &mut Writing, uid: &str) {
        let Some((uid, known)) = writing.pods.remove_entry(uid) else { return };
        for address in &known.addresses {
            if let Some(claims) = writing.claims.get_mut(address) {
                claims.retain(|claim| *claim != uid);
                if claims.is_empty() {
                    writing.claims.remove(address);
                }
            }
        }
        for address in &known.node_addresses {
            if let Some(count) = writing.nodes.get_mut(address) {
                *count -= 1;
                if *count == 0 {
                    writing.nodes.remove(address);
                }
            }
        }
        writing.dirty.extend(known.addresses.iter().chain(&known.node_addresses).copied());
        self.by_uid.apply([(uid, None)]);
    }

    fn end(&self, uid: Arc<str>) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        if ended.known.insert(uid.clone()) {
            ended.order.push_back(uid);
        }
        while ended.order.len() > ENDED {
            if let Some(oldest) = ended.order.pop_front() {
                ended.known.remove(&oldest);
            }
        }
    }

    /// Puts what has changed into force.
    fn publish(&self, writing: &mut Writing) -> HashSet<IpAddr> {
        let dirty = std::mem::take(&mut writing.dirty);
        let mut changes = Vec::new();
        for address in dirty {
            let now = writing.behind(address);
            let before = self.by_address.find(&address);
            if now == before {
                continue;
            }
            let ambiguous = Some(Behind::Nobody(Unattributed::Ambiguous));
            if now == ambiguous {
                writing.ambiguous += 1;
                let pods: Vec<_> = writing.claims.get(&address).into_iter().flatten().collect();
                tracing::debug!(%address, ?pods, "more than one pod has the address: who comes from there has no identity");
            }
            if before == ambiguous {
                writing.ambiguous -= 1;
            }
            changes.push((address, now));
        }
        let changed = changes.iter().map(|(address, _)| *address).collect();
        self.by_address.apply(changes);
        changed
    }
}

impl Writing {
    fn behind(&self, address: IpAddr) -> Option<Behind> {
        if self.nodes.contains_key(&address) {
            return Some(Behind::Nobody(Unattributed::Node));
        }
        match self.claims.get(&address)?.as_slice() {
            [] => None,
            [one] => self.pods.get(one).map(|known| Behind::Pod(known.workload.clone())),
            _ => Some(Behind::Nobody(Unattributed::Ambiguous)),
        }
    }
}

fn workload(writing: &mut Writing, pod: &Pod) -> Workload {
    let Writing { interner, labels, .. } = writing;
    let metadata = &pod.metadata;
    let namespace = interner.text(metadata.namespace.as_deref().unwrap_or_default());
    Workload {
        service_account: pod.spec.service_account_name.as_deref().map(|name| interner.text(name)),
        // Names and uids are each pod's own.
        pod: metadata.name.as_deref().map(Into::into),
        pod_uid: metadata.uid.as_deref().map(|uid| interner.text(uid)),
        owner: owner(interner, metadata),
        node: pod.spec.node_name.as_deref().map(|name| interner.text(name)),
        labels: interner.labels(metadata.labels.as_ref()),
        namespace_labels: labels.get(&namespace).cloned().unwrap_or_default(),
        namespace,
    }
}

/// What owns a pod. A ReplicaSet of a Deployment is named after it, with the hash of the pod's template behind.
fn owner(interner: &mut Interner, metadata: &ObjectMeta) -> Option<Owner> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let is_controller = |owner: &&OwnerReference| owner.controller == Some(true);
    let owner = owners.iter().find(is_controller).or(owners.first())?;
    let hash = metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
    let deployment = hash.filter(|_| owner.kind == "ReplicaSet").and_then(|hash| {
        owner.name.strip_suffix(hash.as_str())?.strip_suffix('-').filter(|name| !name.is_empty())
    });
    let (kind, name) = match deployment {
        Some(name) => ("Deployment", name),
        None => (owner.kind.as_str(), owner.name.as_str()),
    };
    Some(Owner { kind: interner.text(kind), name: interner.text(name) })
}
