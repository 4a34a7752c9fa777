//! `egret flows replay`.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::args::{FromArgs, ReplayArgs};
use super::client::{Client, encoded};
use super::{FlowsError, other};

/// The longest body that is sent.
const BODY_BYTES: u64 = 1 << 20;

/// Changes that hold for every request.
#[derive(Default)]
struct Wanted {
    method: Option<String>,
    url: Option<String>,
    set: Vec<(String, String)>,
    remove: Vec<String>,
    body: Option<String>,
}

impl Wanted {
    fn read(args: &ReplayArgs) -> Result<Self, FlowsError> {
        let mut wanted = Self {
            method: args.method.clone(),
            url: args.url.clone(),
            remove: args.remove_header.clone(),
            body: args.body.clone(),
            ..Self::default()
        };
        for field in &args.header {
            let (name, value) = field.split_once(':').ok_or_else(|| {
                other(format!(
                    "`{}` is no header field; write it as in `Name: value`",
                    super::plain(field, 64)
                ))
            })?;
            wanted.set.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        for change in &args.change {
            let (what, value) = change.split_once('=').unwrap_or((change, ""));
            match (what, what.strip_prefix("header.")) {
                ("method", _) => wanted.method = Some(value.to_owned()),
                ("url", _) => wanted.url = Some(value.to_owned()),
                ("body", _) => wanted.body = Some(value.to_owned()),
                (_, Some(name)) if !name.is_empty() && value.is_empty() => {
                    wanted.remove.push(name.to_owned())
                }
                (_, Some(name)) if !name.is_empty() => wanted.set.push((name.to_owned(), value.to_owned())),
                _ => {
                    return Err(other(format!(
                        "`{}` is no change; write method=…, url=…, header.NAME=… or body=…",
                        super::plain(change, 64)
                    )));
                }
            }
        }
        Ok(wanted)
    }
}

/// Sends requests again, and prints the ids of the new flows. What is not as it was is said on standard error.
pub(super) async fn run(args: &ReplayArgs, from: &FromArgs) -> Result<String, FlowsError> {
    if from.store.is_some() {
        return Err(other(
            "a request is sent again by a proxy that runs, so that policy is asked; name it with --console, or take \
             the request along with `egret flows export --curl`",
        ));
    }
    let wanted = Wanted::read(args)?;
    let body = wanted.body.as_deref().map(body).transpose()?;
    let client = Client::new(from)?;
    let mut printed = String::new();
    for id in &args.id {
        let made = send(&client, id, &wanted, body.as_ref(), args.allow_truncated).await;
        match made {
            Ok(id) => printed.push_str(&format!("{}\n", super::plain(&id, 64))),
            // What was sent is not kept back.
            Err(error) if printed.is_empty() => return Err(error),
            Err(error) => {
                anstream::eprint!("{printed}");
                return Err(other(format!(
                    "those above were sent, and {} was not: {error}",
                    super::plain(id, 64)
                )));
            }
        }
    }
    Ok(printed)
}

async fn send(
    client: &Client,
    id: &str,
    wanted: &Wanted,
    body: Option<&Value>,
    allow_truncated: bool,
) -> Result<String, FlowsError> {
    let id = encoded(id);
    let mut edit = serde_json::Map::new();
    if let Some(method) = &wanted.method {
        edit.insert("method".to_owned(), json!(method));
    }
    if let Some(url) = &wanted.url {
        edit.insert("target".to_owned(), json!(url));
    }
    if !wanted.set.is_empty() || !wanted.remove.is_empty() {
        let flow = client.json(&format!("/flows/{id}")).await?;
        edit.insert("headers".to_owned(), Value::Array(headers(&flow, wanted)));
    }
    if let Some(body) = body {
        edit.insert("body".to_owned(), body.clone());
    }
    let mut order = serde_json::Map::new();
    if !edit.is_empty() {
        order.insert("edit".to_owned(), Value::Object(edit));
    }
    if allow_truncated {
        order.insert("allowTruncated".to_owned(), json!(true));
    }
    let answer = client.post(&format!("/flows/{id}/replay"), &Value::Object(order)).await?;
    for note in answer.get("notes").and_then(Value::as_array).into_iter().flatten() {
        anstream::eprintln!("{}", super::plain(note.as_str().unwrap_or_default(), 1000));
    }
    Ok(answer.get("id").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// All header fields, with those of the command line in place of theirs.
fn headers(flow: &Value, changes: &Wanted) -> Vec<Value> {
    let wanted = &changes.set;
    let known = flow.pointer("/request/headers").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = Vec::new();
    let mut placed = vec![false; wanted.len()];
    for field in known {
        let name = field.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if changes.remove.iter().any(|removed| removed.eq_ignore_ascii_case(&name)) {
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
    all
}

/// A body: itself, or what is in a file.
fn body(written: &str) -> Result<Value, FlowsError> {
    let Some(path) = written.strip_prefix('@') else { return Ok(json!({ "text": written })) };
    let mut bytes = Vec::new();
    let read = match path {
        "-" => std::io::stdin().take(BODY_BYTES + 1).read_to_end(&mut bytes),
        path => std::fs::File::open(path).and_then(|file| file.take(BODY_BYTES + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| other(format!("the body cannot be read from {path}: {error}")))?;
    if bytes.len() as u64 > BODY_BYTES {
        return Err(other(format!(
            "{path} is longer than the {BODY_BYTES} bytes that can be sent with changes"
        )));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(error) => json!({ "base64": STANDARD.encode(error.as_bytes()) }),
    })
}
