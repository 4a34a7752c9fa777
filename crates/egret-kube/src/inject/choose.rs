//! Which `EgressProxy` a pod is given, and which pods are given none.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::pod::Pod;
use super::proxy::{CompiledProxy, Labels, labels};
use super::report::Report;
use super::{AKS_OPT_OUT, INJECT, Outcome, Request};

/// Namespaces that are left alone whatever selectors say: without them there is no cluster.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The label that Kubernetes gives to every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What marks Egret's own pods in other namespaces than the installation's.
const OWN_LABEL: (&str, &str) = ("app.kubernetes.io/name", "egret");

/// What kubelet marks pictures of static pods with.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Everything that injection is decided by. It never changes; a new one is swapped in.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    proxies: Vec<Arc<CompiledProxy>>,
    /// The labels of every namespace.
    pub namespaces: Arc<HashMap<String, Labels>>,
    /// The namespace of the installation, whose pods are left alone.
    pub own_namespace: String,
    /// Namespaces where the bundle could not be put, and why.
    pub missing_bundles: HashMap<String, String>,
}

/// What is done with a pod.
#[derive(Debug)]
pub enum Choice<'a> {
    /// It is given this.
    Use(&'a CompiledProxy),
    /// It is left as it is, and why, if that is worth a word.
    Leave(Outcome, Option<Cow<'static, str>>),
}

impl Snapshot {
    /// Settings for a cluster.
    #[must_use]
    pub fn new(
        mut proxies: Vec<Arc<CompiledProxy>>,
        namespaces: Arc<HashMap<String, Labels>>,
        own_namespace: String,
    ) -> Self {
        proxies.sort_by(|one, other| (one.priority, &one.name).cmp(&(other.priority, &other.name)));
        Self { proxies, namespaces, own_namespace, missing_bundles: HashMap::new() }
    }

    /// What pods may be given, in the order in which they are asked.
    #[must_use]
    pub fn proxies(&self) -> &[Arc<CompiledProxy>] {
        &self.proxies
    }

    /// Whether pods of this namespace are left alone whatever any object says.
    #[must_use]
    pub fn is_excluded(&self, namespace: &str) -> bool {
        namespace == self.own_namespace || SYSTEM_NAMESPACES.contains(&namespace)
    }

    pub(super) fn choose(&self, request: &Request<'_>, pod: &Pod, report: &mut Report) -> Choice<'_> {
        let namespace = request.namespace;
        let is_own = pod.label(OWN_LABEL.0) == Some(OWN_LABEL.1);
        // A static pod is on its node already, and what the API server has is a picture of it.
        let is_mirror = pod.annotation(MIRROR).is_some();
        if self.proxies.is_empty() || self.is_excluded(namespace) || is_own || is_mirror {
            return Choice::Leave(Outcome::NotSelected, None);
        }
        let Some(of_namespace) = self.labels_of(request) else {
            let reason = format!("the labels of namespace {namespace} are not known yet; make the pod again");
            return Choice::Leave(Outcome::Doubtful, Some(reason.into()));
        };
        let of_pod = pod.labels().map(labels).unwrap_or_default();
        let mut selecting = self.proxies.iter().filter(|proxy| proxy.selects(&of_namespace, &of_pod));
        let Some(proxy) = selecting.next() else { return Choice::Leave(Outcome::NotSelected, None) };
        if let Some(reason) = opt_out(&of_namespace, pod) {
            return Choice::Leave(Outcome::OptedOut, Some(reason.into()));
        }
        if let Some(reason) = kept_out(proxy, pod) {
            return Choice::Leave(Outcome::Skipped, Some(reason.into()));
        }
        let others: Vec<&str> = selecting.map(|other| other.name.as_str()).collect();
        if !others.is_empty() {
            report.warn(format!(
                "several EgressProxies select this pod; {} is used (lowest priority, then name), not {}",
                proxy.name,
                others.join(", ")
            ));
        }
        Choice::Use(proxy)
    }

    /// The labels of the pod's namespace. One that the watch has not shown yet is known by its name alone, which is
    /// enough where no selector asks for more.
    fn labels_of<'a>(&'a self, request: &Request<'a>) -> Option<Cow<'a, Labels>> {
        if let Some(labels) = self.namespaces.get(request.namespace).or(request.namespace_labels) {
            return Some(Cow::Borrowed(labels));
        }
        let asks_for_more =
            self.proxies.iter().filter_map(|proxy| proxy.namespaces.as_ref()).any(|selector| {
                selector.requirements.iter().any(|requirement| &*requirement.key != NAME_LABEL)
            });
        (!asks_for_more).then(|| Cow::Owned(vec![(NAME_LABEL.into(), request.namespace.into())]))
    }
}

fn opt_out(namespace: &Labels, pod: &Pod) -> Option<String> {
    let is_off = |value: &str| matches!(value, "false" | "disabled");
    if pod.annotation(INJECT).is_some_and(is_off) {
        return Some(format!("the pod's annotation {INJECT} says so"));
    }
    if pod.label(INJECT).is_some_and(is_off) {
        return Some(format!("the pod's label {INJECT} says so"));
    }
    if pod.annotation(AKS_OPT_OUT) == Some("true") {
        return Some(format!("the pod's annotation {AKS_OPT_OUT} says so"));
    }
    let labelled = namespace.iter().any(|(key, value)| &**key == INJECT && is_off(value));
    labelled.then(|| format!("the namespace's label {INJECT} says so"))
}

fn kept_out(proxy: &CompiledProxy, pod: &Pod) -> Option<String> {
    let name = &proxy.name;
    if pod.is_host_network() && !proxy.host_network {
        return Some(format!(
            "the pod is in its node's network, and EgressProxy {name} does not say `hostNetwork: Inject`"
        ));
    }
    (pod.is_windows() && !proxy.windows)
        .then(|| format!("the pod is for Windows, and EgressProxy {name} does not say `windows: Inject`"))
}
