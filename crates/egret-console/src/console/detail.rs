//! All about one flow.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_core::reason::Reason;
use egret_flows::flow::{Body, BodyNote, Flow, Headers, Level, Side, TlsFacts, Treatment};
use egret_flows::redact::REDACTED;
use egret_flows::store::FlowStore;
use egret_flows::view::decode::{DecodeLimits, Stop};
use egret_tls::files::certificate_pem;
use egret_tls::inspect::CertificateInfo;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::shape::{content_type, lean, ms, row};

/// Everything about a flow but its bodies and messages, as `/flows/{id}` has it. Reads bodies, so not for a
/// thread that must not block.
#[must_use]
pub fn detail(store: &FlowStore, flow: &Flow) -> Value {
    let mut value = row(flow);
    let reason = flow.failure.as_ref().and_then(|failure| reason(&failure.reason));
    let seen = flow.capture != Level::None;
    let intercepted = flow.treatment == Treatment::Intercept;
    let (client, origin) = (flow.client_tls.as_deref(), flow.origin_tls.as_deref());
    let more = json!({
        "detail": flow.failure.as_ref().and_then(|failure| failure.detail.clone()),
        "what": reason.map(|reason| reason.facts().what),
        "advice": reason.map(|reason| reason.facts().advice),
        "request": seen.then(|| request(store, flow)),
        "response": seen.then(|| response(store, flow)).flatten(),
        "phases": phases(flow),
        "dialled": flow.dialled.map(|address| address.to_string()),
        "route": flow.route.as_ref().map_or_else(|| "direct".to_owned(), |group| format!("parent:{group}")),
        "reused": flow.reused,
        "tunnel": flow.tunnel.as_ref().map(|id| id.as_str()),
        "userAgent": flow.request.headers.text("user-agent"),
        "traceparent": flow.request.headers.text("traceparent"),
        "clientTls": client.filter(|_| !intercepted).map(|facts| tls(facts, None)),
        "downstreamTls": client.filter(|_| intercepted).map(|facts| tls(facts, None)),
        "upstreamTls": origin.map(|facts| tls(facts, Some(facts.problem.is_none()))),
        "trace": trace(flow),
        "changes": (!flow.changes.is_empty()).then_some(&flow.changes),
        "changedRequest": flow.changed_request.as_deref().filter(|_| seen).map(|request| json!({
            "method": &*request.method,
            "target": request.url(),
            "version": &*request.version,
            "headers": headers(&request.headers),
            "body": edited_body(&request.body),
        })),
        "changedResponse": flow.changed_response.as_deref().filter(|_| seen).map(|response| json!({
            "status": response.status,
            "statusText": (!response.phrase.is_empty()).then_some(&response.phrase),
            "version": &*response.version,
            "headers": headers(&response.headers),
            "body": edited_body(&response.body),
        })),
    });
    if let (Value::Object(members), Value::Object(more)) = (&mut value, more) {
        members.extend(more);
    }
    lean(value)
}

pub(crate) fn reason(code: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.code() == code)
}

fn request(store: &FlowStore, flow: &Flow) -> Value {
    let request = &flow.request;
    json!({
        "method": &*request.method,
        "target": request.url(),
        "version": &*request.version,
        "headers": headers(&request.headers),
        "trailers": (!request.trailers.is_empty()).then(|| headers(&request.trailers)),
        "body": body(store, flow, Side::Request),
    })
}

fn response(store: &FlowStore, flow: &Flow) -> Option<Value> {
    let response = flow.response.as_ref()?;
    Some(json!({
        "status": response.status,
        "statusText": (!response.phrase.is_empty()).then_some(&response.phrase),
        "version": &*response.version,
        "fromEgret": (flow.treatment == Treatment::Local).then_some(true),
        "headers": headers(&response.headers),
        "trailers": (!response.trailers.is_empty()).then(|| headers(&response.trailers)),
        "body": body(store, flow, Side::Response),
    }))
}

