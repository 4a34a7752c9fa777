//! `/api/v1`: who asks, whether that may be, and which answer it is.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use super::auth::{Caller, Refused, Role, same};
use super::problem::Problem;
use super::query::{FilterFault, Params};
use super::shape::{lean, time};
use super::{
    Inner, Peer, blocking, ca, changes, events, export, flows, held, policy, replay, set_cookie, stats,
};

/// The largest body of a request: an edited one of `limits.heldBodyBytes`, with room for what JSON escapes.
const MAX_BODY: usize = 4 << 20;

/// A request that was let in.
pub(crate) struct Call {
    pub(crate) inner: Arc<Inner>,
    pub(crate) peer: Peer,
    pub(crate) caller: Caller,
    pub(crate) uri: Uri,
}

impl Call {
    /// Notes that it did this.
    pub(crate) fn note(&self, action: &'static str, target: &str, detail: &str) {
        self.inner.audit.note(Some(&self.caller), self.peer.address.ip(), action, target, detail);
    }
}

pub(crate) async fn answer(
    inner: &Arc<Inner>,
    peer: Peer,
    authority: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/api/v1") else {
        return Err(not_found(head.uri.path()));
    };
    let path = path.trim_start_matches('/').to_owned();
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    if path == "session" && method == Method::POST {
        return login(inner, peer, &head.headers, body).await;
    }
    let caller = authenticate(inner, peer, &head.uri, &head.headers, &path)?;
    may(&caller, &method, &path, &head.headers)?;
    let call = Call { inner: inner.clone(), peer, caller, uri: head.uri };
    let segments: Vec<&str> = path.split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["session"]) => Ok(json_response(&session(&call.caller))),
        ("DELETE", ["session"]) => Ok(logout(&call)),
        ("GET", ["server"]) => server(call).await,
        ("GET", ["audit"]) => audit(&call),
        ("GET", ["filter"]) => filter(&call),
        ("GET", ["events"]) => events::events(inner, call.caller, &call.uri, &head.headers),
        ("GET", ["stats"]) => figures(call).await,
        ("GET", ["flows"]) => flows::list(call).await,
        ("DELETE", ["flows"]) => flows::clear(call).await,
        ("GET", ["export", "har"]) => export::har(call).await,
        ("GET", ["flows", id]) => flows::one(call, (*id).to_owned()).await,
        ("PATCH", ["flows", id]) => {
            let body = read_json(&head.headers, body).await?;
            flows::annotate(&call, id, &body)
        }
        ("DELETE", ["flows", id]) => flows::forget(&call, id),
        ("GET", ["flows", id, "messages"]) => flows::messages(&call, id),
        ("GET", ["flows", id, "curl"]) => export::curl(call, (*id).to_owned()).await,
        ("GET", ["flows", id, side, "body"]) => flows::body(call, id, side).await,
        ("GET", ["flows", id, side, "text"]) => flows::text(call, id, side).await,
        ("POST", ["flows", id, "replay"]) => {
            let order = read_json(&head.headers, body).await?;
            replay::send(call, id, order).await
        }
        ("GET", ["policy"]) => {
            blocking(move || json_response(&policy::view(&call.inner.store, &call.inner.proxy.policies())))
                .await
        }
        ("GET", ["policy", "audit"]) => {
            blocking(move || json_response(&policy::audit_denials(&call.inner.store))).await
        }
        ("GET", ["policy", "suggest"]) => {
            let only = Params::read(&call.uri, &["identity"])?.text("identity").map(str::to_owned);
            blocking(move || json_response(&policy::suggest(&call.inner.store, only.as_deref()))).await
        }
        ("POST", ["policy", "explain"]) => {
            let question = read_json(&head.headers, body).await?;
            explain(call, question).await
        }
        ("GET", ["ca"]) => {
            let authority = authority.to_owned();
            blocking(move || json_response(&ca::ca(&*call.inner.proxy, &authority))).await
        }
        ("GET", ["ca", "rejections"]) => {
            Ok(json_response(&json!({ "rejections": ca::rejections(&*call.inner.proxy) })))
        }
        ("GET" | "POST" | "PUT" | "DELETE", ["breakpoints", rest @ ..]) if rest.len() <= 1 => {
            // Whoever asks is there to let go on what is held.
            call.inner.changes.asked();
            let body = json_of(&method, &head.headers, body).await?;
            changes::breakpoints(&call, &method, rest.first().copied(), body)
        }
        ("GET", ["held"]) => {
            call.inner.changes.asked();
            Ok(json_response(&json!({ "held": held::list(&call.inner) })))
        }
        ("GET", ["held", id]) => {
            call.inner.changes.asked();
            held::one(&call.inner, id)
        }
        ("POST", ["held", id]) => {
            call.inner.changes.asked();
            let order = read_json(&head.headers, body).await?;
            held::release(&call, id, order)
        }
        ("GET" | "POST" | "PUT" | "DELETE", ["changes", rest @ ..]) if rest.len() <= 1 => {
            let body = json_of(&method, &head.headers, body).await?;
            let id = rest.first().map(|id| (*id).to_owned());
            blocking(move || changes::rules(&call, &method, id.as_deref(), body)).await?
        }
        (_, segments) if is_known(segments) => Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            format!("{method} is not for this path"),
        )
        .advice("See docs/openapi.yaml")),
        _ => Err(not_found(call.uri.path())),
    }
}

