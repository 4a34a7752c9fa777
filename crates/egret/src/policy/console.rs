//! What the console's *Explain* asks, by the policies in force.

use std::time::SystemTime;

use egret_core::gate::Gate;
use egret_core::policy::model::Mode;
use egret_core::policy::{Ask, Explanation};
use egret_core::reason::Reason;
use serde_json::{Value, json};

use super::decide::Question;
use super::explain::address_of;
use super::subject::{self, Subject};
use super::target::{Fields, Request, Target};

/// Explains a request: `ExplainRequest` of the console's API, answered as `PolicyTrace`.
///
/// # Errors
/// What is wrong with the question, for people.
pub(crate) fn explain_for_console(
    gate: &Gate,
    question: &Value,
    now: SystemTime,
    can_open: bool,
) -> Result<Value, String> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let url = text(question, "url").ok_or("`url` is missing; write a URL, or host:port for a tunnel")?;
    let method = text(question, "method");
    let target = match method.as_deref() {
        Some("CONNECT") if url.contains("://") => {
            let target = Target::parse(&url)?;
            Target::parse_authority(&target.destination.to_string())?
        }
        _ => Target::parse(&url)?,
    };
    let subject = read_subject(question.get("as").unwrap_or(&Value::Null))?;
    let identity = subject.identity()?;
    let headers = question.get("headers").and_then(Value::as_array).into_iter().flatten();
    let headers = headers.filter_map(|field| Some((text(field, "name")?, text(field, "value")?))).collect();
    let request = Request {
        method: method.filter(|method| method != "CONNECT"),
        headers: Fields(headers),
        body_length: None,
    };
    let question =
        Question { identity: &identity, target: &target, request: &request, addresses: &[], now, can_open };
    let answer = question.answer(gate);
    let decision = &answer.decision;
    let ask = match (question.target.is_tunnel(), answer.treatment, question.request_ask()) {
        (true, "Tunnel", _) | (_, _, None) => question.tunnel_ask(),
        (_, _, Some(ask)) => ask,
    };
    let ask = Ask { address: address_of(decision, &[]), ..ask };
    let mut steps = Vec::new();
    if let Some(guard) = &decision.guard {
        steps.push(json!({
            "stage": "guard", "name": "guard", "action": "Deny", "outcome": "decided", "why": guard,
        }));
    }
    let explanation = gate.policies.explain(&ask);
    steps.extend(policy_steps(&explanation, decision.guard.is_none()));
    if explanation.decided_by.is_none() && decision.guard.is_none() {
        let word = if gate.policies.default_allow() { "Allow" } else { "Deny" };
        steps.push(json!({
            "stage": "default", "name": "default", "action": word, "outcome": "decided",
            "why": "No policy decided, so the default does",
        }));
    }
    if let Some(facts) = &decision.audit {
        steps.push(json!({
            "policy": &*facts.policy, "name": &*facts.rule, "action": "Deny", "mode": "Audit",
            "outcome": "audited", "why": "It would deny this, and its policy is in mode Audit",
        }));
    }
    let (policy, rule) = decision.by_words();
    let reason = match (decision.allowed, &decision.guard, &decision.by) {
        (true, _, _) => None,
        (_, Some(_), _) => Some(Reason::DeniedByGuard.code()),
        (_, None, Some(_)) => Some(Reason::DeniedByRule.code()),
        (_, None, None) => Some(Reason::DeniedByDefault.code()),
    };
    let notes: Vec<&str> = decision
        .wants_address
        .then_some("Rules on addresses could change this: no address was looked up")
        .into_iter()
        .collect();
    Ok(json!({
        "decision": if decision.allowed { "allow" } else { "deny" },
        "treatment": answer.treatment.to_ascii_lowercase(),
        "treatmentWhy": match answer.treatment {
            "Forward" => "A plain request is forwarded",
            "Intercept" => "A policy says `tls: Intercept`, where the proxy intercepts",
            _ => "No policy that allows it says `tls: Intercept`",
        },
        "reason": reason,
        "policy": decision.by.as_ref().map(|_| &*policy),
        "rule": rule.as_deref(),
        "message": decision.by.as_ref().and_then(|by| by.reason.as_deref()),
        "contact": decision.by.as_ref().and_then(|by| by.contact.as_deref()),
        "auditDenied": decision.audit.is_some().then_some(true),
        "identity": subject.words(),
        "destination": target.destination.to_string(),
        "steps": steps,
        "complete": true,
        "notes": (!notes.is_empty()).then_some(notes),
    }))
}

fn policy_steps(explanation: &Explanation, decides: bool) -> Vec<Value> {
    let steps = explanation.steps.iter().enumerate().map(|(index, step)| {
        let outcome = match step.outcome.to_string().as_str() {
            _ if decides && explanation.decided_by == Some(index) => "decided",
            "match" | "match (cannot be seen)" => "passed",
            "decided by request" => "needs-http",
            _ => "no-match",
        };
        json!({
            "policy": &*step.policy,
            "name": step.rule.as_deref().unwrap_or(&step.policy),
            "action": step.action.map(egret_core::policy::model::Action::as_str),
            "mode": if step.mode == Mode::Audit { "Audit" } else { "Enforce" },
            "outcome": outcome,
            "why": step.why,
        })
    });
    steps.collect()
}

fn read_subject(value: &Value) -> Result<Subject, String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut read = Subject { user: text("user").map(str::to_owned), ..Subject::default() };
    let groups = value.get("groups").and_then(Value::as_array).into_iter().flatten();
    read.groups = groups.filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(client) = text("client") {
        read.ip = Some(subject::ip(client)?);
    }
    if let Some(name) = text("certificate") {
        // Both `DNS:` and `dns:` are written.
        let name = match name.split_once(':') {
            Some((kind, rest)) if !name.starts_with("spiffe://") => {
                format!("{}:{rest}", kind.to_ascii_lowercase())
            }
            _ => name.to_owned(),
        };
        read.names.push(subject::certificate_name(&name)?);
    }
    read.namespace = text("namespace").map(str::to_owned);
    read.pod = text("pod").map(str::to_owned);
    if let Some(account) = text("serviceAccount") {
        read.set_account(account);
    }
    let labels = value.get("labels").and_then(Value::as_object).into_iter().flatten();
    read.pod_labels =
        labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    Ok(read)
}
