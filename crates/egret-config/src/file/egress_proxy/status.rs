//! `status`: what the controller says about an object. Nobody else writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of an `EgressProxy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct EgressProxyStatus {
    /// The generation of the object that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The NO_PROXY that pods are given: the user's entries and the computed ones, sorted, in the forms that
    /// clients understand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effective_no_proxy: Vec<String>,
    /// What is the case: `Accepted` (its fields are right), `Ready` (the readiness endpoints answer, and pods are
    /// given it), `CATrusted` (the bundles are in every selected namespace), `Progressing` (owners are being
    /// restarted).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<StatusCondition>,
    /// How many pods carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodCounts>,
    /// The CAs that `trustedCA` comes to.
    #[serde(rename = "trustedCA", skip_serializing_if = "Vec::is_empty")]
    pub trusted_ca: Vec<CertificateStatus>,
    /// What pods are given: the present generation, or an older one while the readiness endpoints do not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveProxy>,
}

/// What pods are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveProxy {
    /// The generation of the object.
    pub generation: i64,
    /// Its `spec`, as it was then.
    #[serde(default)]
    pub spec: serde_json::Value,
}

/// How many pods carry an `EgressProxy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PodCounts {
    /// Pods that it selects.
    pub selected: i64,
    /// Pods that carry the present generation.
    pub current: i64,
    /// Pods that carry an older generation.
    pub outdated: i64,
    /// Selected pods that carry none: made before it, or left out by an annotation or setting.
    pub not_injected: i64,
    /// Pods by the generation that they carry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<GenerationCount>,
}

/// How many pods carry a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GenerationCount {
    /// The generation.
    pub generation: i64,
    /// How many pods carry it.
    pub pods: i64,
}

/// A CA that pods trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its subject.
    #[serde(default)]
    pub subject: String,
    /// Where it comes from, as in `configMap egret-system/corp-ca`.
    #[serde(default)]
    pub source: String,
    /// When it ends, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub not_after: Option<String>,
}

/// What became of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation of the object that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is the case: `Accepted` (its fields are right), and `InForce` (proxies decide by it).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<StatusCondition>,
    /// How many rules it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<i64>,
    /// Where a rule cannot work or is wrong, at most 50 places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<PolicyFinding>,
}

/// A place of a policy that is wrong, or where a rule cannot work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFinding {
    /// The field, as in `spec.rules[0].to[1].hosts[0]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What is the case, in the form that Kubernetes has for it (`metav1.Condition`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCondition {
    /// What this is about.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// The generation of the object that this was true of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed, in RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, in one word.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, in words.
    #[schemars(length(max = 32_768))]
    pub message: String,
}

/// Whether something is the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody knows yet.
    Unknown,
}
