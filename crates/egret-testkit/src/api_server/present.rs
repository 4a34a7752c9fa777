//! The forms in which an object can be asked for: whole or metadata only, in the version of the path,
//! and events of either group.

use serde_json::{Map, Value, json};

use super::resources::Resource;

/// Whether a client asks for metadata only.
pub(crate) fn wants_metadata(accept: &str) -> bool {
    accept.split(',').next().is_some_and(|first| first.contains("as=PartialObjectMetadata"))
}

/// The object as a client sees it.
pub(crate) fn object(resource: &Resource, stored: &Value, metadata_only: bool) -> Value {
    if metadata_only {
        return json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": stored["metadata"],
        });
    }
    let mut shown = if resource.group == "events.k8s.io" { event_from_core(stored) } else { stored.clone() };
    if shown["apiVersion"] != resource.api_version().as_str() {
        shown["apiVersion"] = json!(resource.api_version());
    }
    shown
}

/// A list; the objects of built-in kinds name no kind in it.
pub(crate) fn list(resource: &Resource, items: Vec<Value>, metadata: Value, metadata_only: bool) -> Value {
    if metadata_only {
        return json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": items,
        });
    }
    let items: Vec<Value> = items
        .into_iter()
        .map(|mut item| {
            if !resource.custom {
                let map = item.as_object_mut().unwrap();
                map.shift_remove("kind");
                map.shift_remove("apiVersion");
            }
            item
        })
        .collect();
    json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(), "metadata": metadata,
        "items": items,
    })
}

/// A bookmark; a typed one carries the empty fields of its type, as the real server's do.
pub(crate) fn bookmark(resource: &Resource, version: u64, initial: bool, metadata_only: bool) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if initial {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    if metadata_only {
        return json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
    }
    let mut mark = json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
    if resource.kind == "Pod" {
        mark["spec"] = json!({"containers": null});
        mark["status"] = json!({});
    } else if !resource.custom {
        mark["spec"] = json!({});
        mark["status"] = json!({});
    }
    mark
}

/// The fields that events of the two groups name differently: core's name first.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn renamed(event: &Value, rename: impl Fn(&str) -> Option<&'static str>) -> Map<String, Value> {
    let fields = event.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| (rename(name).map_or_else(|| name.clone(), str::to_owned), value.clone()))
        .collect()
}

pub(crate) fn event_from_core(event: &Value) -> Value {
    let mut map = renamed(event, |n| EVENT_FIELDS.iter().find(|(core, _)| *core == n).map(|(_, new)| *new));
    map.insert("apiVersion".to_owned(), json!("events.k8s.io/v1"));
    for (name, empty) in [
        ("deprecatedSource", json!({})),
        ("deprecatedFirstTimestamp", Value::Null),
        ("deprecatedLastTimestamp", Value::Null),
    ] {
        map.entry(name).or_insert(empty);
    }
    Value::Object(map)
}

pub(crate) fn event_to_core(event: &Value) -> Value {
    let mut map = renamed(event, |n| EVENT_FIELDS.iter().find(|(_, new)| *new == n).map(|(core, _)| *core));
    map.insert("apiVersion".to_owned(), json!("v1"));
    for (name, empty) in
        [("source", json!({})), ("firstTimestamp", Value::Null), ("lastTimestamp", Value::Null)]
    {
        map.entry(name).or_insert(empty);
    }
    Value::Object(map)
}
