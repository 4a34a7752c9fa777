//! What becomes of pods that were made before a change.

use egret_testkit::ApiServer;
use serde_json::{Value, json};

use crate::harness::{Running, becomes, cluster, condition, object, proxy, spec};

fn deployment(server: &ApiServer, name: &str, generation: i64, extra: Value) {
    let mut spec = json!({
        "replicas": 1,
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name } },
            "spec": { "containers": [{ "name": "app", "image": "app" }] } },
    });
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    server.put(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "shop", "generation": 1 }, "spec": spec,
        "status": settled(),
    }));
    server.put(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": format!("{name}-1"), "namespace": "shop", "uid": format!("rs-{name}"),
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": name,
                "controller": true }] },
        "spec": { "selector": { "matchLabels": { "app": name } } },
    }));
    pod(server, name, generation);
}

fn settled() -> Value {
    json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 })
}

fn pod(server: &ApiServer, of: &str, generation: i64) {
    server.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("{of}-1-x"), "namespace": "shop", "labels": { "app": of },
            "annotations": { "egret.dev/injected": "default", "egret.dev/generation": generation.to_string() },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{of}-1"),
                "uid": format!("rs-{of}"), "controller": true }] },
        "spec": { "containers": [{ "name": "app", "image": "app" }] }, "status": { "phase": "Running" },
    }));
}

fn owner(server: &ApiServer, name: &str) -> Value {
    server.object("apps/v1", "deployments", "shop", name).unwrap_or_default()
}

fn restarted(server: &ApiServer, name: &str) -> bool {
    owner(server, name)["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"]
        .is_string()
}

fn with(rollout: Value) -> Value {
    let mut spec = spec();
    for (key, value) in rollout.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

#[test]
fn never_leaves_owners_as_they_are() {
    let server = cluster();
    deployment(&server, "web", 1, json!({}));
    proxy(&server, "default", 2, with(json!({ "rollout": "Never" })));
    let one = Running::start(&server, "one");
    becomes("counted", || object(&server, "default")["status"]["pods"]["outdated"] == json!(1));
    assert_eq!(condition(&object(&server, "default"), "Progressing").1, "NotAsked");
    assert!(!restarted(&server, "web"));
    assert_eq!(owner(&server, "web")["metadata"]["annotations"], Value::Null);
    drop(one);
}

#[test]
fn annotate_marks_owners_and_takes_the_mark_away() {
    let server = cluster();
    deployment(&server, "web", 1, json!({}));
    proxy(&server, "default", 2, with(json!({ "rollout": "Annotate" })));
    let one = Running::start(&server, "one");
    let mark = || owner(&server, "web")["metadata"]["annotations"]["egret.dev/outdated"].clone();
    becomes("marked", || mark() == json!("default/2"));
    assert!(!restarted(&server, "web"));
    pod(&server, "web", 2);
    becomes("no mark", || mark().is_null());
    drop(one);
}

#[test]
fn restart_goes_in_waves_and_waits_for_each() {
    let server = cluster();
    for name in ["a", "b", "c"] {
        deployment(&server, name, 1, json!({}));
    }
    let waves = json!({ "rollout": "Restart", "restartWaves": { "atOnce": 2, "pause": "1s" } });
    proxy(&server, "default", 2, with(waves));
    let one = Running::start(&server, "one");
    becomes("the first wave", || restarted(&server, "a") && restarted(&server, "b"));
    assert!(!restarted(&server, "c"));
    becomes("told", || condition(&object(&server, "default"), "Progressing").1 == "Restarting");
    // What the Deployments' controller would do comes by hand.
    for name in ["a", "b"] {
        server.change("apps/v1", "deployments", "shop", name, |owner| {
            owner["status"] = json!({ "observedGeneration": 1 });
        });
    }
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert!(!restarted(&server, "c"), "the first wave is not ready");
    for name in ["a", "b"] {
        pod(&server, name, 2);
        server.change("apps/v1", "deployments", "shop", name, |owner| {
            owner["status"] = settled();
            owner["status"]["observedGeneration"] = 2.into();
        });
    }
    becomes("the second wave", || restarted(&server, "c"));
    pod(&server, "c", 2);
    becomes("over", || condition(&object(&server, "default"), "Progressing").1 == "Complete");
    drop(one);
}

#[test]
fn a_disruption_budget_that_is_used_up_holds_a_restart_back() {
    let server = cluster();
    deployment(&server, "web", 1, json!({}));
    deployment(&server, "paused", 1, json!({ "paused": true }));
    let budget = |allowed: i64| {
        server.put(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "selector": { "matchLabels": { "app": "web" } }, "minAvailable": 1 },
            "status": { "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1 },
        }));
    };
    budget(0);
    proxy(&server, "default", 2, with(json!({ "rollout": "Restart" })));
    let one = Running::start(&server, "one");
    becomes("held back", || condition(&object(&server, "default"), "Progressing").1 == "RestartStuck");
    assert!(!restarted(&server, "web") && !restarted(&server, "paused"));
    budget(1);
    becomes("restarted", || restarted(&server, "web"));
    assert!(!restarted(&server, "paused"));
    drop(one);
}
