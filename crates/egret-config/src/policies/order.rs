//! What is wrong with policies beside each other: names and priorities.

use std::collections::HashMap;

use super::{Findings, Placed};
use crate::file::{PolicyAction, PolicyKind, PolicyRule};

const PRIORITY: &str = "spec/priority";

/// Everything that is wrong with them.
pub(super) fn check(findings: &mut Findings, policies: &[Placed<'_>]) {
    names(findings, policies);
    priorities(findings, policies);
}

/// Policies that allow what is allowed anyway.
pub(super) fn default(findings: &mut Findings, policies: &[Placed<'_>]) {
    let rules = || policies.iter().flat_map(|placed| &placed.document.spec.rules);
    let does_something = |rule: &PolicyRule| {
        let bounds_body = rule.http.as_ref().is_some_and(|http| http.max_body_bytes.is_some());
        rule.action == PolicyAction::Deny
            || rule.rate_limit.is_some()
            || rule.tls.is_some()
            || rule.capture.is_some()
            || bounds_body
    };
    let Some(first) = policies.first() else { return };
    if !rules().any(does_something) {
        let message =
            "no rule denies or limits anything, and what no policy decides is allowed: everything is";
        let help = "for an allow list write `default: Deny` at the top of the configuration";
        findings.warn(first, "metadata/name", message, help);
    }
}

fn names(findings: &mut Findings, policies: &[Placed<'_>]) {
    let mut seen: HashMap<_, &Placed<'_>> = HashMap::new();
    for placed in policies {
        let name = placed.name();
        if let Some(first) = seen.get(&(placed.document.kind, name.clone())) {
            let first = first.sheet.place_from(&first.at("metadata/name"), placed.sheet);
            let message = format!("the name `{name}` is taken");
            let help = format!("the other {} is {first}", placed.document.kind.as_str());
            findings.find(placed, "metadata/name", message, &help);
        } else {
            seen.insert((placed.document.kind, name), placed);
        }
    }
}

/// Which of two policies decides must not hang on their names, where somebody has put them in an order.
fn priorities(findings: &mut Findings, policies: &[Placed<'_>]) {
    let mut seen: HashMap<i32, &Placed<'_>> = HashMap::new();
    let cluster = policies.iter().filter(|placed| placed.document.kind == PolicyKind::ClusterEgressPolicy);
    for placed in cluster {
        let priority = placed.document.spec.priority;
        let Some(first) = seen.get(&priority).copied() else {
            seen.insert(priority, placed);
            continue;
        };
        let is_written = |placed: &Placed<'_>| placed.sheet.is_written(&placed.at(PRIORITY));
        if !is_written(placed) && !is_written(first) {
            continue;
        }
        let (at, other) = if is_written(placed) { (placed, first) } else { (first, placed) };
        let whose = match is_written(other) {
            true => other.sheet.place_from(&other.at(PRIORITY), at.sheet),
            false => "by default".to_owned(),
        };
        let message = format!(
            "the priority {priority} is that of the policy `{}` too, so it is open which of them decides",
            other.name()
        );
        let help = format!("it has it {whose}; give each its own, the lower the earlier");
        findings.find(at, PRIORITY, message, &help);
    }
}
