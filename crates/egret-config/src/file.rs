//! The configuration file as it is written: field by field, with the text of the reference.
//!
//! The doc comment of a field is its entry in `docs/config.md`. Defaults come from the core's settings.

mod authentication;
mod changes;
mod egress_proxy;
mod flows;
mod guard;
mod http;
mod interception;
mod kubernetes;
mod limits;
mod listeners;
mod lists;
mod logs;
mod origins;
mod pac;
mod policy;
mod socks;
mod timeouts;
mod upstream;

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::{DrainSettings, ProcessSettings};

pub use authentication::{Authentication, Jwt, Ldap, LoginBackoff, LoginCache};
pub use changes::{ChangeAction, ChangeRule};
pub use egress_proxy::{
    CaReference, CertificateStatus, ClusterTrustBundleReference, ComputedNoProxy, ConditionStatus,
    EffectiveProxy, EgressProxyDocument, EgressProxyKind, EgressProxyMetadata, EgressProxySpec,
    EgressProxyStatus, ExistingNoProxy, GenerationCount, Inject, PodCounts, PolicyFinding, PolicyStatus,
    RestartWaves, Rollout, SkipOrInject, StatusCondition, TrustedCa, TrustedCaSource,
};
pub use flows::{Capture, CaptureMode, CapturePlan, Flows, Redaction};
pub use guard::{DefaultRule, Guard, LoopbackRule, Parent, Resolve, Rule, Rules};
pub use http::{Forwarded, Http};
pub use interception::{Interception, InterceptionCa, OtherProtocols};
pub use kubernetes::{BareServiceNames, Kubernetes, KubernetesScope};
pub use limits::Limits;
pub use listeners::{Certificate, ClientAuth, InletProtocol, Listener, ListenerTls, MinVersion};
pub use lists::{HostList, ListFormat};
pub use logs::{AccessLog, AccessLogFormat, AccessLogOutput, Log, LogFormat, LogLevel, OutputWord, Tracing};
pub use origins::{Accepted, ClientCertificate, OriginRule};
pub use pac::Pac;
pub use policy::{
    ApiVersion, DEFAULT_PRIORITY, DefaultAction, HeaderMatch, HttpMatch, LabelSelector, PolicyAction,
    PolicyDocument, PolicyKind, PolicyMetadata, PolicyMode, PolicyRule, PolicySource, PolicySpec, QueryMatch,
    RateLimit, Requirement, SelectorOperator, ServerNameRule, Target, TlsDemand, TlsRule, TlsTreatment,
};
pub use socks::Socks;
pub use timeouts::Timeouts;
pub use upstream::{Dns, Family, Pool, Upstream};

use crate::values::{AddressOrOff, FilePath, ListenAddress, Time};

