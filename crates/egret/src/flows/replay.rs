//! `egret flows replay`.

use std::io::Read as _;

use serde_json::{Value, json};

use super::args::{FromArgs, ReplayArgs};
use super::client::{Client, encoded};
use super::{FlowsError, other};

/// The longest body that is sent.
const BODY_BYTES: u64 = 32 << 20;

/// Sends a request again, and prints the id of the new flow.
pub(super) async fn run(args: &ReplayArgs, from: &FromArgs) -> Result<String, FlowsError> {
    if from.store.is_some() {
        return Err(other(
            "a request is sent again by a proxy that runs, so that policy is asked; name it with --console, or take \
             the request along with `egret flows export --curl`",
        ));
    }
    let client = Client::new(from)?;
    let id = encoded(&args.id);
    let mut edit = serde_json::Map::new();
    if let Some(method) = &args.method {
        edit.insert("method".to_owned(), json!(method));
    }
    if let Some(url) = &args.url {
        edit.insert("target".to_owned(), json!(url));
    }
    if !args.header.is_empty() || !args.remove_header.is_empty() {
        let flow = client.json(&format!("/flows/{id}")).await?;
        edit.insert("headers".to_owned(), Value::Array(headers(&flow, args)?));
    }
    if let Some(body) = &args.body {
        edit.insert("body".to_owned(), json!({ "text": text(body)? }));
    }
    let body = if edit.is_empty() { json!({}) } else { json!({ "edit": edit }) };
    let answer = client.post(&format!("/flows/{id}/replay"), &body).await?;
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(format!("{}\n", super::plain(id, 64)))
}

/// All header fields, with those of the command line in place of theirs.
fn headers(flow: &Value, args: &ReplayArgs) -> Result<Vec<Value>, FlowsError> {
    let mut wanted = Vec::new();
    for field in &args.header {
        let (name, value) = field.split_once(':').ok_or_else(|| {
            other(format!("`{}` is no header field; write it as in `Name: value`", super::plain(field, 64)))
        })?;
        wanted.push((name.trim(), value.trim()));
    }
    let known = flow.pointer("/request/headers").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = Vec::new();
    let mut placed = vec![false; wanted.len()];
    for field in known {
        let name = field.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if args.remove_header.iter().any(|removed| removed.eq_ignore_ascii_case(&name)) {
            continue;
        }
        let mut replaced = false;
        for ((wanted, value), placed) in wanted.iter().zip(&mut placed) {
            if wanted.eq_ignore_ascii_case(&name) {
                replaced = true;
                if !std::mem::replace(placed, true) {
                    all.push(json!({ "name": name, "value": value }));
                }
            }
        }
        if !replaced {
            let is_redacted = field.get("redacted").and_then(Value::as_bool).unwrap_or(false);
            all.push(if is_redacted { json!({ "name": name, "redacted": true }) } else { field });
        }
    }
    let rest = wanted.iter().zip(&placed).filter(|(_, placed)| !**placed);
    all.extend(rest.map(|((name, value), _)| json!({ "name": name, "value": value })));
    Ok(all)
}

/// A body: itself, or what is in a file.
fn text(body: &str) -> Result<String, FlowsError> {
    let Some(path) = body.strip_prefix('@') else { return Ok(body.to_owned()) };
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().take(BODY_BYTES).read_to_string(&mut text),
        path => std::fs::File::open(path).and_then(|file| file.take(BODY_BYTES).read_to_string(&mut text)),
    };
    read.map_err(|error| other(format!("the body cannot be read from {path}: {error}")))?;
    Ok(text)
}
