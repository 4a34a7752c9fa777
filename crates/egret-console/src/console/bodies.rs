//! Bodies: raw, decoded, as text; and what they are, by content type and first bytes.

use axum::body::Body as HttpBody;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use egret_flows::flow::{Flow, Side};
use egret_flows::store::FlowStore;
use egret_flows::view::decode::{DecodeLimits, MAX_DECODED_BYTES, Stop};
use egret_flows::view::text;
use serde_json::{Value, json};

use super::problem::Problem;
use super::shape::{content_type, lean};

/// The image that begins with these bytes, among those that browsers show and that run nothing.
pub(crate) fn image(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f' | b's', ..] => Some("image/avif"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        [0, 0, 1, 0, count, 0, ..] if *count > 0 => Some("image/x-icon"),
        _ => None,
    }
}

/// A hint how to show a body.
pub(crate) fn kind(content_type: Option<&str>, bytes: &[u8], length: u64) -> &'static str {
    if length == 0 && bytes.is_empty() {
        return "empty";
    }
    if image(bytes).is_some() {
        return "image";
    }
    let named = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let named = named.to_ascii_lowercase();
    match named.as_str() {
        "application/x-www-form-urlencoded" => return "form",
        "text/event-stream" => return "events",
        "text/html" | "application/xhtml+xml" => return "html",
        "text/css" => return "css",
        "text/javascript" | "application/javascript" | "application/x-javascript" => return "javascript",
        _ if named.starts_with("multipart/form-data") => return "multipart",
        _ if named.starts_with("application/grpc") => return "grpc",
        _ if named == "application/json" || named.ends_with("+json") => return "json",
        _ if named.ends_with("/xml") || named.ends_with("+xml") => return "xml",
        _ => {}
    }
    let start = bytes.trim_ascii_start();
    match start.first() {
        _ if text::is_binary(bytes) => "binary",
        Some(b'{' | b'[') if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => "json",
        Some(b'<') if start.starts_with(b"<?xml") => "xml",
        _ => "text",
    }
}

/// The bytes of a body, always as a download that runs nothing.
pub(crate) fn download(
    store: &FlowStore,
    flow: &Flow,
    side: Side,
    decoded: bool,
    offset: usize,
    length: Option<usize>,
) -> Result<Response<HttpBody>, Problem> {
    let (bytes, truncated) = read(store, flow, side, decoded)?;
    let size = bytes.len();
    let start = offset.min(size);
    let end = length.map_or(size, |length| start.saturating_add(length).min(size));
    let truncated = truncated.or((end < size).then_some("length"));
    let mut response = Response::new(HttpBody::from(bytes.slice(start..end)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let name = match side {
        Side::Request => "request",
        Side::Response => "response",
    };
    let disposition = format!("attachment; filename=\"{}-{name}.bin\"", flow.id.as_str());
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(HeaderName::from_static("egret-body-size"), HeaderValue::from(size));
    if let Some(why) = truncated {
        headers.insert(HeaderName::from_static("egret-truncated"), HeaderValue::from_static(why));
    }
    Ok(response)
}

fn read(
    store: &FlowStore,
    flow: &Flow,
    side: Side,
    decoded: bool,
) -> Result<(Bytes, Option<&'static str>), Problem> {
    let failed = |error: std::io::Error| Problem::internal(format!("the body cannot be read: {error}"));
    let body = flow.body(side).ok_or_else(Problem::not_captured)?;
    let cut = body.truncated.then_some("capture-limit");
    let raw = store.body(body).map_err(failed)?.filter(|bytes| !bytes.is_empty());
    let raw = raw.ok_or_else(Problem::not_captured)?;
    if !decoded {
        return Ok((raw, cut));
    }
    let decoded = store.decoded(flow, side, &DecodeLimits::default()).map_err(failed)?;
    let decoded = decoded.ok_or_else(Problem::not_captured)?;
    let limit = matches!(decoded.stopped, Some(Stop::Limit(_))).then_some("decode-limit");
    Ok((decoded.bytes, limit.or(cut)))
}

/// The most bytes of text.
pub(crate) const MAX_TEXT: usize = MAX_DECODED_BYTES;

/// A body as text, cut after so many bytes.
pub(crate) fn as_text(store: &FlowStore, flow: &Flow, side: Side, length: usize) -> Result<Value, Problem> {
    let (bytes, truncated) = read(store, flow, side, true)?;
    let label = content_type(flow, side)
        .and_then(|kind| egret_flows::view::multipart::parameter(kind, "charset"))
        .unwrap_or_default();
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    let mut end = bytes.len().min(length);
    // Not within a character.
    while encoding == encoding_rs::UTF_8 && end > 0 && end < bytes.len() && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    let (text, used, replaced) = encoding.decode(&bytes[..end]);
    Ok(lean(json!({
        "text": text,
        "charset": used.name().to_ascii_lowercase(),
        "size": bytes.len(),
        "truncated": truncated.or((end < bytes.len()).then_some("length")),
        "replaced": replaced.then_some(true),
    })))
}
