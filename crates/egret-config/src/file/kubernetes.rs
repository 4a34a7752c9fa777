//! `kubernetes`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kubernetes::KubernetesSettings;
use crate::values::{FilePath, Time, Words};

/// The cluster that the proxy is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubernetes {
    /// A kubeconfig file; its current context is used. By default `KUBECONFIG` is looked at, then the service
    /// account of the pod that the proxy runs in, then `~/.kube/config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/egret/kubeconfig")]
    pub kubeconfig: Option<FilePath>,
    /// Whose pods are watched: those of the whole `Cluster`, or of this `Node` alone, for a DaemonSet that serves
    /// the pods of its own node.
    pub scope: KubernetesScope,
    /// The node's name, for `scope: Node`. By default that of the environment variable `NODE_NAME`, which a pod
    /// gets from `spec.nodeName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"node-a")]
    pub node_name: Option<Words>,
    /// Namespaces whose pods are watched; by default all. With this, a Role in each of them is enough for pods, and
    /// labels of namespaces are not known.
    #[schemars(length(max = 1000), example = serde_json::json!(["team-a", "team-b"]))]
    pub namespaces: Vec<Words>,
    /// The audience of service-account tokens that clients may prove themselves by, in `Proxy-Authorization` as
    /// Bearer, or in Basic as the password with any user name. The API server is asked about each (TokenReview).
    /// With `authentication.required: true`, clients need one.
    pub token_audience: Words,
    /// Whether a token is refused that comes from the address of another pod or service account than its own,
    /// with the reason `workload-mismatch`.
    pub token_must_fit_source: bool,
    /// How long a token that was found good is taken without asking again, and no longer than
    /// `authentication.cache.accepted`. Tokens of pods that have ended are refused at once.
    pub token_cache: Time,
    /// Whether a refusal becomes an Event on the pod that was refused, so that `kubectl describe pod` shows it.
    /// At most one write in ten seconds for each pod and reason; what comes in between is counted in the Event.
    pub events: bool,
    /// With the API server away for longer than this, pods are not known by their addresses any more, and policies
    /// that ask for them hold for nobody. By default what was last seen goes on to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1h")]
    pub staleness: Option<Time>,
    /// How long the first request from an address that is no pod's and no node's waits for the news of a pod, which
    /// may come later than the pod's first words; 0s for not at all. The same address does not wait again for a
    /// minute.
    pub unknown_source_wait: Time,
    /// What becomes of the short name of a Service (`my-svc`, `my-svc.other-ns`, `my-svc.other-ns.svc`), which pods
    /// find by their search path: `Refuse` it and say what is missing in NO_PROXY, `Relay` it under its whole name,
    /// or `Ignore` that it is one.
    pub bare_service_names: BareServiceNames,
    /// Whether `ClusterEgressPolicy` and `EgressPolicy` objects are read, and hold beside the policies of files.
    pub policies: bool,
    /// The cluster's domain. By default what stands behind `svc.` in the search path of `/etc/resolv.conf`, else
    /// `cluster.local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"cluster.local")]
    pub cluster_domain: Option<Words>,
}

impl Default for Kubernetes {
    fn default() -> Self {
        let settings = KubernetesSettings::default();
        Self {
            kubeconfig: None,
            scope: KubernetesScope::Cluster,
            node_name: None,
            namespaces: Vec::new(),
            token_audience: Words(settings.token_audience),
            token_must_fit_source: settings.token_must_fit_source,
            token_cache: Time(settings.token_cache),
            events: settings.events,
            staleness: None,
            unknown_source_wait: Time(settings.unknown_source_wait),
            bare_service_names: settings.bare_service_names,
            policies: settings.policies,
            cluster_domain: None,
        }
    }
}

/// Whose pods are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KubernetesScope {
    /// Those of all nodes.
    #[default]
    Cluster,
    /// Those of one node.
    Node,
}

/// What becomes of the short name of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BareServiceNames {
    /// It is refused, with what to write into NO_PROXY.
    #[default]
    Refuse,
    /// It is passed on under the Service's whole name.
    Relay,
    /// It is a name as any other.
    Ignore,
}
