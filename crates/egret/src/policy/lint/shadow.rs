//! Rules that are never asked, because an earlier one matches all that they match.

use egret_config::{PolicyBook, Severity, WrittenPolicy};
use egret_core::policy::model::{Action, Mode, Rule, Tier};

use super::Findings;
use super::cover::{from_covers, rule_covers};

/// So many pairs of rules are compared; a configuration with more is made by a program.
const MOST_PAIRS: u64 = 4_000_000;

/// A rule with the policy that it is in.
#[derive(Clone, Copy)]
struct Asked<'a> {
    policy: &'a WrittenPolicy,
    index: usize,
    rule: &'a Rule,
}

pub(super) fn look(book: &PolicyBook, findings: &mut Findings) {
    let order = in_order(book);
    let mut pairs = 0;
    for (at, asked) in order.iter().enumerate() {
        // Those of one policy stand together, and who they are for is compared once.
        let mut last: Option<(*const WrittenPolicy, bool)> = None;
        for earlier in &order[..at] {
            pairs += 1;
            if pairs > MOST_PAIRS {
                let message = "there are too many rules to compare all of them; some that are never asked may not be found";
                let policy = asked.policy;
                findings.of_policy((Severity::Hint, "shadowed-rule"), policy, "metadata/name", message, "");
                return;
            }
            let is_for_them = match last {
                Some((policy, is_for_them)) if std::ptr::eq(policy, earlier.policy) => is_for_them,
                _ => {
                    let is_for_them = comes_before(earlier.policy, asked.policy);
                    last = Some((earlier.policy, is_for_them));
                    is_for_them
                }
            };
            if is_for_them && ends_it(earlier, asked) && rule_covers(earlier.rule, asked.rule) {
                say(findings, earlier, asked);
                break;
            }
        }
    }
}

/// All rules in the order in which they are asked.
fn in_order(book: &PolicyBook) -> Vec<Asked<'_>> {
    let key = |policy: &WrittenPolicy| match &policy.policy.tier {
        Tier::Cluster { priority } => (0, *priority, String::new(), policy.policy.name.clone()),
        Tier::Namespace { namespace } => (1, 0, namespace.to_string(), policy.policy.name.clone()),
    };
    let mut policies: Vec<&WrittenPolicy> = book.policies.iter().collect();
    policies.sort_by_cached_key(|policy| key(policy));
    let (cluster, namespaced): (Vec<_>, Vec<_>) =
        policies.into_iter().partition(|policy| matches!(policy.policy.tier, Tier::Cluster { .. }));
    let mut order: Vec<_> = cluster.into_iter().flat_map(all_of).collect();
    for action in [Action::Deny, Action::Allow] {
        let rules = namespaced.iter().copied().flat_map(all_of);
        order.extend(rules.filter(|asked| asked.rule.action == action));
    }
    order
}

fn all_of(policy: &WrittenPolicy) -> impl Iterator<Item = Asked<'_>> {
    policy.policy.rules.iter().enumerate().map(move |(index, rule)| Asked { policy, index, rule })
}

/// Whether a policy is asked of every client that another is asked of.
fn comes_before(earlier: &WrittenPolicy, later: &WrittenPolicy) -> bool {
    if std::ptr::eq(earlier, later) {
        return true;
    }
    let takes_part = earlier.policy.mode == Mode::Enforce || later.policy.mode == Mode::Audit;
    takes_part && from_covers(&earlier.policy, &later.policy)
}

/// Whether the earlier rule leaves nothing to the later one. To pass is to go on to the namespace's policies.
fn ends_it(earlier: &Asked<'_>, later: &Asked<'_>) -> bool {
    let is_namespaced = matches!(later.policy.policy.tier, Tier::Namespace { .. });
    !(earlier.rule.action == Action::Pass && is_namespaced)
}

fn say(findings: &mut Findings, earlier: &Asked<'_>, asked: &Asked<'_>) {
    let (same_policy, same_word) =
        (std::ptr::eq(earlier.policy, asked.policy), earlier.rule.action == asked.rule.action);
    let place = earlier.policy.place(&format!("spec/rules/{}", earlier.index), asked.policy);
    let of = if same_policy { String::new() } else { format!(" of policy `{}`", earlier.policy.policy.name) };
    let message = format!(
        "rule `{}` is never asked: rule `{}`{of} ({place}) matches all that it matches, and says {}",
        asked.rule.name,
        earlier.rule.name,
        earlier.rule.action.as_str()
    );
    let help = match (same_word, &asked.policy.policy.tier) {
        (true, _) => "take it out: it says the same",
        (false, Tier::Namespace { .. }) => "narrow the other; in a namespace Deny wins",
        (false, Tier::Cluster { .. }) => "move it before the other, or take it out",
    };
    let field = format!("spec/rules/{}", asked.index);
    findings.of_policy((Severity::Warning, "shadowed-rule"), asked.policy, &field, message, help);
}
