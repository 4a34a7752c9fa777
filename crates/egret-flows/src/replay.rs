//! Sending a request again, with changes. This makes the request; whoever sends it asks the gate first.

use bytes::Bytes;
use egret_core::flow_id::FlowId;
use serde::{Deserialize, Serialize};

use crate::flow::{Flow, Headers, HeadersBuilder, Request, Treatment};
use crate::redact::{REDACTED, REDACTED_IN_URL};
use crate::rules::{check_field, is_target, set};

/// What is to be another. What is `None` or empty stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Changes {
    /// The method.
    pub method: Option<String>,
    /// The URL: an absolute one, or a path.
    pub url: Option<String>,
    /// Header fields to set, each in the place of those of its name.
    pub set_headers: Vec<(String, String)>,
    /// Names of header fields to take away.
    pub remove_headers: Vec<String>,
    /// The body.
    pub body: Option<String>,
    /// Send what was captured of a body that was cut off, as if it were all of it.
    pub allow_truncated: bool,
}

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The flow that it repeats.
    pub of: FlowId,
    /// The request. Its body is in [`Replay::body`], and of its header fields those that concern framing are
    /// left to the sender.
    pub request: Request,
    /// The body.
    pub body: Bytes,
    /// What is not as it was, for people.
    pub notes: Vec<String>,
}

/// Why a flow cannot be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is a tunnel, or nothing of it was seen.
    #[error(
        "this flow is no request that was seen, so it cannot be sent again; choose one of those within the tunnel"
    )]
    NotHttp,
    /// Not all of the body is there.
    #[error(
        "only {captured} of {length} bytes of the body were captured; give a body, or ask to send what there is"
    )]
    Truncated {
        /// What is there.
        captured: u64,
        /// What there was.
        length: u64,
    },
    /// A change makes no sense.
    #[error("{0}")]
    Change(String),
}

/// Fields that the sender makes, or that concern one connection.
const OWN: [&str; 10] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// The request to send: that of the flow, `body` being what was captured of it, with changes.
///
/// # Errors
/// It cannot be sent again, or a change makes no sense.
pub fn replay(flow: &Flow, body: Option<Bytes>, changes: &Changes) -> Result<Replay, ReplayError> {
    let known = &flow.request;
    if flow.treatment == Treatment::Tunnel
        || known.scheme.is_empty()
        || known.host.is_empty()
        || known.method == "CONNECT"
    {
        return Err(ReplayError::NotHttp);
    }
    let mut notes = Vec::new();
    let mut request = Request { body: Default::default(), trailers: Headers::default(), ..known.clone() };
    request.headers = kept_headers(flow, changes, &mut notes);
    if let Some(method) = &changes.method {
        if method.is_empty()
            || method == "CONNECT"
            || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return Err(ReplayError::Change(format!(
                "`{}` is no method that can be sent again; write GET, POST, …",
                method.escape_debug()
            )));
        }
        request.method = method.clone().into();
    }
    if let Some(url) = &changes.url {
        change_url(&mut request, url)?;
    }
    for (name, value) in &changes.set_headers {
        check_field(name, value).map_err(ReplayError::Change)?;
        request.headers = set(&request.headers, name, value);
    }
    if request.path.contains(REDACTED_IN_URL) {
        notes.push("values in the URL were redacted, and are sent as they stand; give the URL anew".into());
    }
    let body = match &changes.body {
        Some(body) => Bytes::from(body.clone()),
        None if (known.body.truncated || known.body.captured < known.body.length && !known.body.decoded)
            && !changes.allow_truncated =>
        {
            return Err(ReplayError::Truncated { captured: known.body.captured, length: known.body.length });
        }
        None => body.unwrap_or_default(),
    };
    if body.windows(REDACTED.len()).any(|window| window == REDACTED.as_bytes()) {
        notes.push("values in the body were redacted, and are sent as they stand; give the body anew".into());
    }
    Ok(Replay { of: flow.id, request, body, notes })
}

/// The fields that are sent again.
fn kept_headers(flow: &Flow, changes: &Changes, notes: &mut Vec<String>) -> Headers {
    let mut kept = HeadersBuilder::default();
    for (name, value) in flow.request.headers.iter() {
        let text = String::from_utf8_lossy(name).to_ascii_lowercase();
        let named = |other: &str| other.eq_ignore_ascii_case(&text);
        let replaced = changes.set_headers.iter().any(|(other, _)| named(other));
        // The body is not encoded any more: redaction decoded it, or there is another.
        let plain = text == "content-encoding" && (flow.request.body.decoded || changes.body.is_some());
        if OWN.contains(&text.as_str()) || plain || changes.remove_headers.iter().any(|other| named(other)) {
            continue;
        }
        if !replaced && value.windows(REDACTED.len()).any(|window| window == REDACTED.as_bytes()) {
            notes.push(format!("{text} was redacted, and is left out; set it if the origin needs it"));
            continue;
        }
        kept.push(name, value);
    }
    kept.finish()
}

fn change_url(request: &mut Request, url: &str) -> Result<(), ReplayError> {
    let bad = |why: &str| ReplayError::Change(format!("`{}` cannot be sent to: {why}", url.escape_debug()));
    let before = request.authority();
    let url = url.split('#').next().unwrap_or_default();
    if url.starts_with('/') {
        request.path = url.to_owned();
    } else {
        let lower = url.to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            return Err(bad("write a path, or a URL with http:// or https://"));
        }
        let authority =
            url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
        let default_port = if lower.starts_with("https") { 443 } else { 80 };
        let destination =
            egret_core::destination::Destination::parse_with_default(authority, Some(default_port))
                .map_err(|error| bad(&error.to_string()))?;
        request.apply_target(url);
        request.port = destination.port;
    }
    if !is_target(&request.path) {
        return Err(bad("a path has no spaces and no signs beyond ASCII; write them as %20 and so on"));
    }
    if request.authority() != before && request.headers.first(b"host").is_some() {
        request.headers = set(&request.headers, "Host", &request.authority());
    }
    Ok(())
}
