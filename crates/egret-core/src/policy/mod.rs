//! Policy: who may go where, and how.
//!
//! Policies of the cluster come first, in the order of their priorities; the first of their rules that
//! matches decides, or passes on ([`model::Action::Pass`]). Then those of the client's namespace: a rule that denies
//! wins over every rule that allows. Then the default.

use std::sync::Arc;

mod ask;
mod bits;
mod compiled;
mod evaluate;
mod explain;
mod http;
mod list;
pub mod model;
mod names;
mod networks;
mod selector;
pub mod when;
mod who;

pub use ask::{Ask, Headers, RequestFacts, RuleFacts, Seen, Verdict};
pub use explain::{Explanation, Step, StepOutcome};
pub use list::{ListTooLong, NameList, NameListBuilder};
pub use selector::{Operator, Requirement, Selector};

use compiled::Compiled;
use model::Policy;

/// Policies, compiled. Immutable, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Policies {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    policies: Vec<Policy>,
    compiled: Compiled,
    default_allow: bool,
    enforces: bool,
    opens_by_default: bool,
}

impl Default for Policies {
    /// No policy: everybody may go everywhere.
    fn default() -> Self {
        Self::compile(Vec::new(), true)
    }
}

impl Policies {
    /// Compiles policies, in any order.
    #[must_use]
    pub fn compile(policies: Vec<Policy>, default_allow: bool) -> Self {
        Self::of(policies, default_allow, false)
    }

    fn of(mut policies: Vec<Policy>, default_allow: bool, opens_by_default: bool) -> Self {
        compiled::sort(&mut policies);
        let compiled = compiled::compile(&policies);
        let enforces = !default_allow || policies.iter().any(|policy| policy.mode == model::Mode::Enforce);
        Self { inner: Arc::new(Inner { policies, compiled, default_allow, enforces, opens_by_default }) }
    }

    /// The same for a proxy that looks into every tunnel unless a rule says otherwise: a rule that says
    /// nothing of TLS asks for it, and so does the default.
    #[must_use]
    pub fn compile_opening(mut policies: Vec<Policy>, default_allow: bool) -> Self {
        for rule in policies.iter_mut().flat_map(|policy| &mut policy.rules) {
            rule.tls.treatment = rule.tls.treatment.or(Some(model::TlsTreatment::Intercept));
        }
        Self::of(policies, default_allow, true)
    }

    /// Decides. Takes time for the policies that are for this client alone, and no memory.
    #[must_use]
    pub fn evaluate(&self, ask: &Ask<'_>) -> Verdict {
        self.inner.compiled.evaluate(ask, self.inner.default_allow, self.inner.opens_by_default)
    }

    /// Explains the decision, rule by rule. Takes time for every rule.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>) -> Explanation {
        self.explain_with(ask, false)
    }

    /// Explains what would be decided if the policies that are only watched ([`model::Mode::Audit`]) were
    /// enforced.
    #[must_use]
    pub fn explain_audit(&self, ask: &Ask<'_>) -> Explanation {
        self.explain_with(ask, true)
    }

    fn explain_with(&self, ask: &Ask<'_>, audit: bool) -> Explanation {
        let Inner { policies, default_allow, opens_by_default, .. } = &*self.inner;
        explain::explain(policies, ask, *default_allow, *opens_by_default, audit)
    }

    /// The policies, in the order in which they are asked.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.inner.policies
    }

    /// Whether a flow that no rule decides may go on.
    #[must_use]
    pub fn default_allow(&self) -> bool {
        self.inner.default_allow
    }

    /// Whether some tunnel may have to be looked into: what [`Seen::TunnelToOpen`] is asked for.
    #[must_use]
    pub fn opens_tunnels(&self) -> bool {
        self.inner.opens_by_default || self.inner.compiled.opens_tunnels
    }

    /// Whether a tunnel that no rule decides is looked into.
    #[must_use]
    pub fn opens_by_default(&self) -> bool {
        self.inner.opens_by_default
    }

    /// Whether any rule asks about requests. If none does, [`Seen::Tunnel`] stands for every flow.
    #[must_use]
    pub fn asks_requests(&self) -> bool {
        self.inner.compiled.asks_requests
    }

    /// Whether anything can be refused. Where all policies are only watched, nothing is.
    #[must_use]
    pub fn enforces(&self) -> bool {
        self.inner.enforces
    }

    /// Whether nothing is asked: there is no policy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.policies.is_empty()
    }
}
