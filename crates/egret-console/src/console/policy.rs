//! The policies in force, with how often each rule decided.

use std::collections::{BTreeMap, HashMap};

use egret_core::policy::Policies;
use egret_core::policy::model::{Rule, Source, Target, Tier, TlsTreatment};
use egret_flows::flow::Flow;
use egret_flows::store::FlowStore;
use serde_json::{Value, json};

use super::shape::{identity, lean, micros_time, proof};
use super::stats::each_flow;

/// The most names that a rule shows.
const MAX_NAMES: usize = 50;
/// The most audit denials and destinations.
const MAX_ROWS: usize = 500;

/// The policies in force.
#[derive(Debug)]
pub struct PoliciesInForce {
    /// The generation of the configuration.
    pub generation: u64,
    /// Where they come from: a file.
    pub source: Option<String>,
    /// Themselves.
    pub policies: Policies,
}

#[derive(Default)]
struct Hits {
    count: u64,
    last: u64,
    first: u64,
    audit: u64,
}

impl Hits {
    fn add(&mut self, flow: &Flow) {
        self.count += 1;
        self.last = self.last.max(flow.started);
        self.first = if self.first == 0 { flow.started } else { self.first.min(flow.started) };
    }
}

/// Policies and rules in the order in which they are asked. Hits are those of the flows in the store.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub(crate) fn view(store: &FlowStore, in_force: &PoliciesInForce) -> Value {
    let mut hits: HashMap<(String, String), Hits> = HashMap::new();
    let mut by_default = 0_u64;
    let mut oldest = u64::MAX;
    each_flow(store, |flow| {
        oldest = oldest.min(flow.started);
        let decision = &flow.decision;
        match (&decision.policy, &decision.rule) {
            (Some(policy), Some(rule)) => {
                hits.entry((policy.clone(), rule.clone())).or_default().add(flow);
            }
            _ if flow.destination.is_some() => by_default += 1,
            _ => {}
        }
        if let Some((policy, rule)) = decision.audit.as_deref().and_then(|audit| audit.rsplit_once('/')) {
            hits.entry((policy.to_owned(), rule.to_owned())).or_default().audit += 1;
        }
        true
    });
    let now = u64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros(),
    )
    .unwrap_or(u64::MAX);
    let minutes = (now.saturating_sub(oldest) as f64 / 60e6).max(1.0);
    let policies = in_force.policies.policies().iter().map(|policy| {
        let (kind, namespace, priority) = match &policy.tier {
            Tier::Cluster { priority } => ("ClusterEgressPolicy", None, Some(*priority)),
            Tier::Namespace { namespace } => ("EgressPolicy", Some(namespace.to_string()), None),
        };
        let full = match &namespace {
            Some(namespace) => format!("{namespace}/{}", policy.name),
            None => policy.name.to_string(),
        };
        let mut total = 0;
        let rules: Vec<Value> = policy
            .rules
            .iter()
            .map(|rule| {
                let hit = hits.get(&(full.clone(), rule.name.to_string()));
                let count = hit.map_or(0, |hit| hit.count);
                total += count;
                let mut value = self::rule(rule);
                value["hits"] = count.into();
                if let Some(hit) = hit {
                    value["lastHit"] = if hit.count > 0 { micros_time(hit.last).into() } else { Value::Null };
                    value["perMinute"] = ((count as f64 / minutes * 100.0).round() / 100.0).into();
                    value["auditDenials"] = hit.audit.into();
                }
                value
            })
            .collect();
        json!({
            "name": full, "kind": kind, "namespace": namespace, "priority": priority,
            "mode": policy.mode.as_str(),
            "from": policy.from.iter().map(source).collect::<Vec<_>>(),
            "hits": total, "rules": rules,
        })
    });
    lean(json!({
        "generation": in_force.generation,
        "source": in_force.source,
        "default": if in_force.policies.default_allow() { "Allow" } else { "Deny" },
        "defaultHits": by_default,
        "policies": policies.collect::<Vec<_>>(),
    }))
}

fn rule(rule: &Rule) -> Value {
    let mut names = Vec::new();
    let mut more = 0;
    for target in &rule.to {
        for text in target_words(target, &mut more) {
            if names.len() < MAX_NAMES { names.push(text) } else { more += 1 }
        }
    }
    let mut conditions = Vec::new();
    if let Some(http) = &rule.http {
        let mut add = |what: &str, values: Vec<String>| {
            if !values.is_empty() {
                conditions.push(format!("{what}: {}", values.join(", ")));
            }
        };
        add("methods", http.methods.iter().map(ToString::to_string).collect());
        add("paths", http.paths.iter().map(ToString::to_string).collect());
        add("query", http.query.iter().map(|field| field.name.to_string()).collect());
        add("headers", http.headers.iter().map(|field| field.name.to_string()).collect());
        add("contentTypes", http.content_types.iter().map(ToString::to_string).collect());
        add("maxBodyBytes", http.max_body_bytes.iter().map(ToString::to_string).collect());
    }
    if rule.when.is_some() {
        conditions.push("when: a condition".to_owned());
    }
    json!({
        "name": &*rule.name,
        "action": rule.action.as_str(),
        "to": names,
        "toMore": (more > 0).then_some(more),
        "conditions": conditions,
        "tls": rule.tls.treatment.map(|treatment| match treatment {
            TlsTreatment::Tunnel => "Tunnel",
            TlsTreatment::Intercept => "Intercept",
        }),
        "capture": rule.capture.as_ref().map(|plan| format!("{:?}", plan.level)),
        "reason": rule.reason.as_deref(),
    })
}

