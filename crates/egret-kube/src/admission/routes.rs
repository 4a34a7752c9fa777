//! Requests over HTTP, and their answers.

use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::sync::SemaphorePermit;

use super::metrics::{Limit, Outcome};
use super::review::Review;
use super::{Inner, Webhook, mutate, validate};

pub(super) type Answered = Response<Full<Bytes>>;

/// Answers a request, whatever it is.
pub(super) async fn route(webhook: &Webhook, request: Request<Incoming>) -> Answered {
    let is_head = request.method() == Method::HEAD;
    let mut response = answer(webhook, request).await;
    if is_head {
        // hyper leaves that to us in HTTP/2.
        *response.body_mut() = Full::default();
    }
    response
}

async fn answer(webhook: &Webhook, request: Request<Incoming>) -> Answered {
    let method = request.method().clone();
    let reading = method == Method::GET || method == Method::HEAD;
    match request.uri().path() {
        "/mutate" | "/validate" if method != Method::POST => not_allowed("POST"),
        "/mutate" => review(&webhook.inner, "mutate", request).await,
        "/validate" => review(&webhook.inner, "validate", request).await,
        "/healthz" | "/readyz" if !reading => not_allowed("GET, HEAD"),
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" => match webhook.unready() {
            None => text(StatusCode::OK, "ready"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "there is nothing here; /mutate, /validate, /healthz and /readyz are served",
        ),
    }
}

async fn review(inner: &Inner, webhook: &'static str, request: Request<Incoming>) -> Answered {
    let began = Instant::now();
    let (outcome, response) = match body(inner, request).await {
        Err(refusal) => (Outcome::Malformed, refusal),
        Ok((body, _room)) => match Review::parse(&body) {
            Err(error) => (Outcome::Malformed, text(StatusCode::BAD_REQUEST, &error.to_string())),
            Ok(review) => {
                let (outcome, answer) = match webhook {
                    "mutate" => mutate::answer(inner, &review).await,
                    _ => validate::answer(inner.validate, &review),
                };
                (outcome, json(answer.body(&review.uid)))
            }
        },
    };
    if outcome == Outcome::Malformed {
        tracing::warn!(
            webhook,
            status = response.status().as_u16(),
            "a request to the webhook was no AdmissionReview that can be answered"
        );
    }
    inner.metrics.answered(webhook, outcome, began.elapsed());
    response
}

/// The body of a review, within its bounds, and the room that it takes.
async fn body(inner: &Inner, request: Request<Incoming>) -> Result<(Bytes, SemaphorePermit<'_>), Answered> {
    if !is_json(request.headers().get(CONTENT_TYPE)) {
        return Err(text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be application/json, as the API server sends it",
        ));
    }
    let most = inner.limits.body_bytes;
    let too_large = || {
        inner.metrics.limit_hit(Limit::BodyBytes);
        text(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body is longer than {most} bytes (limit body_bytes)"),
        )
    };
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let expected = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(most);
    let kibibytes = u32::try_from(expected.div_ceil(1024)).unwrap_or(u32::MAX);
    let deadline = tokio::time::Instant::now() + inner.limits.body;
    let room = match tokio::time::timeout_at(deadline, inner.room.acquire_many(kibibytes)).await {
        Ok(Ok(room)) => room,
        _ => {
            inner.metrics.limit_hit(Limit::BodiesBytes);
            return Err(text(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests are being read (limit bodies_bytes); try again",
            ));
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the body is limited")]
    let reading = Limited::new(request.into_body(), most).collect();
    match tokio::time::timeout_at(deadline, reading).await {
        Ok(Ok(body)) => Ok((body.to_bytes(), room)),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(text(StatusCode::BAD_REQUEST, "the body ended before its end")),
        Err(_) => {
            inner.metrics.limit_hit(Limit::Body);
            Err(text(StatusCode::REQUEST_TIMEOUT, "the body took too long (limit body)"))
        }
    }
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let essence =
        content_type.and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn not_allowed(allow: &'static str) -> Answered {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this method means nothing here");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn text(status: StatusCode, body: &str) -> Answered {
    respond(status, "text/plain; charset=utf-8", format!("{body}\n").into_bytes())
}

fn json(body: Vec<u8>) -> Answered {
    respond(StatusCode::OK, "application/json", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answered {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
