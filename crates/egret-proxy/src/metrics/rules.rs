//! What rules of policies decided. How many rules are told apart is bounded: a cluster may have any number.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, PoisonError, RwLock};

use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::reason::Reason;
use egret_core::record::{FlowRecord, Treatment};
use egret_core::settings::Limits;

/// What stands for the rules that are not told apart. No policy can be called so.
const OTHERS: &str = "(other)";

/// What stands for the word where no rule decides.
const DEFAULT: &str = "(default)";

/// What a rule that allows may still end a flow for.
const REFUSALS: [Reason; 6] = [
    Reason::SniMismatch,
    Reason::TlsVersionTooLow,
    Reason::ClientHelloMalformed,
    Reason::BodyTooLarge,
    Reason::RateLimited,
    Reason::PolicyChanged,
];

/// One rule's counters.
#[derive(Debug, Default)]
struct Counters {
    allowed: AtomicU64,
    denied: AtomicU64,
    audited: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
}

type ByRule = HashMap<Arc<str>, Counters>;

#[derive(Debug, Default)]
struct Known {
    by_policy: HashMap<Arc<str>, ByRule>,
    count: usize,
}

impl Known {
    fn find(&self, rule: &RuleFacts) -> Option<&Counters> {
        self.by_policy.get(&rule.policy)?.get(&rule.rule)
    }
}

/// The rules by their names.
#[derive(Debug)]
pub(super) struct Rules {
    known: RwLock<Known>,
    default: Counters,
    others: Counters,
    most: AtomicUsize,
}

impl Default for Rules {
    fn default() -> Self {
        let most = AtomicUsize::new(Limits::default().policy_rules);
        Self { known: RwLock::default(), default: Counters::default(), others: Counters::default(), most }
    }
}

/// One rule's counts.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) policy: Arc<str>,
    pub(super) rule: Arc<str>,
    pub(super) decisions: [(&'static str, u64); 2],
    pub(super) audited: u64,
    pub(super) refused: Vec<(&'static str, u64)>,
}

impl Figures {
    fn of(policy: &Arc<str>, rule: &Arc<str>, counters: &Counters) -> Self {
        let refused = REFUSALS.iter().zip(&counters.refused);
        Self {
            policy: policy.clone(),
            rule: rule.clone(),
            decisions: [
                (Action::Allow.as_str(), counters.allowed.load(Relaxed)),
                (Action::Deny.as_str(), counters.denied.load(Relaxed)),
            ],
            audited: counters.audited.load(Relaxed),
            refused: refused.map(|(reason, count)| (reason.code(), count.load(Relaxed))).collect(),
        }
    }
}

impl Rules {
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Counts what was decided on a finished flow. True when a rule is not told apart from others.
    pub(super) fn finished(&self, record: &FlowRecord) -> bool {
        let mut is_other = false;
        if let Some(rule) = &record.basis.by {
            is_other |= self.count(rule, |counters| {
                let decided = if rule.action == Action::Allow { &counters.allowed } else { &counters.denied };
                decided.fetch_add(1, Relaxed);
                count_refusal(counters, record.reason);
            });
        } else if record.reason == Some(Reason::DeniedByDefault) {
            self.default.denied.fetch_add(1, Relaxed);
        } else if record.treatment != Treatment::Local && record.dialled.is_some() {
            self.default.allowed.fetch_add(1, Relaxed);
            count_refusal(&self.default, record.reason);
        }
        if let Some(rule) = &record.basis.audit {
            is_other |= self.count(rule, |counters| {
                counters.audited.fetch_add(1, Relaxed);
            });
        }
        is_other
    }

    /// Counts something of a rule. True when it is not told apart from others.
    fn count(&self, rule: &RuleFacts, add: impl Fn(&Counters)) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = known.find(rule) {
            add(counters);
            return false;
        }
        let is_full = known.count >= self.most.load(Relaxed);
        drop(known);
        if !is_full {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // Others may have come in between.
            if known.find(rule).is_none() && known.count < self.most.load(Relaxed) {
                known.count += 1;
                known
                    .by_policy
                    .entry(rule.policy.clone())
                    .or_default()
                    .insert(rule.rule.clone(), Counters::default());
            }
            if let Some(counters) = known.find(rule) {
                add(counters);
                return false;
            }
        }
        add(&self.others);
        true
    }

    /// The counts of all rules that decided anything.
    pub(super) fn figures(&self) -> Vec<Figures> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut figures: Vec<_> = [(DEFAULT, &self.default), (OTHERS, &self.others)]
            .into_iter()
            .map(|(name, counters)| (Arc::from(name), counters))
            .map(|(name, counters)| Figures::of(&name, &name, counters))
            .collect();
        for (policy, rules) in &known.by_policy {
            figures.extend(rules.iter().map(|(rule, counters)| Figures::of(policy, rule, counters)));
        }
        figures.sort_by(|one, other| (&one.policy, &one.rule).cmp(&(&other.policy, &other.rule)));
        figures
    }
}

fn count_refusal(counters: &Counters, reason: Option<Reason>) {
    let index = reason.and_then(|reason| REFUSALS.iter().position(|known| *known == reason));
    if let Some(index) = index {
        counters.refused[index].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_no_more_rules_apart_than_the_limit() {
        let rules = Rules::default();
        rules.limit(2);
        for number in 0..10 {
            let rule = RuleFacts::new("policy", format!("rule {number}"), Action::Deny);
            let is_other = rules.count(&rule, |counters| {
                counters.denied.fetch_add(1, Relaxed);
            });
            assert_eq!(is_other, number >= 2);
        }
        let figures = rules.figures();
        let counts: Vec<_> = figures.iter().map(|rule| (&*rule.rule, rule.decisions[1].1)).collect();
        assert_eq!(counts, [("(default)", 0), ("(other)", 8), ("rule 0", 1), ("rule 1", 1)]);
    }
}
