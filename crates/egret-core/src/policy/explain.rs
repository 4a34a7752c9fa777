//! Every rule that was considered, and why it did or did not match.
//!
//! Written apart from the compiled form, rule after rule as a reader would go through them, so that each can be tested
//! against the other.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::ask::{Ask, Seen};
use super::compiled::full_name;
use super::http::{self, Readings};
use super::model::{Action, Mode, Policy, Rule, Source, Target, Tier, TlsTreatment};
use super::when::FaultKind;
use crate::address::embedded_ipv4;
use crate::destination::Host;
use crate::identity::Identity;
use crate::pattern::{HostPattern, any_network_contains};

/// An explanation: what was considered, in order, and the final word.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Policies that are not for the client, and every rule of those that are, up to the one that decided.
    pub steps: Vec<Step>,
    /// Whether the flow may go on.
    pub allowed: bool,
    /// The step that decided; `None` for the default.
    pub decided_by: Option<usize>,
    /// Requests in the tunnel will be asked about in their turn.
    pub look_inside: bool,
}

/// What was considered.
#[derive(Clone, Debug)]
pub struct Step {
    /// The policy: its name, or `namespace/name`.
    pub policy: Arc<str>,
    /// Its mode.
    pub mode: Mode,
    /// The rule; `None` where the policy is not for the client.
    pub rule: Option<Arc<str>>,
    /// What the rule says.
    pub action: Option<Action>,
    /// What came of it.
    pub outcome: StepOutcome,
    /// Why.
    pub why: String,
}

/// What came of considering a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The policy is for others.
    NotForClient,
    /// It does not match.
    NoMatch,
    /// It matches.
    Match,
    /// It asks about requests, and will be asked again when they are seen.
    Later,
    /// It denies, asks about requests, and they cannot be seen: it counts as matching.
    Unseen,
}

impl fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotForClient => "not for this client",
            Self::NoMatch => "no match",
            Self::Match => "match",
            Self::Later => "decided by request",
            Self::Unseen => "match (cannot be seen)",
        })
    }
}

/// Goes through sorted policies. With `audit`, those that are only watched take part as if enforced.
pub(super) fn explain(
    policies: &[Policy],
    ask: &Ask<'_>,
    default_allow: bool,
    opens_by_default: bool,
    audit: bool,
) -> Explanation {
    let mut walk = Walk { ask, steps: Vec::new(), delayed_denial: None };
    let taking_part = policies.iter().filter(|policy| audit || policy.mode == Mode::Enforce);
    let (cluster, namespace): (Vec<_>, Vec<_>) =
        taking_part.partition(|policy| matches!(policy.tier, Tier::Cluster { .. }));

    let mut decided = None;
    'cluster: for policy in cluster {
        if !walk.is_for_client(policy) {
            continue;
        }
        for rule in &policy.rules {
            if let Some(by) = walk.consider(policy, rule) {
                if rule.action == Action::Pass {
                    break 'cluster;
                }
                decided = Some((by, rule));
                break 'cluster;
            }
        }
    }
    if decided.is_none() {
        let mine: Vec<_> = namespace.into_iter().filter(|policy| walk.is_for_client(policy)).collect();
        let rules = |action| {
            let all = mine.iter().flat_map(|policy| policy.rules.iter().map(|rule| (*policy, rule)));
            all.filter(move |(_, rule)| rule.action == action).collect::<Vec<_>>()
        };
        for (policy, rule) in rules(Action::Deny).into_iter().chain(rules(Action::Allow)) {
            if let Some(by) = walk.consider(policy, rule) {
                decided = Some((by, rule));
                break;
            }
        }
    }

    let allowed = decided.map_or(default_allow, |(_, rule)| rule.action == Action::Allow);
    let opens = decided.map_or(opens_by_default, |(_, rule)| opens_tunnels(rule));
    let look_inside = allowed && opens && matches!(ask.seen, Seen::TunnelToOpen);
    let Walk { steps, delayed_denial, .. } = walk;
    match delayed_denial {
        Some(step) if allowed && !look_inside => {
            Explanation { steps, allowed: false, decided_by: Some(step), look_inside: false }
        }
        _ => Explanation { steps, allowed, decided_by: decided.map(|(by, _)| by), look_inside },
    }
}

