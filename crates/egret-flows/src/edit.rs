//! What somebody edits by hand: a request or a response that is held, or a request that is sent again.
//!
//! Who edits has seen the message after redaction. What was redacted and not touched stays as it was, where that is
//! known; where it is not, or something was written around it, the edit is refused, so that nobody sends `[redacted]`
//! to an origin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::flow::{Headers, HeadersBuilder, Request, Response};
use crate::redact::{REDACTED, REDACTED_IN_URL};
use crate::rules::{FRAMING, check_field, is_target, set};

/// Makes `Host` that of the target, which is the truth about it (RFC 9112 section 3.2.2).
fn keep_host(edited: &mut Request, before: &Headers, moved: bool) -> Result<(), EditError> {
    let authority = edited.authority();
    let host = edited.headers.text("host");
    let stayed = host.is_none() || host == before.text("host");
    if !stayed && !moved && !host.is_some_and(|host| host.eq_ignore_ascii_case(&authority)) {
        return Err(EditError::Wrong(
            "Host is always that of the URL; change the URL to send the request elsewhere".to_owned(),
        ));
    }
    if moved || host.is_none() {
        edited.headers = set(&edited.headers, "Host", &authority);
    }
    Ok(())
}

/// Fields that are made anew for a body that was edited.
const OF_THE_BODY: [&str; 6] =
    ["content-length", "transfer-encoding", "content-encoding", "trailer", "expect", "content-md5"];

/// Changes of a request. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RequestEdit {
    /// The method.
    pub method: Option<String>,
    /// The URL: a whole one, or a path.
    pub target: Option<String>,
    /// All header fields, in order. Those that frame the message are Egret's.
    pub headers: Option<Vec<FieldEdit>>,
    /// The body.
    pub body: Option<BodyEdit>,
}

/// Changes of a response. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ResponseEdit {
    /// The status.
    pub status: Option<u16>,
    /// All header fields, in order. Those that frame the message are Egret's.
    pub headers: Option<Vec<FieldEdit>>,
    /// The body.
    pub body: Option<BodyEdit>,
}

/// A header field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldEdit {
    /// The name.
    pub name: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value, where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// The value was redacted, and stays as it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

/// A body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum BodyEdit {
    /// As text.
    Text(String),
    /// As bytes.
    Base64(String),
}

/// Why an edit cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Something in it cannot stand where it is.
    #[error("{0}")]
    Wrong(String),
    /// It has a value that was redacted.
    #[error("{0} has a value that was redacted; write the whole of it anew, or leave it as it was")]
    Redacted(String),
}

impl RequestEdit {
    /// Nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the request, and gives its new body, if it has one. `missing` is told the names of header fields whose
    /// values nobody knows any more; they are left out.
    ///
    /// # Errors
    /// What cannot be used; then nothing has changed.
    pub fn apply(
        &self,
        request: &mut Request,
        missing: &mut Vec<String>,
    ) -> Result<Option<Bytes>, EditError> {
        let mut edited = request.clone();
        if let Some(method) = &self.method {
            edited.method = checked_method(method)?.into();
        }
        if let Some(fields) = &self.headers {
            edited.headers = fields_as_edited(fields, &request.headers, missing)?;
        }
        if let Some(target) = &self.target {
            change_target(&mut edited, target)?;
        }
        if self.headers.is_some() {
            keep_host(&mut edited, &request.headers, self.target.is_some())?;
        }
        let body = self.body.as_ref().map(BodyEdit::bytes).transpose()?;
        if let Some(body) = &body {
            edited.headers = with_body(&edited.headers, body.len(), true);
        }
        *request = edited;
        Ok(body)
    }
}

