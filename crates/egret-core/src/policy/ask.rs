//! What a policy is asked, and what it answers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::model::{Action, CapturePlan, Mode, RateLimit, TlsDemand};
use crate::destination::Destination;
use crate::identity::Identity;

/// A question: may this client go there?
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// Where to.
    pub destination: &'a Destination,
    /// The address that the destination has; `None` while it is not known. Of a literal address it is the
    /// destination's.
    pub address: Option<IpAddr>,
    /// What can be seen of the request.
    pub seen: Seen<'a>,
    /// When.
    pub now: SystemTime,
}

impl<'a> Ask<'a> {
    /// Whether a tunnel may lead there, asked before the address is known.
    #[must_use]
    pub fn for_tunnel(identity: &'a Identity, destination: &'a Destination, now: SystemTime) -> Self {
        Self { identity, destination, address: None, seen: Seen::Tunnel, now }
    }
}

/// How much of a flow can be seen.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// Nothing but its destination: the bytes of a tunnel pass unseen.
    Tunnel,
    /// Nothing yet: it is a tunnel that can be looked into, and its requests will pass again.
    TunnelToOpen,
    /// The request.
    Request(RequestFacts<'a>),
}

/// A request, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The path, as it was sent.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a dyn Headers,
    /// The length of the body in bytes, where the request states it.
    pub body_length: Option<u64>,
}

/// The header fields of a request.
pub trait Headers: fmt::Debug {
    /// Calls for each field, in order, with its name as it was sent and its value.
    fn for_each(&self, field: &mut dyn FnMut(&str, &[u8]));
}

impl Headers for [(&str, &str)] {
    fn for_each(&self, field: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self {
            field(name, value.as_bytes());
        }
    }
}

/// What a rule is, for those who act on its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFacts {
    /// The policy: its name, or `namespace/name`.
    pub policy: Arc<str>,
    /// The rule's name.
    pub rule: Arc<str>,
    /// What it says.
    pub action: Action,
    /// Whether it decides.
    pub mode: Mode,
    /// What becomes of TLS.
    pub tls: TlsDemand,
    /// How much of it.
    pub rate_limit: Option<Arc<RateLimit>>,
    /// How much is kept of the flow; `None`: what is usual.
    pub capture: Option<CapturePlan>,
    /// The longest body of a request, in bytes.
    pub max_body_bytes: Option<u64>,
    /// Shown to whoever is refused.
    pub reason: Option<Arc<str>>,
    /// Whom to ask.
    pub contact: Option<Arc<str>>,
}

impl RuleFacts {
    /// A rule that says just this.
    #[must_use]
    pub fn new(policy: impl Into<Arc<str>>, rule: impl Into<Arc<str>>, action: Action) -> Self {
        Self {
            policy: policy.into(),
            rule: rule.into(),
            action,
            mode: Mode::Enforce,
            tls: TlsDemand::default(),
            rate_limit: None,
            capture: None,
            max_body_bytes: None,
            reason: None,
            contact: None,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Whether the flow may go on.
    pub allowed: bool,
    /// The rule that says so; `None` for the default.
    pub by: Option<Arc<RuleFacts>>,
    /// The rule of a policy in [`Mode::Audit`] that would have refused it.
    pub audit: Option<Arc<RuleFacts>>,
    /// It is a refusal, and the address could lift it: a rule that comes before asks for it.
    pub open_to_address: bool,
    /// The address could change the answer: a rule that comes before asks for it, or it is known already.
    pub address_matters: bool,
    /// The answer is for now: the tunnel has to be looked into, and its requests asked about again.
    pub look_inside: bool,
    /// The rule denies what it cannot see: it asks about requests, and this is a tunnel.
    pub unseen: bool,
}