fn is_known(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["session" | "server" | "audit" | "filter" | "events" | "stats" | "flows" | "policy" | "ca" | "held"]
            | ["breakpoints" | "changes"]
            | ["breakpoints" | "changes" | "held", _]
            | ["ca", "rejections"]
            | ["export", "har"]
            | ["policy", "audit" | "suggest" | "explain"]
            | ["flows", _]
            | ["flows", _, "messages" | "curl" | "replay"]
            | ["flows", _, "request" | "response", "body" | "text"]
    )
}

fn not_found(path: &str) -> Problem {
    let shown: String = path.chars().take(120).collect();
    Problem::new(StatusCode::NOT_FOUND, "not-found", "The API has no such path")
        .detail(shown)
        .advice("Paths begin with /api/v1; docs/openapi.yaml has them all")
}

/// A JSON answer.
pub(crate) fn json_response(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(crate) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn authenticate(
    inner: &Inner,
    peer: Peer,
    uri: &Uri,
    headers: &HeaderMap,
    path: &str,
) -> Result<Caller, Problem> {
    let unauthenticated = |title: &str, detail: &str| {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", title).detail(detail).advice(
            "Open the link that the proxy printed at its start, or send `Authorization: Bearer TOKEN`",
        );
        if path == "session" { problem.with("methods", inner.auth.methods()) } else { problem }
    };
    // It would stay in histories and logs.
    if uri.query().is_some_and(|query| super::token_of(query).is_some()) {
        return Err(unauthenticated("A token does not belong into the query", "It was not looked at"));
    }
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        let token = text
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        return match inner.auth.bearer(token.unwrap_or_default(), peer.address.ip()) {
            Ok(caller) => Ok(caller),
            Err(Refused::Wait(seconds)) => Err(too_many(seconds)),
            Err(Refused::Wrong) => {
                Err(unauthenticated("That is not the token", "The proxy knows another one"))
            }
        };
    }
    cookie(headers)
        .and_then(|id| inner.auth.session(&id))
        .ok_or_else(|| unauthenticated("A token is needed", "There is no session, or it has ended"))
}

fn too_many(seconds: u64) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failed-logins", "There were too many failed logins")
        .detail("Each further one has to wait longer")
        .advice(format!("Try again in {seconds} seconds"))
        .retry_after(seconds)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == super::COOKIE).map(|(_, value)| value.to_owned())
}

/// Whether the role may, and whether the page itself asked.
fn may(caller: &Caller, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
    if method == Method::GET {
        return Ok(());
    }
    let harmless = path == "policy/explain" || path == "session";
    if caller.role == Role::ReadOnly && !harmless {
        return Err(Problem::new(StatusCode::FORBIDDEN, "read-only", "This session may only look")
            .detail("Its role is read-only")
            .advice("Log in with the token of the role admin"));
    }
    let Some(session) = &caller.session else { return Ok(()) };
    let token = headers.get("x-csrf-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !same(token, &session.csrf) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "csrf",
            "The token against forged requests is missing or wrong",
        )
        .detail("Under a cookie, what changes something needs `X-CSRF-Token`")
        .advice("GET /api/v1/session has it, in `csrf`"));
    }
    Ok(())
}

fn session(caller: &Caller) -> Value {
    let session = caller.session.as_ref();
    lean(json!({
        "role": caller.role.as_str(),
        "name": caller.name,
        "csrf": session.map_or("", |session| &session.csrf),
        "expires": session.map(|session| time(session.expires)),
    }))
}

async fn login(
    inner: &Inner,
    peer: Peer,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let from = peer.address.ip();
    let body = read_json(headers, body).await?;
    only_fields(&body, &["token", "user", "password"])?;
    let text = |name: &str, most: usize| match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text.as_str())),
        Some(_) => {
            Err(Problem::bad_request(format!("`{name}` has to be a text of at most {most} characters")))
        }
    };
    let user = text("user", 255)?.map(str::to_owned);
    let (result, method) = match (text("token", 512)?, text("password", 1024)?) {
        (Some(token), None) => (inner.auth.login_token(token, from), "by token"),
        (None, Some(password)) => (inner.auth.login_password(password, user, from), "by password"),
        _ => return Err(Problem::bad_request("either `token` or `password` has to be there")),
    };
    let caller = result.map_err(|refused| {
        inner.audit.note(None, from, "login-refused", "", method);
        match refused {
            Refused::Wait(seconds) => too_many(seconds),
            Refused::Wrong => Problem::new(
                StatusCode::UNAUTHORIZED,
                "credentials-refused",
                if method == "by token" { "That is not the token." } else { "That is not the password." },
            )
            .detail("The proxy knows another one.")
            .advice("Copy it from the lines that Egret wrote when it started."),
        }
    })?;
    inner.audit.note(Some(&caller), from, "login", "", method);
    let mut response = json_response(&session(&caller));
    if let Some(session) = &caller.session {
        set_cookie(&mut response, &session.id, peer.over_tls);
    }
    Ok(response)
}

