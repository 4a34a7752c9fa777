//! What no schema says about a rule.

use std::collections::HashMap;

use egret_core::policy::when::When;

use super::target::{self, KnownLists};
use super::{Findings, Placed, condition};
use crate::file::{
    HttpMatch, PolicyAction, PolicyKind, PolicyRule, RateLimit, TlsDemand, TlsRule, TlsTreatment,
};
use crate::values::NamePattern;

/// A rule's name: its own, or its place.
pub(super) fn name(rule: &PolicyRule, index: usize) -> String {
    rule.name.as_ref().map_or_else(|| format!("rules[{index}]"), |name| name.0.clone())
}

/// Everything that is wrong with the rules of a policy.
/// Without `known`, nobody knows here which lists there are.
pub(super) fn check(
    findings: &mut Findings,
    placed: &Placed<'_>,
    known: Option<&KnownLists<'_>>,
    complete: bool,
) {
    let mut names: HashMap<String, String> = HashMap::new();
    for (index, rule) in placed.document.spec.rules.iter().enumerate() {
        if findings.is_full() {
            return;
        }
        let field = format!("spec/rules/{index}");
        let name_field = format!("{field}/name");
        let name = name(rule, index);
        if let Some(first) = names.get(&name) {
            let first = placed.sheet.place(&placed.at(first));
            let help = format!("the other is {first}; logs could not tell them apart");
            findings.find(placed, &name_field, format!("the name `{name}` is taken"), &help);
        } else {
            names.insert(name, name_field);
        }
        for (number, target) in rule.to.iter().enumerate() {
            target::check(findings, placed, &format!("{field}/to/{number}"), target, known, complete);
        }
        Rule { findings, placed, field: &field, rule }.check(complete);
    }
}

struct Rule<'a, 'p> {
    findings: &'a mut Findings,
    placed: &'a Placed<'p>,
    field: &'a str,
    rule: &'a PolicyRule,
}

impl Rule<'_, '_> {
    fn find(&mut self, field: &str, message: impl AsRef<str>, help: &str) {
        self.findings.find(self.placed, &format!("{}/{field}", self.field), message, help);
    }

    fn check(&mut self, complete: bool) {
        let rule = self.rule;
        if rule.action == PolicyAction::Pass && self.placed.document.kind == PolicyKind::EgressPolicy {
            let help = "it is Allow or Deny: there is nobody behind a namespace's policies to pass to";
            self.find("action", "an EgressPolicy cannot pass", help);
        }
        if let Some(http) = &rule.http {
            self.http(http, complete);
        }
        if let Some(tls) = rule.tls.as_ref().map(TlsRule::demand)
            && complete
            && tls == TlsDemand::default()
        {
            self.find("tls", "this says nothing about TLS", "add `mode`, or leave `tls` out");
        }
        // A denial is told inside the tunnel where its rule says so.
        let told_inside = rule.action == PolicyAction::Deny
            && rule.tls.as_ref().is_some_and(|tls| tls.demand().mode == Some(TlsTreatment::Intercept));
        if rule.tls.is_some() && rule.action != PolicyAction::Allow && !told_inside {
            let message = format!("`tls` has no effect on a {} rule", word(rule.action));
            let help = "write it on the rule that allows";
            self.findings.warn(self.placed, &format!("{}/tls", self.field), message, help);
        }
        if rule.capture.is_some() && rule.action != PolicyAction::Allow {
            let message = format!("`capture` has no effect on a {} rule", word(rule.action));
            let help = "write it on the rule that allows";
            self.findings.warn(self.placed, &format!("{}/capture", self.field), message, help);
        }
        self.rate_limit(complete);
        let asks = match (&rule.http, self.when()) {
            (Some(_), _) => Some("http"),
            (None, Some(when)) if when.needs_request() => Some("when"),
            _ => None,
        };
        if let Some(asks) = asks {
            self.visibility(asks);
        }
    }

    /// The condition, if it is a good one.
    fn when(&mut self) -> Option<When> {
        let text = &self.rule.when.as_ref()?.0;
        let errors = match condition::compile(text) {
            Ok(when) => return Some(when),
            Err(errors) => errors,
        };
        let pointer = self.placed.at(&format!("{}/when", self.field));
        for error in errors {
            let problem = self.placed.sheet.problem(&pointer, &error.message, error.help.as_deref());
            self.findings.problems.push(condition::point(problem, text, &error));
        }
        None
    }

