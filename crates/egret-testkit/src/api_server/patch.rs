//! JSON patch (RFC 6902), JSON merge patch (RFC 7396) and the strategic merge patch of built-in kinds.

use serde_json::{Map, Value};

use super::apply::list_keys;
use super::failure::Failure;

pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            map.shift_remove(name);
        } else {
            merge(map.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// As [`merge`], with lists of named things merged by their key.
pub(crate) fn strategic(target: &mut Value, patch: &Value, field: &str) {
    match patch {
        Value::Object(patch) => {
            if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
                let mut map = patch.clone();
                map.shift_remove("$patch");
                *target = Value::Object(map);
                return;
            }
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let map = target.as_object_mut().unwrap();
            for (name, value) in patch {
                if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
                    let gone = value.as_array().cloned().unwrap_or_default();
                    if let Some(Value::Array(items)) = map.get_mut(list) {
                        items.retain(|i| !gone.contains(i));
                    }
                } else if name.starts_with('$') {
                    // Orders and kept keys: what they say holds without them, as far as tests look.
                } else if value.is_null() {
                    map.shift_remove(name);
                } else {
                    strategic(map.entry(name.clone()).or_insert(Value::Null), value, name);
                }
            }
        }
        Value::Array(patches) => {
            let keys = patches.first().and_then(|item| list_keys(field, item, None));
            let Some(keys) = keys else {
                *target = patch.clone();
                return;
            };
            if !target.is_array() {
                *target = Value::Array(Vec::new());
            }
            let items = target.as_array_mut().unwrap();
            for patch in patches {
                let same = |item: &Value| keys.iter().all(|k| item.get(k) == patch.get(k));
                let position = items.iter().position(same);
                if patch.get("$patch").and_then(Value::as_str) == Some("delete") {
                    if let Some(index) = position {
                        items.remove(index);
                    }
                } else if let Some(index) = position {
                    strategic(&mut items[index], patch, "");
                } else {
                    items.push(patch.clone());
                }
            }
        }
        other => *target = other.clone(),
    }
}

/// Applies a JSON patch.
pub(crate) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let wrong = |message: String| {
        Failure::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {message}"),
            Value::Null,
        )
    };
    let operations = patch.as_array().ok_or_else(|| Failure::bad_request("a JSON patch is a list"))?;
    for operation in operations {
        let path = operation["path"].as_str().unwrap_or_default();
        match operation["op"].as_str().unwrap_or_default() {
            "add" => put(target, path, operation["value"].clone(), false).map_err(wrong)?,
            "replace" => put(target, path, operation["value"].clone(), true).map_err(wrong)?,
            "remove" => {
                take(target, path).map_err(wrong)?;
            }
            "test" => {
                if target.pointer(path) != Some(&operation["value"]) {
                    return Err(wrong(format!("testing value {path} failed")));
                }
            }
            "move" => {
                let value = take(target, operation["from"].as_str().unwrap_or_default()).map_err(wrong)?;
                put(target, path, value, false).map_err(wrong)?;
            }
            "copy" => {
                let value = target.pointer(operation["from"].as_str().unwrap_or_default()).cloned();
                put(target, path, value.unwrap_or(Value::Null), false).map_err(wrong)?;
            }
            other => return Err(wrong(format!("unexpected kind: {other}"))),
        }
    }
    Ok(())
}

fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let (above, last) = path.rsplit_once('/').ok_or_else(|| format!("missing path: {path}"))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let parent = target.pointer_mut(above).ok_or_else(|| {
        format!("add operation does not apply: doc is missing path: \"{path}\": missing value")
    })?;
    Ok((parent, last))
}

fn put(target: &mut Value, path: &str, value: Value, must_exist: bool) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, last) = parent(target, path)?;
    match parent {
        Value::Object(map) => {
            if must_exist && !map.contains_key(&last) {
                return Err(format!(
                    "replace operation does not apply: doc is missing key: {path}: missing value"
                ));
            }
            map.insert(last, value);
            Ok(())
        }
        Value::Array(items) => {
            let index = if last == "-" {
                items.len()
            } else {
                last.parse().map_err(|_| format!("bad index {last}"))?
            };
            if index > items.len() || (must_exist && index == items.len()) {
                return Err(format!(
                    "add operation does not apply: doc is missing path: {path}: Unable to access invalid index: {index}: invalid index referenced"
                ));
            }
            if must_exist {
                items[index] = value;
            } else {
                items.insert(index, value);
            }
            Ok(())
        }
        _ => Err(format!("doc is missing path: {path}")),
    }
}

fn take(target: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, last) = parent(target, path)?;
    let missing = || format!("remove operation does not apply: doc is missing path: {path}: missing value");
    match parent {
        Value::Object(map) => map.shift_remove(&last).ok_or_else(missing),
        Value::Array(items) => {
            let index: usize = last.parse().map_err(|_| missing())?;
            if index < items.len() { Ok(items.remove(index)) } else { Err(missing()) }
        }
        _ => Err(missing()),
    }
}
