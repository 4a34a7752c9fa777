//! `/held`: flows at breakpoints, and what becomes of them.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_core::flow_id::FlowId;
use egret_flows::changes::{HeldView, Release, ReleaseError};
use egret_flows::edit::{EditError, RequestEdit, ResponseEdit};
use egret_flows::flow::Side;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Inner;
use super::api::{Call, json_response, no_content};
use super::changes::on_timeout;
use super::detail::headers;
use super::problem::Problem;
use super::shape::{lean, row, time};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    action: Action,
    request: Option<RequestEdit>,
    response: Option<ResponseEdit>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Action {
    GoOn,
    Drop,
    Answer,
}

/// All that is held.
pub(crate) fn list(inner: &Inner) -> Vec<Value> {
    inner.changes.held(&inner.store.redactor()).iter().map(|held| lean(summary(held))).collect()
}

fn summary(held: &HeldView) -> Value {
    let mut flow = row(&held.flow);
    flow["state"] = "held".into();
    json!({
        "flow": flow,
        "phase": phase(held.side),
        "breakpoint": &*held.breakpoint,
        "filter": &*held.written,
        "since": time(held.since),
        "deadline": time(held.deadline),
        "onTimeout": on_timeout(held.on_timeout),
        "bodyEditable": held.body_editable,
    })
}

fn phase(side: Side) -> &'static str {
    match side {
        Side::Request => "request",
        Side::Response => "response",
    }
}

/// One of them, with what can be edited.
pub(crate) fn one(inner: &Inner, id: &str) -> Result<Response<Body>, Problem> {
    let held = FlowId::parse(id).and_then(|id| inner.changes.held_flow(id, &inner.store.redactor()));
    let held = held.ok_or_else(|| not_held(&ReleaseError::NotHeld))?;
    let mut value = summary(&held);
    let flow = &held.flow;
    value["request"] = json!({
        "method": &*flow.request.method,
        "target": flow.request.url(),
        "version": &*flow.request.version,
        "headers": headers(&flow.request.headers),
    });
    if let Some(response) = &flow.response {
        value["response"] = json!({
            "status": response.status,
            "statusText": response.phrase,
            "version": &*response.version,
            "headers": headers(&response.headers),
        });
    }
    if let Some((bytes, redacted)) = &held.body {
        value["body"] = match std::str::from_utf8(bytes) {
            Ok(text) => json!({ "text": text, "redacted": redacted }),
            Err(_) => json!({ "base64": STANDARD.encode(bytes), "redacted": redacted }),
        };
    }
    Ok(json_response(&lean(value)))
}

/// Lets a flow go on, answers or drops it.
pub(crate) fn release(call: &Call, id: &str, body: Value) -> Result<Response<Body>, Problem> {
    let order: Order =
        serde_json::from_value(body).map_err(|error| Problem::bad_request(error.to_string()))?;
    let Some(flow) = FlowId::parse(id) else { return Err(Problem::no_flow(id)) };
    let Order { action, request, response } = order;
    let edited = request.is_some() || response.is_some();
    let release = match (action, request, response) {
        (Action::GoOn, request, response) => Release::GoOn { request, response },
        (Action::Answer, None, Some(response)) => Release::Answer(response),
        (Action::Answer, ..) => {
            return Err(Problem::bad_request(
                "`answer` goes together with `response`, and with nothing else",
            ));
        }
        (Action::Drop, None, None) => Release::Drop,
        (Action::Drop, ..) => {
            return Err(Problem::bad_request(
                "what is dropped is not edited; leave `request` and `response` out",
            ));
        }
    };
    call.inner.changes.release(flow, &release).map_err(|error| not_held(&error))?;
    let detail = match (action, edited) {
        (Action::GoOn, false) => "go-on",
        (Action::GoOn, true) => "go-on, edited",
        (Action::Answer, _) => "answer",
        (Action::Drop, _) => "drop",
    };
    call.note("release", id, detail);
    Ok(no_content())
}

fn not_held(error: &ReleaseError) -> Problem {
    match error {
        ReleaseError::NotHeld => Problem::new(StatusCode::CONFLICT, "not-held", "This flow is held no more")
            .detail(error.to_string())
            .advice("GET /api/v1/breakpoints lists what is held"),
        ReleaseError::BodyTooLong(_) => {
            Problem::new(StatusCode::CONFLICT, "body-too-long", "This body cannot be edited")
                .detail(error.to_string())
                .advice("Edit the head, and leave `body` out")
        }
        ReleaseError::Edit(edit) => edit_problem(edit),
    }
}

/// What is wrong with an edit.
pub(crate) fn edit_problem(error: &EditError) -> Problem {
    match error {
        EditError::Wrong(_) => Problem::new(StatusCode::BAD_REQUEST, "bad-edit", "It cannot be sent so")
            .detail(error.to_string()),
        EditError::Redacted(_) => {
            Problem::new(StatusCode::CONFLICT, "redacted", "Something is needed that was redacted")
                .detail(error.to_string())
                .advice("`[redacted]` stands where a secret was; write it in")
        }
    }
}