pub(crate) fn headers(headers: &Headers) -> Value {
    let field = |(name, value): (&[u8], &[u8])| {
        let name: Cow<'_, str> = String::from_utf8_lossy(name);
        match std::str::from_utf8(value) {
            Ok(text) => json!({
                "name": name, "value": text, "redacted": text.contains(REDACTED).then_some(true),
            }),
            Err(_) => json!({ "name": name, "base64": STANDARD.encode(value) }),
        }
    };
    headers.iter().map(field).collect()
}

fn body(store: &FlowStore, flow: &Flow, side: Side) -> Option<Value> {
    let body = flow.body(side)?;
    let encodings: Vec<String> = flow.headers(side).map(encodings).unwrap_or_default();
    let raw = store.body(body).ok().flatten();
    let decoded = match raw.is_some() {
        true => store.decoded(flow, side, &DecodeLimits::default()).ok().flatten(),
        false => None,
    };
    let bytes = decoded.as_ref().map(|decoded| &*decoded.bytes).unwrap_or_default();
    let stopped = decoded.as_ref().and_then(|decoded| decoded.stopped.as_ref());
    let truncated = match (body.note, body.truncated) {
        (Some(BodyNote::Evicted | BodyNote::NotStored), _) => Some("not-spilled"),
        (Some(BodyNote::PiecesLost), _) | (_, true) => Some("capture-limit"),
        _ => matches!(stopped, Some(Stop::Limit(_))).then_some("decode-limit"),
    };
    let kind = content_type(flow, side);
    let image = super::bodies::image(bytes);
    let unreadable = (body.note == Some(BodyNote::Unreadable))
        .then(|| "Redaction applies to it and it could not be read, so nothing of it was kept".to_owned());
    let error = stopped.filter(|stop| !matches!(stop, Stop::Limit(_))).map(ToString::to_string);
    Some(json!({
        "size": body.length,
        "captured": raw.as_ref().map_or(0, |bytes| bytes.len()),
        "decodedSize": (stopped.is_none() && !encodings.is_empty())
            .then(|| decoded.as_ref().map(|decoded| decoded.bytes.len())).flatten(),
        "truncated": truncated,
        "contentType": kind,
        "encodings": (!encodings.is_empty()).then_some(encodings),
        "kind": super::bodies::kind(kind, bytes, body.length),
        "image": image,
        "sha256": raw.filter(|bytes| !bytes.is_empty()).map(|bytes| format!("{:x}", Sha256::digest(&bytes))),
        "decodeError": unreadable.or(error),
    }))
}

/// A body that somebody wrote; `None` if it stayed as it was.
fn edited_body(body: &Body) -> Option<Value> {
    let bytes = body.in_memory()?;
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    })
}

fn encodings(headers: &Headers) -> Vec<String> {
    let all = headers.all(b"content-encoding").flat_map(|value| value.split(|byte| *byte == b','));
    all.map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned())
        .filter(|n| !n.is_empty())
        .collect()
}

fn phases(flow: &Flow) -> Value {
    let timings = &flow.timings;
    let mut bars = Vec::new();
    let mut at = 0;
    let mut bar = |name: &str, start: u64, length: u64| {
        bars.push(json!({ "name": name, "startMs": ms(start), "ms": ms(length) }));
    };
    if let Some(length) = timings.client_tls {
        bar("client_tls", 0, length);
        at = length;
    }
    if let Some(length) = timings.held {
        bar("held", at, length);
        at += length;
    }
    for (name, length) in [("dns", timings.dns), ("connect", timings.connect), ("tls", timings.origin_tls)] {
        if let Some(length) = length {
            bar(name, at, length);
            at += length;
        }
    }
    if let Some(sent) = timings.sent.filter(|sent| *sent > at) {
        bar("send", at, sent - at);
        at = sent;
    }
    if let Some(first) = timings.first_byte.filter(|first| *first > at) {
        bar("wait", at, first - at);
        at = first;
    }
    if let Some(length) = timings.held_response {
        bar("held", at, length);
        at += length;
    }
    if let Some(total) = timings.total.filter(|total| *total > at) {
        let name = match (flow.treatment, timings.first_byte) {
            (Treatment::Tunnel, _) => "tunnel",
            (_, Some(_)) => "receive",
            (_, None) => "wait",
        };
        bar(name, at, total - at);
    }
    bars.into()
}

