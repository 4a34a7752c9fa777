//! Bundles of CAs.

use serde_json::json;

use crate::harness::{Cluster, Controller, pod};

#[test]
fn bundles_come_and_go_with_the_selection() {
    let Some(cluster) = Cluster::get("bundles") else { return };
    let (system, shop) = (cluster.namespace("system", json!({})), cluster.namespace("shop", json!({})));
    let proxy = cluster.proxy("p", json!({ "trustedCA": { "egret": true } }));
    let controller = Controller::start(&cluster, &system, "one");
    cluster.becomes("published", || cluster.condition(&proxy, "CATrusted").1 == "Published");
    let map = format!("/api/v1/namespaces/{shop}/configmaps/egret-ca");
    let found = cluster.get_json(&map).ok();
    assert!(found["data"]["ca-bundle.crt"].as_str().unwrap().matches("BEGIN").count() > 100);
    assert_eq!(found["data"]["egret-ca.crt"].as_str().unwrap().matches("BEGIN").count(), 1);
    assert!(found["binaryData"]["ca-bundle.p12"].as_str().unwrap().len() > 10_000);
    let secret = cluster.get_json(&format!("/api/v1/namespaces/{system}/secrets/egret-ca")).ok();
    assert_eq!(secret["type"], "kubernetes.io/tls");

    // A pod that mounts it.
    controller.is_registered(&cluster);
    cluster.becomes("mounted", || {
        let path = format!("/api/v1/namespaces/{shop}/pods?dryRun=All");
        let made = cluster.create(&path, &pod("dry")).ok();
        made["spec"]["volumes"].to_string().contains("egret-ca")
    });

    let patch = json!({ "data": { "egret-ca.crt": "mine" } });
    cluster.merge(&map, &patch).ok();
    cluster.becomes("put right", || cluster.get_json(&map).body["data"] == found["data"]);
    let labels = json!({ "metadata": { "labels": { "egret-e2e": null } } });
    cluster.merge(&format!("/api/v1/namespaces/{shop}"), &labels).ok();
    cluster.becomes("taken away", || cluster.get_json(&map).status == 404);
    drop(controller);
}
