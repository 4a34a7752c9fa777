//! Server-side apply, approximated: who owns which field, conflicts, and fields that go when their
//! last owner no longer applies them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::resources::Resource;
use super::store::now;

/// A path in the terms of `fieldsV1`: `f:spec`, `k:{"name":"app"}`, `v:"x"`, `.`.
type Path = Vec<String>;
type Fields = BTreeSet<Path>;

/// The keys by which a list is merged, from a custom resource's schema or by what built-in kinds do.
pub(crate) fn list_keys(field: &str, item: &Value, schema: Option<&Value>) -> Option<Vec<String>> {
    if let Some(schema) = schema.filter(|s| !s.is_null()) {
        let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
        return Some(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let keys: &[&str] = match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "webhooks"
        | "imagePullSecrets"
        | "matchConditions"
        | "secrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "conditions" => &["type"],
        "ownerReferences" => &["uid"],
        "podIPs" | "hostIPs" | "hostAliases" => &["ip"],
        "addresses" if item.get("type").is_some() => &["type"],
        "ports" if item.get("containerPort").is_some() => &["containerPort", "protocol"],
        "ports" if item.get("port").is_some() => &["port", "protocol"],
        _ => return None,
    };
    item.is_object().then(|| keys.iter().map(ToString::to_string).collect())
}

fn key_element(keys: &[String], item: &Value) -> String {
    let mut map = Map::new();
    for key in keys {
        let default = if key == "protocol" { json!("TCP") } else { Value::Null };
        map.insert(key.clone(), item.get(key).cloned().unwrap_or(default));
    }
    format!("k:{}", Value::Object(map))
}

fn child<'a>(schema: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    let schema = schema?;
    schema["properties"].get(name).or_else(|| schema.get("additionalProperties").filter(|a| a.is_object()))
}

fn fields_of(value: &Value, field: &str, schema: Option<&Value>, path: &mut Path, into: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            if path.last().is_some_and(|p| p.starts_with("k:")) {
                path.push(".".to_owned());
                into.insert(path.clone());
                path.pop();
            }
            for (name, value) in map {
                path.push(format!("f:{name}"));
                fields_of(value, name, child(schema, name), path, into);
                path.pop();
            }
        }
        Value::Array(items) if items.first().and_then(|i| list_keys(field, i, schema)).is_some() => {
            for item in items {
                let Some(keys) = list_keys(field, item, schema) else { continue };
                path.push(key_element(&keys, item));
                fields_of(item, "", schema.map(|s| &s["items"]), path, into);
                path.pop();
            }
        }
        Value::Array(items) if field == "finalizers" => {
            for item in items {
                path.push(format!("v:{item}"));
                into.insert(path.clone());
                path.pop();
            }
        }
        _ => {
            into.insert(path.clone());
        }
    }
}

/// The fields of an object that managers can own.
fn owned_fields(object: &Value, resource: &Resource) -> Fields {
    let mut fields = Fields::new();
    let schema = resource.custom.then_some(&resource.schema);
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if matches!(name.as_str(), "labels" | "annotations" | "ownerReferences" | "finalizers") {
                        let mut path = vec!["f:metadata".to_owned(), format!("f:{name}")];
                        fields_of(value, name, None, &mut path, &mut fields);
                    }
                }
            }
            _ => {
                let mut path = vec![format!("f:{name}")];
                fields_of(value, name, schema.and_then(|s| child(Some(s), name)), &mut path, &mut fields);
            }
        }
    }
    fields
}

fn to_json(fields: &Fields) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut at = &mut root;
        for element in path {
            at = at.as_object_mut().unwrap().entry(element.clone()).or_insert_with(|| json!({}));
        }
    }
    root
}

fn from_json(value: &Value) -> Fields {
    fn walk(value: &Value, path: &mut Path, into: &mut Fields) {
        let map = value.as_object();
        if map.is_none_or(Map::is_empty) {
            into.insert(path.clone());
            return;
        }
        for (name, value) in map.into_iter().flatten() {
            path.push(name.clone());
            walk(value, path, into);
            path.pop();
        }
    }
    let mut fields = Fields::new();
    if value.as_object().is_some_and(|m| !m.is_empty()) {
        walk(value, &mut Vec::new(), &mut fields);
    }
    fields
}

