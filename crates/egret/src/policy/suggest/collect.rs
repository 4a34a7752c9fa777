//! What was seen of each identity, within bounds.

use std::collections::HashMap;

use egret_core::destination::Destination;

use super::super::args::{By, Flows};
use super::super::output::{count, number};
use super::super::records::{Record, Was};
use super::identity::Who;

/// The most identities that are told apart: nobody reviews more.
const MOST_IDENTITIES: usize = 10_000;
/// The most destinations, of all identities together. They take about 200 bytes each.
const MOST_DESTINATIONS: usize = 1_000_000;

/// How often and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) flows: u64,
    /// Milliseconds since 1970.
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
}

impl Usage {
    fn note(&mut self, record: &Record<'_>) {
        self.flows += u64::from(!record.fields.interim);
        self.add_times(record.fields.time, record.fields.time);
    }

    fn add_times(&mut self, first: Option<i64>, last: Option<i64>) {
        self.first = [self.first, first].into_iter().flatten().min();
        self.last = [self.last, last].into_iter().flatten().max();
    }

    /// Both together.
    pub(super) fn add(&mut self, other: &Self) {
        self.flows += other.flows;
        self.add_times(other.first, other.last);
    }
}

/// What one identity asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What becomes a rule.
    pub(super) wanted: HashMap<Destination, Usage>,
    /// What was denied, or would be by a policy in mode Audit.
    pub(super) denied: HashMap<Destination, Usage>,
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Collection {
    by: By,
    flows: Flows,
    include_denied: bool,
    pub(super) identities: HashMap<Who, Seen>,
    destinations: usize,
    /// All flows that became rules.
    pub(super) total: Usage,
    without_identity: u64,
    failed: u64,
    guarded: u64,
    beyond: u64,
}

impl Collection {
    pub(super) fn new(by: By, flows: Flows, include_denied: bool) -> Self {
        Self {
            by,
            flows,
            include_denied,
            identities: HashMap::new(),
            destinations: 0,
            total: Usage::default(),
            without_identity: 0,
            failed: 0,
            guarded: 0,
            beyond: 0,
        }
    }

    /// Takes a flow.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        let is_wanted = match record.was {
            // What the guard refuses no rule can allow.
            Was::Guarded => {
                self.guarded += 1;
                return;
            }
            Was::Failed if self.flows == Flows::Successful => {
                self.failed += 1;
                return;
            }
            Was::Denied => self.include_denied,
            Was::Reached | Was::Failed => self.include_denied || !record.audit_denied(),
        };
        let Some(who) = Who::of(record, self.by) else {
            self.without_identity += 1;
            return;
        };
        if self.identities.len() >= MOST_IDENTITIES && !self.identities.contains_key(&who) {
            self.beyond += 1;
            return;
        }
        let seen = self.identities.entry(who).or_default();
        let list = if is_wanted { &mut seen.wanted } else { &mut seen.denied };
        if let Some(usage) = list.get_mut(record.destination()) {
            usage.note(record);
        } else if self.destinations < MOST_DESTINATIONS {
            self.destinations += 1;
            list.entry(record.destination().clone()).or_default().note(record);
        } else {
            self.beyond += 1;
            return;
        }
        if is_wanted {
            self.total.note(record);
        }
    }

    /// What was left out, and why.
    pub(super) fn left_out(&self) -> Vec<String> {
        let field = match self.by {
            By::User => "user",
            By::Certificate => "certificate",
            By::Namespace => "namespace",
            By::Auto | By::Address | By::None => "client address",
        };
        let mut lines = Vec::new();
        if self.failed > 0 {
            lines.push(format!(
                "{} that failed left out; --flows all takes them in",
                count(self.failed, "flow")
            ));
        }
        if self.without_identity > 0 {
            lines.push(format!("{} without a {field} left out", count(self.without_identity, "flow")));
        }
        if self.guarded > 0 {
            lines.push(format!(
                "{} that the built-in guard refused left out: no rule can allow them",
                count(self.guarded, "flow")
            ));
        }
        if self.beyond > 0 {
            lines.push(format!(
                "{} left out: more than {} identities or {} destinations are not told apart",
                count(self.beyond, "flow"),
                number(MOST_IDENTITIES as u64),
                number(MOST_DESTINATIONS as u64)
            ));
        }
        lines
    }
}
