//! `guard`, `rules` and `parents`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::values::{FilePath, HostTerm, Name, Network, NoProxyTerm, Ports, ProxyUrl, Time};

/// The built-in guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// Whether the guard is on. Off, the proxy's own listeners still cannot be reached through it.
    pub enabled: bool,
    /// Networks that are exempt from the guard. Refusals by it have the reason `denied-by-guard` and
    /// say which address it was.
    #[schemars(length(max = 10_000), example = serde_json::json!(["169.254.20.10/32"]))]
    pub allow: Vec<Network>,
    /// Whether loopback destinations are let through. `auto`: when all listeners are on loopback
    /// themselves, so that a developer can test a local server.
    pub allow_loopback: LoopbackRule,
}

impl Default for Guard {
    fn default() -> Self {
        let enabled = !egret_core::gate::Guard::default().disabled;
        Self { enabled, allow: Vec::new(), allow_loopback: LoopbackRule::Auto }
    }
}

/// Whether loopback destinations are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopbackRule {
    /// When all listeners are on loopback.
    Auto,
    /// Always.
    Allow,
    /// Never.
    Refuse,
}

impl Serialize for LoopbackRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Allow => serializer.serialize_bool(true),
            Self::Refuse => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for LoopbackRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(true) => Ok(Self::Allow),
            serde_json::Value::Bool(false) => Ok(Self::Refuse),
            serde_json::Value::String(text) if text == "auto" => Ok(Self::Auto),
            _ => Err(D::Error::custom("expected auto, true or false")),
        }
    }
}

impl JsonSchema for LoopbackRule {
    fn schema_name() -> Cow<'static, str> {
        "LoopbackRule".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["auto", true, false] })
    }
}

/// Where clients may go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// Destinations that are refused, with the reason `denied-by-rule` and the rule's name.
    #[schemars(length(max = 100_000), example = serde_json::json!([{"name": "no-mail", "ports": [25, "465-587"]}]))]
    pub deny: Vec<Rule>,
    /// Destinations that are allowed. As soon as this is given, be it an empty list, everything else is
    /// refused, unless `default` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100_000), example = serde_json::json!([{"name": "packages", "hosts": ["**.pypi.org", "files.pythonhosted.org"], "ports": [443]}]))]
    pub allow: Option<Vec<Rule>>,
    /// What happens to a destination that no rule names. By default `deny` when `allow` is given, else
    /// `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"deny")]
    pub default: Option<DefaultRule>,
}

/// What happens to a destination that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DefaultRule {
    /// It is allowed.
    Allow,
    /// It is refused.
    Deny,
}

/// A rule. It matches when the port matches and, where hosts or networks are named, one of them does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The rule's name, shown to whoever is refused and in the access log. By default its place, as in
    /// `deny[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Hosts by name: `example.com`, `*.example.com` (one label in front), `**.example.com` (any depth, not
    /// `example.com` itself), an address, or `*` for every host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000_000), example = serde_json::json!(["example.com", "**.example.com"]))]
    pub hosts: Option<Vec<HostTerm>>,
    /// Networks that the address is looked up in, once the name is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000_000), example = serde_json::json!(["10.0.0.0/8"]))]
    pub cidrs: Option<Vec<Network>>,
    /// Ports and ranges of ports. By default every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!([443, "8000-8999"]))]
    pub ports: Option<Vec<Ports>>,
}

/// A group of parent proxies that stand in for each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parent {
    /// The group's name in records and metrics. By default its place, as in `parents[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"corp")]
    pub name: Option<Name>,
    /// The proxies, first choice first: `http://`, `https://` or `socks5://`, with a port, and with
    /// `user:password@` where it is needed (better in `credentialsFile`). When one cannot be reached,
    /// the next is used.
    #[schemars(length(min = 1, max = 64), example = serde_json::json!(["https://proxy-a.corp:3128", "http://proxy-b.corp:3128"]))]
    pub urls: Vec<ProxyUrl>,
    /// A file that holds `user:password` on its one line, as a Secret is mounted. For every URL of the
    /// group; it is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/corp-credentials")]
    pub credentials_file: Option<FilePath>,
    /// What goes through this group, in the terms of `NO_PROXY`: domains with their subdomains, addresses,
    /// networks, `host:port`, `*`. By default everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = serde_json::json!([".example.com"]))]
    pub destinations: Option<Vec<NoProxyTerm>>,
    /// What does not go through this group, although `destinations` names it; in the same terms.
    #[serde(default)]
    #[schemars(example = serde_json::json!([".svc.cluster.local", "10.0.0.0/8"]))]
    pub no_proxy: Vec<NoProxyTerm>,
    /// Who resolves names.
    #[serde(default)]
    pub resolve: Resolve,
    /// A PEM file with CAs that `https://` parents may be signed by, in addition to the usual ones. It is
    /// read again when it changes.
    #[serde(default, rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/corp-ca.pem")]
    pub trusted_ca: Option<FilePath>,
    /// How long a parent that failed is passed over while another of the group works.
    #[serde(default = "retry_after")]
    pub retry_after: Time,
}

fn retry_after() -> Time {
    Time(std::time::Duration::from_secs(30))
}

/// Who resolves names for a parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Resolve {
    /// The parent: the name is passed on. Rules and the guard see the name alone.
    #[default]
    Parent,
    /// Egret: rules and the guard see the address, and the parent is asked for just that address.
    Local,
}
