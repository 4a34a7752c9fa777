//! Files that are made from the doc comments, and committed.

use std::path::Path;

/// Compares a file with what it should hold, or writes it when `UPDATE` is set.
#[track_caller]
fn is_current(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, expected).expect("docs can be written");
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is stale; run: UPDATE=1 cargo nextest run -p egret-config generated");
}

#[test]
fn the_reference_is_current() {
    is_current("docs/config.md", &egret_config::reference());
}

#[test]
fn the_schema_is_current() {
    is_current("docs/egret.schema.json", &format!("{:#}\n", egret_config::schema()));
}

#[test]
fn the_full_example_is_current() {
    is_current("docs/examples/egret.yaml", &egret_config::example());
}

#[test]
fn every_field_is_described() {
    fn check(path: &str, schema: &serde_json::Value) {
        let Some(object) = schema.as_object() else { return };
        for (key, value) in object.get("properties").and_then(|value| value.as_object()).into_iter().flatten()
        {
            let path = format!("{path}.{key}");
            let description = value.get("description").and_then(|text| text.as_str()).unwrap_or_default();
            assert!(description.len() > 15, "{path}: {description:?}");
            check(&path, value);
        }
        for key in ["items", "oneOf", "anyOf"] {
            match object.get(key) {
                Some(serde_json::Value::Array(branches)) => {
                    branches.iter().for_each(|branch| check(path, branch))
                }
                Some(one) => check(path, one),
                None => {}
            }
        }
    }
    check("", &egret_config::schema());
}
