//! Policies as they were written, value by value checked. The configuration file and the cluster's
//! objects both become these; [`super::Policies`] compiles them.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::identity::{NamePattern, TlsVersion};
use crate::pattern::{Glob, HostPattern, PortRange};
use crate::policy::list::NameList;
use crate::policy::selector::Selector;
use crate::policy::when::When;

/// A policy: whom it is for, and what they may do.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name; unique among the policies of its tier (and namespace).
    pub name: Arc<str>,
    /// Where it stands.
    pub tier: Tier,
    /// Whether it decides, or only says what it would have decided.
    pub mode: Mode,
    /// Whom it is for: any of these. Empty for everybody (of the namespace).
    pub from: Vec<Source>,
    /// The rules, in order. Rules of an [`Tier::Namespace`] policy are never [`Action::Pass`].
    pub rules: Vec<Rule>,
}

/// Where a policy stands among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A `ClusterEgressPolicy`: the lower the number the earlier; policies of one priority stand in the
    /// order of their names.
    Cluster {
        /// The priority.
        priority: i32,
    },
    /// An `EgressPolicy`, for the workloads of one namespace. Order means nothing there: a rule that
    /// denies wins over every rule that allows.
    Namespace {
        /// The namespace.
        namespace: Arc<str>,
    },
}

/// Whether a policy decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It decides.
    #[default]
    Enforce,
    /// What it would deny is recorded and goes on as if the policy were not there.
    Audit,
}

impl Mode {
    /// As configuration and logs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "Enforce",
            Self::Audit => "Audit",
        }
    }
}

/// Who a policy is for. Every field that is not empty has to match, by any of its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Users, as proved by credentials.
    pub users: Vec<Glob>,
    /// Groups of users.
    pub groups: Vec<Glob>,
    /// Names in client certificates, SPIFFE IDs among them.
    pub certificates: Vec<NamePattern>,
    /// Networks of the client's address.
    pub networks: Vec<IpNet>,
    /// Namespaces by name.
    pub namespaces: Vec<Glob>,
    /// Namespaces by label.
    pub namespace_selector: Option<Selector>,
    /// Service accounts by name, as `name` or `namespace/name`.
    pub service_accounts: Vec<Glob>,
    /// Pods by label.
    pub pod_selector: Option<Selector>,
}

/// A rule of a policy. Every field that is given has to match.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique in its policy; by default its place.
    pub name: Arc<str>,
    /// What it says when it matches.
    pub action: Action,
    /// Destinations: any of these. Empty for every destination.
    pub to: Vec<Target>,
    /// What the request has to be.
    pub http: Option<HttpMatch>,
    /// A condition.
    pub when: Option<When>,
    /// What becomes of TLS that it allows.
    pub tls: TlsDemand,
    /// How much of what it allows.
    pub rate_limit: Option<Arc<RateLimit>>,
    /// How much is kept of the flows that it allows; `None`: what is usual.
    pub capture: Option<CapturePlan>,
    /// Shown to whoever is refused by it.
    pub reason: Option<Arc<str>>,
    /// Whom to ask, shown to whoever is refused by it.
    pub contact: Option<Arc<str>>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The flow may go on.
    Allow,
    /// The flow is refused.
    Deny,
    /// The cluster's policies say nothing more: the namespace's decide, then the default.
    Pass,
}

impl Action {
    /// As configuration and logs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
            Self::Pass => "Pass",
        }
    }
}

/// A destination. Hosts and lists stand for each other; networks and ports have to match as well.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Hosts by name. An address among them is the network of that one address.
    pub hosts: Vec<HostPattern>,
    /// Lists of hosts.
    pub lists: Vec<Arc<NameList>>,
    /// Networks that the address dialled is in.
    pub networks: Vec<IpNet>,
    /// Ports.
    pub ports: Vec<PortRange>,
}

impl Target {
    /// Whether it is for every host.
    #[must_use]
    pub fn names_no_host(&self) -> bool {
        self.hosts.is_empty() && self.lists.is_empty()
    }
}

