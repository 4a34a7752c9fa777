//! The suggestion as YAML with its reasons beside it, and as JSON.
//!
//! Names come from whoever could send a request: in values they are quoted as JSON does, which YAML reads
//! alike, and in comments they are made harmless.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::args::{ModeArg, SuggestArgs};
use super::super::output::{count, number};
use super::super::records::Stats;
use super::collect::{Collection, Usage};
use super::plan::{Plan, Suggested};

/// So many denied destinations are listed.
const DENIED_LISTED: usize = 100;
/// So many clients of one policy are named.
const WHOM_LISTED: usize = 20;

/// A whole configuration.
pub(super) fn configuration(
    plan: &Plan,
    collection: &Collection,
    stats: &Stats,
    args: &SuggestArgs,
) -> String {
    let mut text = heading(plan, collection, stats);
    // Writing to memory cannot fail, here and below.
    match args.mode {
        ModeArg::Enforce => text.push_str("default: Deny\n\n"),
        // In mode Audit a rule has to deny for anything to be recorded.
        ModeArg::Audit => text.push_str("default: Allow\n\n"),
    }
    if plan.policies.is_empty() {
        text.push_str("policies: []\n");
        return text;
    }
    text.push_str("policies:\n");
    for policy in &plan.policies {
        comments(&mut text, policy, "  ");
        let _ = writeln!(text, "  - name: {}", policy.name);
        body(&mut text, policy, args.mode, "    ");
    }
    if args.mode == ModeArg::Audit {
        text.push_str(&rest_denied("  ", true));
    }
    text
}

/// Documents, as `policyFiles` and clusters have them.
pub(super) fn documents(plan: &Plan, collection: &Collection, stats: &Stats, args: &SuggestArgs) -> String {
    let mut text = heading(plan, collection, stats);
    for policy in &plan.policies {
        text.push_str("---\n");
        comments(&mut text, policy, "");
        let _ = writeln!(
            text,
            "apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata:\n  name: {}\nspec:",
            policy.name
        );
        body(&mut text, policy, args.mode, "  ");
    }
    if args.mode == ModeArg::Audit {
        text.push_str(&rest_denied("", false));
    }
    text
}

/// What is left after the suggested policies is what would be denied.
fn rest_denied(indent: &str, in_configuration: bool) -> String {
    let why = format!("{indent}# What none of these allows; in mode Audit it is recorded and goes on.\n");
    if in_configuration {
        format!(
            "{why}{indent}- name: everything-else\n{indent}  priority: 1000000\n{indent}  mode: Audit\n{indent}  rules:\n\
             {indent}    - name: not-seen-before\n{indent}      action: Deny\n"
        )
    } else {
        format!(
            "---\n{why}apiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata:\n  name: everything-else\n\
             spec:\n  priority: 1000000\n  mode: Audit\n  rules:\n    - name: not-seen-before\n      action: Deny\n"
        )
    }
}

fn heading(plan: &Plan, collection: &Collection, stats: &Stats) -> String {
    let mut text = String::from("# Suggested by `egret policy suggest`");
    let _ = writeln!(text, " from {}{}.", count(collection.total.flows, "flow"), span(&collection.total));
    text.push_str("# Review it line by line, then hold it against the past:\n");
    text.push_str("#   egret policy lint THIS; egret policy backtest THIS --against RECORDS\n");
    for line in stats.words().into_iter().chain(collection.left_out()) {
        let _ = writeln!(text, "# {line}.");
    }
    for (who, why) in plan.unnameable.iter().take(WHOM_LISTED) {
        let _ = writeln!(text, "# NOT ALLOWED: {who}: {why}.");
    }
    if plan.unnameable.len() > WHOM_LISTED {
        let _ = writeln!(text, "# NOT ALLOWED: {} more of that kind.", plan.unnameable.len() - WHOM_LISTED);
    }
    if !plan.denied.is_empty() {
        text.push_str("#\n# Denied (or by a policy in mode Audit), and not allowed here:\n");
        for denied in plan.denied.iter().take(DENIED_LISTED) {
            let _ = writeln!(text, "#   {} to {}: {}", denied.whom, denied.destination, seen(&denied.usage));
        }
        if let Some(rest) = plan.denied.get(DENIED_LISTED..).filter(|rest| !rest.is_empty()) {
            let _ = writeln!(text, "#   and {} more", number(rest.len() as u64));
        }
    }
    text.push('\n');
    text
}

