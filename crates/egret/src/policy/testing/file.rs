//! The file that tests are written in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Tests of policies, beside the policies.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestFile {
    /// The policies that are tested: a configuration, or files or directories with policies alone. Relative
    /// paths begin at the directory of this file. `--policies` stands in their place.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["egret.yaml"]))]
    pub policies: Vec<String>,
    /// What happens where no policy decides, for files with policies alone. By default Allow, as in a
    /// configuration.
    #[serde(default)]
    pub default: Option<DecisionWord>,
    /// Whether tunnels can be looked into. By default they can, unless the configuration has it
    /// off.
    #[serde(default)]
    pub interception: Option<bool>,
    /// The tests.
    #[schemars(length(min = 1, max = 100_000), example = serde_json::json!([{"as": {"user": "alice"}, "request": {"url": "https://api.example.com/"}, "expect": {"decision": "Allow"}}]))]
    pub tests: Vec<Case>,
}

/// One test: who asks for what, and what is to come of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What it is called in reports. By default what it asks.
    #[serde(default)]
    #[schemars(example = &"payments reach the bank")]
    pub name: Option<String>,
    /// Who asks. By default a client of which nothing is known.
    #[serde(default, rename = "as")]
    pub subject: Who,
    /// What is asked for.
    #[serde(default)]
    pub request: Option<RequestSpec>,
    /// Several requests, of each of which the same is expected.
    #[serde(default)]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!([{"url": "https://api.example.com/"}]))]
    pub requests: Vec<RequestSpec>,
    /// When, as in 2026-11-21T12:00:00Z. By default now.
    #[serde(default)]
    #[schemars(example = &"2026-11-21T12:00:00Z")]
    pub at: Option<String>,
    /// What is to come of it. What is left out may be anything.
    #[schemars(example = serde_json::json!({"decision": "Allow", "policy": "payments", "rule": "bank"}))]
    pub expect: Expect,
}

/// An identity. What is left out is not known.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Who {
    /// The user that credentials proved.
    #[schemars(example = &"alice")]
    pub user: Option<String>,
    /// The groups that the user is in.
    #[schemars(example = serde_json::json!(["payments"]))]
    pub groups: Vec<String>,
    /// The client's address.
    #[schemars(example = &"10.1.2.3")]
    pub ip: Option<String>,
    /// A name in the client's certificate: `dns:`, `uri:`, `email:` or `subject:` and the value.
    #[schemars(example = &"dns:build.example.com")]
    pub certificate: Option<String>,
    /// Several names in the client's certificate.
    #[schemars(example = serde_json::json!(["dns:build.example.com", "subject:CN=build"]))]
    pub certificates: Vec<String>,
    /// The SPIFFE ID in the client's certificate.
    #[schemars(example = &"spiffe://cluster.local/ns/web/sa/cart")]
    pub spiffe: Option<String>,
    /// The workload's namespace.
    #[schemars(example = &"web")]
    pub namespace: Option<String>,
    /// The workload's service account, as `name` or `namespace/name`.
    #[schemars(example = &"cart")]
    pub service_account: Option<String>,
    /// The workload's pod.
    #[schemars(example = &"cart-0")]
    pub pod: Option<String>,
    /// The pod's labels.
    #[schemars(example = serde_json::json!({"app": "cart"}))]
    pub pod_labels: BTreeMap<String, String>,
    /// The namespace's labels.
    #[schemars(example = serde_json::json!({"team": "web"}))]
    pub namespace_labels: BTreeMap<String, String>,
}

/// What is asked for: a URL, or a tunnel.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RequestSpec {
    /// A URL: `http://` is a plain request, `https://` a tunnel to the host with a request inside.
    #[schemars(example = &"https://api.example.com/v1/charges")]
    pub url: Option<String>,
    /// A tunnel to `host:port`, of whose content nothing is known.
    #[schemars(example = &"api.example.com:443")]
    pub connect: Option<String>,
    /// The request's method. By default GET.
    #[schemars(example = &"POST")]
    pub method: Option<String>,
    /// The request's header fields.
    #[schemars(example = serde_json::json!({"content-type": "application/json"}))]
    pub headers: BTreeMap<String, String>,
    /// The length of the request's body in bytes. By default it has none.
    #[schemars(example = &100)]
    pub body_length: Option<u64>,
    /// An address that the name resolves to.
    #[schemars(example = &"203.0.113.7")]
    pub address: Option<String>,
    /// Several addresses that the name resolves to; one that is allowed is enough.
    #[schemars(example = serde_json::json!(["203.0.113.7", "2001:db8::7"]))]
    pub addresses: Vec<String>,
}

/// What is expected.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expect {
    /// The final word.
    #[schemars(example = &"Allow")]
    pub decision: Option<DecisionWord>,
    /// The policy that decides (of a namespace, `namespace/name`); `default` where none does, `guard` for the
    /// built-in guard.
    #[schemars(example = &"payments")]
    pub policy: Option<String>,
    /// The rule that decides.
    #[schemars(example = &"bank")]
    pub rule: Option<String>,
    /// What becomes of the flow that is allowed.
    #[schemars(example = &"Tunnel")]
    pub treatment: Option<TreatmentWord>,
    /// What policies in mode Audit would say.
    #[schemars(example = &"None")]
    pub audit: Option<AuditExpect>,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum DecisionWord {
    /// The flow may go on.
    Allow,
    /// The flow is refused.
    Deny,
}

impl DecisionWord {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum TreatmentWord {
    /// A plain request, forwarded.
    Forward,
    /// Bytes pass unseen.
    Tunnel,
    /// TLS ends at the proxy, which sees the requests.
    Intercept,
}

impl TreatmentWord {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "Forward",
            Self::Tunnel => "Tunnel",
            Self::Intercept => "Intercept",
        }
    }
}

/// What policies in mode Audit would say: a word, or which rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum AuditExpect {
    /// Whether one of them would deny.
    Word(AuditWord),
    /// Which of them would deny.
    Rule(AuditRule),
}

/// Whether a policy in mode Audit would deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum AuditWord {
    /// One would.
    Deny,
    /// None would.
    None,
}

/// The rule in mode Audit that would deny.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AuditRule {
    /// Its policy.
    #[schemars(example = &"trial")]
    pub policy: Option<String>,
    /// The rule.
    #[schemars(example = &"no-uploads")]
    pub rule: Option<String>,
}