fn opens_tunnels(rule: &Rule) -> bool {
    rule.action == Action::Allow && rule.tls.treatment == Some(TlsTreatment::Intercept)
}

struct Walk<'a> {
    ask: &'a Ask<'a>,
    steps: Vec<Step>,
    /// The first rule that would deny, and waits for requests to be seen.
    delayed_denial: Option<usize>,
}

impl Walk<'_> {
    fn is_for_client(&mut self, policy: &Policy) -> bool {
        let why_not = why_not_for(policy, self.ask.identity);
        if let Some(why) = &why_not {
            self.note(policy, None, StepOutcome::NotForClient, why.clone());
        }
        why_not.is_none()
    }

    fn note(&mut self, policy: &Policy, rule: Option<&Rule>, outcome: StepOutcome, why: String) -> usize {
        self.steps.push(Step {
            policy: full_name(policy),
            mode: policy.mode,
            rule: rule.map(|rule| rule.name.clone()),
            action: rule.map(|rule| rule.action),
            outcome,
            why,
        });
        self.steps.len() - 1
    }

    /// The step, if the rule decides.
    fn consider(&mut self, policy: &Policy, rule: &Rule) -> Option<usize> {
        let (outcome, why) = outcome(rule, self.ask);
        let step = self.note(policy, Some(rule), outcome, why);
        match outcome {
            StepOutcome::Match | StepOutcome::Unseen => Some(step),
            StepOutcome::Later if rule.action == Action::Deny => {
                self.delayed_denial = self.delayed_denial.or(Some(step));
                None
            }
            StepOutcome::Later => Some(step),
            StepOutcome::NoMatch | StepOutcome::NotForClient => None,
        }
    }
}

fn why_not_for(policy: &Policy, identity: &Identity) -> Option<String> {
    if let Tier::Namespace { namespace } = &policy.tier {
        match &identity.workload {
            Some(workload) if workload.namespace == *namespace => {}
            Some(workload) => {
                return Some(format!(
                    "it is for namespace {namespace}, the client is in {}",
                    workload.namespace
                ));
            }
            None => return Some(format!("it is for namespace {namespace}, the client's is not known")),
        }
    }
    if policy.from.is_empty() || policy.from.iter().any(|source| source.matches(identity)) {
        return None;
    }
    Some(match policy.from.as_slice() {
        [source] => format!("it is for {}", describe(source)),
        sources => format!("none of the {} entries of `from` is for it", sources.len()),
    })
}

