//! `rules`: what a policy says about a flow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::policy::model;

use crate::file::{Capture, MinVersion};
use crate::values::{
    ByteRate, Condition, Contact, HeaderName, HostTerm, MediaType, Method, Name, NamePattern, Network,
    PathPattern, Ports, RequestRate, Sentence, Size, Time,
};

/// A rule. It matches when everything that it asks for does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRule {
    /// The rule's name, in access lines, metrics and refusals. By default its place, as in `rules[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"packages")]
    pub name: Option<Name>,
    /// What it says when it matches.
    #[schemars(example = &"Allow")]
    pub action: PolicyAction,
    /// Destinations: any of these. By default every destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!([{"hosts": ["**.pypi.org"], "ports": [443]}]))]
    pub to: Vec<Target>,
    /// What the request has to be. It can be seen in plain HTTP, and in TLS that is intercepted. On a
    /// tunnel, whose requests nobody sees, a rule that allows does not match, and a rule that denies does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpMatch>,
    /// What becomes of TLS that the rule allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsRule>,
    /// A condition in CEL, beyond what the other fields can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// How much one identity may do under this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How much is kept of the flows that it allows, for the console and `egret flows`. Only what the proxy sees:
    /// plain HTTP, and TLS that is intercepted. By default what `capture` says for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Headers")]
    pub capture: Option<Capture>,
    /// Why, for whoever is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sentence>,
    /// Whom to ask, for whoever is refused. By default `http.contact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyAction {
    /// The flow may go on.
    Allow,
    /// The flow is refused.
    Deny,
    /// The policies of the cluster say nothing more: those of the namespace decide, then the default.
    /// Only in a `ClusterEgressPolicy`.
    Pass,
}

impl From<PolicyAction> for model::Action {
    fn from(action: PolicyAction) -> Self {
        match action {
            PolicyAction::Allow => Self::Allow,
            PolicyAction::Deny => Self::Deny,
            PolicyAction::Pass => Self::Pass,
        }
    }
}

/// A destination. `hosts`, `hostLists` and `categories` stand for each other; `cidrs` and `ports` have to
/// match as well where they are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Hosts by the name that is asked for: `example.com`, `*.example.com` (one label in front),
    /// `**.example.com` (any depth, not `example.com` itself), an address, or `*` for every host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1_000_000), example = serde_json::json!(["example.com", "**.example.com"]))]
    pub hosts: Vec<HostTerm>,
    /// Names of lists in `hostLists`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!(["partners"]))]
    pub host_lists: Vec<Name>,
    /// Names of categories in `categories`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!(["gambling"]))]
    pub categories: Vec<Name>,
    /// Networks that the address is in, once the name is resolved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1_000_000), example = serde_json::json!(["203.0.113.0/24"]))]
    pub cidrs: Vec<Network>,
    /// Ports and ranges of ports. By default every port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!([443, "8000-8999"]))]
    pub ports: Vec<Ports>,
}

/// What a request has to be. Every field that is given has to match, by any of its entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpMatch {
    /// Methods of requests, as in GET.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100), example = serde_json::json!(["GET", "HEAD"]))]
    pub methods: Vec<Method>,
    /// Paths: `*` stands for anything within a segment, `**` for anything. The query is no part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!(["/v1/charges/**"]))]
    pub paths: Vec<PathPattern>,
    /// Keys of the query. Each of these has to match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100), example = serde_json::json!([{"name": "format", "values": ["json"]}]))]
    pub query: Vec<QueryMatch>,
    /// Header fields. Each of these has to match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100), example = serde_json::json!([{"name": "x-api-version", "values": ["2*"]}]))]
    pub headers: Vec<HeaderMatch>,
    /// Media types of the request's body; `*` stands for any characters but the slash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100), example = serde_json::json!(["application/json", "text/*"]))]
    pub content_types: Vec<MediaType>,
    /// The longest body of a request, in bytes or with a unit. A longer one is refused; it does not decide
    /// whether the rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10MiB")]
    pub max_body_bytes: Option<Size>,
}

/// A condition on a key of the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryMatch {
    /// The key, exactly.
    #[schemars(length(min = 1, max = 1024), example = &"format")]
    pub name: String,
    /// Patterns for its value, any of which has to match. By default any value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!(["json"]))]
    pub values: Vec<NamePattern>,
    /// It must not be there (or not with these values).
    #[serde(default)]
    pub absent: bool,
}

/// A condition on a header field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderMatch {
    /// The field's name, in any case.
    pub name: HeaderName,
    /// Patterns for its value, any of which has to match. By default any value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!(["2*"]))]
    pub values: Vec<NamePattern>,
    /// It must not be there (or not with these values).
    #[serde(default)]
    pub absent: bool,
}

/// What becomes of TLS: a word, or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum TlsRule {
    /// What is done with it.
    Word(TlsTreatment),
    /// What is done with it, and what it has to be.
    Full(TlsDemand),
}

impl TlsRule {
    /// All that it says.
    #[must_use]
    pub fn demand(&self) -> TlsDemand {
        match self {
            Self::Word(mode) => TlsDemand { mode: Some(*mode), ..TlsDemand::default() },
            Self::Full(demand) => demand.clone(),
        }
    }
}

/// What is done with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsTreatment {
    /// Its bytes pass unseen.
    Tunnel,
    /// It ends at the proxy, which sees the requests, and another session leads to the origin.
    Intercept,
}

/// What is done with TLS, and what it has to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsDemand {
    /// What is done with it. By default what is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Intercept")]
    pub mode: Option<TlsTreatment>,
    /// The lowest version that the client may offer as its highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"TLSv1.3")]
    pub min_version: Option<MinVersion>,
    /// Whether the name in the client's hello (SNI) has to be the host that it asked the proxy for. By
    /// default it has to: a host that is allowed must not hide another (domain fronting).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Match")]
    pub server_name: Option<ServerNameRule>,
    /// How long a client is tunnelled, unseen, when it has refused the certificates for a host three times in a
    /// row and insists on the host's own ("pinned"); 0s for never. By default what `interception.tunnelPinned`
    /// says. Such a tunnel has to pass the rules as one: a rule that asks about requests does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1h")]
    pub tunnel_pinned: Option<Time>,
}

/// Whether SNI has to be the host that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServerNameRule {
    /// It has to.
    Match,
    /// It may be any.
    Any,
}

/// How much one identity may do. Each bound is for itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests in a time, as in `100/s` or `1000/min`; so many may also come at once. A tunnel counts as
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestRate>,
    /// Tunnels and requests under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 20)]
    pub connections: Option<u32>,
    /// Bytes in a time, both ways together, as in `10MiB/s` or `1GiB/day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteRate>,
}
