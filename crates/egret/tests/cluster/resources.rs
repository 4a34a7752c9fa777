//! The custom resources, and tokens.

use serde_json::json;

use crate::harness::Cluster;

#[test]
fn the_custom_resources_are_served_with_columns_names_and_status() {
    let Some(cluster) = Cluster::get("crds") else { return };
    let list = cluster.get_json("/apis/egret.dev/v1alpha1").ok();
    let resources = list["resources"].as_array().unwrap();
    for (name, short) in
        [("egressproxies", "epx"), ("clusteregresspolicies", "cepol"), ("egresspolicies", "epol")]
    {
        let found = resources.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!((&found["shortNames"][0], &found["categories"][0]), (&json!(short), &json!("egret")));
        assert!(resources.iter().any(|one| one["name"] == format!("{name}/status")), "{name}");
    }
    let proxy = cluster.proxy("p", json!({}));
    let status = json!({ "status": { "observedGeneration": 1, "effective": { "generation": 1, "spec": { "httpProxy": "x" } } } });
    let patched = cluster.merge(&format!("{proxy}/status"), &status).ok();
    assert_eq!(patched["status"], status["status"], "nothing of it is pruned");
    assert_eq!(patched["metadata"]["generation"], json!(1));
}

#[test]
fn a_token_for_egret_is_known_and_one_for_others_is_not() {
    let Some(cluster) = Cluster::get("tokens") else { return };
    let shop = cluster.namespace("shop", json!({}));
    let token = |audience: &str| {
        let path = format!("/api/v1/namespaces/{shop}/serviceaccounts/default/token");
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [audience] } });
        cluster.send("POST", &path, "application/json", request.to_string()).ok()["status"]["token"].clone()
    };
    let review = |audience: &str| {
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": { "token": token(audience), "audiences": ["egret"] } });
        cluster
            .send(
                "POST",
                "/apis/authentication.k8s.io/v1/tokenreviews",
                "application/json",
                request.to_string(),
            )
            .ok()
    };
    let known = review("egret");
    assert_eq!(known["status"]["authenticated"], json!(true));
    assert_eq!(known["status"]["user"]["username"], json!(format!("system:serviceaccount:{shop}:default")));
    assert_ne!(review("somebody-else")["status"]["authenticated"], json!(true));
}