/// The configuration of Egret. Every field may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Egret configuration")]
pub struct ConfigFile {
    /// Addresses that clients connect to. HTTP forward requests, CONNECT and SOCKS are served on each of
    /// them, over plain TCP or over TLS. A change of addresses takes a restart, as does switching TLS on or off.
    #[schemars(length(min = 1), example = serde_json::json!([{"address": "0.0.0.0:8888"}, {"address": "0.0.0.0:8443", "tls": {"certificates": [{"certificate": "server.crt", "key": "server.key"}]}}]))]
    pub listeners: Vec<Listener>,
    /// Metrics and health, kept apart from the port that clients use.
    pub admin: Admin,
    /// The web console, which shows what passes; the manual has a page about it, console.md.
    pub console: Console,
    /// Worker threads; each has a runtime of its own and takes connections by itself. 0 is one for each
    /// core that the process may use. A change takes a restart.
    #[schemars(range(max = 1024))]
    pub workers: u32,
    /// The diagnostic log on standard error: what the proxy itself has to say, apart from the access log.
    pub log: Log,
    /// The access log: one line for each request or tunnel.
    pub access_log: AccessLog,
    /// Bounds. Each time one is struck, `egret_limit_hits_total` counts it, with the name of the limit as
    /// the label `limit`.
    pub limits: Limits,
    /// Time limits. A flow that strikes one ends, and its access line has the reason.
    pub timeouts: Timeouts,
    /// Details of HTTP: which header fields are added.
    pub http: Http,
    /// SOCKS from clients. Versions 5, 4 and 4a are served on the same ports as HTTP.
    pub socks: Socks,
    /// The file `/proxy.pac`, by which browsers and desktops are told when to use the proxy. It is served on
    /// every listener.
    pub pac: Pac,
    /// Looking inside TLS: which CA signs for origins, and what else holds where rules say `tls: Intercept`. The
    /// manual has a page about it, interception.md.
    pub interception: Interception,
    /// Connections to origins and parents.
    pub upstream: Upstream,
    /// The resolver. Egret asks name servers itself, and keeps answers as long as they are valid.
    pub dns: Dns,
    /// The built-in guard against requests that reach back into the proxy's own surroundings: loopback,
    /// link-local, cloud metadata, unspecified, multicast and reserved addresses, in every spelling, and
    /// by whatever name they are resolved from.
    pub guard: Guard,
    /// Credentials of clients, in `Proxy-Authorization`. None are asked for unless there is something to
    /// check them against: `htpasswd`, `ldap` or `jwt`; or `kubernetes`, by whose tokens clients may prove
    /// themselves. The manual has a page about it, credentials.md.
    pub authentication: Authentication,
    /// The cluster that the proxy is in: clients are known as pods by their addresses and as service accounts by
    /// their tokens, so that policies can select them and records name them. Off unless it is written; `{}` is
    /// enough in a pod. The manual has a page about it, kubernetes-identity.md. A change takes a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"scope": "Node"}))]
    pub kubernetes: Option<Kubernetes>,
    /// Where clients may go, in short: the same for everybody, by hosts, networks and ports. Deny rules win
    /// over allow rules; the guard wins over both. It stands for one policy, and not beside `policies`.
    pub rules: Rules,
    /// Who may go where, and how. The manual has a page about it, policy.md. Those of kind
    /// `ClusterEgressPolicy` come first, in the order of their priority; the first of their rules that
    /// matches decides. Then those of kind `EgressPolicy` for the client's namespace. Then `default`.
    ///
    /// Here, the fields of `metadata` and `spec` may also stand beside each other, without those two words.
    #[schemars(length(max = 10_000), example = serde_json::json!([{"metadata": {"name": "builds"}, "spec": {"from": [{"users": ["ci-*"]}], "rules": [{"action": "Allow", "to": [{"hosts": ["**.pypi.org"]}]}]}}]))]
    pub policies: Vec<PolicyDocument>,
    /// YAML files with policies, one in each document, or directories of such files (`*.yaml`, `*.yml`,
    /// `*.json`). They are read again when they change.
    #[schemars(length(max = 1000), example = serde_json::json!(["policies/"]))]
    pub policy_files: Vec<FilePath>,
    /// What happens where no policy decides. By default `Allow`.
    #[serde(rename = "default", skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Deny")]
    pub default_action: Option<DefaultAction>,
    /// Lists of hosts that rules name in `hostLists`.
    #[schemars(length(max = 1000), example = serde_json::json!([{"name": "partners", "file": "partners.txt"}]))]
    pub host_lists: Vec<HostList>,
    /// Categories of hosts that rules name in `categories`; the same as lists, but apart from them, as they
    /// come from whoever sorts the web into kinds.
    #[schemars(length(max = 1000), example = serde_json::json!([{"name": "gambling", "file": "categories/gambling/domains"}]))]
    pub categories: Vec<HostList>,
    /// Parent proxies. The first group that takes a destination is used; a destination that none takes
    /// is reached directly.
    #[schemars(example = serde_json::json!([{"name": "corp", "urls": ["http://proxy.corp:3128"], "noProxy": [".svc.cluster.local", "10.0.0.0/8"]}]))]
    pub parents: Vec<Parent>,
    /// How much is kept of flows, for the console and `egret flows`, where no rule of a policy says it. The manual
    /// has a page about it, flows.md. By default `None`; and `Headers` without a configuration file, when there
    /// is a console.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Headers")]
    pub capture: Option<Capture>,
    /// Rules that change what passes, for as long as somebody debugs: set or remove header fields, rewrite targets, answer
    /// in place of the origin, delay, block. They are applied in this order, before those that people add in the console,
    /// to plain HTTP and to what is intercepted. The manual has a page about it, flows.md.
    #[schemars(length(max = 100), example = serde_json::json!([{"name": "to staging", "filter": "host:api.example.com", "actions": [{"rewrite": {"host": "staging.example.com"}}]}]))]
    pub changes: Vec<ChangeRule>,
    /// The store of flows: its bounds, and what is taken out before anything is stored. Changes take a restart,
    /// but for `redaction`.
    pub flows: Flows,
    /// Shutting down: on SIGTERM the proxy finishes what is in flight.
    pub drain: Drain,
    /// OpenTelemetry traces, one span for each flow. Whether or not they are sent, the W3C trace context
    /// of a request is passed on.
    pub tracing: Tracing,
}

