//! The chart and `deploy/` are the same by two ways.

use serde_json::{Value, json};

use super::*;
use crate::objects::{label, name};

/// What differs for good reasons: labels and selectors of releases, and the name of the Job.
fn normal(mut object: Value) -> (String, Value) {
    if object["kind"] == "Job" {
        object["metadata"]["name"] = "egret-certs".into();
    }
    let label = label(&object);
    // In the tunnel there is no namespace; who writes it is kubectl.
    object["metadata"].as_object_mut().unwrap().remove("namespace");
    strip(&mut object);
    (label, object)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for field in ["labels", "matchLabels", "selector"] {
                map.remove(field);
            }
            // Empty or left out is the same.
            map.retain(|_, value| *value != json!({}) && *value != json!([]));
            // An order that means nothing.
            for field in ["env", "ports", "volumes", "volumeMounts"] {
                if let Some(list) = map.get_mut(field).and_then(Value::as_array_mut) {
                    list.sort_by_key(|item| item["name"].to_string());
                }
            }
            // Durations by two spellings.
            if let Some(config) = map.get("egret.yaml").and_then(Value::as_str) {
                let text = config.replace("300s", "5m");
                map.insert("egret.yaml".to_owned(), objects_of(&text).remove(0));
            }
            if map.get("value") == Some(&json!("300s")) {
                map.insert("value".to_owned(), "5m".into());
            }
            // The chart names the Service that certificates are for.
            if let Some(arguments) = map.get_mut("args").and_then(Value::as_array_mut) {
                arguments.retain(|argument| argument != "--service=egret");
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

#[test]
fn the_chart_renders_what_kustomize_does() {
    for mode in ["tunnel", "intercept", "mtls", "cluster"] {
        let of_chart: Vec<_> = charted(&json!({ "mode": mode })).into_iter().map(normal).collect();
        let of_kustomize: Vec<_> = kustomized(mode).into_iter().map(normal).collect();
        for (label, object) in &of_kustomize {
            // Helm makes the namespace, and takes the definitions from a directory of their own.
            if label.starts_with("Namespace ") || label.starts_with("CustomResourceDefinition ") {
                continue;
            }
            let other = of_chart.iter().find(|(other, _)| other == label);
            let (_, other) = other.unwrap_or_else(|| panic!("{mode}: the chart has no {label}"));
            assert_eq!(object, other, "{mode}: {label}");
        }
        let only_chart =
            of_chart.iter().filter(|(label, _)| !of_kustomize.iter().any(|(other, _)| other == label));
        let only_chart: Vec<_> = only_chart.map(|(label, _)| label).collect();
        assert_eq!(only_chart, ["Pod egret-test"], "{mode}");
    }
}

/// A file and its copy; with `UPDATE=1` it is copied.
fn same(original: &str, copy: &str) {
    let (from, to) = (root().join(original), root().join(copy));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::copy(&from, &to).unwrap();
    }
    let read =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let hint = "UPDATE=1 cargo nextest run -p egret --test deploy files_that copies it";
    assert!(read(&from) == read(&to), "{copy} is not as {original}: {hint}");
}

#[test]
fn files_that_are_there_twice_are_the_same() {
    same("deploy/dashboards/egret.json", "charts/egret/dashboards/egret.json");
    for crd in kustomized("crds") {
        let (plural, group) = name(&crd).split_once('.').unwrap();
        let file = format!("crds/{group}_{plural}.yaml");
        same(&format!("deploy/{file}"), &format!("charts/egret/{file}"));
    }
    let objects = |path: &str| objects_of(&std::fs::read_to_string(root().join(path)).unwrap()).remove(0);
    let rules = objects("deploy/components/monitoring/rules.yaml");
    assert_eq!(rules["spec"], objects("charts/egret/rules/egret.yaml"), "the alerts");
}

#[test]
fn kustomize_has_every_custom_resource_that_is_there() {
    let files = std::fs::read_dir(root().join("deploy/crds")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let count = names.filter(|name| name.starts_with("egret.dev_")).count();
    assert_eq!(kustomized("crds").len(), count);
}

#[test]
fn the_version_is_the_program_s() {
    let version = env!("CARGO_PKG_VERSION");
    let chart =
        objects_of(&std::fs::read_to_string(root().join("charts/egret/Chart.yaml")).unwrap()).remove(0);
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
    for mode in ["tunnel", "cluster"] {
        let text = Value::from(kustomized(mode)).to_string();
        assert!(text.contains(&format!("ghcr.io/egret-proxy/egret:{version}")), "{mode}");
    }
}