/// What a request has to be. Every field that is not empty has to match, by any of its entries.
#[derive(Clone, Debug, Default)]
pub struct HttpMatch {
    /// Methods, in upper case.
    pub methods: Vec<Box<str>>,
    /// Patterns for the path: `*` does not go past `/`, `**` does.
    pub paths: Vec<Glob>,
    /// Keys of the query: each of these has to match.
    pub query: Vec<FieldMatch>,
    /// Header fields: each of these has to match.
    pub headers: Vec<FieldMatch>,
    /// Media types of the request's body, as in `application/json` or `text/*`.
    pub content_types: Vec<Glob>,
    /// The longest body of a request, in bytes. A rule that allows lets no more than this through; it
    /// does not decide whether the rule matches.
    pub max_body_bytes: Option<u64>,
}

impl HttpMatch {
    /// Whether it asks anything of a request, which cannot be seen in a tunnel. A bound of the body does
    /// so too: it could not be kept there.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.methods.is_empty()
            || !self.paths.is_empty()
            || !self.query.is_empty()
            || !self.headers.is_empty()
            || !self.content_types.is_empty()
            || self.max_body_bytes.is_some()
    }
}

/// A condition on a header field or a key of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMatch {
    /// The name: of a header field in lower case, of a query key exactly.
    pub name: Box<str>,
    /// Patterns for the value, any of which has to match one of the values. Empty: the field is there.
    pub values: Vec<Glob>,
    /// The field must not be there (with these values).
    pub absent: bool,
}

/// What becomes of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsDemand {
    /// What is done with it; `None`: what is usual.
    pub treatment: Option<TlsTreatment>,
    /// The lowest version that a client may offer as its highest.
    pub min_version: Option<TlsVersion>,
    /// Whether the name in a hello has to be the host that was asked for; `None`: it has to.
    pub server_name: Option<ServerNameRule>,
    /// How long a client that insists on the host's own certificate is let through unseen, zero for never;
    /// `None`: what is usual.
    pub tunnel_pinned: Option<Duration>,
}

/// What is done with TLS inside a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsTreatment {
    /// The bytes pass unseen.
    Tunnel,
    /// TLS ends at the proxy, and another session leads to the origin.
    Intercept,
}

/// Whether the name in a client's hello (SNI) has to be the host that it asked the proxy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerNameRule {
    /// It has to: a host that is allowed must not hide one that is not (domain fronting).
    Match,
    /// It may be any.
    Any,
}

/// How much of a flow is kept for people to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturePlan {
    /// How much.
    pub level: CaptureLevel,
    /// The most bytes of each body.
    pub body_bytes: u64,
    /// Of how many flows, in millionths.
    pub sample: u32,
}

impl CapturePlan {
    /// All flows.
    pub const EVERY: u32 = 1_000_000;
    /// The most bytes of each body, where nobody says otherwise.
    pub const BODY_BYTES: u64 = 1 << 20;

    /// So much of every flow.
    #[must_use]
    pub const fn of(level: CaptureLevel) -> Self {
        Self { level, body_bytes: Self::BODY_BYTES, sample: Self::EVERY }
    }
}

impl Default for CapturePlan {
    /// Nothing.
    fn default() -> Self {
        Self::of(CaptureLevel::None)
    }
}

/// How much of a flow is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CaptureLevel {
    /// Its record alone.
    #[default]
    None,
    /// The heads of request and response.
    Headers,
    /// Heads, bodies, trailers and messages.
    Bodies,
}

/// How much one identity may do under a rule. Each bound is for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests (a tunnel counts as one).
    pub requests: Option<Rate>,
    /// Tunnels and requests under way at once.
    pub connections: Option<u32>,
    /// Bytes, both ways together.
    pub bytes: Option<Rate>,
}

/// So much in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much; also what may come at once.
    pub amount: u64,
    /// In how long.
    pub per: Duration,
}