impl ResponseEdit {
    /// Nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the response, and gives its new body, if it has one.
    ///
    /// # Errors
    /// What cannot be used; then nothing has changed.
    pub fn apply(&self, response: &mut Response) -> Result<Option<Bytes>, EditError> {
        let mut edited = response.clone();
        if let Some(status) = self.status {
            if !(200..=599).contains(&status) {
                return Err(EditError::Wrong(format!(
                    "{status} is no status of a final response; write one from 200 to 599"
                )));
            }
            if status != edited.status {
                edited.status = status;
                edited.phrase = phrase(status).to_owned();
            }
        }
        if let Some(fields) = &self.headers {
            let mut missing = Vec::new();
            edited.headers = fields_as_edited(fields, &response.headers, &mut missing)?;
            if let Some(name) = missing.first() {
                return Err(EditError::Redacted(name.clone()));
            }
        }
        let mut body = self.body.as_ref().map(BodyEdit::bytes).transpose()?;
        if has_no_body(edited.status) {
            if body.as_ref().is_some_and(|body| !body.is_empty()) {
                return Err(EditError::Wrong(format!(
                    "a response with status {} has no body; leave the body out, or choose another status",
                    edited.status
                )));
            }
            body = Some(Bytes::new());
        }
        if let Some(body) = &body {
            edited.headers = with_body(&edited.headers, body.len(), !has_no_body(edited.status));
        }
        *response = edited;
        Ok(body)
    }
}

impl BodyEdit {
    /// The bytes.
    ///
    /// # Errors
    /// It is no base64, or what was redacted stands in it.
    pub fn bytes(&self) -> Result<Bytes, EditError> {
        let bytes = match self {
            Self::Text(text) => Bytes::from(text.clone()),
            Self::Base64(text) => STANDARD
                .decode(text)
                .map_err(|error| EditError::Wrong(format!("the body is no base64: {error}")))?
                .into(),
        };
        if memchr::memmem::find(&bytes, REDACTED.as_bytes()).is_some() {
            return Err(EditError::Redacted("the body".to_owned()));
        }
        Ok(bytes)
    }
}

/// Whether a response of this status ends with its head (RFC 9112 section 6.3).
#[must_use]
pub fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

/// The phrase of a status.
#[must_use]
pub fn phrase(status: u16) -> &'static str {
    const PHRASES: [(u16, &str); 24] = [
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (204, "No Content"),
        (206, "Partial Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (409, "Conflict"),
        (410, "Gone"),
        (418, "I'm a teapot"),
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
    ];
    PHRASES.iter().find(|(known, _)| *known == status).map_or("Changed", |(_, phrase)| phrase)
}

pub(crate) fn checked_method(method: &str) -> Result<String, EditError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if method.is_empty() || method.len() > 64 || method == "CONNECT" || !method.bytes().all(token) {
        return Err(EditError::Wrong(format!(
            "`{}` is no method that can be sent; write GET, POST, …",
            method.chars().take(64).collect::<String>().escape_debug()
        )));
    }
    Ok(method.to_owned())
}

/// The fields that somebody wrote. Those that frame the message are those of before, wherever they stand now.
fn fields_as_edited(
    fields: &[FieldEdit],
    before: &Headers,
    missing: &mut Vec<String>,
) -> Result<Headers, EditError> {
    let mut kept = HeadersBuilder::default();
    let mut nth = std::collections::HashMap::<String, usize>::new();
    let mut framed = Vec::new();
    for field in fields {
        let name = field.name.to_ascii_lowercase();
        if let Some(framing) = FRAMING.iter().find(|framing| **framing == name) {
            if !framed.contains(framing) {
                framed.push(*framing);
                before.all(name.as_bytes()).for_each(|value| kept.push(field.name.as_bytes(), value));
            }
            continue;
        }
        let which = nth.entry(name.clone()).or_default();
        let original = before.all(name.as_bytes()).nth(*which);
        *which += 1;
        let text = field.value.as_deref();
        let stays = (field.redacted && text.is_none() && field.base64.is_none())
            || text.is_some_and(|value| value.contains(REDACTED));
        if stays {
            match original {
                Some(value) if memchr::memmem::find(value, REDACTED.as_bytes()).is_none() => {
                    kept.push(field.name.as_bytes(), value);
                }
                // Of a flow that is over, the store has no other value.
                Some(_) => missing.push(name),
                None => return Err(EditError::Redacted(field.name.clone())),
            }
            continue;
        }
        match (text, &field.base64) {
            (_, Some(base64)) if text.is_none() => {
                let value = STANDARD.decode(base64).map_err(|error| {
                    EditError::Wrong(format!("the value of {} is no base64: {error}", field.name))
                })?;
                check_field(&field.name, "").map_err(EditError::Wrong)?;
                if value.iter().any(|byte| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f) {
                    return Err(EditError::Wrong(format!(
                        "the value of {} has control characters; take them away",
                        field.name
                    )));
                }
                kept.push(field.name.as_bytes(), &value);
            }
            _ => {
                let value = text.unwrap_or_default().trim();
                check_field(&field.name, value).map_err(EditError::Wrong)?;
                kept.push(field.name.as_bytes(), value.as_bytes());
            }
        }
    }
    for (name, value) in before.iter() {
        let text = String::from_utf8_lossy(name).to_ascii_lowercase();
        if FRAMING.contains(&text.as_str()) && !framed.contains(&text.as_str()) {
            kept.push(name, value);
        }
    }
    Ok(kept.finish())
}

