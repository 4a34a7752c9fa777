//! Docker's daemon.json: `proxies` is set in it, and nothing else is touched. JSON has no comments, so a backup
//! beside it says that it was us.

use serde_json::{Map, Value, json};

use super::error::NodeError;
use super::root::{Backup, Change, Root};
use super::settings::Proxy;
use super::whole::State;

pub(super) const PATH: &str = "/etc/docker/daemon.json";

/// The one field that is ours. Docker knows it since version 23.
const FIELD: &str = "proxies";

/// Sets `proxies`.
pub(super) fn install(root: &Root, proxy: &Proxy) -> Result<Change, NodeError> {
    let before = root.read(PATH)?;
    let mut object = parse(root, before.as_deref())?;
    let proxies = json!({
        "http-proxy": proxy.http,
        "https-proxy": proxy.https,
        "no-proxy": proxy.direct.join(","),
    });
    let is_set = object.get(FIELD) == Some(&proxies);
    object.insert(FIELD.to_owned(), proxies);
    let backup = match root.read_backup(PATH)? {
        Some(_) => Backup::Leave,
        None => Backup::Make(before.clone().unwrap_or_default()),
    };
    let after = if is_set { before.clone() } else { Some(written(&object)) };
    Ok(Change { path: PATH.to_owned(), before, after, backup })
}

/// Puts `proxies` back to what it was. Everything else stays as it is now.
pub(super) fn remove(root: &Root) -> Result<Change, NodeError> {
    let before = root.read(PATH)?;
    let Some(original) = root.read_backup(PATH)? else {
        return Ok(Change { path: PATH.to_owned(), after: before.clone(), before, backup: Backup::Leave });
    };
    let mut object = parse(root, before.as_deref())?;
    let was = parse(root, Some(&original))?;
    match was.get(FIELD) {
        Some(value) => object.insert(FIELD.to_owned(), value.clone()),
        // Not swap_remove: the order of the others is their author's.
        None => object.shift_remove(FIELD),
    };
    let after = if object == was {
        // As it was to the byte, or gone when there was none.
        Some(original).filter(|bytes| !bytes.is_empty())
    } else {
        Some(written(&object))
    };
    Ok(Change { path: PATH.to_owned(), before, after, backup: Backup::Drop })
}

/// What is there.
pub(super) fn state(root: &Root) -> Result<State, NodeError> {
    if root.read_backup(PATH)?.is_some() {
        return Ok(State::Installed);
    }
    let object = parse(root, root.read(PATH)?.as_deref())?;
    Ok(if object.contains_key(FIELD) { State::Foreign } else { State::Absent })
}

fn parse(root: &Root, bytes: Option<&[u8]>) -> Result<Map<String, Value>, NodeError> {
    let bytes = bytes.unwrap_or_default();
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let unusable = |what| NodeError::Unusable {
        path: root.path(PATH),
        what,
        fix: "Put it right first (`dockerd --validate`), or leave Docker out with --only.",
    };
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(unusable("it is JSON, but no object".to_owned())),
        Err(error) => Err(unusable(format!("it is no JSON ({error})"))),
    }
}

fn written(object: &Map<String, Value>) -> Vec<u8> {
    format!("{:#}\n", Value::Object(object.clone())).into_bytes()
}
