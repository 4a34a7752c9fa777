//! From the JSON Schema of a type to the structural schema that the API server takes.
//!
//! Structural schemas have one type in each place: no `$ref`, no `null`, no types inside of `anyOf` and `oneOf`. Where
//! a field takes text or an object, its type is left open, and its description says what it takes; the admission
//! webhook checks it.

use serde_json::{Map, Value, json};

/// Formats that the API server knows, of those that we use.
const FORMATS: [&str; 1] = ["date-time"];

/// Keywords that mean the same in both.
const KEPT: [&str; 9] = [
    "description",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
];

/// The structural schema for a JSON Schema without references.
pub(super) fn structural(schema: &Value) -> Value {
    let Some(from) = schema.as_object() else { return open(&Map::new(), None) };
    let mut branches = Vec::new();
    flatten(from, &mut branches);
    let words: Vec<&Map<String, Value>> = branches.iter().copied().filter(|branch| is_word(branch)).collect();
    let others: Vec<&Map<String, Value>> =
        branches.iter().copied().filter(|branch| !is_word(branch)).collect();
    match (words.as_slice(), others.as_slice()) {
        ([], [only]) => typed(from, only),
        ([], _) | (_, [_, ..]) => open(from, Some(&branches)),
        (words, []) => enumeration(from, words),
    }
}

/// All that may stand in a place, one kind of value at a time.
fn flatten<'a>(schema: &'a Map<String, Value>, into: &mut Vec<&'a Map<String, Value>>) {
    let lists = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key).and_then(Value::as_array));
    let before = into.len();
    for branch in lists.flatten().filter_map(Value::as_object) {
        flatten(branch, into);
    }
    if into.len() == before {
        into.push(schema);
    }
}

fn is_word(schema: &Map<String, Value>) -> bool {
    schema.contains_key("const") || schema.contains_key("enum")
}

fn typed(from: &Map<String, Value>, schema: &Map<String, Value>) -> Value {
    let mut to = Map::new();
    let kind = schema.get("type");
    let is = |name: &str| kind.and_then(Value::as_str) == Some(name);
    match kind {
        // A number may stand for the text.
        Some(Value::Array(_)) => {
            to.insert("x-kubernetes-int-or-string".to_owned(), true.into());
        }
        Some(kind) => {
            to.insert("type".to_owned(), kind.clone());
        }
        None => return open(from, None),
    }
    for key in KEPT {
        if let Some(value) = from.get(key).or_else(|| schema.get(key)) {
            to.insert(key.to_owned(), value.clone());
        }
    }
    let format = schema.get("format").and_then(Value::as_str);
    if let Some(format) = format.filter(|format| FORMATS.contains(format)) {
        to.insert("format".to_owned(), format.into());
    }
    if is("integer") {
        to.insert("format".to_owned(), "int64".into());
    }
    if let Some(items) = schema.get("items") {
        to.insert("items".to_owned(), structural(items));
    }
    if is("object") {
        fields(schema, &mut to);
    }
    describe(&mut to, from);
    Value::Object(to)
}

fn fields(schema: &Map<String, Value>, to: &mut Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(properties) = properties {
        let fields = properties.iter().map(|(name, field)| (name.clone(), structural(field)));
        to.insert("properties".to_owned(), Value::Object(fields.collect()));
        if properties.contains_key("matchLabels") && properties.contains_key("matchExpressions") {
            to.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
    } else if let Some(any) = schema.get("additionalProperties").filter(|any| any.is_object()) {
        to.insert("additionalProperties".to_owned(), structural(any));
    }
}

fn enumeration(from: &Map<String, Value>, words: &[&Map<String, Value>]) -> Value {
    let mut values = Vec::new();
    let mut meanings = Vec::new();
    for word in words {
        let description = word.get("description").and_then(Value::as_str);
        if let Some(value) = word.get("const") {
            values.push(value.clone());
            if let (Some(text), Some(value)) = (description, value.as_str()) {
                meanings.push(format!("`{value}`: {text}"));
            }
        } else if let Some(several) = word.get("enum").and_then(Value::as_array) {
            values.extend(several.iter().cloned());
        }
    }
    let mut to = json!({ "type": "string", "enum": values });
    if let Some(to) = to.as_object_mut() {
        // The words are there to be read; an example would say nothing more.
        let mut from = from.clone();
        from.remove("examples");
        describe(to, &from);
        append(to, &meanings.join(" "));
    }
    to
}

/// A place whose type is left open, since a structural schema cannot say it.
fn open(from: &Map<String, Value>, branches: Option<&[&Map<String, Value>]>) -> Value {
    let mut to = Map::new();
    to.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
    let mut from = from.clone();
    let example = from.remove("examples");
    describe(&mut to, &from);
    append(&mut to, &branches.map(takes).unwrap_or_default());
    if let Some(example) = example {
        describe_example(&mut to, &example);
    }
    Value::Object(to)
}

/// What an open place takes, in words.
fn takes(branches: &[&Map<String, Value>]) -> String {
    let mut words = Vec::new();
    let mut fields = Vec::new();
    let mut has_text = false;
    for branch in branches {
        match branch.get("const").and_then(Value::as_str) {
            Some(word) => words.push(format!("`{word}`")),
            None if branch.get("type").and_then(Value::as_str) == Some("string") => has_text = true,
            None => {
                let properties = branch.get("properties").and_then(Value::as_object);
                fields.extend(properties.into_iter().flatten().map(|(name, field)| meaning(name, field)));
            }
        }
    }
    let mut ways = Vec::new();
    if !words.is_empty() {
        ways.push(words.join(" or "));
    }
    if has_text {
        ways.push("text".to_owned());
    }
    if !fields.is_empty() {
        ways.push(format!("an object with the fields {}", fields.join("; ")));
    }
    if ways.is_empty() { String::new() } else { format!("It is {}.", ways.join(", or ")) }
}

fn meaning(name: &str, field: &Value) -> String {
    let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
    let first = text.split(". ").next().unwrap_or_default().trim_end_matches('.');
    format!("`{name}` ({first})")
}

/// The description, with the default and an example behind it: `kubectl explain` shows nothing else.
fn describe(to: &mut Map<String, Value>, from: &Map<String, Value>) {
    let Some(text) = from.get("description") else { return };
    to.insert("description".to_owned(), text.clone());
    let is_told = |value: &&Value| !matches!(value, Value::Object(_) | Value::Array(_) | Value::Null);
    if let Some(default) = from.get("default").filter(is_told) {
        append(to, &format!("Default: {}.", spelled(default)));
    }
    if let Some(examples) = from.get("examples") {
        describe_example(to, examples);
    }
}

fn describe_example(to: &mut Map<String, Value>, examples: &Value) {
    if let Some(example) = examples.get(0).map(spelled).filter(|example| !example.contains('\n')) {
        append(to, &format!("Example: {example}"));
    }
}

fn spelled(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn append(to: &mut Map<String, Value>, text: &str) {
    if text.is_empty() {
        return;
    }
    let before = to.get("description").and_then(Value::as_str).unwrap_or_default();
    let whole = if before.is_empty() { text.to_owned() } else { format!("{before} {text}") };
    to.insert("description".to_owned(), whole.into());
}
