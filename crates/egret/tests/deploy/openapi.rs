//! A strict look at objects, as a server with `fieldValidation: Strict` has: unknown fields, types, required fields,
//! enumerations, quantities.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::objects::label;

/// What is known of kinds.
pub(crate) struct Schemas {
    known: Value,
    custom: Map<String, Value>,
}

impl Schemas {
    /// Those of a real API server, and of these custom resources.
    pub(crate) fn with(definitions: &[Value]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/fixtures/openapi.json");
        let known = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut custom = of_the_operator();
        for definition in definitions.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
            let (group, kind) = (&definition["spec"]["group"], &definition["spec"]["names"]["kind"]);
            for version in definition["spec"]["versions"].as_array().unwrap() {
                let key = format!(
                    "{}/{}/{}",
                    group.as_str().unwrap(),
                    version["name"].as_str().unwrap(),
                    kind.as_str().unwrap()
                );
                custom.insert(key, version["schema"]["openAPIV3Schema"].clone());
            }
        }
        Self { known, custom }
    }

    /// Everything that is wrong with objects.
    pub(crate) fn problems(&self, objects: &[Value]) -> Vec<String> {
        objects.iter().flat_map(|object| self.of(object)).collect()
    }

    fn of(&self, object: &Value) -> Vec<String> {
        let key = format!(
            "{}/{}",
            object["apiVersion"].as_str().unwrap_or_default(),
            object["kind"].as_str().unwrap_or_default()
        );
        let mut found = Vec::new();
        let label = label(object);
        if let Some(name) = self.known["kinds"][&key].as_str() {
            self.check(&json!({ "$ref": name }), object, &label, &mut found);
        } else if let Some(schema) = self.custom.get(&key) {
            // The API server knows these of every object.
            let mut rest = object.clone();
            for field in ["apiVersion", "kind"] {
                rest.as_object_mut().unwrap().remove(field);
            }
            let metadata = rest.as_object_mut().unwrap().remove("metadata").unwrap_or_default();
            let meta = json!({ "$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" });
            self.check(&meta, &metadata, &format!("{label}: metadata"), &mut found);
            let mut schema = schema.clone();
            if let Some(required) = schema["required"].as_array_mut() {
                required
                    .retain(|field| !["apiVersion", "kind", "metadata"].contains(&field.as_str().unwrap()));
            }
            self.check(&schema, &rest, &label, &mut found);
        } else {
            found.push(format!("{label}: nothing is known of {key}"));
        }
        found
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            if name.ends_with(".Quantity") && !is_quantity(value) {
                found.push(format!("{path}: {value} is no quantity"));
            }
            let target = &self.known["schemas"][name];
            assert!(target.is_object(), "{path}: no schema {name}");
            return self.check(target, value, path, found);
        }
        for inner in schema["allOf"].as_array().into_iter().flatten() {
            self.check(inner, value, path, found);
        }
        for any in ["oneOf", "anyOf"] {
            if let Some(list) = schema[any].as_array() {
                let fits = |inner: &&Value| {
                    let mut none = Vec::new();
                    self.check(inner, value, path, &mut none);
                    none.is_empty()
                };
                if list.iter().find(fits).is_none() {
                    found.push(format!("{path}: {value} fits none of {any}"));
                }
            }
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            found.push(format!("{path}: {value} is none of {allowed:?}"));
        }
        let good = match (schema["type"].as_str(), value) {
            (None, _) | (Some("object"), Value::Object(_)) | (Some("array"), Value::Array(_)) => true,
            (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => true,
            (Some("integer"), Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Some("number"), Value::Number(_)) => true,
            (Some(_), Value::Null) => schema["nullable"] == true,
            _ => schema["x-kubernetes-int-or-string"] == true,
        };
        if !good {
            found.push(format!("{path}: {value} is no {}", schema["type"]));
        }
        match value {
            Value::Object(map) => self.check_object(schema, map, path, found),
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{path}[{index}]"), found);
                }
                check_keys(schema, list, path, found);
            }
            _ => {}
        }
    }

    fn check_object(&self, schema: &Value, map: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !map.contains_key(required.as_str().unwrap()) {
                found.push(format!("{path}: {required} is missing"));
            }
        }
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true
            || schema["type"].is_null() && schema["properties"].is_null();
        for (key, value) in map {
            let path = format!("{path}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Object(inner), _) => self.check(&Value::Object(inner.clone()), value, &path, found),
                (_, Value::Object(inner)) => self.check(&Value::Object(inner.clone()), value, &path, found),
                (_, Value::Bool(true)) => {}
                _ if open => {}
                // `type: object` and nothing else: FieldsV1 and the like.
                _ if schema["properties"].is_null() => {}
                _ => found.push(format!("{path}: there is no such field")),
            }
        }
    }
}