/// The fields of a message whose body has this length now.
fn with_body(headers: &Headers, length: usize, framed: bool) -> Headers {
    let mut kept = HeadersBuilder::default();
    for (name, value) in headers.iter() {
        if !OF_THE_BODY.iter().any(|of| name.eq_ignore_ascii_case(of.as_bytes())) {
            kept.push(name, value);
        }
    }
    if framed {
        kept.push(b"Content-Length", length.to_string().as_bytes());
    }
    kept.finish()
}

/// Sends a request elsewhere: `target` is a whole URL, or a path.
///
/// # Errors
/// It cannot be sent to, or has values that were redacted and are not known.
pub(crate) fn change_target(request: &mut Request, target: &str) -> Result<(), EditError> {
    let bad = |why: &str| {
        let shown: String = target.chars().take(200).collect();
        EditError::Wrong(format!("`{}` cannot be sent to: {why}", shown.escape_debug()))
    };
    let before = request.authority();
    let path_before = request.path.clone();
    let url = target.split('#').next().unwrap_or_default();
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
    if request.path.contains(REDACTED_IN_URL) {
        request.path = with_values_of(&request.path, &path_before);
        if request.path.contains(REDACTED_IN_URL) {
            return Err(EditError::Redacted("the URL".to_owned()));
        }
    }
    if !is_target(&request.path) {
        return Err(bad("a path has no spaces and no signs beyond ASCII; write them as %20 and so on"));
    }
    if request.authority() != before && request.headers.first(b"host").is_some() {
        request.headers = set(&request.headers, "Host", &request.authority());
    }
    Ok(())
}

/// The path with the values that keys had before, where they were redacted.
fn with_values_of(path: &str, before: &str) -> String {
    let Some((head, query)) = path.split_once('?') else { return path.to_owned() };
    let known = before.split_once('?').map_or("", |(_, query)| query);
    let mut nth = std::collections::HashMap::<&str, usize>::new();
    let pairs = query.split('&').map(|pair| {
        let Some((key, value)) = pair.split_once('=') else { return pair.to_owned() };
        let which = nth.entry(key).or_default();
        let old = known.split('&').filter_map(|pair| pair.split_once('=')).filter(|(k, _)| *k == key);
        let old = old.map(|(_, value)| value).nth(*which);
        *which += 1;
        match old {
            Some(old) if value == REDACTED_IN_URL => format!("{key}={old}"),
            _ => pair.to_owned(),
        }
    });
    format!("{head}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// The head of a request in the form of HTTP/1.1, its target as it is asked of a proxy (RFC 9112 section 3.2.2).
/// `target` is that of before, for a request that goes where it went.
#[must_use]
pub fn request_head(request: &Request, target: Option<&[u8]>, version: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + request.headers.wire_bytes());
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    match target {
        Some(target) => out.extend_from_slice(target),
        None => out.extend_from_slice(request.url().as_bytes()),
    }
    out.push(b' ');
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(b"\r\n");
    push_fields(&mut out, &request.headers);
    out
}

/// The head of a response in the form of HTTP/1.1.
#[must_use]
pub fn response_head(response: &Response, version: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + response.headers.wire_bytes());
    out.extend_from_slice(format!("{version} {} {}\r\n", response.status, response.phrase).as_bytes());
    push_fields(&mut out, &response.headers);
    out
}

fn push_fields(out: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in headers.iter() {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
