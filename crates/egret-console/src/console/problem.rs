//! Errors as `application/problem+json` (RFC 9457), with a stable `code`.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// What did not work, why, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    status: StatusCode,
    code: &'static str,
    title: String,
    detail: String,
    advice: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            status,
            code,
            title: title.into(),
            detail: String::new(),
            advice: String::new(),
            more: Map::new(),
            retry_after: None,
        }))
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = advice.into();
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// Seconds after which it may be tried again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// A query or a body that is not as the contract has it.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not as the API has it")
            .detail(detail)
            .advice("See docs/openapi.yaml for what it takes")
    }

    pub(crate) fn no_flow(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-flow", "There is no such flow")
            .detail(format!("`{}` is not in the store", id.chars().take(20).collect::<String>()))
            .advice("Flows leave the store when it is full or they are old; list them again")
    }

    pub(crate) fn not_captured() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-captured", "There is no body")
            .detail("Nothing of this body was kept")
            .advice("`capture: Bodies` in the policy that allows it keeps bodies")
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The console could not do it")
            .detail(detail)
            .advice("Try again; if it stays so, look at the proxy's diagnostic log")
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let Facts { status, code, title, detail, advice, more, retry_after } = *self.0;
        let mut body = json!({ "title": title, "status": status.as_u16(), "code": code });
        if let Value::Object(fields) = &mut body {
            for (name, text) in [("detail", detail), ("advice", advice)] {
                if !text.is_empty() {
                    fields.insert(name.into(), text.into());
                }
            }
            fields.extend(more);
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
