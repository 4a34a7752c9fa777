//! Pods and objects, as the API server stores them.

use serde_json::json;

use crate::harness::{Cluster, Controller, pod, variable};

#[test]
fn pods_are_given_the_proxy_and_a_dead_webhook_stops_none() {
    let Some(cluster) = Cluster::get("pods") else { return };
    let (system, shop) = (cluster.namespace("system", json!({})), cluster.namespace("shop", json!({})));
    let off = cluster.namespace("off", json!({ "egret.dev/inject": "disabled" }));
    let proxy = cluster.proxy("p", json!({}));
    let controller = Controller::start(&cluster, &system, "one");
    controller.is_registered(&cluster);
    cluster.becomes("in force", || cluster.condition(&proxy, "Ready").0 == "True");
    let pods = |namespace: &str| format!("/api/v1/namespaces/{namespace}/pods");

    // The settings reach the webhook a moment after the object is there.
    cluster.becomes("injected", || {
        let dry = cluster.create(&format!("{}?dryRun=All", pods(&shop)), &pod("dry")).ok();
        variable(&dry, "HTTP_PROXY").is_some()
    });
    let made = cluster.create(&pods(&shop), &pod("a")).ok();
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        let value = variable(&made, name);
        assert_eq!(value.as_deref(), Some("http://egret.egret-system.svc.cluster.local:8888"), "{name}");
    }
    assert_eq!(variable(&made, "NO_PROXY"), variable(&made, "no_proxy"));
    assert!(variable(&made, "NO_PROXY").unwrap().contains(".svc"));
    assert_eq!(made["metadata"]["annotations"]["egret.dev/generation"], json!("1"));

    let mut out = pod("out");
    out["metadata"]["annotations"] = json!({ "egret.dev/inject": "false" });
    let answer = cluster.create(&pods(&shop), &out);
    assert!(
        answer.warnings.iter().any(|text| text.contains("no proxy is injected")),
        "{:?}",
        answer.warnings
    );
    assert_eq!(variable(&answer.ok(), "HTTP_PROXY"), None);
    let mut aks = pod("aks");
    aks["metadata"]["annotations"] = json!({ "kubernetes.azure.com/no-http-proxy-vars": "true" });
    assert_eq!(variable(&cluster.create(&pods(&shop), &aks).ok(), "HTTP_PROXY"), None);
    for namespace in [&off, &system] {
        assert_eq!(variable(&cluster.create(&pods(namespace), &pod("b")).ok(), "HTTP_PROXY"), None);
    }

    let mut ephemeral = cluster.get_json(&format!("{}/a", pods(&shop))).ok();
    ephemeral["spec"]["ephemeralContainers"] =
        json!([{ "name": "debug", "image": "registry.invalid/debug" }]);
    let path = format!("{}/a/ephemeralcontainers", pods(&shop));
    let changed = cluster.send("PUT", &path, "application/json", ephemeral.to_string()).ok();
    let env = changed["spec"]["ephemeralContainers"][0]["env"].to_string();
    assert!(env.contains("HTTP_PROXY"), "{env}");

    controller.kill();
    let without = cluster.create(&pods(&shop), &pod("c")).ok();
    assert_eq!(variable(&without, "HTTP_PROXY"), None);
}

#[test]
fn wrong_objects_are_refused_with_all_that_is_wrong() {
    let Some(cluster) = Cluster::get("validate") else { return };
    let system = cluster.namespace("system", json!({}));
    let controller = Controller::start(&cluster, &system, "one");
    controller.is_registered(&cluster);
    cluster.becomes("strict", || controller.has_said("the API server reaches the webhook"));
    let wrong = json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "EgressProxy", "metadata": { "name": format!("{}-w", cluster.tag) },
        "spec": { "httpProxy": "http://proxy.test:1", "noProxy": ["*.a.test", "b.test:80"] },
    });
    let refused = cluster.create("/apis/egret.dev/v1alpha1/egressproxies", &wrong);
    assert!(refused.status >= 400, "{:#}", refused.body);
    for place in ["noProxy[0]", "noProxy[1]"] {
        assert!(refused.message().contains(place), "{}", refused.message());
    }
    let policy = json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "ClusterEgressPolicy", "metadata": { "name": format!("{}-p", cluster.tag) },
        "spec": { "rules": [{ "action": "Allow", "to": [{ "hosts": ["exa mple.com"] }] }] },
    });
    let refused = cluster.create("/apis/egret.dev/v1alpha1/clusteregresspolicies", &policy);
    assert!(refused.status >= 400 && refused.message().contains("spec.rules[0]"), "{:#}", refused.body);
}
