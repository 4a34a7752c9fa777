//! `from`: whom a policy is for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::policy::Operator;

use crate::values::{AccountPattern, ClientPattern, NamePattern, Network};

/// Whom a policy is for. Every field that is given has to match, by any of its entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySource {
    /// Users, as their credentials prove them; `*` stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["alice", "ci-*"]))]
    pub users: Vec<NamePattern>,
    /// Groups that the user is in; `*` stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["builders"]))]
    pub groups: Vec<NamePattern>,
    /// Names in the client's certificate: `uri:`, `dns:`, `email:` or `subject:` and the value; a SPIFFE
    /// ID needs no `uri:`. `*` stands for anything within a segment, `**` for anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["spiffe://cluster.local/ns/team-a/sa/*"]))]
    pub certificates: Vec<ClientPattern>,
    /// Networks that the client's address is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["10.1.0.0/16"]))]
    pub cidrs: Vec<Network>,
    /// Namespaces of workloads, by name; `*` stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["team-a", "preview-*"]))]
    pub namespaces: Vec<NamePattern>,
    /// Namespaces of workloads, by their labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Service accounts of workloads, as `name` or `namespace/name`; `*` stands for any characters but the
    /// slash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["team-a/builder"]))]
    pub service_accounts: Vec<AccountPattern>,
    /// Pods, by their labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
}

impl PolicySource {
    /// Whether it says nothing, and so is for everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Labels, as Kubernetes selects them. All that is given has to hold; empty, it selects everything that
/// has labels at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels with the values that they have to have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"app": "web"}))]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), example = serde_json::json!([{"key": "tier", "operator": "In", "values": ["front", "back"]}]))]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement on a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// The label's key.
    #[schemars(length(min = 1), example = &"tier")]
    pub key: String,
    /// What is asked of it.
    #[schemars(example = &"In")]
    pub operator: SelectorOperator,
    /// The values for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), example = serde_json::json!(["front", "back"]))]
    pub values: Vec<String>,
}

/// What is asked of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl From<SelectorOperator> for Operator {
    fn from(operator: SelectorOperator) -> Self {
        match operator {
            SelectorOperator::In => Self::In,
            SelectorOperator::NotIn => Self::NotIn,
            SelectorOperator::Exists => Self::Exists,
            SelectorOperator::DoesNotExist => Self::DoesNotExist,
        }
    }
}