fn logout(call: &Call) -> Response<Body> {
    let mut response = no_content();
    if let Some(session) = &call.caller.session {
        call.inner.auth.end(&session.id);
        call.note("logout", "", "");
        set_cookie(&mut response, "", call.peer.over_tls);
    }
    response
}

async fn server(call: Call) -> Result<Response<Body>, Problem> {
    Params::read(&call.uri, &[])?;
    blocking(move || {
        let mut server = call.inner.proxy.server();
        let counts = call.inner.store.counts();
        server["now"] = time(std::time::SystemTime::now()).into();
        let mut oldest = None;
        if let Some(flow) = call.inner.store.oldest() {
            oldest = Some(super::shape::micros_time(flow.started));
        }
        let settings = call.inner.store.settings();
        server["store"] = json!({
            "flows": counts.flows,
            "capacity": settings.flows,
            "bodyBytes": counts.disk,
            "bodyCapacityBytes": if settings.directory.is_some() { settings.body_bytes } else { settings.memory_bytes as u64 },
            "evicted": counts.flows_evicted,
            "persistent": settings.persistent,
            "oldest": oldest,
        });
        json_response(&lean(server))
    })
    .await
}

fn audit(call: &Call) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["limit", "cursor"])?;
    let before = params.number("cursor", 0, u64::MAX)?;
    Ok(json_response(&call.inner.audit.page(before, params.limit()?)))
}

fn filter(call: &Call) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["filter"])?;
    let Some(text) = params.text("filter") else {
        return Err(Problem::bad_request("`filter` is missing"));
    };
    let check = match egret_flows::filter::Filter::parse(text) {
        Ok(filter) => json!({
            "ok": true,
            "meaning": (!filter.is_all()).then(|| filter.to_string()),
            "searchesBodies": filter.needs_bodies(),
        }),
        Err(error) => {
            let fault = FilterFault::of(text, &error);
            json!({ "ok": false, "error": {
                "message": fault.message, "position": fault.position, "length": fault.length,
                "suggestion": fault.suggestion,
            }})
        }
    };
    Ok(json_response(&lean(check)))
}

async fn figures(call: Call) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["window", "edges"])?;
    let edges = params.number("edges", 1, 500)?.unwrap_or(100);
    let wanted = params.text("window").unwrap_or("15m");
    let Some((window, length, step)) = stats::WINDOWS.into_iter().find(|(name, _, _)| *name == wanted) else {
        return Err(Problem::bad_request("`window` has to be 5m, 15m, 1h or 6h"));
    };
    blocking(move || json_response(&stats::stats(&call.inner.store, window, length, step, edges))).await
}

async fn explain(call: Call, question: Value) -> Result<Response<Body>, Problem> {
    only_fields(&question, &["method", "url", "as", "headers"])?;
    blocking(move || {
        let trace = call.inner.proxy.explain(&question);
        trace.map(|trace| json_response(&lean(trace))).map_err(Problem::bad_request)
    })
    .await?
}

/// Refuses fields that the contract does not have.
pub(crate) fn only_fields(value: &Value, known: &[&str]) -> Result<(), Problem> {
    let Value::Object(members) = value else {
        return Err(Problem::bad_request("the body has to be a JSON object"));
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let shown: String = name.chars().take(40).collect();
            Err(Problem::bad_request(format!("there is no field `{shown}`")))
        }
        None => Ok(()),
    }
}

/// The body, where the method has one.
async fn json_of(method: &Method, headers: &HeaderMap, body: Body) -> Result<Option<Value>, Problem> {
    match *method {
        Method::POST | Method::PUT => read_json(headers, body).await.map(Some),
        _ => Ok(None),
    }
}

/// The body as JSON, which forms of other sites cannot send.
async fn read_json(headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::bad_request("`Content-Type` has to be application/json"));
    }
    #[expect(clippy::disallowed_methods, reason = "the body is bounded")]
    let read = Limited::new(body, MAX_BODY).collect().await;
    let bytes = read.map_err(|_| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .detail(format!("It may have {MAX_BODY} bytes, and has to come whole"))
    })?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| Problem::bad_request(format!("the body is no JSON: {error}")))
}
