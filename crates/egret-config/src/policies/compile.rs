//! From documents to what the core evaluates.

use std::sync::Arc;

use egret_core::policy::model::{self, Action, Mode, Policy, Rule, Source, Tier};
use egret_core::policy::{Operator, Requirement, Selector};

use super::{condition, rule};
use crate::file::{self, DefaultRule, PolicyDocument, PolicyKind, PolicyRule, PolicySource, Rules};
use crate::lists::{HostLists, ListKind};
use crate::values::NamePattern;

/// The policy that a document describes. It was checked before.
pub(crate) fn policy(document: &PolicyDocument, lists: &HostLists) -> Policy {
    let namespace = document.metadata.namespace.as_ref().map(|name| name.0.as_str());
    let spec = &document.spec;
    Policy {
        name: document.metadata.name.0.as_str().into(),
        tier: match document.kind {
            PolicyKind::ClusterEgressPolicy => Tier::Cluster { priority: spec.priority },
            PolicyKind::EgressPolicy => Tier::Namespace { namespace: namespace.unwrap_or_default().into() },
        },
        mode: spec.mode.into(),
        from: spec.from.iter().map(source).collect(),
        rules: spec.rules.iter().enumerate().map(|(index, rule)| compile_rule(rule, index, lists)).collect(),
    }
}

fn source(source: &PolicySource) -> Source {
    let globs = |names: &[NamePattern]| names.iter().map(|name| name.0.clone()).collect();
    Source {
        users: globs(&source.users),
        groups: globs(&source.groups),
        certificates: source.certificates.iter().map(|name| name.0.clone()).collect(),
        networks: source.cidrs.iter().map(|network| network.0).collect(),
        namespaces: globs(&source.namespaces),
        namespace_selector: source.namespace_selector.as_ref().map(selector),
        service_accounts: source.service_accounts.iter().map(|account| account.0.clone()).collect(),
        pod_selector: source.pod_selector.as_ref().map(selector),
    }
}

fn selector(selector: &file::LabelSelector) -> Selector {
    let labels = selector.match_labels.iter().map(|(key, value)| Requirement {
        key: key.as_str().into(),
        operator: Operator::In,
        values: vec![value.as_str().into()],
    });
    let expressions = selector.match_expressions.iter().map(|requirement| Requirement {
        key: requirement.key.as_str().into(),
        operator: requirement.operator.into(),
        values: requirement.values.iter().map(|value| value.as_str().into()).collect(),
    });
    Selector { requirements: labels.chain(expressions).collect() }
}

fn compile_rule(rule: &PolicyRule, index: usize, lists: &HostLists) -> Rule {
    Rule {
        name: rule::name(rule, index).into(),
        action: rule.action.into(),
        to: rule.to.iter().map(|target| compile_target(target, lists)).collect(),
        http: rule.http.as_ref().map(http),
        when: rule.when.as_ref().and_then(|when| condition::compile(&when.0).ok()),
        tls: rule.tls.as_ref().map(|tls| self::tls(&tls.demand())).unwrap_or_default(),
        rate_limit: rule.rate_limit.as_ref().map(|limit| Arc::new(rate_limit(limit))),
        capture: rule.capture.as_ref().map(Into::into),
        reason: rule.reason.as_ref().map(|reason| reason.0.as_str().into()),
        contact: rule.contact.as_ref().map(|contact| contact.0.as_str().into()),
    }
}

fn compile_target(target: &file::Target, lists: &HostLists) -> model::Target {
    let named = |kind: ListKind, names: &[crate::values::Name]| -> Vec<_> {
        names.iter().flat_map(|name| lists.named(kind, &name.0)).cloned().collect()
    };
    let mut all = named(ListKind::HostLists, &target.host_lists);
    all.extend(named(ListKind::Categories, &target.categories));
    model::Target {
        hosts: target.hosts.iter().map(|host| host.pattern.clone()).collect(),
        lists: all,
        networks: target.cidrs.iter().map(|network| network.0).collect(),
        ports: target.ports.iter().map(|ports| ports.0).collect(),
    }
}