/// The value at a path, if it is there.
fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    let mut value = object;
    for element in path {
        value = if let Some(name) = element.strip_prefix("f:") {
            value.get(name)?
        } else if let Some(keys) = element.strip_prefix("k:") {
            let keys: Value = serde_json::from_str(keys).ok()?;
            value.as_array()?.iter().find(|item| is_item(item, &keys))?
        } else if let Some(member) = element.strip_prefix("v:") {
            value.as_array()?.iter().find(|item| item.to_string().as_str() == member)?
        } else {
            value
        };
    }
    Some(value)
}

fn is_item(item: &Value, keys: &Value) -> bool {
    keys.as_object().into_iter().flatten().all(|(key, wanted)| match item.get(key) {
        Some(found) => found == wanted,
        None => key == "protocol" && wanted == "TCP",
    })
}

fn remove_at(object: &mut Value, path: &[String]) {
    let Some((last, above)) = path.split_last() else { return };
    if last == "." {
        // The item itself goes when nobody owns a field of it.
        let Some((item, list)) = above.split_last() else { return };
        let keys = item.strip_prefix("k:").and_then(|k| serde_json::from_str::<Value>(k).ok());
        if let (Some(keys), Some(Value::Array(items))) = (keys, at_mut(object, list)) {
            items.retain(|i| !is_item(i, &keys));
        }
        return;
    }
    match at_mut(object, above) {
        Some(Value::Object(map)) => {
            if let Some(name) = last.strip_prefix("f:") {
                map.shift_remove(name);
            }
            let empty = map.is_empty();
            if empty && above.last().is_some_and(|e| e.starts_with("f:")) && above.len() > 1 {
                remove_at(object, above);
            }
        }
        Some(Value::Array(items)) => {
            if let Some(member) = last.strip_prefix("v:") {
                items.retain(|i| i.to_string().as_str() != member);
            }
        }
        _ => {}
    }
}

fn at_mut<'a>(object: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    let mut value = object;
    for element in path {
        value = if let Some(name) = element.strip_prefix("f:") {
            value.get_mut(name)?
        } else if let Some(keys) = element.strip_prefix("k:") {
            let keys: Value = serde_json::from_str(keys).ok()?;
            value.as_array_mut()?.iter_mut().find(|item| is_item(item, &keys))?
        } else {
            value
        };
    }
    Some(value)
}

fn merge(live: &mut Value, applied: &Value, field: &str, schema: Option<&Value>) {
    match applied {
        Value::Object(map) if live.is_object() => {
            for (name, value) in map {
                let entry = live.as_object_mut().unwrap().entry(name.clone()).or_insert(Value::Null);
                merge(entry, value, name, child(schema, name));
            }
        }
        Value::Array(items) if live.is_array() && field == "finalizers" => {
            let live = live.as_array_mut().unwrap();
            for item in items.iter().filter(|i| !live.contains(i)).cloned().collect::<Vec<_>>() {
                live.push(item);
            }
        }
        Value::Array(items)
            if live.is_array() && items.first().and_then(|i| list_keys(field, i, schema)).is_some() =>
        {
            let live = live.as_array_mut().unwrap();
            for item in items {
                let keys = list_keys(field, item, schema).unwrap_or_default();
                let keys: Value = serde_json::from_str(&key_element(&keys, item)[2..]).unwrap();
                match live.iter_mut().find(|l| is_item(l, &keys)) {
                    Some(found) => merge(found, item, "", schema.map(|s| &s["items"])),
                    None => live.push(item.clone()),
                }
            }
        }
        other => *live = other.clone(),
    }
}

fn readable(path: &Path) -> String {
    let mut text = String::new();
    for element in path {
        if let Some(name) = element.strip_prefix("f:") {
            text.push('.');
            text.push_str(name);
        } else if let Some(keys) = element.strip_prefix("k:") {
            let keys: Value = serde_json::from_str(keys).unwrap_or_default();
            let keys = keys.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}"));
            text.push_str(&format!("[{}]", keys.collect::<Vec<_>>().join(",")));
        } else if let Some(member) = element.strip_prefix("v:") {
            text.push_str(&format!("[={member}]"));
        }
    }
    text
}

struct Manager {
    entry: Value,
    fields: Fields,
}

fn managers(object: &Value) -> Vec<Manager> {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .map(|e| Manager { entry: e.clone(), fields: from_json(&e["fieldsV1"]) })
        .collect()
}

fn write_managers(object: &mut Value, managers: Vec<Manager>) {
    let entries: Vec<Value> = managers
        .into_iter()
        .filter(|m| !m.fields.is_empty())
        .map(|mut m| {
            m.entry["fieldsV1"] = to_json(&m.fields);
            m.entry
        })
        .collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if entries.is_empty() {
            metadata.shift_remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), json!(entries));
        }
    }
}