fn describe(source: &Source) -> String {
    let mut words = Vec::new();
    let mut add = |what: &str, items: Vec<String>| {
        if !items.is_empty() {
            words.push(format!("{what} {}", few(&items)));
        }
    };
    let texts = |globs: &[crate::pattern::Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
    add("users", texts(&source.users));
    add("groups", texts(&source.groups));
    add("certificates", source.certificates.iter().map(ToString::to_string).collect());
    add("networks", source.networks.iter().map(ToString::to_string).collect());
    add("namespaces", texts(&source.namespaces));
    add("service accounts", texts(&source.service_accounts));
    add("namespaces with", source.namespace_selector.iter().map(|_| "certain labels".to_owned()).collect());
    add("pods with", source.pod_selector.iter().map(|_| "certain labels".to_owned()).collect());
    words.join(", ")
}

/// The first few of them.
fn few(items: &[String]) -> String {
    match items {
        [.., _] if items.len() > 3 => format!("{} and {} more", items[..3].join(", "), items.len() - 3),
        items => items.join(", "),
    }
}

fn outcome(rule: &Rule, ask: &Ask<'_>) -> (StepOutcome, String) {
    let no = |why: String| (StepOutcome::NoMatch, why);
    if !rule.to.is_empty() {
        let reasons: Vec<_> = rule.to.iter().map(|target| target_mismatch(target, rule, ask)).collect();
        if reasons.iter().all(Option::is_some) {
            return no(match reasons.as_slice() {
                [Some(reason)] => reason.clone(),
                _ => format!("none of its {} destinations is {}", rule.to.len(), ask.destination),
            });
        }
    }
    let denies = rule.action == Action::Deny;
    if let Some(asks) = rule.http.as_ref().filter(|http| http.asks()) {
        let Seen::Request(request) = ask.seen else { return without_request(rule, ask) };
        let readings = if denies { Readings::Any } else { Readings::All };
        if let Some(why) = http::mismatch(asks, &request, readings) {
            return no(why);
        }
    }
    if let Some(when) = &rule.when {
        if ask_address(ask).is_none() && when.needs_address() {
            return no("its condition asks about the address, which is not known yet".into());
        }
        match when.evaluate(ask) {
            Ok(true) => {}
            Ok(false) => return no(format!("its condition does not hold: {}", when.text())),
            Err(fault) if *fault.kind() == FaultKind::NoRequest => return without_request(rule, ask),
            Err(fault) if denies => {
                return (
                    StepOutcome::Match,
                    format!("its condition cannot be evaluated ({fault}), so it denies"),
                );
            }
            Err(fault) => return no(format!("its condition cannot be evaluated: {fault}")),
        }
    }
    (StepOutcome::Match, "everything that it asks for is so".into())
}

fn without_request(rule: &Rule, ask: &Ask<'_>) -> (StepOutcome, String) {
    let denies = rule.action == Action::Deny;
    let (outcome, why) = match ask.seen {
        Seen::TunnelToOpen if denies || opens_tunnels(rule) => {
            (StepOutcome::Later, "it asks about requests, which are seen once the tunnel is opened")
        }
        _ if denies => (
            StepOutcome::Unseen,
            "it asks about requests, which cannot be seen in a tunnel; so that nothing slips through, it \
             denies the tunnel",
        ),
        _ => (StepOutcome::NoMatch, "it asks about requests, which cannot be seen in a tunnel"),
    };
    (outcome, why.to_owned())
}

fn ask_address(ask: &Ask<'_>) -> Option<IpAddr> {
    match ask.destination.host {
        Host::Address(address) => Some(address.to_canonical()),
        Host::Name(_) => ask.address.map(|address| address.to_canonical()),
    }
}

/// The address, and for rules that deny what hides in it.
fn addresses(ask: &Ask<'_>, denies: bool) -> Vec<IpAddr> {
    let mut all: Vec<_> = ask_address(ask).into_iter().collect();
    if let (true, Some(IpAddr::V6(v6))) = (denies, all.first()) {
        let hidden: Vec<_> = embedded_ipv4(*v6).iter().map(|found| IpAddr::V4(found.address)).collect();
        all.extend(hidden);
    }
    all
}

fn target_mismatch(target: &Target, rule: &Rule, ask: &Ask<'_>) -> Option<String> {
    let destination = ask.destination;
    if !target.ports.is_empty() && !target.ports.iter().any(|ports| ports.contains(destination.port)) {
        return Some(format!("the port is {}", destination.port));
    }
    let addresses = addresses(ask, rule.action == Action::Deny);
    let is_host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(Host::Address(wanted)) => addresses.contains(&wanted.to_canonical()),
        pattern => pattern.matches(&destination.host),
    };
    let named = target.hosts.iter().any(is_host)
        || target.lists.iter().any(|list| {
            list.contains(&destination.host)
                || addresses.iter().any(|address| list.contains(&Host::Address(*address)))
        });
    if !target.names_no_host() && !named {
        return Some(match target.hosts.as_slice() {
            [] => format!("{} is on none of its lists", destination.host),
            hosts => {
                let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
                format!("the host is {}, not {}", destination.host, few(&hosts))
            }
        });
    }
    if target.networks.is_empty() {
        return None;
    }
    let Some(address) = addresses.first() else {
        return Some("it asks about the address, which is not known before the name is resolved".to_owned());
    };
    let holds = addresses.iter().any(|address| any_network_contains(&target.networks, *address));
    (!holds).then(|| format!("the address {address} is in none of its networks"))
}
