//! `EgressProxy`: the proxy that workloads of a cluster use, and what is put into their pods.
//!
//! The doc comment of a field is what `kubectl explain` says about it, and its entry in `docs/crds.md`.

mod inject;
mod status;
mod trusted_ca;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use inject::{ComputedNoProxy, Inject, RestartWaves};
pub use status::{
    CertificateStatus, ConditionStatus, EffectiveProxy, EgressProxyStatus, GenerationCount, PodCounts,
    PolicyFinding, PolicyStatus, StatusCondition,
};
pub use trusted_ca::{CaReference, ClusterTrustBundleReference, TrustedCa, TrustedCaSource};

use super::{ApiVersion, DEFAULT_PRIORITY, LabelSelector};
use crate::values::{Domain, Endpoint, Name, WorkloadNoProxy, WorkloadProxy};

/// The proxy that workloads use: what new pods are told about it, which of them, and what they trust.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "EgressProxy")]
pub struct EgressProxyDocument {
    /// The version of this form, which may be left out in a file.
    #[serde(default)]
    pub api_version: ApiVersion,
    /// `EgressProxy`.
    #[serde(default)]
    pub kind: EgressProxyKind,
    /// What it is called. It is in no namespace.
    pub metadata: EgressProxyMetadata,
    /// The proxy, whom it is for, and what they are given.
    pub spec: EgressProxySpec,
}

/// The kind of an `EgressProxy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EgressProxyKind {
    /// The only one.
    #[default]
    EgressProxy,
}

/// What an `EgressProxy` is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressProxyMetadata {
    /// Its name, which pods that were given it carry in the annotation `egret.dev/injected`.
    #[schemars(example = &"default")]
    pub name: Name,
    /// Labels, for whoever keeps order among objects. They mean nothing here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"team": "platform"}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations, for tools. They mean nothing here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"reviewed-by": "alice"}))]
    pub annotations: BTreeMap<String, String>,
}

/// The proxy, whom it is for, and what they are given.
///
/// AKS's `--http-proxy-config` is understood as it is: `httpProxy`, `httpsProxy`, `noProxy`, `trustedCa` and
/// `enabled` mean the same here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = with_aks_spelling)]
pub struct EgressProxySpec {
    /// Whether new pods are given anything. With `false`, pods that have it keep it until they are replaced.
    pub enabled: bool,
    /// The proxy for `http://` URLs, as pods see it: the value of HTTP_PROXY and http_proxy. Without
    /// `httpsProxy` it serves `https://` URLs as well. It begins with `http://`: several clients cannot speak TLS
    /// to a proxy, and some then go around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http://egret.egret-system.svc.cluster.local:8888")]
    pub http_proxy: Option<WorkloadProxy>,
    /// The proxy for `https://` URLs: the value of HTTPS_PROXY and https_proxy. By default that of `httpProxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http://egret.egret-system.svc.cluster.local:8888")]
    pub https_proxy: Option<WorkloadProxy>,
    /// Destinations that are reached without the proxy: domains (with all under them), addresses, networks, or `*`.
    /// What the cluster itself needs is added to them: see `computedNoProxy`, and `status.effectiveNoProxy` for the
    /// whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), example = serde_json::json!([".corp.example", "192.0.2.0/24"]))]
    pub no_proxy: Vec<WorkloadNoProxy>,
    /// What is added to `noProxy` from what is known of the cluster.
    pub computed_no_proxy: ComputedNoProxy,
    /// The domain of the cluster's names. By default the one that the controller finds, and else `cluster.local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"cluster.local")]
    pub cluster_domain: Option<Domain>,
    /// The CAs that pods trust besides the public ones: text (PEM, or base64 of PEM as AKS has it), at most 20
    /// certificates; or where they come from, as in `{egret: true}` for the CA by which Egret looks into TLS, or
    /// `{configMap: {name: corp-ca}}`.
    #[serde(rename = "trustedCA", alias = "trustedCa", skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"egret": true}))]
    pub trusted_ca: Option<TrustedCa>,
    /// Namespaces whose pods are given it, by their labels. By default all, but for `kube-system`,
    /// `kube-public`, `kube-node-lease` and Egret's own, and those with the label `egret.dev/inject: disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"matchLabels": {"egress": "proxied"}}))]
    pub namespace_selector: Option<LabelSelector>,
    /// Pods that are given it, by their labels. By default all. A pod with the annotation
    /// `egret.dev/inject: "false"` never is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["legacy"]}]}))]
    pub pod_selector: Option<LabelSelector>,
    /// Which of several objects a pod is given that more than one selects: the one with the lowest number; of
    /// equal numbers, the one whose name comes first.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: i32,
    /// What is put into pods.
    pub inject: Inject,
    /// What becomes of a NO_PROXY that a container sets itself.
    pub existing_no_proxy: ExistingNoProxy,
    /// Pods in the network of their node (`hostNetwork: true`). Their address is the node's, so Egret cannot tell
    /// them apart.
    pub host_network: SkipOrInject,
    /// Pods for Windows nodes. Programs there often ask the system for its proxy, and not the environment.
    pub windows: SkipOrInject,
    /// URLs that are asked for through the proxy before a change takes effect; each has to answer with 2xx or 3xx
    /// within three tries. While one does not, pods are given what they were given before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), example = serde_json::json!(["https://example.com/"]))]
    pub readiness_endpoints: Vec<Endpoint>,
    /// What becomes of pods that were made before a change.
    pub rollout: Rollout,
    /// With `rollout: Restart`, how many owners of pods are restarted at once, and how long after each wave the
    /// next one waits.
    pub restart_waves: RestartWaves,
}