fn http(http: &file::HttpMatch) -> model::HttpMatch {
    let globs = |values: &[NamePattern]| values.iter().map(|value| value.0.clone()).collect();
    model::HttpMatch {
        methods: http.methods.iter().map(|method| method.0.as_str().into()).collect(),
        paths: http.paths.iter().map(|path| path.0.clone()).collect(),
        query: http
            .query
            .iter()
            .map(|one| model::FieldMatch {
                name: one.name.as_str().into(),
                values: globs(&one.values),
                absent: one.absent,
            })
            .collect(),
        headers: http
            .headers
            .iter()
            .map(|one| model::FieldMatch {
                name: one.name.0.as_str().into(),
                values: globs(&one.values),
                absent: one.absent,
            })
            .collect(),
        content_types: http.content_types.iter().map(|media| media.0.clone()).collect(),
        max_body_bytes: http.max_body_bytes.map(|size| size.0),
    }
}

fn tls(demand: &file::TlsDemand) -> model::TlsDemand {
    model::TlsDemand {
        treatment: demand.mode.map(|mode| match mode {
            file::TlsTreatment::Tunnel => model::TlsTreatment::Tunnel,
            file::TlsTreatment::Intercept => model::TlsTreatment::Intercept,
        }),
        min_version: demand.min_version.map(Into::into),
        server_name: demand.server_name.map(|rule| match rule {
            file::ServerNameRule::Match => model::ServerNameRule::Match,
            file::ServerNameRule::Any => model::ServerNameRule::Any,
        }),
        tunnel_pinned: demand.tunnel_pinned.map(|time| time.0),
    }
}

fn rate_limit(limit: &file::RateLimit) -> model::RateLimit {
    model::RateLimit {
        requests: limit.requests.map(|rate| rate.0),
        connections: limit.connections,
        bytes: limit.bytes.map(|rate| rate.0),
    }
}

/// What `rules`, the short form, stands for: one policy for everybody, of the name `rules`, with its deny
/// rules before its allow rules; and what happens where none of them decides.
#[must_use]
pub fn rules_as_policy(rules: &Rules) -> (Policy, Action) {
    let allow = rules.allow.as_deref().unwrap_or_default();
    let lists = [("deny", Action::Deny, rules.deny.as_slice()), ("allow", Action::Allow, allow)];
    let all = lists.into_iter().flat_map(|(list, action, rules)| {
        rules.iter().enumerate().map(move |(index, rule)| short_rule(rule, list, action, index))
    });
    let default = match (rules.default, &rules.allow) {
        (Some(DefaultRule::Deny), _) | (None, Some(_)) => Action::Deny,
        (Some(DefaultRule::Allow), _) | (None, None) => Action::Allow,
    };
    let policy = Policy {
        name: "rules".into(),
        tier: Tier::Cluster { priority: file::DEFAULT_PRIORITY },
        mode: Mode::Enforce,
        from: Vec::new(),
        rules: all.collect(),
    };
    (policy, default)
}

/// Hosts and networks stand for each other there, so each is a target of its own.
fn short_rule(rule: &file::Rule, list: &str, action: Action, index: usize) -> Rule {
    let ports: Vec<_> = rule.ports.iter().flatten().map(|ports| ports.0).collect();
    let hosts: Vec<_> = rule.hosts.iter().flatten().map(|host| host.pattern.clone()).collect();
    let networks: Vec<_> = rule.cidrs.iter().flatten().map(|network| network.0).collect();
    let mut to = Vec::new();
    if !hosts.is_empty() {
        to.push(model::Target { hosts, ports: ports.clone(), ..model::Target::default() });
    }
    if !networks.is_empty() {
        to.push(model::Target { networks, ports: ports.clone(), ..model::Target::default() });
    }
    if to.is_empty() && !ports.is_empty() {
        to.push(model::Target { ports, ..model::Target::default() });
    }
    Rule {
        name: crate::checks::rule_name(rule, list, index).into(),
        action,
        to,
        http: None,
        when: None,
        tls: model::TlsDemand::default(),
        rate_limit: None,
        capture: None,
        reason: None,
        contact: None,
    }
}
