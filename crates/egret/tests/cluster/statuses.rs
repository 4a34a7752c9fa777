//! Status, as the controller writes it.

use serde_json::json;

use crate::harness::{Cluster, Controller, pod};

#[test]
fn the_status_tells_what_pods_are_given_and_how_many_carry_it() {
    let Some(cluster) = Cluster::get("status") else { return };
    let (system, shop) = (cluster.namespace("system", json!({})), cluster.namespace("shop", json!({})));
    let proxy = cluster.proxy("p", json!({ "noProxy": [".corp.example"] }));
    let controller = Controller::start(&cluster, &system, "one");
    controller.is_registered(&cluster);
    cluster.becomes("in force", || cluster.condition(&proxy, "Ready") == ("True".into(), "InForce".into()));
    let status = cluster.get_json(&proxy).ok()["status"].clone();
    let list = status["effectiveNoProxy"].to_string();
    let services = cluster.get_json("/apis/networking.k8s.io/v1/servicecidrs").body;
    if let Some(cidr) = services["items"][0]["spec"]["cidrs"][0].as_str() {
        assert!(list.contains(cidr), "{cidr} in {list}");
    }
    assert!(list.contains(".corp.example") && list.contains("localhost"), "{list}");
    let pods = format!("/api/v1/namespaces/{shop}/pods");
    cluster.becomes("a pod with it", || {
        let name = format!("p{}", cluster.get_json(&pods).body["items"].as_array().map_or(0, Vec::len));
        let made = cluster.create(&pods, &pod(&name)).ok();
        made["metadata"]["annotations"]["egret.dev/generation"] == "1"
    });
    cluster.becomes("counted", || {
        cluster.get_json(&proxy).body["status"]["pods"]["current"].as_i64() >= Some(1)
    });
    let change = json!({ "spec": { "noProxy": [".corp.example", ".more.example"] } });
    cluster.merge(&proxy, &change).ok();
    cluster.becomes("out of date", || {
        cluster.get_json(&proxy).body["status"]["pods"]["outdated"].as_i64() >= Some(1)
    });
    cluster.becomes("the new list", || {
        cluster.get_json(&proxy).body["status"]["effectiveNoProxy"].to_string().contains(".more.example")
    });
    let policy = json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "EgressPolicy", "metadata": { "name": "web" },
        "spec": { "rules": [{ "action": "Allow", "to": [{ "hosts": ["example.com"] }] }] },
    });
    let policies = format!("/apis/egret.dev/v1alpha1/namespaces/{shop}/egresspolicies");
    cluster.create(&policies, &policy).ok();
    cluster.becomes("in force", || cluster.condition(&format!("{policies}/web"), "InForce").0 == "True");
    drop(controller);
}
