//! The JSON Schema of the file, made from its types.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

use crate::file::ConfigFile;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate::<ConfigFile>);

/// The schema of a type, as the walk reads it.
pub(crate) fn generate<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12().with_transform(Tidy);
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The JSON Schema of `egret.yaml` (draft 2020-12), with descriptions, defaults and examples.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SCHEMA.clone();
    if let Some(items) = schema.pointer_mut("/properties/policies/items") {
        *items = with_short_form(items);
    }
    schema
}

/// The schema of a policy that also takes the short form, in which the fields of `metadata` and `spec` stand
/// beside each other. The walk does not need to know it: see [`crate::normal`].
fn with_short_form(long: &Value) -> Value {
    let mut short = long.clone();
    let mut required = Vec::new();
    for inner in ["metadata", "spec"] {
        let Some(properties) = short.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        let Some(mut inner) = properties.shift_remove(inner) else { continue };
        if let Some(Value::Object(fields)) = inner.get_mut("properties") {
            properties.append(fields);
        }
        if let Some(Value::Array(names)) = inner.get_mut("required") {
            required.append(names);
        }
    }
    short["required"] = Value::Array(required);
    serde_json::json!({ "anyOf": [long, short] })
}

/// The same, shared.
pub(crate) fn shared() -> &'static Value {
    &SCHEMA
}

/// The schema of one policy.
pub(crate) fn policy_document() -> &'static Value {
    let policies = Shape::of(&SCHEMA).object.and_then(|root| root.get("properties")?.get("policies"));
    policies.and_then(|policies| policies.get("items")).unwrap_or(&Value::Null)
}

/// Takes out what tells a reader nothing: the widths of integers, and `null`, which stands for a field that
/// was left out.
#[derive(Clone)]
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        let is_width = object.get("format").and_then(Value::as_str).is_some_and(|format| {
            format.starts_with("uint") || format.starts_with("int") || format == "double"
        });
        if is_width {
            object.remove("format");
        }
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        unwrap_nullable(object);
        describe_lines(object);
    }
}

/// `anyOf: [X, null]` becomes X.
fn unwrap_nullable(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else { return };
    branches.retain(|branch| branch.get("type").and_then(Value::as_str) != Some("null"));
    if branches.len() != 1 {
        return;
    }
    let Some(Value::Object(only)) = branches.pop() else { return };
    object.remove("anyOf");
    for (key, value) in only {
        object.entry(key).or_insert(value);
    }
}

/// Line breaks of the source's comments become spaces.
fn describe_lines(object: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = description.replace("\n\n", "\u{0}").replace('\n', " ").replace('\u{0}', "\n\n");
    }
}

/// What may stand at a place, by the kind of value.
#[derive(Default)]
pub(crate) struct Shape<'a> {
    /// Values that are named one by one.
    pub(crate) words: Vec<Word<'a>>,
    /// Text, numbers, true and false.
    pub(crate) scalar: Option<&'a Map<String, Value>>,
    pub(crate) list: Option<&'a Map<String, Value>>,
    pub(crate) object: Option<&'a Map<String, Value>>,
}

/// One of the values that are named one by one.
pub(crate) struct Word<'a> {
    pub(crate) value: &'a Value,
    pub(crate) description: Option<&'a str>,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(schema: &'a Value) -> Self {
        let mut shape = Self::default();
        shape.add(schema);
        shape
    }

    fn add(&mut self, schema: &'a Value) {
        let Some(object) = schema.as_object() else { return };
        for key in ["oneOf", "anyOf"] {
            for branch in object.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.add(branch);
            }
        }
        let description = object.get("description").and_then(Value::as_str);
        if let Some(value) = object.get("const") {
            self.words.push(Word { value, description });
        } else if let Some(values) = object.get("enum").and_then(Value::as_array) {
            self.words.extend(values.iter().map(|value| Word { value, description: None }));
        } else if has_type(object, "object") {
            self.object = Some(object);
        } else if has_type(object, "array") {
            self.list = Some(object);
        } else if object.contains_key("type") {
            self.scalar = Some(object);
        }
    }
}

/// Whether values of a type may stand there.
pub(crate) fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// The fields of an object, by name.
pub(crate) fn properties(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    object.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Paths of all fields with this name, as in `upstream.pool`.
pub(crate) fn paths_of(name: &str) -> Vec<String> {
    fn search(schema: &Value, path: &str, name: &str, found: &mut Vec<String>) {
        let shape = Shape::of(schema);
        if let Some(object) = shape.object {
            for (key, value) in properties(object) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if key == name {
                    found.push(path.clone());
                }
                search(value, &path, name, found);
            }
        }
        if let Some(items) = shape.list.and_then(|list| list.get("items")) {
            search(items, &format!("{path}[]"), name, found);
        }
    }
    let mut found = Vec::new();
    search(shared(), "", name, &mut found);
    found
}