/// Items of a list that is a map have keys, and no two the same.
fn check_keys(schema: &Value, list: &[Value], path: &str, found: &mut Vec<String>) {
    let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() else { return };
    let of =
        |item: &Value| keys.iter().map(|key| item[key.as_str().unwrap()].to_string()).collect::<Vec<_>>();
    for (index, item) in list.iter().enumerate() {
        if list[..index].iter().any(|before| of(before) == of(item)) {
            found.push(format!("{path}[{index}]: {keys:?} as before: {:?}", of(item)));
        }
    }
}

fn is_quantity(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return value.is_number() };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let suffixes = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    digits > 0 && suffixes.contains(&&text[digits..])
}

/// The fields that are used of the kinds of the Prometheus operator.
fn of_the_operator() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "object", "additionalProperties": text });
    let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let endpoint = object(json!({ "port": text, "path": text, "interval": text }), json!(["port"]));
    let selector = object(json!({ "matchLabels": texts }), json!(["matchLabels"]));
    let rule = object(
        json!({ "alert": text, "expr": text, "for": text, "labels": texts, "annotations": texts }),
        json!(["alert", "expr"]),
    );
    let group = object(json!({ "name": text, "rules": list(rule) }), json!(["name", "rules"]));
    let monitor = object(
        json!({ "selector": selector, "endpoints": list(endpoint) }),
        json!(["selector", "endpoints"]),
    );
    let rules = object(json!({ "groups": list(group) }), json!(["groups"]));
    let kinds = [("ServiceMonitor", monitor), ("PrometheusRule", rules)];
    kinds
        .into_iter()
        .map(|(kind, spec)| {
            (format!("monitoring.coreos.com/v1/{kind}"), object(json!({ "spec": spec }), json!(["spec"])))
        })
        .collect()
}

#[test]
fn finds_what_a_server_would_refuse() {
    let schemas = Schemas::with(&[]);
    let pod =
        |spec: Value| json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "spec": spec });
    let good = json!({ "containers": [{ "name": "c", "resources": { "limits": { "cpu": "1", "memory": "64Mi" } } }] });
    assert_eq!(schemas.problems(&[pod(good)]), Vec::<String>::new());
    for (spec, words) in [
        (json!({}), "\"containers\" is missing"),
        (json!({ "containers": [{}] }), "\"name\" is missing"),
        (json!({ "containers": [{ "name": "c", "iamge": "x" }] }), "iamge: there is no such field"),
        (json!({ "containers": [{ "name": 1 }] }), "1 is no \"string\""),
        (json!({ "containers": [{ "name": "c", "imagePullPolicy": "Sometimes" }] }), "is none of"),
        (
            json!({ "containers": [{ "name": "c", "resources": { "limits": { "cpu": "one" } } }] }),
            "is no quantity",
        ),
        (json!({ "containers": [{ "name": "c" }, { "name": "c" }] }), "as before"),
        (
            json!({ "containers": [{ "name": "c", "livenessProbe": { "httpGet": { "port": true } } }] }),
            "fits none of",
        ),
    ] {
        let problems = schemas.problems(&[pod(spec.clone())]);
        assert!(problems.iter().any(|problem| problem.contains(words)), "{spec}: {problems:?}");
    }
}
