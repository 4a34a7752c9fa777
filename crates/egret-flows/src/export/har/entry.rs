//! One entry. Where HAR says nothing of it, the names begin with an underscore.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::export::{CapturedBodies, encodings};
use crate::flow::{BodyNote, Flow, Headers, MessageKind, Side, Timings};
use crate::redact::REDACTED;
use crate::view::decode::{self, DecodeLimits};

pub(super) fn entry(flow: &Flow, bodies: &dyn CapturedBodies) -> io::Result<Value> {
    let (timings, time) = timings(&flow.timings);
    let mut entry = json!({
        "startedDateTime": date(flow.started),
        "time": time,
        "request": request(flow, bodies)?,
        "response": response(flow, bodies)?,
        "cache": {},
        "timings": timings,
        "_id": flow.id.as_str(),
        "_treatment": flow.treatment.as_str(),
        "_client": flow.client.to_string(),
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let (Some(value), Some(entry)) = (value, entry.as_object_mut()) {
            entry.insert(name.to_owned(), value);
        }
    };
    set("serverIPAddress", flow.dialled.map(|address| address.ip().to_canonical().to_string().into()));
    set("comment", flow.comment.clone().map(Value::from));
    set("_identity", flow.identity.name.clone().map(Value::from));
    set("_policy", flow.decision.policy.clone().map(Value::from));
    set("_rule", flow.decision.rule.clone().map(Value::from));
    set("_reason", flow.failure.as_ref().map(|failure| failure.reason.to_string().into()));
    if flow.is_websocket() {
        // As Chrome writes and reads them.
        set("_resourceType", Some("websocket".into()));
        set("_webSocketMessages", Some(messages(flow)));
    }
    Ok(entry)
}

/// Milliseconds with a fraction.
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn date(micros: u64) -> String {
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// The timings, and their sum. What did not happen is -1; `send`, `wait` and `receive` always did; `ssl` is
/// part of `connect`.
fn timings(timings: &Timings) -> (Value, f64) {
    let total = timings.total.unwrap_or(0);
    let tls = timings.origin_tls.unwrap_or(0);
    let connect = timings.connect.map(|connect| connect + tls).or(timings.origin_tls);
    let before = (timings.dns.unwrap_or(0) + connect.unwrap_or(0)).min(total);
    let first_byte = timings.first_byte.unwrap_or(total).clamp(before, total.max(before));
    let sent = timings.sent.unwrap_or(before).clamp(before, first_byte);
    let optional = |micros: Option<u64>| micros.map_or(-1.0, millis);
    let (send, wait, receive) = (sent - before, first_byte - sent, total.max(first_byte) - first_byte);
    let value = json!({
        "blocked": -1,
        "dns": optional(timings.dns),
        "connect": optional(connect),
        "ssl": optional(timings.origin_tls),
        "send": millis(send),
        "wait": millis(wait),
        "receive": millis(receive),
    });
    (value, millis(timings.dns.unwrap_or(0) + connect.unwrap_or(0) + send + wait + receive))
}

fn request(flow: &Flow, bodies: &dyn CapturedBodies) -> io::Result<Value> {
    let request = &flow.request;
    let mut value = json!({
        "method": request.method,
        "url": request.url(),
        "httpVersion": version(&request.version),
        "cookies": cookies(&request.headers),
        "headers": headers(&request.headers),
        "queryString": query(request.query().unwrap_or_default()),
        // Redaction has changed the size, so nobody knows it.
        "headersSize": -1,
        "bodySize": request.body.length,
    });
    if let Some(bytes) = decoded(flow, Side::Request, bodies)? {
        let kind = request.headers.text("content-type").unwrap_or_default();
        let mut data = text(&bytes);
        data.insert("mimeType".into(), kind.into());
        // HAR 1.2 knows no encoding here; those who do not know this one see that it is none of theirs.
        if let Some(encoding) = data.remove("encoding") {
            data.insert("_encoding".into(), encoding);
        }
        if let Some(note) = note(flow, Side::Request) {
            data.insert("comment".into(), note.into());
        }
        value["postData"] = data.into();
    }
    Ok(value)
}

fn response(flow: &Flow, bodies: &dyn CapturedBodies) -> io::Result<Value> {
    let Some(response) = &flow.response else {
        // Nothing is known of it but, perhaps, its status: as Chrome writes what failed.
        let error = flow.failure.as_ref().map(|failure| failure.reason.to_string()).unwrap_or_default();
        return Ok(json!({
            "status": flow.status,
            "statusText": "",
            "httpVersion": version(&flow.downstream),
            "cookies": [],
            "headers": [],
            "content": { "size": 0, "mimeType": "x-unknown" },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_error": error,
        }));
    };
    let decoded = decoded(flow, Side::Response, bodies)?;
    let mut content = decoded.as_ref().map_or_else(Map::new, |bytes| text(bytes));
    let size = decoded.as_ref().map_or(0, Bytes::len) as u64;
    content.insert("size".into(), size.into());
    content.insert("mimeType".into(), response.headers.text("content-type").unwrap_or("x-unknown").into());
    if !response.body.truncated && size > response.body.length {
        content.insert("compression".into(), (size - response.body.length).into());
    }
    if let Some(note) = note(flow, Side::Response) {
        content.insert("comment".into(), note.into());
    }
    Ok(json!({
        "status": response.status,
        "statusText": response.phrase,
        "httpVersion": version(&response.version),
        "cookies": set_cookies(&response.headers),
        "headers": headers(&response.headers),
        "content": content,
        "redirectURL": response.headers.text("location").unwrap_or_default(),
        "headersSize": -1,
        "bodySize": response.body.length,
    }))
}

fn version(version: &str) -> &str {
    if version.is_empty() { "HTTP/1.1" } else { version }
}

fn decoded(flow: &Flow, side: Side, bodies: &dyn CapturedBodies) -> io::Result<Option<Bytes>> {
    let bytes = bodies.captured(flow, side)?.filter(|bytes| !bytes.is_empty());
    let encodings = encodings(flow, side);
    Ok(bytes.map(|bytes| decode::decode(&encodings, &bytes, &DecodeLimits::default()).bytes))
}

fn text(bytes: &[u8]) -> Map<String, Value> {
    let mut map = Map::new();
    match std::str::from_utf8(bytes) {
        Ok(text) => map.insert("text".into(), text.into()),
        Err(_) => {
            map.insert("text".into(), STANDARD.encode(bytes).into());
            map.insert("encoding".into(), "base64".into())
        }
    };
    map
}

/// What is to be said of a body that is not all there.
fn note(flow: &Flow, side: Side) -> Option<String> {
    let body = flow.body(side)?;
    let why = match body.note {
        Some(BodyNote::Redacted) => "parts were redacted",
        Some(BodyNote::Unreadable) => "left out: redaction applies to it, and it could not be read",
        Some(BodyNote::PiecesLost) => "cut off: pieces were lost under load",
        Some(BodyNote::Evicted) => "removed, as bodies on disk reached their bound",
        Some(BodyNote::NotStored) => "it could not be written to disk",
        None if body.truncated => "cut off at the limit of the capture",
        None => return None,
    };
    Some(format!("{} of {} bytes: {why}", body.captured, body.length))
}

fn headers(headers: &Headers) -> Value {
    let text = |bytes| crate::flow::shown(bytes).0;
    headers.iter().map(|(name, value)| json!({ "name": text(name), "value": text(value) })).collect()
}

fn query(query: &str) -> Value {
    let text =
        |text: &str| String::from_utf8_lossy(&crate::redact::percent_decoded(text.as_bytes())).into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| json!({ "name": text(name), "value": text(value) })).collect()
}

fn cookies(headers: &Headers) -> Value {
    let values = headers.all(b"cookie").filter_map(|value| std::str::from_utf8(value).ok());
    let pairs = values.filter(|value| *value != REDACTED).flat_map(|value| value.split(';'));
    let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn set_cookies(headers: &Headers) -> Value {
    let values = headers.all(b"set-cookie").filter_map(|value| std::str::from_utf8(value).ok());
    let cookie = |value: &str| {
        let mut parts = value.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = json!({ "name": name, "value": value, "httpOnly": false, "secure": false });
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "httponly" => cookie["httpOnly"] = true.into(),
                "secure" => cookie["secure"] = true.into(),
                "path" => cookie["path"] = value.into(),
                "domain" => cookie["domain"] = value.into(),
                _ => {}
            }
        }
        Some(cookie)
    };
    values.filter_map(cookie).collect()
}

fn messages(flow: &Flow) -> Value {
    let shown = flow.messages.iter().filter(|m| matches!(m.kind, MessageKind::Text | MessageKind::Binary));
    let message = |message: &crate::flow::Message| {
        let (opcode, data) = match std::str::from_utf8(&message.payload) {
            Ok(text) if message.kind == MessageKind::Text => (1, text.to_owned()),
            _ => (2, STANDARD.encode(&message.payload)),
        };
        let kind = if message.from == Side::Request { "send" } else { "receive" };
        json!({ "type": kind, "time": message.time as f64 / 1e6, "opcode": opcode, "data": data })
    };
    shown.map(message).collect()
}
