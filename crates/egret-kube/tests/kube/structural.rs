//! The rules by which the API server takes or refuses a CustomResourceDefinition, as far as ours could break them.

use serde_json::{Map, Value};

const ROOT: &str = "spec.validation.openAPIV3Schema";
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const FORMATS: [&str; 8] = ["int32", "int64", "float", "double", "byte", "date-time", "date", "duration"];
const COLUMN_TYPES: [&str; 5] = ["integer", "number", "string", "boolean", "date"];
const FORBIDDEN: [&str; 9] = [
    "$ref",
    "definitions",
    "dependencies",
    "patternProperties",
    "additionalItems",
    "id",
    "readOnly",
    "discriminator",
    "deprecated",
];
/// What may not stand inside of `allOf`, `anyOf`, `oneOf` and `not`.
const NOT_IN_JUNCTORS: [&str; 7] = [
    "type",
    "description",
    "default",
    "additionalProperties",
    "nullable",
    "title",
    "x-kubernetes-preserve-unknown-fields",
];

/// What is wrong with a definition, by field, and what the server would warn of.
#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(crate) errors: Vec<(String, String)>,
    pub(crate) warnings: Vec<String>,
}

impl Check {
    pub(crate) fn of(definition: &Value) -> Self {
        let mut check = Self::default();
        let spec = &definition["spec"];
        let name = |field: &str| spec["names"][field].as_str().unwrap_or_default();
        if definition["metadata"]["name"]
            != format!("{}.{}", name("plural"), spec["group"].as_str().unwrap_or_default())
        {
            check.error("metadata.name", "must be spec.names.plural+\".\"+spec.group");
        }
        for field in ["plural", "singular"] {
            if name(field).is_empty() || name(field).chars().any(|c| !c.is_ascii_lowercase()) {
                check.error(&format!("spec.names.{field}"), "must be a lower-case DNS label");
            }
        }
        for version in spec["versions"].as_array().into_iter().flatten() {
            check.version(version);
        }
        check
    }

    fn error(&mut self, field: &str, message: &str) {
        self.errors.push((field.to_owned(), message.to_owned()));
    }

    fn version(&mut self, version: &Value) {
        for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
            let kind = column["type"].as_str().unwrap_or_default();
            let path = column["jsonPath"].as_str().unwrap_or_default();
            if !COLUMN_TYPES.contains(&kind) || !path.starts_with('.') || column["name"] == "" {
                self.error("spec.additionalPrinterColumns", &column.to_string());
            }
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        match schema["type"].as_str() {
            None => self.error(&format!("{ROOT}.type"), "must not be empty at the root"),
            Some("object") => {}
            Some(_) => self.error(&format!("{ROOT}.type"), "must be object at the root"),
        }
        if let Some(schema) = schema.as_object() {
            self.schema(schema, ROOT, true);
        }
    }

    /// A place with a value of its own.
    fn schema(&mut self, schema: &Map<String, Value>, path: &str, is_root: bool) {
        self.keywords(schema, path);
        let is_open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&true.into())
            || schema.get("x-kubernetes-int-or-string") == Some(&true.into());
        if !schema.contains_key("type") && !is_open && !is_root && !schema.contains_key("$ref") {
            self.error(&format!("{path}.type"), "must not be empty for specified object fields");
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "array" {
            match schema.get("items") {
                Some(Value::Object(items)) => self.schema(items, &format!("{path}.items"), false),
                _ => self.error(&format!("{path}.items"), "must be specified"),
            }
            self.list(schema, path);
        } else if schema.contains_key("x-kubernetes-list-type") {
            self.error(&format!("{path}.type"), "must be array if x-kubernetes-list-type is specified");
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, field) in properties.into_iter().flatten() {
            if let Some(field) = field.as_object() {
                self.schema(field, &format!("{path}.properties[{name}]"), false);
            }
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => {
                self.error(&format!("{path}.additionalProperties"), "cannot be set to false");
            }
            Some(Value::Object(any)) => {
                if properties.is_some() {
                    self.error(path, "additionalProperties and properties are mutual exclusive");
                }
                self.schema(any, &format!("{path}.additionalProperties"), false);
            }
            _ => {}
        }
        if let Some(default) = schema.get("default")
            && !super::admits::refusals(&Value::Object(schema.clone()), default).is_empty()
        {
            self.error(&format!("{path}.default"), "does not match the schema");
        }
        self.conditions(schema, path, is_root);
    }

    fn keywords(&mut self, schema: &Map<String, Value>, path: &str) {
        for key in FORBIDDEN.into_iter().filter(|key| schema.contains_key(*key)) {
            self.error(&format!("{path}.{key}"), "is not supported");
        }
        if schema.get("uniqueItems") == Some(&true.into()) {
            self.error(&format!("{path}.uniqueItems"), "cannot be set to true");
        }
        if let Some(kind) = schema.get("type")
            && !kind.as_str().is_some_and(|kind| TYPES.contains(&kind))
        {
            self.error(&format!("{path}.type"), "is not supported");
        }
        let format = schema.get("format").and_then(Value::as_str);
        if let Some(format) = format.filter(|format| !FORMATS.contains(format)) {
            self.warnings.push(format!("unrecognized format \"{format}\""));
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let branches = schema.get(key).and_then(Value::as_array).into_iter().flatten();
            for (index, branch) in branches.enumerate() {
                if let Some(branch) = branch.as_object() {
                    self.junctor(branch, &format!("{path}.{key}[{index}]"));
                }
            }
        }
    }

