//! Status of EgressProxies and policies.

use std::time::Duration;

use egret_testkit::ApiServer;
use serde_json::{Value, json};

use crate::harness::{NAMESPACE, Running, becomes, cluster, condition, message, object, proxy, spec};

fn entries(object: &Value) -> Vec<String> {
    let list = object["status"]["effectiveNoProxy"].as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| entry.as_str().unwrap_or_default().to_owned()).collect()
}

fn service_cidr(server: &ApiServer, name: &str, cidr: &str) {
    server.put(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": { "name": name },
        "spec": { "cidrs": [cidr] },
    }));
}

fn carrying(server: &ApiServer, name: &str, generation: i64) {
    server.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "annotations": {
            "egret.dev/injected": "default", "egret.dev/generation": generation.to_string() } },
        "spec": { "containers": [{ "name": "app", "image": "app" }] }, "status": { "phase": "Running" },
    }));
}

#[test]
fn the_effective_no_proxy_follows_the_cluster() {
    let server = cluster();
    service_cidr(&server, "kubernetes", "10.96.0.0/16");
    let mut wanted = spec();
    wanted["noProxy"] = json!([".corp.example"]);
    proxy(&server, "default", 1, wanted);
    let one = Running::start(&server, "one");
    becomes("computed", || entries(&object(&server, "default")).contains(&"10.96.0.0/16".to_owned()));
    let list = entries(&object(&server, "default"));
    for entry in [".svc", ".cluster.local", ".corp.example", "corp.example", "localhost", "169.254.169.254"] {
        assert!(list.iter().any(|known| known == entry), "{entry} in {list:?}");
    }
    let mut sorted = list.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(list, sorted);
    assert_eq!(condition(&object(&server, "default"), "Ready"), ("True".into(), "InForce".into()));
    service_cidr(&server, "more", "10.112.0.0/20");
    becomes("the new network", || entries(&object(&server, "default")).contains(&"10.112.0.0/20".to_owned()));
    drop(one);
}

#[test]
fn an_old_server_without_service_cidrs_is_no_error() {
    let server = cluster();
    server.without_group("networking.k8s.io", "v1");
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    one.becomes_ready();
    becomes("ready", || condition(&object(&server, "default"), "Ready").0 == "True");
    assert_eq!(one.metric("egret_controller_watch_failures_total{kind=\"ServiceCIDR\"}"), 0.0);
}

#[test]
fn a_change_takes_effect_when_the_endpoints_answer_and_not_before() {
    let server = cluster();
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    becomes("in force", || condition(&object(&server, "default"), "Ready").0 == "True");
    let before = entries(&object(&server, "default"));
    // Nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broken = json!({
        "httpProxy": format!("http://{nowhere}"), "noProxy": [".new.example"],
        "readinessEndpoints": ["http://up.test/"],
    });
    proxy(&server, "default", 2, broken.clone());
    becomes("refused", || {
        condition(&object(&server, "default"), "Ready") == ("False".into(), "ReadinessEndpointFailed".into())
    });
    assert_eq!(entries(&object(&server, "default")), before, "the effective list stays");
    assert_eq!(object(&server, "default")["status"]["effective"]["generation"], json!(1));
    let text = message(&object(&server, "default"), "Ready");
    assert!(text.contains("generation 1") && text.contains("up.test"), "{text}");

    // A proxy that answers 204 to everything.
    let good = egret_testkit::ScriptedOrigin::replying("HTTP/1.1 204 No Content\r\n\r\n");
    let mut works = broken;
    works["httpProxy"] = format!("http://{}", good.address()).into();
    proxy(&server, "default", 3, works);
    becomes("in force", || condition(&object(&server, "default"), "Ready").0 == "True");
    becomes("the new list", || entries(&object(&server, "default")).contains(&".new.example".to_owned()));
    drop(one);
}

#[test]
fn counts_pods_by_generation() {
    let server = cluster();
    proxy(&server, "default", 2, spec());
    for (name, generation) in [("a", 1), ("b", 2), ("c", 2)] {
        carrying(&server, name, generation);
    }
    let one = Running::start(&server, "one");
    becomes("counted", || object(&server, "default")["status"]["pods"]["current"] == json!(2));
    let pods = object(&server, "default")["status"]["pods"].clone();
    assert_eq!((&pods["outdated"], &pods["selected"]), (&json!(1), &json!(3)), "{pods}");
    server.remove("v1", "pods", "shop", "a");
    becomes("one less", || object(&server, "default")["status"]["pods"]["outdated"] == json!(0));
    drop(one);
}

#[test]
fn what_is_the_case_is_not_written_again_and_again() {
    let server = cluster();
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    becomes("in force", || condition(&object(&server, "default"), "Ready").0 == "True");
    becomes("pods counted", || !object(&server, "default")["status"]["pods"].is_null());
    std::thread::sleep(Duration::from_secs(2));
    let before = object(&server, "default");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(
        object(&server, "default")["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
    drop(one);
}

#[test]
fn policies_say_whether_they_are_accepted_and_in_force() {
    let server = cluster();
    let policy = |name: &str, host: &str| {
        server.put(json!({
            "apiVersion": "egret.dev/v1alpha1", "kind": "EgressPolicy",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "rules": [{ "action": "Allow", "to": [{ "hosts": [host] }] }] },
        }));
    };
    policy("good", "example.com");
    policy("bad", "exa mple");
    let one = Running::start(&server, "one");
    let of =
        |name: &str| server.object("egret.dev/v1alpha1", "egresspolicies", "shop", name).unwrap_or_default();
    becomes("told", || {
        condition(&of("good"), "InForce").0 == "True" && condition(&of("bad"), "Accepted").0 == "False"
    });
    assert_eq!(of("good")["status"]["observedGeneration"], json!(1));
    assert!(of("bad")["status"]["findings"][0]["path"].as_str().unwrap().contains("spec.rules[0]"));
    policy("bad", "fine.example");
    becomes("repaired", || condition(&of("bad"), "Accepted").0 == "True");
    drop(one);
}

#[test]
fn goes_on_after_watches_break_and_the_past_is_forgotten() {
    let server = cluster();
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    becomes("in force", || condition(&object(&server, "default"), "Ready").0 == "True");
    server.compact();
    server.drop_watches();
    proxy(&server, "another", 1, spec());
    becomes("the new one", || condition(&object(&server, "another"), "Ready").0 == "True");
    server.remove("egret.dev/v1alpha1", "egressproxies", "", "another");
    server.set_away(true);
    becomes("behind", || one.metric("egret_controller_watch_current{kind=\"EgressProxy\"}") == 0.0);
    assert!(one.status.unready().is_none());
    server.set_away(false);
    becomes("current", || one.metric("egret_controller_watch_current{kind=\"EgressProxy\"}") == 1.0);
    let _ = NAMESPACE;
}

#[test]
fn what_it_may_not_read_is_told_in_the_log_and_the_rest_goes_on() {
    let server = cluster();
    server.forbid("*", "", "nodes");
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    one.becomes_ready();
    becomes("in force", || condition(&object(&server, "default"), "Ready").0 == "True");
    assert_eq!(one.metric("egret_controller_watch_current{kind=\"Node\"}"), 0.0);
}
