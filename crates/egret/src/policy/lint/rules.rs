//! Rules that can never match, that let everything through, or that need what is not there.

use std::net::IpAddr;

use egret_config::{PolicyBook, Severity, WrittenPolicy};
use egret_core::address::AddressClass;
use egret_core::destination::Host;
use egret_core::pattern::{HostPattern, any_network_contains};
use egret_core::policy::model::{Action, Mode, Rule, Source, TlsTreatment};
use egret_core::policy::{Operator, Requirement, Selector};

use super::super::decide::{Interception, interception};
use super::Findings;
use super::cover::is_every_address;

pub(super) fn look(book: &PolicyBook, findings: &mut Findings) {
    let interception = interception(book);
    for policy in &book.policies {
        for (index, source) in policy.policy.from.iter().enumerate() {
            selectors(findings, policy, &format!("spec/from/{index}"), source);
        }
        for (index, rule) in policy.policy.rules.iter().enumerate() {
            let field = format!("spec/rules/{index}");
            if rule.action == Action::Allow {
                wide(findings, policy, &field, rule);
                guarded(findings, book, policy, &field, rule);
            }
            empty_lists(findings, policy, &field, rule);
            if interception == Interception::Off && rule.tls.treatment == Some(TlsTreatment::Intercept) {
                not_intercepted(findings, policy, &field, rule);
            }
        }
        audit(findings, policy);
    }
}

fn wide(findings: &mut Findings, policy: &WrittenPolicy, field: &str, rule: &Rule) {
    if rule.http.as_ref().is_some_and(|http| http.asks()) || rule.when.is_some() {
        return;
    }
    let code = (Severity::Warning, "wide-allow");
    let help = "name the hosts that are meant; `egret policy suggest` finds them in the access log";
    if rule.to.is_empty() {
        let message = format!("rule `{}` allows every destination", rule.name);
        findings.of_policy(code, policy, field, message, help);
    }
    for (number, target) in rule.to.iter().enumerate() {
        let any_host = target.hosts.contains(&HostPattern::Any) || target.names_no_host();
        let zero = target.networks.iter().any(|network| network.prefix_len() == 0);
        let any_network = target.networks.is_empty() || zero || is_every_address(&target.networks);
        if any_host && any_network {
            let which = match (target.hosts.contains(&HostPattern::Any), zero) {
                (true, _) => "`*` is every host",
                (false, true) => "a network of length 0 is every address",
                (false, false) => "without hosts and networks it is for all of them",
            };
            let ports = if target.ports.is_empty() { "" } else { " on these ports" };
            let message = format!("rule `{}` allows every destination{ports}: {which}", rule.name);
            findings.of_policy(code, policy, &format!("{field}/to/{number}"), message, help);
        }
    }
}

/// Addresses that the guard refuses, whatever rules say.
fn guarded(findings: &mut Findings, book: &PolicyBook, policy: &WrittenPolicy, field: &str, rule: &Rule) {
    let guard = &book.gate.guard;
    if guard.disabled {
        return;
    }
    let refused = |address: IpAddr| {
        let class = AddressClass::of(address);
        let is_exempt = class == AddressClass::Ordinary
            || class == AddressClass::Loopback && guard.allow_loopback
            || any_network_contains(&guard.allow, address);
        (!is_exempt).then(|| class.describe())
    };
    for (number, target) in rule.to.iter().enumerate() {
        let hosts = target.hosts.iter().enumerate().filter_map(|(at, host)| match host {
            HostPattern::Exact(Host::Address(address)) => Some((format!("hosts/{at}"), *address)),
            _ => None,
        });
        let networks = target.networks.iter().enumerate();
        let networks = networks
            .filter(|(_, network)| {
                // Both ends of it are of one kind, and so is what is between.
                AddressClass::of(network.network()) == AddressClass::of(network.broadcast())
            })
            .map(|(at, network)| (format!("cidrs/{at}"), network.network()));
        for (part, address) in hosts.chain(networks) {
            if let Some(what) = refused(address) {
                let message = format!(
                    "this never allows anything: {address} is {what}, which the built-in guard refuses"
                );
                let help = "add the network to `guard.allow` if it is meant";
                let field = format!("{field}/to/{number}/{part}");
                findings.of_policy((Severity::Warning, "never-matches"), policy, &field, message, help);
            }
        }
    }
}

fn empty_lists(findings: &mut Findings, policy: &WrittenPolicy, field: &str, rule: &Rule) {
    for (number, target) in rule.to.iter().enumerate() {
        let nothing_else = target.hosts.is_empty() && !target.lists.is_empty();
        if nothing_else && target.lists.iter().all(|list| list.is_empty()) {
            let message = "this never matches: there is nothing on its lists";
            let field = format!("{field}/to/{number}");
            findings.of_policy(
                (Severity::Error, "never-matches"),
                policy,
                &field,
                message,
                "fill them, or take it out",
            );
        }
    }
}

fn not_intercepted(findings: &mut Findings, policy: &WrittenPolicy, field: &str, rule: &Rule) {
    let asks = rule.http.as_ref().is_some_and(|http| http.asks())
        || rule.when.as_ref().is_some_and(|when| when.needs_request());
    let what = match asks {
        true => "asks about requests in TLS, which are not seen",
        false => "wants TLS to be intercepted, which it is not",
    };
    let message = format!("rule `{}` {what}: interception is switched off", rule.name);
    let help = "switch interception on, or take `tls` out";
    findings.of_policy(
        (Severity::Warning, "needs-interception"),
        policy,
        &format!("{field}/tls"),
        message,
        help,
    );
}

/// A policy that is watched says something only by denying.
fn audit(findings: &mut Findings, policy: &WrittenPolicy) {
    let denies = policy.policy.rules.iter().any(|rule| rule.action == Action::Deny);
    if policy.policy.mode == Mode::Audit && !denies {
        let message = "in mode Audit this policy never records anything: none of its rules denies";
        let help = "add a rule with action: Deny for the rest, or write mode: Enforce";
        findings.of_policy((Severity::Warning, "audit-without-effect"), policy, "spec/mode", message, help);
    }
}

fn selectors(findings: &mut Findings, policy: &WrittenPolicy, field: &str, source: &Source) {
    let both = [("namespaceSelector", &source.namespace_selector), ("podSelector", &source.pod_selector)];
    for (name, selector) in both {
        if let Some(key) = selector.as_ref().and_then(contradiction) {
            let message = format!("this never matches: what it asks of the label `{key}` contradicts itself");
            let field = format!("{field}/{name}");
            findings.of_policy(
                (Severity::Error, "never-matches"),
                policy,
                &field,
                message,
                "take one of the two out",
            );
        }
    }
}

/// The label of which two things are asked that cannot both be so.
fn contradiction(selector: &Selector) -> Option<&str> {
    let contradict = |one: &Requirement, other: &Requirement| match (one.operator, other.operator) {
        (Operator::DoesNotExist, Operator::In | Operator::Exists) => true,
        (Operator::In, Operator::In) => !one.values.iter().any(|value| other.values.contains(value)),
        (Operator::In, Operator::NotIn) => one.values.iter().all(|value| other.values.contains(value)),
        _ => false,
    };
    let all = &selector.requirements;
    all.iter()
        .find(|one| all.iter().any(|other| one.key == other.key && contradict(one, other)))
        .map(|one| &*one.key)
}