    /// Inside of a junctor, where only values are constrained.
    fn junctor(&mut self, schema: &Map<String, Value>, path: &str) {
        self.keywords(schema, path);
        for key in NOT_IN_JUNCTORS.into_iter().filter(|key| schema.contains_key(*key)) {
            self.error(&format!("{path}.{key}"), "must be empty to be structural");
        }
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if let Some(field) = field.as_object() {
                self.junctor(field, &format!("{path}.properties[{name}]"));
            }
        }
    }

    fn list(&mut self, schema: &Map<String, Value>, path: &str) {
        let Some(kind) = schema.get("x-kubernetes-list-type").and_then(Value::as_str) else { return };
        let items = schema.get("items").unwrap_or(&Value::Null);
        if kind == "set" && matches!(items["type"].as_str(), Some("object" | "array")) {
            self.error(&format!("{path}.items"), "a set has scalars");
        }
        if kind != "map" {
            return;
        }
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        if keys.is_none_or(Vec::is_empty) || items["type"] != "object" {
            self.error(&format!("{path}.x-kubernetes-list-map-keys"), "a map has keys, of objects");
        }
        for key in keys.into_iter().flatten().filter_map(Value::as_str) {
            let field = &items["properties"][key];
            let at = format!("{path}.items.properties[{key}]");
            if !matches!(field["type"].as_str(), Some("string" | "integer" | "number" | "boolean")) {
                self.error(&format!("{at}.type"), "must be a scalar type");
            }
            let is_required =
                items["required"].as_array().is_some_and(|names| names.iter().any(|name| name == key));
            if !is_required && field.get("default").is_none() {
                self.error(&format!("{at}.default"), "must have a default or be a required property");
            }
        }
    }

    /// `x-kubernetes-validations`: whether the fields that a rule names are there, and whether what it loops over
    /// has bounds.
    fn conditions(&mut self, schema: &Map<String, Value>, path: &str, is_root: bool) {
        let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        for (index, rule) in rules.into_iter().flatten().enumerate() {
            let field = format!("{path}.x-kubernetes-validations[{index}].rule");
            let text = rule["rule"].as_str().unwrap_or_default();
            for (at, _) in text.match_indices("self.") {
                let names = &text[at + 5..];
                let end = names.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(names.len());
                let is_call = names[end..].starts_with('(');
                let mut names: Vec<&str> = names[..end].split('.').collect();
                if is_call {
                    names.pop();
                }
                if !is_known(schema, &names, is_root) {
                    self.error(&field, "compilation failed: undefined field");
                }
            }
            let loops = ["all(", "exists(", "map(", "filter("].iter().map(|name| text.matches(name).count());
            if loops.sum::<usize>() > 1 && !schema.contains_key("maxItems") {
                self.error(&field, "estimated rule cost exceeds budget");
                self.error(ROOT, "estimated rule cost total for entire OpenAPIv3 schema exceeds budget");
            }
        }
    }
}

fn is_known(schema: &Map<String, Value>, names: &[&str], is_root: bool) -> bool {
    if is_root && matches!(names, ["metadata", "name" | "generateName"]) {
        return true;
    }
    let mut here = schema;
    for name in names {
        let field = here.get("properties").and_then(|properties| properties.get(*name));
        // What has no type is not declared to rules.
        match field.and_then(Value::as_object).filter(|field| field.contains_key("type")) {
            Some(field) => here = field,
            None => return false,
        }
    }
    true
}

/// The recorded answers of an API server (1.36) to definitions.
fn recorded() -> Vec<Value> {
    serde_json::from_str(include_str!("../fixtures/crd/definitions.json")).unwrap()
}

#[test]
fn refuses_what_the_server_refused_and_takes_what_it_took() {
    let recorded = recorded();
    assert!(recorded.len() > 10);
    for one in &recorded {
        let check = Check::of(&one["request"]);
        let was_taken = one["httpStatus"].as_u64().unwrap() < 300;
        assert_eq!(check.errors.is_empty(), was_taken, "{}: {check:#?}", one["case"]);
    }
}

#[test]
fn refuses_it_in_the_same_places() {
    for one in recorded().iter().filter(|one| one["httpStatus"] == 422) {
        let check = Check::of(&one["request"]);
        let causes = one["response"]["details"]["causes"].as_array().unwrap();
        let mut theirs: Vec<&str> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
        let mut ours: Vec<&str> = check.errors.iter().map(|(field, _)| field.as_str()).collect();
        for fields in [&mut theirs, &mut ours] {
            fields.sort_unstable();
            fields.dedup();
        }
        assert_eq!(ours, theirs, "{}", one["case"]);
    }
}

#[test]
fn warns_of_what_the_server_warned_of() {
    for one in &recorded() {
        let check = Check::of(&one["request"]);
        let theirs = one["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(check.warnings.len(), theirs, "{}: {:?}", one["case"], check.warnings);
    }
}
