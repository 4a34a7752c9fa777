//! `/flows`: lists, one flow, its bodies and messages.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use egret_core::flow_id::FlowId;
use egret_flows::filter::Filter;
use egret_flows::flow::{Flow, Level, MessageKind, Side};
use egret_flows::store::{Annotation, Cursor, MAX_PAGE, Query, Sort, SortKey};
use egret_flows::view::grpc;
use serde_json::{Value, json};

use super::api::{Call, json_response, no_content, only_fields};
use super::problem::Problem;
use super::query::Params;
use super::shape::{MARKS, lean, ms};
use super::{Inner, blocking, bodies, detail};

/// The most matching flows that one request forgets at a time.
const CHUNK: usize = MAX_PAGE;

pub(crate) fn find(inner: &Inner, id: &str) -> Result<Arc<Flow>, Problem> {
    FlowId::parse(id).and_then(|id| inner.store.flow(id)).ok_or_else(|| Problem::no_flow(id))
}

/// `-totalMs`, as the contract names orders.
fn sort(text: &str) -> Result<Sort, Problem> {
    let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
    let by = match name {
        "started" => SortKey::Seq,
        "totalMs" => SortKey::Time,
        "bytes" => SortKey::Bytes,
        "status" => SortKey::Status,
        "host" => SortKey::Host,
        "method" => SortKey::Method,
        "identity" => SortKey::Identity,
        _ => {
            return Err(Problem::bad_request(
                "`sort` has to be started, totalMs, bytes, status, host, method or identity, with - before it for the largest first",
            ));
        }
    };
    Ok(Sort { by, descending })
}

/// A place in a listing, whole: `CURSOR.UNTIL.SORT.FILTER`.
struct Place {
    filter: String,
    sort: String,
    until: u64,
    after: Cursor,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = plain.splitn(4, '.');
        let after = parts.next()?.parse().ok()?;
        let until = parts.next()?.parse().ok()?;
        Some(Self { after, until, sort: parts.next()?.to_owned(), filter: parts.next()?.to_owned() })
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}.{}.{}", self.after, self.until, self.sort, self.filter))
    }
}

pub(crate) async fn list(call: Call) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["filter", "sort", "limit", "cursor", "offset", "until"])?;
    let limit = params.limit()?;
    let stale =
        || Problem::bad_request("`cursor` or `until` is not of this process; list from the beginning");
    let (filter_text, sort_text, until, after, offset) = match params.text("cursor") {
        Some(cursor) => {
            if ["filter", "sort", "offset", "until"].iter().any(|name| params.text(name).is_some()) {
                return Err(Problem::bad_request("with `cursor` only `limit` may be given"));
            }
            let place = Place::read(cursor).ok_or_else(stale)?;
            (place.filter, place.sort, Some(place.until), Some(place.after), 0)
        }
        None => (
            params.text("filter").unwrap_or_default().to_owned(),
            params.text("sort").unwrap_or("-started").to_owned(),
            params.text("until").map(|text| call.inner.revision_of(text).ok_or_else(stale)).transpose()?,
            None,
            params.number("offset", 0, 100_000_000)?.unwrap_or(0),
        ),
    };
    let filter = match params.text("cursor") {
        Some(_) => Filter::parse(&filter_text).map_err(|_| stale())?,
        None => params.filter()?,
    };
    let query = Query { filter, sort: sort(&sort_text)?, limit, after, offset, until, count: true };
    blocking(move || {
        let page = call.inner.store.list(&query);
        let until = until.unwrap_or(page.newest);
        let next = page.next.map(|after| Place { filter: filter_text, sort: sort_text, until, after }.text());
        json_response(&lean(json!({
            "flows": page.flows.iter().map(|flow| call.inner.summary(flow)).collect::<Vec<_>>(),
            "total": page.matched.unwrap_or(page.total),
            "revision": call.inner.revision_text(until),
            "next": next,
        })))
    })
    .await
}

pub(crate) async fn clear(call: Call) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["filter"])?;
    let filter = params.filter()?;
    let words = params.text("filter").unwrap_or_default().to_owned();
    blocking(move || {
        let mut query = Query { filter, limit: CHUNK, ..Query::default() };
        let mut removed = 0_u64;
        loop {
            let page = call.inner.store.list(&query);
            let ended = page.flows.iter().filter(|flow| !flow.active);
            removed += ended.map(|flow| u64::from(call.inner.store.remove(flow.id))).sum::<u64>();
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        call.note("clear-flows", &words, &format!("{removed} flows"));
        json_response(&json!({ "removed": removed }))
    })
    .await
}

pub(crate) async fn one(call: Call, id: String) -> Result<Response<Body>, Problem> {
    Params::read(&call.uri, &[])?;
    let flow = find(&call.inner, &id)?;
    blocking(move || {
        let mut value = detail::detail(&call.inner.store, &flow);
        call.inner.mark_held(&flow, &mut value);
        json_response(&value)
    })
    .await
}

pub(crate) fn annotate(call: &Call, id: &str, body: &Value) -> Result<Response<Body>, Problem> {
    only_fields(body, &["mark", "comment"])?;
    let flow = find(&call.inner, id)?;
    let mark = match body.get("mark") {
        None => None,
        Some(Value::String(mark)) if mark == "none" => Some(String::new()),
        Some(Value::String(mark)) if MARKS.contains(&mark.as_str()) => Some(mark.clone()),
        Some(_) => {
            return Err(Problem::bad_request(format!("`mark` has to be {} or none", MARKS.join(", "))));
        }
    };
    let comment = match body.get("comment") {
        None => None,
        Some(Value::String(comment)) if comment.len() <= egret_flows::store::MAX_ANNOTATION_BYTES => {
            Some(comment.clone())
        }
        Some(_) => return Err(Problem::bad_request("`comment` has to be a text of at most 4096 bytes")),
    };
    if mark.is_none() && comment.is_none() {
        return Err(Problem::bad_request("`mark` or `comment` has to be there"));
    }
    let what = match (&mark, &comment) {
        (Some(_), Some(_)) => "mark and comment",
        (Some(_), None) => "mark",
        _ => "comment",
    };
    call.inner.store.annotate(flow.id, Annotation { mark, comment, tags: None });
    call.note("annotate", id, what);
    Ok(json_response(&call.inner.summary(&*find(&call.inner, id)?)))
}

