//! Finding one's way in objects.

use serde_json::Value;

/// `Kind name`.
pub(crate) fn label(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap_or("?"), name(object))
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("?")
}

/// The one object of a kind and name.
pub(crate) fn find<'a>(objects: &'a [Value], kind: &str, wanted: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && name(object) == wanted);
    let first = found.next().unwrap_or_else(|| {
        panic!("no {kind} {wanted} among {:?}", objects.iter().map(label).collect::<Vec<_>>())
    });
    assert!(found.next().is_none(), "two of {kind} {wanted}");
    first
}

/// The pod template of an object, where it has one.
pub(crate) fn template(object: &Value) -> Option<&Value> {
    let template = match object["kind"].as_str()? {
        "Deployment" | "DaemonSet" | "Job" => &object["spec"]["template"],
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"],
        "Pod" => object,
        _ => return None,
    };
    Some(template)
}

/// The items of a list; none where there is no list.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether labels have everything that a selector asks for.
pub(crate) fn selects(match_labels: &Value, labels: &Value) -> bool {
    let wanted = match_labels.as_object();
    wanted.is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value))
}