impl Default for EgressProxySpec {
    fn default() -> Self {
        Self {
            enabled: true,
            http_proxy: None,
            https_proxy: None,
            no_proxy: Vec::new(),
            computed_no_proxy: ComputedNoProxy::default(),
            cluster_domain: None,
            trusted_ca: None,
            namespace_selector: None,
            pod_selector: None,
            priority: DEFAULT_PRIORITY,
            inject: Inject::default(),
            existing_no_proxy: ExistingNoProxy::default(),
            host_network: SkipOrInject::default(),
            windows: SkipOrInject::default(),
            readiness_endpoints: Vec::new(),
            rollout: Rollout::default(),
            restart_waves: RestartWaves::default(),
        }
    }
}

impl EgressProxySpec {
    /// The proxy for `http://` URLs.
    #[must_use]
    pub fn proxy_for_http(&self) -> Option<&WorkloadProxy> {
        self.http_proxy.as_ref()
    }

    /// The proxy for `https://` URLs: `httpsProxy`, or else `httpProxy`.
    #[must_use]
    pub fn proxy_for_https(&self) -> Option<&WorkloadProxy> {
        self.https_proxy.as_ref().or(self.http_proxy.as_ref())
    }
}

/// AKS writes `trustedCa`, and Kubernetes' conventions `trustedCA`: the API server drops what the schema does not
/// name, so it names both.
fn with_aks_spelling(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(|properties| properties.as_object_mut())
    else {
        return;
    };
    let Some(mut same) = properties.get("trustedCA").cloned() else { return };
    same["description"] = "The same as `trustedCA`, as AKS spells it.".into();
    properties.insert("trustedCa".to_owned(), same);
}

/// What becomes of a NO_PROXY that a container sets itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExistingNoProxy {
    /// What is computed is added to it.
    #[default]
    Merge,
    /// It stays as it is.
    Keep,
    /// What is computed stands in its place.
    Replace,
}

/// Whether pods of a kind are given anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SkipOrInject {
    /// They are not.
    #[default]
    Skip,
    /// They are, as all others.
    Inject,
}

/// What becomes of pods that were made before a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rollout {
    /// Nothing: they have the change when they are next replaced. `status.pods` counts them.
    #[default]
    Never,
    /// Their owners (Deployments, StatefulSets, DaemonSets) are given the annotation `egret.dev/outdated`, so that
    /// whoever runs them can see it.
    Annotate,
    /// Their owners are restarted in waves, as `kubectl rollout restart` does it, and not where a
    /// PodDisruptionBudget has nothing to spare.
    Restart,
}
