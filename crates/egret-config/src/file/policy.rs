//! `policies`: documents as a cluster has them, and the same as the configuration has them.

mod rule;
mod source;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::policy::model;

pub use rule::{
    HeaderMatch, HttpMatch, PolicyAction, PolicyRule, QueryMatch, RateLimit, ServerNameRule, Target,
    TlsDemand, TlsRule, TlsTreatment,
};
pub use source::{LabelSelector, PolicySource, Requirement, SelectorOperator};

use crate::values::Name;

/// The priority of a policy that has none of its own.
pub const DEFAULT_PRIORITY: i32 = 1000;

/// A policy: whom it is for, and where they may go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyDocument {
    /// The version of this form, which may be left out in a file.
    #[serde(default)]
    pub api_version: ApiVersion,
    /// Whether it is for all, or for the workloads of one namespace.
    #[serde(default)]
    pub kind: PolicyKind,
    /// What it is called, and the namespace that it is in.
    pub metadata: PolicyMetadata,
    /// Whom the policy is for, and where they may go.
    pub spec: PolicySpec,
}

/// The version of the form of policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first, which may still change.
    #[default]
    #[serde(rename = "egret.dev/v1alpha1")]
    V1Alpha1,
}

/// Whom a policy can be for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PolicyKind {
    /// For everybody. Stands before all policies of namespaces, in the order of `priority`; the first
    /// rule that matches decides.
    #[default]
    ClusterEgressPolicy,
    /// For the workloads of the namespace in its metadata. All of a namespace's policies hold together: a
    /// rule that denies wins over every rule that allows.
    EgressPolicy,
}

impl PolicyKind {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterEgressPolicy => "ClusterEgressPolicy",
            Self::EgressPolicy => "EgressPolicy",
        }
    }
}

/// What a policy is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyMetadata {
    /// The policy's name, in access lines, metrics and refusals. No other of its kind (and namespace) has
    /// it.
    #[schemars(example = &"builds")]
    pub name: Name,
    /// The namespace of an `EgressPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"team-a")]
    pub namespace: Option<Name>,
    /// Labels, for whoever keeps order among policies. They mean nothing here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"team": "platform"}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations, for tools. They mean nothing here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"reviewed-by": "alice"}))]
    pub annotations: BTreeMap<String, String>,
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// Where a `ClusterEgressPolicy` stands among the others: the lower the number the earlier. Two
    /// policies have the same only where both leave it out, and they then stand in the order of their
    /// names.
    #[serde(default = "default_priority")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: i32,
    /// Whether it decides.
    #[serde(default)]
    pub mode: PolicyMode,
    /// Whom it is for: any of these. By default everybody (of the namespace).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10_000), example = serde_json::json!([{"users": ["ci-*"]}, {"cidrs": ["10.1.0.0/16"]}]))]
    pub from: Vec<PolicySource>,
    /// What they may do. Of a `ClusterEgressPolicy` the first rule that matches decides.
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!([{"action": "Allow", "to": [{"hosts": ["**.pypi.org"], "ports": [443]}]}]))]
    pub rules: Vec<PolicyRule>,
}

fn default_priority() -> i32 {
    DEFAULT_PRIORITY
}

/// Whether a policy decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyMode {
    /// It decides.
    #[default]
    Enforce,
    /// It is tried out: what it would refuse is recorded, and goes on as if the policy were not there.
    Audit,
}

impl From<PolicyMode> for model::Mode {
    fn from(mode: PolicyMode) -> Self {
        match mode {
            PolicyMode::Enforce => Self::Enforce,
            PolicyMode::Audit => Self::Audit,
        }
    }
}

/// What happens where no policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DefaultAction {
    /// The flow may go on.
    Allow,
    /// The flow is refused.
    Deny,
}

impl From<DefaultAction> for model::Action {
    fn from(action: DefaultAction) -> Self {
        match action {
            DefaultAction::Allow => Self::Allow,
            DefaultAction::Deny => Self::Deny,
        }
    }
}
