//! Flows in the form of the console's API (docs/openapi.yaml), so that what is printed is the same from wherever
//! they come.

use egret_flows::flow::{Endpoint, Flow, Headers, Level, Side, TlsFacts, Treatment};
use egret_flows::store::FlowStore;
use egret_flows::view::decode::DecodeLimits;
use egret_flows::view::text;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A row.
pub(super) fn summary(flow: &Flow) -> Value {
    let request = &flow.request;
    let target = match (flow.treatment, &flow.destination) {
        (Treatment::Tunnel, Some(to)) => to.to_string(),
        _ => request.url(),
    };
    let state = match (flow.active, &flow.failure) {
        (true, _) => "open",
        (false, Some(_)) => "failed",
        (false, None) => "complete",
    };
    let kind = match flow {
        flow if flow.is_websocket() => "websocket",
        flow if flow.is_grpc() => "grpc",
        flow if flow.treatment == Treatment::Tunnel => "tunnel",
        _ => "http",
    };
    let client_ip = flow.client.ip().to_string();
    lean(json!({
        "id": flow.id.as_str(),
        "seq": flow.seq,
        "kind": kind,
        "state": state,
        "started": time(flow.started),
        "client": flow.client.to_string(),
        "identity": flow.identity.name.as_deref().unwrap_or(&client_ip),
        "proof": flow.identity.proof,
        "method": request.method,
        "target": target,
        "scheme": some(&request.scheme),
        "host": flow.destination.as_ref().map_or(request.host.as_str(), |to: &Endpoint| &to.host),
        "port": flow.destination.as_ref().map_or(request.port, |to| to.port),
        "path": some(&request.path),
        "treatment": flow.treatment.as_str(),
        "status": flow.status,
        "reason": flow.failure.as_ref().map(|failure| &failure.reason),
        "blame": flow.failure.as_ref().map(|failure| &failure.blame),
        "policy": flow.decision.policy,
        "rule": flow.decision.rule,
        "auditDenied": flow.decision.audit.is_some().then_some(true),
        "bytesUp": flow.bytes_up,
        "bytesDown": flow.bytes_down,
        "totalMs": flow.timings.total.map(millis),
        "firstByteMs": flow.timings.first_byte.map(millis),
        "downstream": flow.downstream,
        "upstream": flow.upstream,
        "contentType": flow.headers(Side::Response).and_then(|headers| headers.text("content-type")),
        "messages": (!flow.messages.is_empty()).then_some(flow.messages.len()),
        "capture": flow.capture.as_str(),
        "replayOf": flow.replay_of.as_ref().map(|id| id.as_str()),
        "mark": flow.mark,
        "comment": flow.comment,
    }))
}

/// All of a flow.
pub(super) fn detail(flow: &Flow) -> Value {
    let mut value = summary(flow);
    let request = &flow.request;
    let body = |side| {
        flow.body(side).map(|body| {
            lean(json!({
                "size": body.length,
                "captured": body.captured,
                "truncated": body.truncated.then_some("capture-limit"),
            }))
        })
    };
    let captured = flow.capture != Level::None;
    let response = flow.response.as_ref().map(|response| {
        lean(json!({
            "status": response.status,
            "statusText": some(&response.phrase),
            "version": response.version,
            "headers": fields(&response.headers),
            "trailers": (!response.trailers.is_empty()).then(|| fields(&response.trailers)),
            "body": body(Side::Response),
        }))
    });
    let timings = &flow.timings;
    let phases = [
        ("client_tls", timings.client_tls),
        ("dns", timings.dns),
        ("connect", timings.connect),
        ("tls", timings.origin_tls),
        ("send", timings.sent),
        ("wait", timings.first_byte),
        ("total", timings.total),
    ];
    let phases: Vec<Value> = phases
        .into_iter()
        .filter_map(|(name, micros)| Some(json!({ "name": name, "ms": millis(micros?) })))
        .collect();
    let steps: Vec<Value> = flow
        .decision
        .steps
        .iter()
        .map(|step| json!({ "policy": step.policy, "rule": step.rule, "outcome": step.outcome, "why": step.why }))
        .collect();
    let more = lean(json!({
        "detail": flow.failure.as_ref().and_then(|failure| failure.detail.as_deref()),
        "request": captured.then(|| lean(json!({
            "method": request.method,
            "target": request.url(),
            "version": request.version,
            "headers": fields(&request.headers),
            "trailers": (!request.trailers.is_empty()).then(|| fields(&request.trailers)),
            "body": body(Side::Request),
        }))),
        "response": response,
        "phases": phases,
        "dialled": flow.dialled.map(|address| address.to_string()),
        "route": flow.route.as_ref().map_or_else(|| "direct".to_owned(), |parent| format!("parent:{parent}")),
        "reused": flow.reused,
        "tunnel": flow.tunnel.as_ref().map(|id| id.as_str()),
        "clientTls": flow.client_tls.as_deref().map(tls),
        "upstreamTls": flow.origin_tls.as_deref().map(tls),
        "trace": (!steps.is_empty()).then(|| json!({ "steps": steps })),
    }));
    if let (Value::Object(into), Value::Object(more)) = (&mut value, more) {
        into.extend(more);
    }
    value
}

/// A body as text, as far as it is one: what the API gives at `/flows/{id}/{side}/text`.
pub(super) fn body_text(store: &FlowStore, flow: &Flow, side: Side) -> std::io::Result<Option<String>> {
    let Some(decoded) = store.decoded(flow, side, &DecodeLimits::default())? else { return Ok(None) };
    let kind = flow.headers(side).and_then(|headers| headers.text("content-type")).unwrap_or_default();
    Ok(Some(match text::text(kind, &decoded.bytes) {
        Some(text) => text.into_owned(),
        None => text::hex(&decoded.bytes, 4096),
    }))
}

fn tls(facts: &TlsFacts) -> Value {
    lean(json!({
        "version": facts.version,
        "cipher": facts.cipher,
        "alpn": facts.alpn,
        "sni": facts.sni,
        "resumed": facts.resumed,
        "certificates": facts.chain.len(),
    }))
}

fn fields(headers: &Headers) -> Vec<Value> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| json!({ "name": text(name), "value": text(value) })).collect()
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn time(micros: u64) -> String {
    let time = i64::try_from(micros / 1000).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Leaves out what is not known.
fn lean(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}
