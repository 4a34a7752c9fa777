//! The definitions of the custom resources.

use egret_config::file::{EgressProxyDocument, EgressProxyStatus, PolicyDocument, PolicyStatus};
use egret_config::schema_of;
use serde_json::{Value, json};

use super::structural::structural;
use super::{GROUP, VERSION};

/// A CustomResourceDefinition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The kind that it defines.
    pub kind: &'static str,
    /// Its name, as in `egressproxies.egret.dev`.
    pub name: String,
    /// The object, for the API server.
    pub object: Value,
}

/// What the definitions differ in.
struct Plan {
    kind: &'static str,
    singular: &'static str,
    plural: &'static str,
    short: &'static str,
    scope: &'static str,
    description: &'static str,
    columns: Value,
    spec: Value,
    status: Value,
}

/// All definitions, in the order of their names.
#[must_use]
pub fn definitions() -> Vec<Definition> {
    let proxy = schema_of::<EgressProxyDocument>();
    let policy = schema_of::<PolicyDocument>();
    let policy_status = structural_status(&schema_of::<PolicyStatus>());
    let mut all = vec![
        define(Plan {
            kind: "ClusterEgressPolicy",
            singular: "clusteregresspolicy",
            plural: "clusteregresspolicies",
            short: "cepol",
            scope: "Cluster",
            description: "A policy for everybody: whom it is for, and where they may go. It stands before all \
                policies of namespaces, in the order of `priority`; the first rule that matches decides.",
            columns: policy_columns(true),
            spec: structural(&policy["properties"]["spec"]),
            status: policy_status.clone(),
        }),
        define(Plan {
            kind: "EgressPolicy",
            singular: "egresspolicy",
            plural: "egresspolicies",
            short: "epol",
            scope: "Namespaced",
            description: "A policy for the workloads of its namespace: where they may go. All of a namespace's \
                policies hold together; a rule that denies wins over every rule that allows.",
            columns: policy_columns(false),
            spec: of_a_namespace(structural(&policy["properties"]["spec"])),
            status: policy_status,
        }),
        define(Plan {
            kind: "EgressProxy",
            singular: "egressproxy",
            plural: "egressproxies",
            short: "epx",
            scope: "Cluster",
            description: "The proxy that workloads use: what new pods are told about it, which of them, and what \
                they trust.",
            columns: proxy_columns(),
            spec: structural(&proxy["properties"]["spec"]),
            status: structural_status(&schema_of::<EgressProxyStatus>()),
        }),
    ];
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A definition as a YAML document.
///
/// # Errors
/// None that is known of; the writer of YAML could have one.
pub fn yaml(definition: &Definition) -> Result<String, String> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 110 };
    let text = serde_saphyr::to_string_with_options(&definition.object, options);
    text.map(|text| format!("# Made from the types of Egret's configuration; see docs/crds.md.\n---\n{text}"))
        .map_err(|error| error.to_string())
}

fn define(plan: Plan) -> Definition {
    let Plan { kind, singular, plural, short, scope, description, columns, spec, status } = plan;
    let name = format!("{plural}.{GROUP}");
    let schema = json!({
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": "The version of this form of the object: egret.dev/v1alpha1.",
            },
            "kind": { "type": "string", "description": format!("The kind of the object: {kind}.") },
            "metadata": { "type": "object" },
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [{
            "rule": "size(self.metadata.name) <= 63",
            "message": "a name has at most 63 characters: it stands in labels, metrics and refusals",
        }],
    });
    let object = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/name": "egret", "app.kubernetes.io/part-of": "egret" },
        },
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["egret"],
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "shortNames": [short],
                "singular": singular,
            },
            "scope": scope,
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": schema },
                "subresources": { "status": {} },
            }],
        },
    });
    Definition { kind, name, object }
}

/// A condition's status, as a column.
fn condition(kind: &str) -> String {
    format!(".status.conditions[?(@.type==\"{kind}\")].status")
}

fn proxy_columns() -> Value {
    json!([
        { "name": "HTTP-Proxy", "type": "string", "jsonPath": ".spec.httpProxy" },
        { "name": "HTTPS-Proxy", "type": "string", "jsonPath": ".spec.httpsProxy", "priority": 1 },
        { "name": "Enabled", "type": "boolean", "jsonPath": ".spec.enabled", "priority": 1 },
        { "name": "Ready", "type": "string", "jsonPath": condition("Ready"),
          "description": "Whether the readiness endpoints answer, and pods are given it" },
        { "name": "Pods", "type": "integer", "jsonPath": ".status.pods.current",
          "description": "Pods that carry the present generation" },
        { "name": "Outdated", "type": "integer", "jsonPath": ".status.pods.outdated",
          "description": "Pods that carry an older generation" },
        { "name": "Rollout", "type": "string", "jsonPath": ".spec.rollout", "priority": 1 },
        { "name": "Reason", "type": "string", "priority": 1,
          "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message" },
        { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
    ])
}

fn policy_columns(of_the_cluster: bool) -> Value {
    let mut columns = vec![
        json!({ "name": "Mode", "type": "string", "jsonPath": ".spec.mode",
          "description": "Audit where it is tried out; empty or Enforce where it decides" }),
        json!({ "name": "Rules", "type": "integer", "jsonPath": ".status.rules" }),
        json!({ "name": "Accepted", "type": "string", "jsonPath": condition("Accepted"),
          "description": "Whether its fields are right" }),
        json!({ "name": "In-Force", "type": "string", "jsonPath": condition("InForce"),
          "description": "Whether proxies decide by it" }),
        json!({ "name": "Reason", "type": "string", "priority": 1,
          "jsonPath": ".status.conditions[?(@.type==\"InForce\")].message" }),
        json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" }),
    ];
    if of_the_cluster {
        let priority = json!({ "name": "Priority", "type": "integer", "jsonPath": ".spec.priority",
            "description": "The lower the earlier; 1000 where it is empty" });
        columns.insert(0, priority);
    }
    Value::Array(columns)
}

/// What a policy of a namespace cannot have: a priority, and rules that pass on to the policies of namespaces.
fn of_a_namespace(mut spec: Value) -> Value {
    spec["x-kubernetes-validations"] = json!([{
        "rule": "!has(self.priority)",
        "message": "an EgressPolicy has no priority: all of a namespace's policies hold together, and Deny wins",
    }]);
    if let Some(words) = spec.pointer_mut("/properties/rules/items/properties/action/enum")
        && let Some(words) = words.as_array_mut()
    {
        words.retain(|word| word != "Pass");
    }
    spec
}

/// Lists of a status that have a key of their own, so that they can be applied item by item.
const KEYS: [(&str, &[&str]); 2] =
    [("/properties/conditions", &["type"]), ("/properties/pods/properties/generations", &["generation"])];

fn structural_status(schema: &Value) -> Value {
    let mut schema = schema.clone();
    without_defaults(&mut schema);
    let mut status = structural(&schema);
    for (pointer, keys) in KEYS {
        if let Some(list) = status.pointer_mut(pointer) {
            list["x-kubernetes-list-type"] = "map".into();
            list["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    status
}

/// Nobody writes a status by hand: what it is without being written means nothing.
fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("default");
            fields.values_mut().for_each(without_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}
