//! What surrounds a flow: who, where to, why, how long.

use egret_core::policy::Explanation;
use serde::{Deserialize, Serialize};

use super::Word;

/// Who speaks, as a flow shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdentityFacts {
    /// The name that stands for the client: a user's, or a certificate's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it was proven: `address`, `certificate`, `htpasswd`, `ldap`, `jwt`, …
    pub proof: Word,
    /// The namespace of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The service account of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The groups of the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Host and port, as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The host, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One rule that was looked at, and what it said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DecisionStep {
    /// The policy.
    pub policy: String,
    /// The rule.
    pub rule: String,
    /// What came of it: `match`, `no match`, ….
    pub outcome: String,
    /// Why, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Why a flow was allowed, refused, tunnelled or looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Decision {
    /// The policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The policy and rule, in mode `Audit`, that would have refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
    /// The rules that were looked at, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<DecisionStep>,
}

impl From<&Explanation> for Decision {
    fn from(explanation: &Explanation) -> Self {
        let by = explanation.decided_by.and_then(|index| explanation.steps.get(index));
        let steps = explanation.steps.iter().map(|step| DecisionStep {
            policy: step.policy.to_string(),
            rule: step.rule.as_deref().unwrap_or_default().to_owned(),
            outcome: step.outcome.to_string(),
            why: step.why.clone(),
        });
        Self {
            policy: by.map(|step| step.policy.to_string()),
            rule: by.and_then(|step| step.rule.as_deref()).map(str::to_owned),
            audit: None,
            steps: steps.collect(),
        }
    }
}

/// Why a flow did not go well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Failure {
    /// The reason code ([`egret_core::reason`]).
    pub reason: Word,
    /// Who has to act: `client`, `upstream`, `policy`, `egret`.
    pub blame: Word,
    /// Particulars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How long each phase took, in microseconds. `None`: it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timings {
    /// Resolving the name.
    pub dns: Option<u64>,
    /// Connecting to the upstream.
    pub connect: Option<u64>,
    /// The TLS handshake with the origin.
    pub origin_tls: Option<u64>,
    /// The TLS handshake with the client.
    pub client_tls: Option<u64>,
    /// From the request's arrival to the end of its sending.
    pub sent: Option<u64>,
    /// From the request's arrival to the first byte of the response.
    pub first_byte: Option<u64>,
    /// The request was delayed by change rules, or held at a breakpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// The response was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_response: Option<u64>,
    /// From the request's arrival to the end.
    pub total: Option<u64>,
}
