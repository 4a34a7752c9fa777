//! What is answered to which request.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::page;
use crate::{AdminState, Readiness};

type Shared = State<Arc<AdminState>>;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

pub(crate) fn router(state: Arc<AdminState>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response(harden))
        .with_state(state)
}

async fn index(State(state): Shared) -> Response {
    ([(CONTENT_TYPE, HTML)], page::index(&state)).into_response()
}

/// The process lives and its admin server answers; nothing more, so that a proxy that merely has
/// nowhere to go is not killed for it.
async fn health() -> Response {
    ([(CONTENT_TYPE, TEXT)], "ok\n").into_response()
}

async fn readiness(State(state): Shared) -> Response {
    let readiness = (state.readiness)();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CONTENT_TYPE, TEXT)], format!("{}\n", readiness.as_str())).into_response()
}

async fn metrics(State(state): Shared, headers: HeaderMap) -> Response {
    // Several Accept fields are one list (RFC 9110 section 5.3).
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    let text = (state.metrics)((!accept.is_empty()).then_some(accept.as_str()));
    ([(CONTENT_TYPE, text.content_type)], text.body).into_response()
}

async fn not_found() -> Response {
    let text = "not found: this is Egret's admin address; it has /, /healthz, /readyz and /metrics\n";
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], text).into_response()
}

async fn method_not_allowed() -> Response {
    let headers = [(CONTENT_TYPE, TEXT), (ALLOW, "GET, HEAD")];
    (StatusCode::METHOD_NOT_ALLOWED, headers, "method not allowed: use GET or HEAD\n").into_response()
}

/// On every response: nothing is cached, framed, guessed at, or loaded from elsewhere.
async fn harden(mut response: Response) -> Response {
    let fields = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, page::CONTENT_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
