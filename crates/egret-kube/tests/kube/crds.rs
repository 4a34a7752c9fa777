//! The definitions of the custom resources.

use std::path::{Path, PathBuf};

use egret_kube::crd::{definitions, reference, yaml};
use serde_json::{Value, json};

use super::admits::refusals;
use super::structural::Check;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Compares a file with what it should hold, or writes it when `UPDATE` is set.
#[track_caller]
fn is_current(path: &str, expected: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        std::fs::write(at(path), expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(at(path)).unwrap_or_default();
    assert!(found == expected, "{path} is stale; run: UPDATE=1 cargo nextest run -p egret-kube generated");
}

fn schema_of(kind: &str) -> Value {
    let definition = definitions().into_iter().find(|definition| definition.kind == kind).unwrap();
    definition.object["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn generated_definitions_are_current() {
    for definition in definitions() {
        let plural = definition.object["spec"]["names"]["plural"].as_str().unwrap().to_owned();
        // The chart has a copy, since Helm reads nothing outside of it.
        for directory in ["deploy/crds", "charts/egret/crds"] {
            is_current(&format!("{directory}/egret.dev_{plural}.yaml"), &yaml(&definition).unwrap());
        }
    }
}

#[test]
fn generated_reference_is_current() {
    is_current("docs/crds.md", &reference());
}

#[test]
fn the_definitions_are_structural() {
    for definition in definitions() {
        let check = Check::of(&definition.object);
        assert_eq!(check.errors, [], "{}", definition.kind);
        assert_eq!(check.warnings, [""; 0], "{}", definition.kind);
    }
}

/// `kubectl apply` keeps a copy in an annotation, which has at most 256 KiB.
#[test]
fn the_definitions_can_be_applied_by_kubectl() {
    for definition in definitions() {
        let size = definition.object.to_string().len();
        assert!(size < 200_000, "{}: {size}", definition.kind);
    }
}

#[test]
fn the_yaml_is_the_definition() {
    for definition in definitions() {
        let text = yaml(&definition).unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, definition.object, "{}", definition.kind);
    }
}

#[test]
fn every_field_is_explained() {
    fn check(path: &str, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if path != ".metadata" {
                assert!(field["description"].as_str().is_some_and(|text| text.len() > 5), "{path}");
            }
            check(&path, field);
        }
        if schema.get("items").is_some() {
            check(&format!("{path}[]"), &schema["items"]);
        }
    }
    for definition in definitions() {
        check("", &schema_of(definition.kind));
    }
}

#[test]
fn kubectl_finds_them_by_short_names_columns_and_category() {
    for definition in definitions() {
        let spec = &definition.object["spec"];
        assert_eq!(spec["names"]["categories"], json!(["egret"]));
        assert_eq!(spec["names"]["shortNames"].as_array().unwrap().len(), 1);
        let version = &spec["versions"][0];
        assert_eq!(version["subresources"], json!({"status": {}}));
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        assert_eq!(columns.last().unwrap()["name"], "Age");
    }
}

#[test]
fn takes_aks_json_as_the_spec() {
    let aks = json!({
        "httpProxy": "http://myproxy.server.com:8080/",
        "httpsProxy": "http://myproxy.server.com:8080/",
        "noProxy": ["localhost", "127.0.0.1", "10.0.0.0/8", ".corp.example"],
        "trustedCa": "LS0tLS1CRUdJTg==",
    });
    let object = json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "EgressProxy", "metadata": {"name": "aks"}, "spec": aks,
    });
    assert_eq!(refusals(&schema_of("EgressProxy"), &object), [""; 0]);
}

#[test]
fn takes_text_and_objects_where_the_types_do() {
    let object = |spec: Value| json!({"metadata": {"name": "a"}, "spec": spec});
    let proxy = schema_of("EgressProxy");
    for trusted in [json!("LS0t"), json!({"egret": true}), json!({"configMap": {"name": "corp-ca"}})] {
        assert_eq!(refusals(&proxy, &object(json!({"trustedCA": trusted}))), [""; 0]);
    }
    let policy = schema_of("ClusterEgressPolicy");
    for tls in [json!("Intercept"), json!({"mode": "Intercept", "minVersion": "TLSv1.3"})] {
        let rules = json!([{"action": "Allow", "to": [{"hosts": ["a.example"], "ports": [443, "8000-8999"]}], "tls": tls}]);
        assert_eq!(refusals(&policy, &object(json!({"rules": rules}))), [""; 0]);
    }
}

#[test]
fn refuses_misspelt_words_and_unknown_fields() {
    let policy = schema_of("EgressPolicy");
    let refused = |spec: Value| refusals(&policy, &json!({"metadata": {"name": "a"}, "spec": spec}));
    assert_eq!(refused(json!({})), [".spec.rules: Required value"]);
    assert_eq!(refused(json!({"rules": [{"action": "Pass"}]})).len(), 1);
    assert_eq!(
        refused(json!({"rules": [{"action": "Deny", "too": []}]})),
        ["unknown field .spec.rules[0].too"]
    );
}
