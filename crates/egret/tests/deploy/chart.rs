//! `charts/egret`.

use serde_json::{Value, json};

use super::*;
use crate::objects::{find, items, template};
use crate::openapi::Schemas;

/// Values that people have.
fn value_sets() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "mode": "intercept" }),
        json!({ "mode": "mtls" }),
        json!({ "mode": "cluster" }),
        json!({ "mode": "cluster", "egressProxy": { "create": true, "spec": { "noProxy": [".corp.example"], "rollout": "Restart" } } }),
        json!({ "mode": "cluster", "proxy": { "kind": "DaemonSet", "tolerations": [{ "operator": "Exists" }] } }),
        json!({ "mode": "tunnel", "proxy": { "config": { "rules": { "allow": [{ "hosts": ["example.com"] }] } }, "replicas": 5 } }),
        json!({ "mode": "tunnel", "autoscaling": { "enabled": true, "tunnels": null }, "podDisruptionBudget": { "enabled": true, "maxUnavailable": "25%" }, "networkPolicy": { "enabled": true, "clientCIDRs": ["10.0.0.0/16", "fd00::/8"] } }),
        json!({ "mode": "mtls", "certificates": { "job": false }, "autoscaling": { "enabled": false } }),
        json!({ "mode": "intercept", "fullnameOverride": "out", "image": { "digest": format!("sha256:{}", "0".repeat(64)) }, "imagePullSecrets": [{ "name": "registry" }] }),
        json!({ "mode": "cluster", "monitoring": { "serviceMonitor": true, "prometheusRule": true, "dashboard": true, "labels": { "release": "prometheus" } }, "controller": { "priorityClassName": "", "replicas": 3 } }),
        json!({ "mode": "tunnel", "service": { "type": "LoadBalancer", "annotations": { "a": "b" } }, "proxy": {
            "env": [{ "name": "EGRET_PARENT", "value": "http://proxy.corp.example:3128" }],
            "extraVolumes": [{ "name": "lists", "emptyDir": {} }], "extraVolumeMounts": [{ "name": "lists", "mountPath": "/lists" }],
            "preStopSeconds": 0, "drainSeconds": 20, "nodeSelector": { "pool": "egress" }, "priorityClassName": "high",
            "podLabels": { "team": "platform" }, "podAnnotations": { "a": "b" }, "resources": { "requests": { "cpu": 1, "memory": "1Gi" }, "limits": { "cpu": 4, "memory": "4Gi" } },
            "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": { "matchLabels": { "a": "b" } } }] } }),
    ]
}

#[test]
fn every_set_of_values_is_what_an_api_server_takes() {
    let schemas = Schemas::with(&kustomized("crds"));
    for values in value_sets() {
        let objects = charted(&values);
        assert_eq!(schemas.problems(&objects), Vec::<String>::new(), "{values}");
        assert_eq!(sense::problems(&objects), Vec::<String>::new(), "{values}");
        kustomize::command_lines(&objects);
        check_configurations(&objects);
    }
}

#[test]
fn refuses_values_that_mean_nothing() {
    for (values, words) in [
        (json!({ "mode": "sidecar" }), "/mode"),
        (json!({ "mod": "tunnel" }), "'mod' not allowed"),
        (json!({ "proxy": { "replica": 3 } }), "'replica' not allowed"),
        (json!({ "proxy": { "replicas": "3" } }), "/proxy/replicas"),
        (json!({ "proxy": { "kind": "StatefulSet" } }), "/proxy/kind"),
        (json!({ "proxy": { "drainSeconds": "5m" } }), "/proxy/drainSeconds"),
        (json!({ "proxy": { "env": { "A": "b" } } }), "/proxy/env"),
        (json!({ "image": { "digest": "sha256:short" } }), "/image/digest"),
        (json!({ "image": { "pullPolicy": "always" } }), "/image/pullPolicy"),
        (json!({ "fullnameOverride": "Egret_1" }), "/fullnameOverride"),
        (json!({ "service": { "type": "Ingress" } }), "/service/type"),
        (json!({ "podDisruptionBudget": { "maxUnavailable": 0 } }), "/podDisruptionBudget/maxUnavailable"),
        (json!({ "networkPolicy": { "clientCIDRs": ["10.0.0.0"] } }), "/networkPolicy/clientCIDRs"),
        (json!({ "monitoring": { "interval": "often" } }), "/monitoring/interval"),
        (json!({ "controller": { "replicas": 0 } }), "/controller/replicas"),
        (
            json!({ "mode": "mtls", "autoscaling": { "cpuPercent": null, "tunnels": null } }),
            "cpuPercent or tunnels",
        ),
        (json!({ "mode": "mtls", "autoscaling": { "minReplicas": 5, "maxReplicas": 3 } }), "minReplicas"),
    ] {
        let error = rendered(&values).err().unwrap_or_else(|| panic!("{values} is taken"));
        assert!(error.contains(words), "{values}: {error}");
    }
}

#[test]
fn says_how_to_go_on_in_every_mode() {
    for (mode, words) in [
        ("tunnel", vec!["http://egret.egret-system:8888"]),
        ("intercept", vec!["ca.pem", "port-forward"]),
        ("mtls", vec!["https://egret.egret-system:8443", "egret-mtls-client"]),
        ("cluster", vec!["EgressProxy", "port-forward"]),
    ] {
        let objects = rendered(&json!({ "mode": mode })).unwrap();
        let notes =
            objects.iter().find(|object| object["kind"] == "Notes").unwrap()["text"].as_str().unwrap();
        for word in words {
            assert!(notes.contains(word), "{mode}: no {word} in\n{notes}");
        }
        assert!(!notes.contains("<no value>"), "{notes}");
    }
}

#[test]
fn every_mode_has_a_test_that_asks_through_the_proxy() {
    for mode in ["tunnel", "intercept", "mtls", "cluster"] {
        let objects = charted(&json!({ "mode": mode }));
        let pod = find(&objects, "Pod", "egret-test");
        assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
        let line = pod["spec"]["containers"][0]["args"].to_string();
        let port = if mode == "mtls" { "8443" } else { "8888" };
        assert!(line.contains(port), "{mode}: {line}");
    }
}

#[test]
fn helm_finds_nothing_wrong_with_it() {
    let said: Value =
        serde_json::from_str(&succeed(script().arg("lint").arg(root().join("charts/egret")))).unwrap();
    assert_eq!(said["errors"], json!([]));
    // An icon is recommended: the one thing that it has to say.
    let messages: Vec<&Value> =
        items(&said["messages"]).filter(|m| m["severity"].as_u64() > Some(1)).collect();
    assert!(messages.is_empty(), "{messages:?}");
}

#[test]
fn environment_and_configuration_do_not_contradict_each_other() {
    let values =
        json!({ "mode": "tunnel", "proxy": { "config": { "listeners": [{ "address": "0.0.0.0:3128" }] } } });
    let objects = charted(&values);
    let spec = &template(find(&objects, "Deployment", "egret")).unwrap()["spec"]["containers"][0];
    assert!(items(&spec["env"]).all(|variable| variable["name"] != "EGRET_LISTEN"), "{spec}");
}
