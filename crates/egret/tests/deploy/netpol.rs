//! `egret netpol`.

use std::process::Output;

use egret_testkit::ApiServer;
use serde_json::{Value, json};

use super::*;
use crate::objects::{items, name, selects, template};
use crate::openapi::Schemas;

fn netpol(arguments: &[&str]) -> Output {
    run(client(env!("CARGO_BIN_EXE_egret")).arg("netpol").args(arguments).env_remove("KUBECONFIG"))
}

/// The policies that a command prints.
fn policies(arguments: &[&str]) -> Vec<Value> {
    let output = netpol(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let objects = objects_of(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(Schemas::with(&[]).problems(&objects), Vec::<String>::new());
    objects
}

#[test]
fn leaves_dns_and_the_proxy_and_nothing_else() {
    let objects = policies(&["shop", "--namespace", "shop,web", "-n", "shop"]);
    let names: Vec<_> = objects.iter().map(|object| &object["metadata"]["namespace"]).collect();
    assert_eq!(names, ["shop", "web"]);
    let spec = &objects[0]["spec"];
    assert_eq!((&spec["podSelector"], &spec["policyTypes"]), (&json!({}), &json!(["Egress"])));
    let egress: Vec<&Value> = items(&spec["egress"]).collect();
    assert_eq!(egress.len(), 2);
    let ports = |rule: &Value| {
        items(&rule["ports"])
            .map(|p| (p["protocol"].to_string(), p["port"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(egress[0]), [("\"UDP\"".to_owned(), 53), ("\"TCP\"".to_owned(), 53)]);
    assert_eq!(ports(egress[1]), [("\"TCP\"".to_owned(), 8888), ("\"TCP\"".to_owned(), 8443)]);
    assert_eq!(
        egress[1]["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
        "egret-system"
    );
    assert!(
        egress.iter().all(|rule| rule["to"].as_array().is_some_and(|to| !to.is_empty())),
        "a rule to anywhere"
    );
}

#[test]
fn lets_pods_reach_the_proxy_as_it_is_deployed_by_either_way() {
    let wanted =
        policies(&["-n", "shop"])[0]["spec"]["egress"][1]["to"][0]["podSelector"]["matchLabels"].clone();
    for objects in [kustomized("cluster"), kustomized("mtls"), charted(&json!({ "mode": "cluster" }))] {
        let deployments = objects.iter().filter(|object| object["kind"] == "Deployment");
        let selected = deployments.filter(|d| selects(&wanted, &template(d).unwrap()["metadata"]["labels"]));
        assert_eq!(selected.map(name).collect::<Vec<_>>(), ["egret"]);
    }
}

#[test]
fn keeps_traffic_in_the_cluster_where_it_is_asked_to() {
    let third =
        |arguments: &[&str]| policies(&[&["-n", "shop"], arguments].concat())[0]["spec"]["egress"][2].clone();
    assert_eq!(third(&["--in-cluster", "none"]), Value::Null);
    assert_eq!(third(&["--in-cluster", "namespace"]), json!({ "to": [{ "podSelector": {} }] }));
    assert_eq!(third(&["--in-cluster", "cluster"]), json!({ "to": [{ "namespaceSelector": {} }] }));
    let more = third(&["--allow-cidr", "169.254.20.10,10.1.2.3/16"]);
    assert_eq!(
        more,
        json!({ "to": [{ "ipBlock": { "cidr": "169.254.20.10/32" } }, { "ipBlock": { "cidr": "10.1.0.0/16" } }] })
    );
}

#[test]
fn other_dns_and_another_proxy_can_be_named() {
    let objects = policies(&[
        "-n",
        "shop",
        "--dns-namespace",
        "openshift-dns",
        "--dns-label",
        "dns.operator.openshift.io/daemonset-dns=default",
        "--dns-port",
        "5353",
        "--proxy-namespace",
        "egress",
        "--proxy-label",
        "app=egret",
        "--proxy-port",
        "3128",
    ]);
    let egress = &objects[0]["spec"]["egress"];
    assert_eq!(
        egress[0]["to"][0]["podSelector"]["matchLabels"],
        json!({ "dns.operator.openshift.io/daemonset-dns": "default" })
    );
    assert_eq!(egress[0]["ports"][0]["port"], 5353);
    assert_eq!(egress[1]["to"][0]["podSelector"]["matchLabels"], json!({ "app": "egret" }));
    assert_eq!(egress[1]["ports"], json!([{ "protocol": "TCP", "port": 3128 }]));
}

#[test]
fn refuses_what_would_shut_the_proxy_in_or_be_no_policy() {
    for (arguments, status, words) in [
        (&["-n", "egret-system"][..], 1, "the proxy's own namespace"),
        (&[], 2, "--namespace"),
        (&["-n", "Shop"], 2, "lower-case"),
        (&["-n", "shop", "--allow-cidr", "10.0"], 2, "an address or a network"),
        (&["-n", "shop", "--proxy-port", "0"], 2, "0"),
        (&["-n", "shop", "--proxy-label", "egret"], 2, "KEY=VALUE"),
        (&["-n", "shop", "--exclude", "web"], 2, "--all"),
        (&["--all", "--kubeconfig", "/nonexistent"], 1, "/nonexistent"),
    ] {
        let output = netpol(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(words) && output.stdout.is_empty(), "{arguments:?}: {error}");
    }
}

fn namespace(name: &str, labels: Value) -> Value {
    let mut all = json!({ "kubernetes.io/metadata.name": name });
    all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": all } })
}

#[test]
fn all_is_every_namespace_but_those_that_must_stay_open() {
    let api = ApiServer::start();
    for name in ["kube-system", "egret-system", "shop", "web", "legacy"] {
        api.put(namespace(name, json!({})));
    }
    api.put(namespace("infra", json!({ "egret.dev/inject": "disabled" })));
    let kubeconfig = api.kubeconfig();
    let output =
        netpol(&["--all", "--exclude", "legacy,default", "--kubeconfig", kubeconfig.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "# Left out: kube-system (the cluster's own)",
        "# Left out: egret-system (the proxy's own)",
        "# Left out: legacy (--exclude)",
        "# Left out: infra (label egret.dev/inject: disabled)",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    let objects = objects_of(&text);
    let names: Vec<&str> = objects.iter().map(|o| o["metadata"]["namespace"].as_str().unwrap()).collect();
    assert_eq!(names, ["shop", "web"]);
    // What is printed can be applied.
    for object in objects {
        let answered = api.call(
            "POST",
            &format!(
                "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
                object["metadata"]["namespace"].as_str().unwrap()
            ),
            &[],
            &object,
        );
        assert_eq!(answered.status, 201, "{answered:?}");
    }
}

#[test]
fn the_api_server_stays_reachable_where_the_cluster_says_it_is() {
    let api = ApiServer::start();
    let kubeconfig = api.kubeconfig();
    let arguments = ["-n", "shop", "--api-server", "--kubeconfig", kubeconfig.to_str().unwrap()];
    api.put(json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": "kubernetes", "namespace": "default", "labels": { "kubernetes.io/service-name": "kubernetes" } },
        "endpoints": [{ "addresses": ["192.0.2.10"] }, { "addresses": ["192.0.2.11"] }], "ports": [{ "name": "https", "port": 6443, "protocol": "TCP" }] }));
    let egress = policies(&arguments)[0]["spec"]["egress"].clone();
    for (index, address) in [(2, "192.0.2.10/32"), (3, "192.0.2.11/32")] {
        let rule = json!({ "to": [{ "ipBlock": { "cidr": address } }], "ports": [{ "protocol": "TCP", "port": 6443 }] });
        assert_eq!(egress[index], rule);
    }
    api.set_away(true);
    let output = netpol(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read where the API server is"));
}
