//! Rules that change traffic while somebody debugs: which flows they are for, and what they do. Whoever moves
//! the bytes carries it out; nothing here does I/O.
//!
//! A target that a rule rewrites is a wish like any other: it has to pass the gate before it is dialled.

mod action;
mod hits;
mod rewrite;
mod spec;

use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Begin, request_head, response_head};
use crate::filter::{Bodies, Filter, FilterError};
use crate::flow::{Flow, Request, Side};
use crate::redact::Redactor;

pub(crate) use action::set;
pub use action::{Action, Answer, AnswerBody, Block, CLOSES};
pub use hits::Hits;
pub use rewrite::Rewrite;
pub(crate) use rewrite::is_target;
pub use spec::{ActionSpec, HeaderSpec, RuleSpec};
pub(crate) use spec::{FRAMING, check_field};

/// The most rules at once.
pub const MAX_RULES: usize = 100;
/// The most actions of a rule.
pub const MAX_ACTIONS: usize = 32;
/// The longest name of a rule, in bytes.
pub const MAX_NAME: usize = 128;
/// The most that rules may delay a flow, all together, on its way to the origin and again on its way back.
pub const MAX_DELAY: Duration = Duration::from_secs(300);

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, which the flows that it changes are tagged with.
    pub name: Arc<str>,
    /// Which flows.
    pub filter: Filter,
    /// What becomes of them, in order.
    pub actions: Vec<Action>,
    /// How often it applied.
    pub hits: Arc<Hits>,
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its filter.
    #[error("rule {rule}: {error}")]
    Filter {
        /// The rule's name.
        rule: String,
        /// What is wrong.
        error: FilterError,
    },
    /// One of its actions.
    #[error("rule {rule}, action {action}: {what}")]
    Action {
        /// The rule's name.
        rule: String,
        /// Which action, from 1.
        action: usize,
        /// What is wrong, and what to write.
        what: String,
    },
    /// It has a filter that asks about bodies, and acts before they are there.
    #[error(
        "rule {0}: its filter looks into bodies, which are not there when rules are applied; use headers, host, path or method"
    )]
    NeedsBodies(String),
    /// It does nothing.
    #[error("rule {0} has no actions; give it one, such as block")]
    Empty(String),
    /// Its name cannot stand in records.
    #[error("`{}` is no name of a rule; write 1 to {MAX_NAME} bytes without control characters", .0.escape_debug())]
    Name(String),
    /// It does too much.
    #[error("rule {0} has more than {MAX_ACTIONS} actions; make two of it")]
    TooManyActions(String),
    /// There are too many.
    #[error("there are more than {MAX_RULES} rules; remove some")]
    TooMany,
}

/// All rules, compiled. The flow that they are asked about has not been redacted, and must not be kept.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// What rules want of a request or a response, apart from what they changed in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    /// The names of the rules that applied.
    pub applied: Vec<Arc<str>>,
    /// Head or target are others now.
    pub changed: bool,
    /// The target is another now: it has to pass the gate.
    pub retargeted: bool,
    /// Wait so long before going on.
    pub delay: Duration,
    /// The rule that has it held until somebody lets it go on.
    pub hold: Option<Arc<str>>,
    /// Do not go on; this is the end.
    pub end: Option<End>,
}

/// How a rule ends a flow.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The client is given this answer.
    Answer(Answer),
    /// The client is refused.
    Block(Block),
}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// What is wrong with the first that is wrong.
    pub fn compile(specs: &[RuleSpec]) -> Result<Self, RuleError> {
        if specs.len() > MAX_RULES {
            return Err(RuleError::TooMany);
        }
        Self::compile_counted(specs.iter().map(|spec| (spec, Arc::default())))
    }

    /// Compiles rules that were there before, and go on counting.
    ///
    /// # Errors
    /// What is wrong with the first that is wrong.
    pub fn compile_counted<'a>(
        specs: impl IntoIterator<Item = (&'a RuleSpec, Arc<Hits>)>,
    ) -> Result<Self, RuleError> {
        let enabled = specs.into_iter().filter(|(spec, _)| spec.enabled);
        let rules = enabled.map(|(spec, hits)| Ok(Rule { hits, ..spec::compile(spec)? }));
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Whether one of them looks at messages on this way.
    #[must_use]
    pub fn concern(&self, side: Side) -> bool {
        self.rules.iter().flat_map(|rule| &rule.actions).any(|action| action.side() == side)
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules to a request on its way to the origin, whose head they change. Later rules see what
    /// earlier ones did. `now` is in microseconds since 1970.
    #[must_use]
    pub fn on_request(&self, flow: &mut Flow, now: u64) -> Effect {
        self.apply(flow, Side::Request, now)
    }

    /// Applies the rules to a response on its way to the client, whose head they change.
    #[must_use]
    pub fn on_response(&self, flow: &mut Flow, now: u64) -> Effect {
        self.apply(flow, Side::Response, now)
    }

    fn apply(&self, flow: &mut Flow, side: Side, now: u64) -> Effect {
        let bodies: &dyn Bodies = &();
        let mut effect = Effect::default();
        for rule in &self.rules {
            let concerned = rule.actions.iter().any(|action| action.side() == side);
            if !concerned || !rule.filter.matches(flow, now, bodies) {
                continue;
            }
            // A rule that acts both ways counts a flow once.
            if !flow.changes.iter().any(|name| **name == *rule.name) {
                rule.hits.count(now);
                flow.changes.push(rule.name.to_string());
            }
            effect.applied.push(rule.name.clone());
            for action in rule.actions.iter().filter(|action| action.side() == side) {
                action.apply(&rule.name, flow, &mut effect);
                if effect.end.is_some() {
                    return effect;
                }
            }
        }
        effect
    }
}

/// The flow that rules are asked about, from the request's head as it came.
#[must_use]
pub fn subject(begin: &Begin, head: &[u8]) -> Flow {
    let mut flow = Flow::begun(begin.id, crate::capture::micros(begin.started), begin.client);
    flow.request = request_head(head, begin.scheme, &Redactor::default());
    if let Some(to) = begin.destination.clone().or_else(|| flow.request.endpoint()) {
        let Request { host, port, .. } = &mut flow.request;
        if host.is_empty() {
            (*host, *port) = (to.host.clone(), to.port);
        }
        flow.destination = Some(to);
    }
    flow.treatment = begin.treatment;
    flow.tunnel = begin.tunnel;
    flow.downstream = flow.request.version.clone();
    flow
}

/// Adds the response's head, as it came, to the flow that rules are asked about.
pub fn subject_response(flow: &mut Flow, head: &[u8]) {
    let response = response_head(head, &Redactor::default());
    flow.status = response.status;
    flow.response = Some(response);
}
