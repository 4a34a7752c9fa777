//! The reference of the custom resources, in Markdown.

use std::fmt::Write as _;

use serde_json::Value;

use super::definitions;

const HEAD: &str = "# Custom resources

The objects of `egret.dev/v1alpha1`. `egret crds` prints their definitions (also in [deploy/crds](../deploy/crds)),
`kubectl explain egressproxy.spec` shows what stands here, and `kubectl get egret -A` lists all objects. A policy that
was written for [a file](policy.md) is the same document in a cluster.

";

/// The reference: every field of every kind.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for definition in definitions() {
        let spec = &definition.object["spec"];
        let names = &spec["names"];
        let version = &spec["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        let scope = if spec["scope"] == "Cluster" { "in no namespace" } else { "in a namespace" };
        let _ = writeln!(
            text,
            "## {}\n\n{}\n\n`kubectl get {}`, or short `{}`; {scope}.\n",
            definition.kind,
            schema["description"].as_str().unwrap_or_default(),
            names["plural"].as_str().unwrap_or_default(),
            names["shortNames"][0].as_str().unwrap_or_default(),
        );
        for part in ["spec", "status"] {
            let _ = writeln!(
                text,
                "### {}'s `{part}`\n\n| field | type | meaning |\n|---|---|---|",
                definition.kind
            );
            rows(&schema["properties"][part], part, &mut text);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn rows(schema: &Value, path: &str, text: &mut String) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let meaning =
            field["description"].as_str().unwrap_or_default().replace('|', "\\|").replace('\n', " ");
        let needed = if required.contains(&name.as_str()) { " Required." } else { "" };
        let _ = writeln!(text, "| `{path}` | {} | {meaning}{needed} |", kind(field));
        match field["type"].as_str() {
            Some("object") => rows(field, &path, text),
            Some("array") => rows(&field["items"], &format!("{path}[]"), text),
            _ => {}
        }
    }
}

fn kind(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "number or text".to_owned();
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", plural(&kind(&field["items"]))),
        Some("object") if field["additionalProperties"].is_object() => "text by key".to_owned(),
        Some("object") => "object".to_owned(),
        Some("string") if field["enum"].is_array() => {
            let words = field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
        }
        Some("string") if field["format"] == "date-time" => "time".to_owned(),
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => "number".to_owned(),
        Some(other) => other.to_owned(),
        None => "see there".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "object" => "objects".to_owned(),
        "number" => "numbers".to_owned(),
        other => other.to_owned(),
    }
}
