//! Sending a request again, with changes. This makes the request; whoever sends it asks the gate first.

use bytes::Bytes;
use egret_core::flow_id::FlowId;

use crate::edit::{EditError, RequestEdit};
use crate::flow::{Flow, Headers, HeadersBuilder, Request, Treatment};
use crate::redact::{REDACTED, REDACTED_IN_URL};

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
    /// A change makes no sense, or values are needed that were redacted.
    #[error(transparent)]
    Edit(#[from] EditError),
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

/// The request to send: that of the flow, `body` being what was captured of it, as it was edited.
///
/// A header field whose value was redacted is left out, and a note says so. A URL or a body in which something was
/// redacted has to be given anew. `allow_truncated` sends what was captured of a body that was cut off, as if it were
/// all of it.
///
/// # Errors
/// It cannot be sent again, or a change makes no sense.
pub fn replay(
    flow: &Flow,
    body: Option<Bytes>,
    edit: &RequestEdit,
    allow_truncated: bool,
) -> Result<Replay, ReplayError> {
    let known = &flow.request;
    if flow.treatment == Treatment::Tunnel
        || known.scheme.is_empty()
        || known.host.is_empty()
        || known.method == "CONNECT"
    {
        return Err(ReplayError::NotHttp);
    }
    let mut request = Request { body: Default::default(), trailers: Headers::default(), ..known.clone() };
    let mut missing = Vec::new();
    let edited = edit.apply(&mut request, &mut missing)?;
    if request.path.contains(REDACTED_IN_URL) {
        return Err(EditError::Redacted("the URL".to_owned()).into());
    }
    let is_decoded = known.body.decoded && edited.is_none();
    let body = match edited {
        Some(body) => body,
        None if (known.body.truncated || known.body.captured < known.body.length && !known.body.decoded)
            && !allow_truncated =>
        {
            return Err(ReplayError::Truncated { captured: known.body.captured, length: known.body.length });
        }
        None => body.unwrap_or_default(),
    };
    if memchr::memmem::find(&body, REDACTED.as_bytes()).is_some() {
        return Err(EditError::Redacted("the body".to_owned()).into());
    }
    request.headers = kept_headers(&request.headers, is_decoded, &mut missing);
    let notes = missing
        .into_iter()
        .map(|name| format!("{name} was redacted, and is left out; set it if the origin needs it"))
        .collect();
    Ok(Replay { of: flow.id, request, body, notes })
}

/// The fields that are sent again.
fn kept_headers(headers: &Headers, is_decoded: bool, missing: &mut Vec<String>) -> Headers {
    let mut kept = HeadersBuilder::default();
    for (name, value) in headers.iter() {
        let text = String::from_utf8_lossy(name).to_ascii_lowercase();
        // The body is not encoded any more: redaction decoded it.
        if OWN.contains(&text.as_str()) || is_decoded && text == "content-encoding" {
            continue;
        }
        if memchr::memmem::find(value, REDACTED.as_bytes()).is_some() {
            missing.push(text);
            continue;
        }
        kept.push(name, value);
    }
    kept.finish()
}
