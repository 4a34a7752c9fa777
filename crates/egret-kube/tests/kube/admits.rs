//! Whether an object passes a structural schema, as the API server checks it with `fieldValidation: Strict`.

use serde_json::Value;

/// Why a value does not pass; empty where it does.
pub(crate) fn refusals(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut say = |what: String| found.push(format!("{path}: {what}"));
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_string() && !value.is_i64() {
            say("neither text nor a number".to_owned());
        }
        return;
    }
    let is_right = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    if !is_right {
        say(format!("must be of type {}", schema["type"]));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        say(format!("{value} is none of {words:?}"));
    }
    let bound = |name: &str| schema[name].as_u64();
    let length = value.as_array().map(Vec::len).map(|length| length as u64);
    if length.is_some_and(|length| bound("minItems").is_some_and(|least| length < least)) {
        say("too few items".to_owned());
    }
    if length.is_some_and(|length| bound("maxItems").is_some_and(|most| length > most)) {
        say("too many items".to_owned());
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{path}[{index}]"), found);
    }
    let Some(object) = value.as_object() else { return };
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            found.push(format!("{path}.{name}: Required value"));
        }
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(field), _) => check(field, value, &path, found),
            (None, Some(any)) => check(any, value, &path, found),
            // The API server knows the metadata of objects itself.
            (None, None) if is_open || path.starts_with(".metadata") => {}
            (None, None) => found.push(format!("unknown field {path}")),
        }
    }
}