fn entry(manager: &str, operation: &str, resource: &Resource, subresource: &str) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": resource.api_version(), "time": now(),
        "fieldsType": "FieldsV1", "fieldsV1": {},
    });
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    entry
}

fn is_entry(found: &Value, manager: &str, operation: &str, subresource: &str) -> bool {
    found["manager"] == manager
        && found["operation"] == operation
        && found["subresource"].as_str().unwrap_or_default() == subresource
}

/// Who writes, and how.
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) force: bool,
}

/// Applies a configuration to the live object (`null` for none yet).
pub(crate) fn apply(
    live: &Value,
    applied: &Value,
    resource: &Resource,
    writer: &Writer<'_>,
) -> Result<Value, Failure> {
    let fields = owned_fields(applied, resource);
    let mut managers = managers(live);
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for other in &mut managers {
        if is_entry(&other.entry, writer.manager, "Apply", writer.subresource) {
            continue;
        }
        let lost: Vec<Path> = other
            .fields
            .iter()
            .filter(|p| fields.contains(*p) && p.last().is_none_or(|l| l != "."))
            .filter(|p| at(live, p) != at(applied, p))
            .cloned()
            .collect();
        for path in lost {
            let name = other.entry["manager"].as_str().unwrap_or_default();
            let using = if other.entry["operation"] == "Update" {
                format!(" using {}", other.entry["apiVersion"].as_str().unwrap_or_default())
            } else {
                String::new()
            };
            conflicts.push((format!("conflict with \"{name}\"{using}"), readable(&path)));
            other.fields.remove(&path);
        }
    }
    if !conflicts.is_empty() && !writer.force {
        let causes = conflicts.iter().map(
            |(message, field)| json!({"reason": "FieldManagerConflict", "message": message, "field": field}),
        );
        let details = json!({"causes": causes.collect::<Vec<_>>()});
        let plural = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
        let text = if conflicts.len() == 1 {
            format!(": {}: {}", conflicts[0].0, conflicts[0].1)
        } else {
            let lines =
                conflicts.iter().map(|(m, f)| format!("\n{}:\n- {f}", m.replace("conflict", "conflicts")));
            format!(": {}", lines.collect::<String>().trim_start())
        };
        let message = format!("Apply failed with {} {plural}{text}", conflicts.len());
        return Err(Failure::new(409, "Conflict", message, details));
    }
    let mut merged = if live.is_null() { json!({}) } else { live.clone() };
    let schema = resource.custom.then_some(&resource.schema);
    merge(&mut merged, applied, "", schema);
    let position =
        managers.iter().position(|m| is_entry(&m.entry, writer.manager, "Apply", writer.subresource));
    let before = position.map(|i| managers.remove(i).fields).unwrap_or_default();
    // Deepest first; an item whose mark goes is removed whole, before the field that is its key.
    let mut gone: Vec<&Path> = before
        .iter()
        .filter(|p| !fields.contains(*p) && !managers.iter().any(|m| m.fields.contains(*p)))
        .collect();
    gone.sort_by_key(|p| (std::cmp::Reverse(p.len()), p.last().is_none_or(|l| l != ".")));
    for path in gone {
        remove_at(&mut merged, path);
    }
    let mut entry = entry(writer.manager, "Apply", resource, writer.subresource);
    entry["fieldsV1"] = json!({});
    managers.insert(0, Manager { entry, fields });
    write_managers(&mut merged, managers);
    Ok(merged)
}

/// Notes who changed what in a plain write.
pub(crate) fn note_update(old: &Value, new: &mut Value, resource: &Resource, writer: &Writer<'_>) {
    let mut owners = managers(if new["metadata"]["managedFields"].is_array() { new } else { old });
    let fields = owned_fields(new, resource);
    let changed: Fields = fields.iter().filter(|p| at(old, p) != at(new, p)).cloned().collect();
    for owner in &mut owners {
        owner.fields.retain(|p| at(new, p).is_some() && !changed.contains(p));
    }
    if !changed.is_empty() {
        match owners.iter_mut().find(|m| is_entry(&m.entry, writer.manager, "Update", writer.subresource)) {
            Some(owner) => {
                owner.fields.extend(changed);
                owner.entry["time"] = json!(now());
            }
            None => {
                let entry = entry(writer.manager, "Update", resource, writer.subresource);
                owners.push(Manager { entry, fields: changed });
            }
        }
    }
    write_managers(new, owners);
}
