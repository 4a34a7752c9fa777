//! The reference of the custom resources, in Markdown.

use std::fmt::Write as _;

use serde_json::Value;

use super::definitions;

const HEAD: &str = "# Custom resources

The objects of `egret.dev/v1alpha1`. `egret crds` prints their definitions (also in [deploy/crds](../deploy/crds)):

```sh
egret crds | kubectl apply --server-side -f -
kubectl explain egressproxy.spec
kubectl get egret -A
```

A policy that was written for [a file](policy.md) is the same document in a cluster, where its proxies
[watch it](policy.md#in-a-cluster).

## What is checked

The API server checks types, words and bounds by itself. The admission webhook is as strict as `egret check`: it refuses
unknown fields (which the API server alone drops, with a warning), conditions that do not compile, patterns, URLs and
certificates that are wrong, and says everything at once, each with its path and what to do about it:

```text
spec.rules[0].to[1].hosts[0]: `not a host` is no pattern for hosts: … , spec.rules[1].too: unknown field `too` (did you
mean `to`?)
```

`egret check FILE` says the same, with lines, before anything is applied.

## From other proxies

`egret import aks|openshift|istio FILE` prints an `EgressProxy` on standard output; `-` reads standard input, `--name`
names the object. What was changed, could not be carried over, or is done differently here stands above it as comments.

| from | takes |
|---|---|
| `aks` | the file of `--http-proxy-config`, or the output of `az aks show` |
| `openshift` | the output of `oc get proxy/cluster -o yaml`, or an `install-config.yaml` |
| `istio` (or `banzai`) | a mesh resource with `httpProxyEnvs`, or these alone |

AKS's fields mean the same in `spec`, so its JSON can also be pasted there as it is.

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