fn target_words(target: &Target, more: &mut usize) -> Vec<String> {
    let ports: Vec<String> = target.ports.iter().map(ToString::to_string).collect();
    let ports = if ports.is_empty() { String::new() } else { format!(" port {}", ports.join(", ")) };
    let hosts = target.hosts.iter().take(MAX_NAMES).map(ToString::to_string);
    *more += target.hosts.len().saturating_sub(MAX_NAMES);
    let lists = target.lists.iter().map(|list| format!("list {} ({} names)", list.name(), list.len()));
    let networks = target.networks.iter().map(ToString::to_string);
    let mut words: Vec<String> =
        hosts.chain(lists).chain(networks).map(|word| format!("{word}{ports}")).collect();
    if words.is_empty() {
        words.push(format!("any host{ports}"));
    }
    words
}

fn source(source: &Source) -> String {
    fn joined<T: ToString>(what: &str, values: &[T]) -> Option<String> {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        (!values.is_empty()).then(|| format!("{what}: {}", values.join(", ")))
    }
    let parts = [
        joined("users", &source.users),
        joined("groups", &source.groups),
        (!source.certificates.is_empty()).then(|| format!("certificates: {}", source.certificates.len())),
        joined("networks", &source.networks),
        joined("namespaces", &source.namespaces),
        source.namespace_selector.as_ref().map(|_| "namespaces by label".to_owned()),
        joined("serviceAccounts", &source.service_accounts),
        source.pod_selector.as_ref().map(|_| "pods by label".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "everybody".to_owned() } else { parts.join("; ") }
}

/// What policies in mode Audit would have denied.
pub(crate) fn audit_denials(store: &FlowStore) -> Value {
    let mut rows: HashMap<(String, String, String), (String, Hits, String)> = HashMap::new();
    each_flow(store, |flow| {
        if let Some(audit) = &flow.decision.audit {
            let to = flow.destination.as_ref().map_or_else(|| flow.request.authority(), ToString::to_string);
            let row = rows
                .entry((audit.clone(), identity(flow), to))
                .or_insert_with(|| (proof(flow).to_owned(), Hits::default(), flow.id.as_str().to_owned()));
            row.1.add(flow);
        }
        true
    });
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by(|a, b| b.1.1.count.cmp(&a.1.1.count).then_with(|| a.0.cmp(&b.0)));
    rows.truncate(MAX_ROWS);
    let denials = rows.into_iter().map(|((audit, identity, to), (proof, hits, last))| {
        let (policy, rule) = audit.rsplit_once('/').unwrap_or((&audit, ""));
        json!({
            "policy": policy, "rule": rule, "identity": identity, "proof": proof, "destination": to,
            "count": hits.count, "firstSeen": micros_time(hits.first), "lastSeen": micros_time(hits.last),
            "lastFlow": last,
        })
    });
    json!({ "denials": denials.collect::<Vec<_>>() })
}

/// An allow-list by identity, of the hosts that were reached.
pub(crate) fn suggest(store: &FlowStore, only: Option<&str>) -> Value {
    type Hosts = BTreeMap<String, (BTreeMap<u16, ()>, Hits)>;
    let mut identities: BTreeMap<(String, String), (Hits, Hosts)> = BTreeMap::new();
    each_flow(store, |flow| {
        let who = identity(flow);
        let Some(to) = flow.destination.as_ref().filter(|_| only.is_none_or(|only| only == who)) else {
            return true;
        };
        if flow.treatment == egret_flows::flow::Treatment::Local || flow.failure.is_some() {
            return true;
        }
        let (hits, hosts) = identities.entry((who, proof(flow).to_owned())).or_default();
        hits.add(flow);
        if hosts.len() < MAX_ROWS || hosts.contains_key(&to.host) {
            let host = hosts.entry(to.host.clone()).or_default();
            host.0.insert(to.port, ());
            host.1.add(flow);
        }
        true
    });
    let suggestions = identities.into_iter().map(|((identity, proof), (hits, hosts))| {
        let destinations = hosts.iter().map(|(host, (ports, hits))| {
            json!({
                "host": host, "ports": ports.keys().collect::<Vec<_>>(), "count": hits.count,
                "lastSeen": micros_time(hits.last),
            })
        });
        json!({
            "destinations": destinations.collect::<Vec<_>>(),
            "yaml": yaml(&identity, &proof, &hosts),
            "since": micros_time(hits.first), "flows": hits.count, "identity": identity, "proof": proof,
        })
    });
    json!({ "suggestions": suggestions.collect::<Vec<_>>() })
}

/// As the configuration has it. JSON strings are YAML strings.
fn yaml(identity: &str, proof: &str, hosts: &BTreeMap<String, (BTreeMap<u16, ()>, Hits)>) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let from = match proof {
        "address" => format!("cidrs: [{}]", quoted(identity)),
        "certificate" => format!("certificates: [{}]", quoted(identity)),
        "service-account" => format!("serviceAccounts: [{}]", quoted(identity)),
        _ => format!("users: [{}]", quoted(identity)),
    };
    let safe: String = identity
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let mut text = format!(
        "policies:\n  - name: {}\n    mode: Audit\n    from:\n      - {from}\n    rules:\n      - name: seen\n        action: Allow\n        to:\n",
        quoted(&format!("allow-{}", safe.trim_matches('-'))),
    );
    for (host, (ports, _)) in hosts {
        let ports: Vec<String> = ports.keys().map(ToString::to_string).collect();
        text.push_str(&format!(
            "          - {{ hosts: [{}], ports: [{}] }}\n",
            quoted(host),
            ports.join(", ")
        ));
    }
    text.push_str("      - name: rest\n        action: Deny\n");
    text
}
