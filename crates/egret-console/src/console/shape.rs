//! Flows as the API writes them: rows of lists. What is not known is left out.

use std::time::SystemTime;

use egret_flows::flow::{Flow, Side, Treatment};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The longest target in a row, in bytes.
const MAX_TARGET: usize = 2048;
/// The marks that there are.
pub(crate) const MARKS: [&str; 6] = ["red", "orange", "yellow", "green", "blue", "purple"];

/// The same without members that are null.
pub(crate) fn lean(mut value: Value) -> Value {
    strip(&mut value);
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// A time as RFC 3339 in UTC, to the millisecond.
pub(crate) fn time(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| micros_time(0), |at| format!("{at:.3}"))
}

/// [`time`] of microseconds since 1970.
pub(crate) fn micros_time(micros: u64) -> String {
    let at = Timestamp::from_microsecond(i64::try_from(micros).unwrap_or(i64::MAX));
    format!("{:.3}", at.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Microseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "for people; it is exact for 285 years")]
pub(crate) fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// A flow as a row of `/flows`.
#[must_use]
pub fn summary(flow: &Flow) -> Value {
    lean(row(flow))
}

/// [`summary`] with what is not known as null.
pub(crate) fn row(flow: &Flow) -> Value {
    let request = &flow.request;
    let failure = flow.failure.as_ref();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let messages = flow.messages.len() as u64 + flow.messages_dropped;
    json!({
        "id": flow.id.as_str(),
        "seq": flow.seq,
        "kind": kind(flow),
        "state": state(flow),
        "started": micros_time(flow.started),
        "client": flow.client.to_string(),
        "identity": identity(flow),
        "proof": proof(flow),
        "method": &*request.method,
        "target": cut(request.url()),
        "scheme": text(&request.scheme),
        "host": request.host,
        "port": (request.port != 0).then_some(request.port),
        "path": text(&request.path).map(cut),
        "treatment": flow.treatment.as_str(),
        "status": flow.status,
        "reason": failure.map(|failure| &*failure.reason),
        "blame": failure.map(|failure| &*failure.blame),
        "policy": flow.decision.policy,
        "rule": flow.decision.rule,
        "auditDenied": flow.decision.audit.is_some().then_some(true),
        "bytesUp": flow.bytes_up,
        "bytesDown": flow.bytes_down,
        "totalMs": flow.timings.total.map(ms),
        "firstByteMs": flow.timings.first_byte.map(ms),
        "downstream": &*flow.downstream,
        "upstream": flow.upstream.as_deref(),
        "contentType": content_type(flow, Side::Response),
        "messages": (messages > 0).then_some(messages),
        "grpcStatus": grpc_status(flow),
        "capture": flow.capture.as_str(),
        "changed": (!flow.changes.is_empty()).then_some(true),
        "replayOf": flow.replay_of.as_ref().map(|id| id.as_str()),
        "mark": flow.mark.as_deref().filter(|mark| MARKS.contains(mark)),
        "comment": flow.comment,
    })
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_TARGET);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Who it is: the name that was proven, else the workload, else the address.
pub(crate) fn identity(flow: &Flow) -> String {
    let facts = &flow.identity;
    // The user's name of a service account says the same at length.
    let name = facts.name.as_ref().filter(|_| &*facts.proof != "service-account");
    match (name, &facts.namespace) {
        (Some(name), _) => name.clone(),
        (None, Some(namespace)) => match facts.service_account.as_ref().or(facts.pod.as_ref()) {
            Some(of) => format!("{namespace}/{of}"),
            None => namespace.clone(),
        },
        (None, None) => facts.name.clone().unwrap_or_else(|| flow.client.ip().to_string()),
    }
}

pub(crate) fn proof(flow: &Flow) -> &str {
    let facts = &flow.identity;
    match (&facts.name, &facts.service_account, &facts.pod) {
        (None, Some(_), _) => "service-account",
        (None, None, Some(_)) => "pod",
        _ => match &*facts.proof {
            "" => "address",
            proof => proof,
        },
    }
}

pub(crate) fn kind(flow: &Flow) -> &'static str {
    let events = || {
        content_type(flow, Side::Response)
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
    };
    match () {
        () if flow.downstream == "TLS" => "handshake",
        () if flow.request.method.starts_with("UDP") => "udp",
        () if flow.is_websocket() => "websocket",
        () if flow.is_grpc() => "grpc",
        () if flow.treatment == Treatment::Tunnel || flow.request.method == "CONNECT" => "tunnel",
        () if events() => "events",
        () => "http",
    }
}

fn state(flow: &Flow) -> &'static str {
    match (flow.active, &flow.failure) {
        (true, _) => "open",
        (false, Some(_)) => "failed",
        (false, None) => "complete",
    }
}

pub(crate) fn content_type(flow: &Flow, side: Side) -> Option<&str> {
    flow.headers(side)?.text("content-type")
}

fn grpc_status(flow: &Flow) -> Option<u32> {
    let response = flow.response.as_ref()?;
    let status = response.trailers.text("grpc-status").or_else(|| response.headers.text("grpc-status"));
    status?.trim().parse().ok()
}