pub(crate) fn forget(call: &Call, id: &str) -> Result<Response<Body>, Problem> {
    let flow = find(&call.inner, id)?;
    if flow.active {
        return Err(Problem::new(StatusCode::CONFLICT, "still-open", "The flow goes on")
            .detail("Only flows that have ended can be forgotten"));
    }
    call.inner.store.remove(flow.id);
    call.note("forget-flow", id, "");
    Ok(no_content())
}

fn side(text: &str) -> Result<Side, Problem> {
    match text {
        "request" => Ok(Side::Request),
        "response" => Ok(Side::Response),
        _ => Err(Problem::bad_request("a side is `request` or `response`")),
    }
}

pub(crate) async fn body(call: Call, id: &str, of: &str) -> Result<Response<Body>, Problem> {
    let side = side(of)?;
    let params = Params::read(&call.uri, &["form", "offset", "length"])?;
    let decoded = match params.text("form") {
        None | Some("decoded") => true,
        Some("raw") => false,
        Some(_) => return Err(Problem::bad_request("`form` has to be raw or decoded")),
    };
    let offset = params.number("offset", 0, usize::MAX)?.unwrap_or(0);
    let length = params.number("length", 1, usize::MAX)?;
    let flow = find(&call.inner, id)?;
    let (id, of) = (id.to_owned(), of.to_owned());
    blocking(move || {
        let response = bodies::download(&call.inner.store, &flow, side, decoded, offset, length)?;
        call.note("read-body", &id, &of);
        Ok(response)
    })
    .await?
}

pub(crate) async fn text(call: Call, id: &str, of: &str) -> Result<Response<Body>, Problem> {
    let side = side(of)?;
    let params = Params::read(&call.uri, &["length"])?;
    let length = params.number("length", 1, bodies::MAX_TEXT)?.unwrap_or(2 << 20);
    let flow = find(&call.inner, id)?;
    let (id, of) = (id.to_owned(), of.to_owned());
    blocking(move || {
        let text = bodies::as_text(&call.inner.store, &flow, side, length)?;
        call.note("read-body", &id, &of);
        Ok(json_response(&text))
    })
    .await?
}

pub(crate) fn messages(call: &Call, id: &str) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["after", "limit"])?;
    let after = params.number("after", 0, usize::MAX)?.unwrap_or(0);
    let limit = params.limit()?;
    let flow = find(&call.inner, id)?;
    if flow.capture != Level::Bodies && flow.messages.is_empty() {
        return Ok(json_response(&json!({ "messages": [], "total": 0, "dropped": 0 })));
    }
    let (messages, dropped) = match flow.is_grpc() && flow.messages.is_empty() {
        true => (frames(call, &flow), 0),
        false => (websocket(&flow), flow.messages_dropped),
    };
    let total = messages.len() as u64 + dropped;
    let page: Vec<Value> = messages.into_iter().skip(after).take(limit).collect();
    Ok(json_response(&lean(json!({ "messages": page, "total": total, "dropped": dropped }))))
}

fn websocket(flow: &Flow) -> Vec<Value> {
    let message = |(index, message): (usize, &egret_flows::flow::Message)| {
        let payload = &message.payload;
        let (kind, text) = match message.kind {
            MessageKind::Event => ("event", Some(String::from_utf8_lossy(payload).into_owned())),
            MessageKind::Text => ("text", Some(String::from_utf8_lossy(payload).into_owned())),
            MessageKind::Close => {
                ("close", Some(String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned()))
            }
            MessageKind::Binary => ("binary", None),
            MessageKind::Ping => ("ping", None),
            MessageKind::Pong => ("pong", None),
        };
        let code = match (message.kind, payload.get(..2)) {
            (MessageKind::Close, Some(&[high, low])) => Some(u16::from_be_bytes([high, low])),
            _ => None,
        };
        json!({
            "index": index + 1,
            "atMs": ms(message.time.saturating_sub(flow.started)),
            "direction": direction(message.from),
            "type": kind,
            "size": message.length,
            "base64": text.is_none().then(|| STANDARD.encode(payload)),
            "text": text,
            "truncated": message.truncated.then_some("capture-limit"),
            "closeCode": code,
            "event": message.event,
        })
    };
    flow.messages.iter().enumerate().map(message).collect()
}

fn frames(call: &Call, flow: &Flow) -> Vec<Value> {
    let mut all = Vec::new();
    for side in [Side::Request, Side::Response] {
        let Some(bytes) = flow.body(side).and_then(|body| call.inner.store.body(body).ok().flatten()) else {
            continue;
        };
        for frame in grpc::frames(&bytes).0 {
            let payload = &bytes[frame.message.clone()];
            all.push(json!({
                "index": all.len() + 1,
                "atMs": 0,
                "direction": direction(side),
                "type": "grpc",
                "size": frame.length,
                "truncated": frame.truncated.then_some("capture-limit"),
                "base64": STANDARD.encode(payload),
                "compressed": frame.compressed.then_some(true),
            }));
        }
    }
    all
}

fn direction(side: Side) -> &'static str {
    match side {
        Side::Request => "up",
        Side::Response => "down",
    }
}