impl Default for ConfigFile {
    fn default() -> Self {
        let ProcessSettings { listeners, workers } = ProcessSettings::default();
        Self {
            listeners: listeners.into_iter().map(plain).collect(),
            admin: Admin::default(),
            console: Console::default(),
            workers: u32::try_from(workers).unwrap_or(0),
            log: Log::default(),
            access_log: AccessLog::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            http: Http::default(),
            socks: Socks::default(),
            pac: Pac::default(),
            interception: Interception::default(),
            upstream: Upstream::default(),
            dns: Dns::default(),
            guard: Guard::default(),
            authentication: Authentication::default(),
            kubernetes: None,
            rules: Rules::default(),
            policies: Vec::new(),
            policy_files: Vec::new(),
            default_action: None,
            host_lists: Vec::new(),
            categories: Vec::new(),
            capture: None,
            changes: Vec::new(),
            flows: Flows::default(),
            parents: Vec::new(),
            drain: Drain::default(),
            tracing: Tracing::default(),
        }
    }
}

fn plain(address: SocketAddr) -> Listener {
    Listener {
        address: ListenAddress::from(address),
        tls: None,
        proxy_protocol: Vec::new(),
        protocols: InletProtocol::all(),
    }
}

/// Metrics and health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Admin {
    /// Where `/metrics`, `/healthz` and `/readyz` are served; `off` for nowhere. In a container, where
    /// probes come from outside, write `0.0.0.0:9090`. A change takes a restart.
    pub address: AddressOrOff,
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: AddressOrOff(Some(([127, 0, 0, 1], 9090).into())) }
    }
}

/// The web console. A change takes a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Console {
    /// Where it is served; `off` for nowhere. Without a configuration file, the default is `127.0.0.1:8081`.
    pub address: AddressOrOff,
    /// A file with the token that lets in as `admin`, on its first line, at least 16 characters. By default one is
    /// made at each start, and stands in the link that is printed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"console-token")]
    pub token_file: Option<FilePath>,
    /// A file with a token that lets in as `read-only`: it sees everything and changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"console-token-read-only")]
    pub read_only_token_file: Option<FilePath>,
    /// A file with a password that lets in as `admin`, on its first line, at least 8 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"console-password")]
    pub password_file: Option<FilePath>,
    /// A directory with files that change rules of the console may answer with. By default `answers` in the state
    /// directory. Rules of the configuration may answer with any file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"answers")]
    pub answer_files: Option<FilePath>,
    /// Names that browsers reach it by, besides `localhost` and any IP address. Requests under other names are
    /// refused, so that no page elsewhere can reach it under a name of its own (DNS rebinding).
    #[schemars(length(max = 100), example = serde_json::json!(["egret.corp.example"]))]
    pub names: Vec<String>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            address: AddressOrOff(None),
            token_file: None,
            read_only_token_file: None,
            password_file: None,
            answer_files: None,
            names: Vec::new(),
        }
    }
}

/// Shutting down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// For how long `/readyz` fails before the proxy stops accepting, so that load balancers notice in
    /// time. In Kubernetes some seconds are right.
    pub delay: Time,
    /// How long requests and tunnels in flight may take to end, counted from the end of `delay`. After it
    /// they are closed with the reason `draining`. `delay` and `timeout` together should be less than
    /// the pod's `terminationGracePeriodSeconds` (30 s by default).
    pub timeout: Time,
}

impl Default for Drain {
    fn default() -> Self {
        let DrainSettings { delay, timeout } = DrainSettings::default();
        Self { delay: Time(delay), timeout: Time(timeout) }
    }
}

impl From<&Drain> for DrainSettings {
    fn from(drain: &Drain) -> Self {
        Self { delay: drain.delay.0, timeout: drain.timeout.0 }
    }
}