fn tls(facts: &TlsFacts, verified: Option<bool>) -> Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let chain: Vec<Value> =
        facts.chain.iter().filter_map(|der| certificate(&CertificateDer::from(der.to_vec()))).collect();
    json!({
        "version": text(&facts.version),
        "cipherSuite": text(&facts.cipher),
        "sni": facts.sni,
        "alpn": facts.alpn,
        "resumed": facts.resumed,
        "verified": verified,
        "verifyError": facts.problem,
        "chain": (!chain.is_empty()).then_some(chain),
    })
}

/// A certificate, as far as it can be read.
pub(crate) fn certificate(der: &CertificateDer<'_>) -> Option<Value> {
    let info = CertificateInfo::parse(der).ok()?;
    Some(json!({
        "subject": info.subject,
        "issuer": info.issuer,
        "serial": info.serial,
        "notBefore": info.not_before.to_string(),
        "notAfter": info.not_after.to_string(),
        "sans": info.names,
        "key": info.key,
        "signature": info.signature,
        "ca": info.ca,
        "sha256": info.sha256.replace(':', "").to_ascii_lowercase(),
        "pem": certificate_pem(der),
    }))
}

/// Why it was treated as it was, as far as the record says.
fn trace(flow: &Flow) -> Option<Value> {
    let decision = &flow.decision;
    let denied = flow.failure.as_ref().filter(|failure| failure.blame == "policy");
    if decision.policy.is_none() && decision.steps.is_empty() && denied.is_none() && decision.audit.is_none()
    {
        return None;
    }
    let mut steps: Vec<Value> = decision
        .steps
        .iter()
        .map(|step| {
            json!({
                "policy": step.policy, "name": if step.rule.is_empty() { &step.policy } else { &step.rule },
                "outcome": outcome(&step.outcome), "why": step.why,
            })
        })
        .collect();
    if let (true, Some(policy)) = (steps.is_empty(), &decision.policy) {
        let word = if denied.is_some() { "refused" } else { "allowed" };
        steps.push(json!({
            "policy": policy,
            "name": decision.rule.as_ref().unwrap_or(policy),
            "action": if denied.is_some() { "Deny" } else { "Allow" },
            "outcome": "decided",
            "why": format!("It {word} the flow"),
        }));
    }
    if let Some((policy, rule)) = decision.audit.as_deref().and_then(|audit| audit.rsplit_once('/')) {
        steps.push(json!({
            "policy": policy, "name": rule, "action": "Deny", "mode": "Audit", "outcome": "audited",
            "why": "It would have refused the flow, and its policy is in mode Audit",
        }));
    }
    Some(json!({
        "decision": if denied.is_some() { "deny" } else { "allow" },
        "treatment": flow.treatment.as_str(),
        "treatmentWhy": why(flow.treatment),
        "reason": denied.map(|failure| &*failure.reason),
        "policy": decision.policy,
        "rule": decision.rule,
        "capture": flow.capture.as_str(),
        "auditDenied": decision.audit.is_some().then_some(true),
        "identity": super::shape::identity(flow),
        "destination": flow.destination.as_ref().map(ToString::to_string),
        "steps": steps,
        "complete": false,
    }))
}

fn why(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Tunnel => "Bytes passed unseen: no policy that allows it says `tls: Intercept`",
        Treatment::Forward => "A plain request, forwarded",
        Treatment::Intercept => "A policy says `tls: Intercept`, so TLS ended here and the request was seen",
        Treatment::Local => "Egret answered it itself",
    }
}

/// The contract's word for an outcome.
pub(crate) fn outcome(words: &str) -> &'static str {
    match words {
        "match" | "match (cannot be seen)" => "decided",
        "decided by request" => "needs-http",
        _ => "no-match",
    }
}
