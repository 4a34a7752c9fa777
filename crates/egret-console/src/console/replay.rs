//! `/flows/{id}/replay`: sending a request again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use egret_flows::edit::RequestEdit;
use egret_flows::flow::Flow;
use egret_flows::replay::{ReplayError, replay};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Call, json_response};
use super::held::edit_problem;
use super::problem::Problem;
use super::{ReplayOrder, blocking, flows};

/// How long the answer waits for the new flow to be listed, so that whoever asks for it finds it.
const LISTED_WITHIN: Duration = Duration::from_secs(2);

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Order {
    edit: RequestEdit,
    allow_truncated: bool,
}

pub(crate) async fn send(call: Call, id: &str, body: Value) -> Result<Response<Body>, Problem> {
    let order: Order =
        serde_json::from_value(body).map_err(|error| Problem::bad_request(error.to_string()))?;
    let flow = flows::find(&call.inner, id)?;
    let (call, made) = blocking(move || {
        let made = make(&call, &flow, &order);
        (call, made)
    })
    .await?;
    let (order, notes, what) = made?;
    let of = order.replay.of;
    let id = call.inner.proxy.replay(order).map_err(|why| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-replays", "It is not sent now")
            .detail(why)
            .advice("Try again when some are through, or raise `limits.replays`")
            .retry_after(1)
    })?;
    call.note("replay", of.as_str(), &what);
    let listed = async {
        while call.inner.store.flow(id).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Of a flow of which nothing is captured, the end alone is listed.
    let _ = tokio::time::timeout(LISTED_WITHIN, listed).await;
    let mut response = json_response(&json!({ "id": id.as_str(), "notes": notes }));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// The request to send, what is not as it was, and words for the audit.
fn make(call: &Call, flow: &Arc<Flow>, order: &Order) -> Result<(ReplayOrder, Vec<String>, String), Problem> {
    let body = call.inner.store.body(&flow.request.body).ok().flatten();
    let replay = replay(flow, body, &order.edit, order.allow_truncated).map_err(|error| problem(&error))?;
    let notes = replay.notes.clone();
    let what = format!("{} {}", replay.request.method, replay.request.authority());
    let http2 = &*flow.downstream == "HTTP/2" && replay.request.scheme == "https";
    let (user, from) = (call.caller.name.clone(), call.peer.address);
    Ok((ReplayOrder { replay, http2, user, from }, notes, what))
}

fn problem(error: &ReplayError) -> Problem {
    let not = || {
        Problem::new(StatusCode::CONFLICT, "not-replayable", "This flow cannot be sent again")
            .detail(error.to_string())
    };
    match error {
        ReplayError::NotHttp => not().advice("`tls: Intercept` in a policy shows what is in a tunnel"),
        ReplayError::Truncated { .. } => {
            not().advice("Give `edit.body`, or `allowTruncated: true` to send what there is")
        }
        ReplayError::Edit(edit) => edit_problem(edit),
    }
}