    fn rate_limit(&mut self, complete: bool) {
        let rule = self.rule;
        let Some(limit) = &rule.rate_limit else { return };
        if complete && *limit == RateLimit::default() {
            let help = "add `requests`, `connections` or `bytes`";
            self.find("rateLimit", "this limits nothing", help);
        }
        if rule.action != PolicyAction::Allow {
            let message = format!("this has no effect on a {} rule", word(rule.action));
            self.find("rateLimit", message, "put it on the rule that allows");
        }
    }

    fn http(&mut self, http: &HttpMatch, complete: bool) {
        if complete && *http == HttpMatch::default() {
            self.find("http", "this asks nothing of the request", "leave `http` out");
        }
        if http.methods.iter().any(|method| method.0 == "CONNECT") {
            let help = "a tunnel is no request; where it may lead is said by `to`";
            self.find("http/methods", "CONNECT is never the method of a request here", help);
        }
        if http.max_body_bytes.is_some() && self.rule.action != PolicyAction::Allow {
            let message = format!("this has no effect on a {} rule", word(self.rule.action));
            let help = "put it on the rule that allows: what is longer is refused by it";
            self.find("http/maxBodyBytes", message, help);
        }
        let query = http.query.iter().map(|one| (one.name.as_str(), one.values.as_slice(), one.absent));
        self.contradictions("http/query", &query.collect::<Vec<_>>());
        let headers = http.headers.iter().map(|one| (one.name.0.as_str(), one.values.as_slice(), one.absent));
        self.contradictions("http/headers", &headers.collect::<Vec<_>>());
        for (index, one) in http.query.iter().enumerate().filter(|(_, one)| one.name.is_empty()) {
            let _ = one;
            self.find(&format!("http/query/{index}/name"), "the key is empty", "write it as in format");
        }
    }

    /// What is to be there, and is not to be there.
    fn contradictions(&mut self, field: &str, matches: &[(&str, &[NamePattern], bool)]) {
        for (index, (name, values, absent)) in matches.iter().enumerate() {
            let contradicts = |(other, wanted, gone): &&(&str, &[NamePattern], bool)| {
                // Without values, its absence leaves nothing; with the same ones, the same.
                let whole = |gone_values: &[NamePattern], wanted: &[NamePattern]| {
                    gone_values.is_empty()
                        || (!wanted.is_empty() && wanted.iter().all(|one| gone_values.contains(one)))
                };
                other == name
                    && gone != absent
                    && if *absent { whole(values, wanted) } else { whole(wanted, values) }
            };
            if matches[..index].iter().any(|other| contradicts(&other)) {
                let message = format!("the rule can never match: `{name}` is to be there and to be absent");
                self.find(&format!("{field}/{index}"), message, "remove one of the two");
            }
        }
    }

    /// Whether a rule that comes later in the policy has tunnels to the same hosts opened, as far as their
    /// names show it.
    fn is_looked_into(&self) -> bool {
        let later = self.placed.document.spec.rules.iter().skip_while(|rule| !std::ptr::eq(*rule, self.rule));
        let intercepts = |tls: &TlsRule| tls.demand().mode == Some(TlsTreatment::Intercept);
        later
            .filter(|rule| rule.action == PolicyAction::Allow && target::share_hosts(&rule.to, &self.rule.to))
            .any(|rule| rule.tls.as_ref().is_some_and(intercepts))
    }

    /// A rule that asks about requests sees none in a tunnel.
    fn visibility(&mut self, asks: &str) {
        let rule = self.rule;
        let mode = rule.tls.as_ref().and_then(|tls| tls.demand().mode);
        match mode {
            Some(TlsTreatment::Tunnel) => {
                let message =
                    format!("the rule can never match: `{asks}` asks about requests, which a tunnel hides");
                self.find(asks, message, "write tls: Intercept, or take one of the two out");
            }
            Some(TlsTreatment::Intercept) if rule.action == PolicyAction::Allow => {}
            _ if rule.action == PolicyAction::Deny && self.is_looked_into() => {}
            _ => {
                let (what, help) = match rule.action {
                    PolicyAction::Deny => (
                        "every tunnel to these destinations is refused by it",
                        "write tls: Intercept on the rule that allows them, or narrow `to`",
                    ),
                    PolicyAction::Allow | PolicyAction::Pass => {
                        ("it does not match there", "write tls: Intercept for requests in TLS to be seen")
                    }
                };
                let message =
                    format!("`{asks}` asks about requests, which cannot be seen in a tunnel: {what}");
                self.findings.warn(self.placed, &format!("{}/{asks}", self.field), message, help);
            }
        }
    }
}

fn word(action: PolicyAction) -> &'static str {
    egret_core::policy::model::Action::from(action).as_str()
}