fn comments(text: &mut String, policy: &Suggested, indent: &str) {
    let whom = policy.whom.iter().take(WHOM_LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = match policy.whom.len().saturating_sub(WHOM_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let _ = writeln!(text, "{indent}# {whom}{more}: {}", seen(&policy.usage));
}

fn body(text: &mut String, policy: &Suggested, mode: ModeArg, indent: &str) {
    if mode == ModeArg::Audit {
        let _ = writeln!(text, "{indent}mode: Audit");
    }
    if !policy.from.is_empty() {
        let _ = writeln!(text, "{indent}from:");
        for source in &policy.from {
            // JSON in one line is YAML in one line.
            let _ = writeln!(text, "{indent}  - {source}");
        }
    }
    let _ =
        writeln!(text, "{indent}rules:\n{indent}  - name: seen\n{indent}    action: Allow\n{indent}    to:");
    for target in &policy.targets {
        let ports: Vec<_> = target.ports.iter().map(u16::to_string).collect();
        let _ = writeln!(text, "{indent}      - ports: [{}]\n{indent}        hosts:", ports.join(", "));
        for host in &target.hosts {
            let names = match host.names {
                1 => String::new(),
                names => format!(
                    "{names} names ({}{}), ",
                    host.examples.join(", "),
                    if names > 3 { ", …" } else { "" }
                ),
            };
            let _ = writeln!(
                text,
                "{indent}          - {} # {names}{}",
                quoted(&host.pattern),
                seen(&host.usage)
            );
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// `17 flows, last 2026-11-21T12:36:32Z`
fn seen(usage: &Usage) -> String {
    match usage.last.and_then(when) {
        Some(last) => format!("{}, last {last}", count(usage.flows, "flow")),
        None => count(usage.flows, "flow"),
    }
}

fn span(usage: &Usage) -> String {
    match (usage.first.and_then(when), usage.last.and_then(when)) {
        (Some(first), Some(last)) => format!(" between {first} and {last}"),
        _ => String::new(),
    }
}

/// A time to the second.
pub(in super::super) fn when(millis: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(millis.div_euclid(1000)).ok()?;
    Some(time.to_string())
}

/// What was seen and what it comes to, for programs.
pub(super) fn json(plan: &Plan, collection: &Collection, stats: &Stats, mode: ModeArg) -> Value {
    let usage = |usage: &Usage| {
        json!({
            "flows": usage.flows,
            "firstSeen": usage.first.and_then(when),
            "lastSeen": usage.last.and_then(when),
        })
    };
    let mode = if mode == ModeArg::Audit { "Audit" } else { "Enforce" };
    let policies = plan.policies.iter().map(|policy| {
        let to: Vec<_> = policy
            .targets
            .iter()
            .map(|target| {
                let hosts: Vec<_> = target.hosts.iter().map(|host| host.pattern.as_str()).collect();
                json!({ "hosts": hosts, "ports": target.ports })
            })
            .collect();
        let mut document = json!({
            "name": policy.name,
            "mode": mode,
            "from": policy.from,
            "rules": [{ "name": "seen", "action": "Allow", "to": to }],
        });
        if policy.from.is_empty()
            && let Some(fields) = document.as_object_mut()
        {
            fields.remove("from");
        }
        let hosts = policy.targets.iter().flat_map(|target| {
            target.hosts.iter().map(|host| {
                json!({
                    "host": host.pattern,
                    "ports": target.ports,
                    "names": host.names,
                    "examples": host.examples,
                    "seen": usage(&host.usage),
                })
            })
        });
        json!({
            "for": policy.whom,
            "seen": usage(&policy.usage),
            "hosts": hosts.collect::<Vec<_>>(),
            "policy": document,
        })
    });
    let denied = plan.denied.iter().take(DENIED_LISTED).map(|denied| {
        json!({ "for": denied.whom, "destination": denied.destination, "seen": usage(&denied.usage) })
    });
    let unnameable = plan.unnameable.iter().map(|(who, why)| json!({ "for": who, "why": why }));
    json!({
        "records": stats.json(),
        "seen": usage(&collection.total),
        "leftOut": collection.left_out(),
        "policies": policies.collect::<Vec<_>>(),
        "denied": denied.collect::<Vec<_>>(),
        "deniedMore": plan.denied.len().saturating_sub(DENIED_LISTED),
        "notAllowed": unnameable.collect::<Vec<_>>(),
    })
}
