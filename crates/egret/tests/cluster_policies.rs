//! Policies of the cluster in `egret proxy`, and what the command line knows of objects.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{ApiServer, Egret, HttpOrigin, RawClient};
use serde_json::{Value, json};

const VERSION: &str = "egret.dev/v1alpha1";

fn api() -> ApiServer {
    let api = ApiServer::start();
    define(&api);
    api
}

fn define(api: &ApiServer) {
    for definition in egret_kube::crd::definitions() {
        api.put(definition.object);
    }
}

fn proxy(api: &ApiServer, sections: &str) -> Egret {
    let kubeconfig = api.kubeconfig();
    let config = format!("kubernetes: {{kubeconfig: {}}}\ndefault: Deny\n{sections}", kubeconfig.display());
    Egret::builder(env!("CARGO_BIN_EXE_egret")).config(&config).start()
}

fn cluster_policy(name: &str, spec: Value) -> Value {
    json!({"apiVersion": VERSION, "kind": "ClusterEgressPolicy", "metadata": {"name": name}, "spec": spec})
}

fn allow_all() -> Value {
    json!({"rules": [{"name": "all", "action": "Allow"}]})
}

fn ask(egret: &Egret, origin: &HttpOrigin) -> u16 {
    ask_through(egret.connect(), origin)
}

fn ask_through(mut client: RawClient, origin: &HttpOrigin) -> u16 {
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", origin.url("/echo"), origin.address());
    client.exchange(request).status()
}

#[track_caller]
fn becomes(egret: &Egret, origin: &HttpOrigin, status: u16) {
    wait_until(&format!("the status {status}"), PATIENCE, || ask(egret, origin) == status);
}

#[test]
fn a_policy_of_the_cluster_holds_from_the_start_and_as_it_changes() {
    let (api, origin) = (api(), HttpOrigin::start());
    api.put(cluster_policy("everything", allow_all()));
    let egret = proxy(&api, "");
    assert_eq!(ask(&egret, &origin), 200);
    let record = egret.record(|record| record.status() == 200);
    assert_eq!(record.text("policy"), "everything");
    api.put(cluster_policy("everything", json!({"rules": [{"action": "Deny"}]})));
    becomes(&egret, &origin, 403);
    api.put(cluster_policy("everything", allow_all()));
    becomes(&egret, &origin, 200);
    api.remove(VERSION, "clusteregresspolicies", "", "everything");
    becomes(&egret, &origin, 403);
}

#[test]
fn a_policy_of_a_namespace_holds_for_its_pods_alone() {
    let (api, origin) = (api(), HttpOrigin::start());
    for (namespace, last) in [("team-a", 1), ("team-b", 2)] {
        let ip = format!("127.0.8.{last}");
        api.put(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace},
            "spec": {"nodeName": "node-a", "containers": [{"name": "app", "image": "app:1"}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
        }));
    }
    api.put(json!({
        "apiVersion": VERSION, "kind": "EgressPolicy", "metadata": {"name": "own", "namespace": "team-a"},
        "spec": allow_all(),
    }));
    let egret = proxy(&api, "");
    let from =
        |last: u8| ask_through(RawClient::connect_from([127, 0, 8, last].into(), egret.address()), &origin);
    wait_until("the pod of team-a to be let out", PATIENCE, || from(1) == 200);
    assert_eq!(from(2), 403);
}

#[test]
fn a_wrong_version_leaves_the_last_right_one_in_force() {
    let (api, origin) = (api(), HttpOrigin::start());
    api.put(cluster_policy("p", allow_all()));
    let egret = proxy(&api, "");
    assert_eq!(ask(&egret, &origin), 200);
    api.put(cluster_policy("p", json!({"rules": [{"action": "Deny", "when": "identity.usr =="}]})));
    egret.wait_for_log("its last right version goes on to hold");
    // Another change has the policies compiled anew.
    api.put(cluster_policy("q", json!({"rules": [{"action": "Pass"}]})));
    egret.wait_for_log("policies of the cluster");
    assert_eq!(ask(&egret, &origin), 200);
}

#[test]
fn an_error_in_the_file_does_not_keep_policies_back() {
    let (api, origin) = (api(), HttpOrigin::start());
    let egret = proxy(&api, "");
    assert_eq!(ask(&egret, &origin), 403);
    std::fs::write(egret.config_path(), "limts: {}\n").unwrap();
    egret.wait_for_log("the new configuration is refused");
    api.put(cluster_policy("everything", allow_all()));
    becomes(&egret, &origin, 200);
}

#[test]
fn a_policy_that_does_not_fit_the_configuration_is_left_out_and_named() {
    let (api, origin) = (api(), HttpOrigin::start());
    api.put(cluster_policy("good", allow_all()));
    let deny = json!({"priority": 1, "rules": [{"action": "Deny", "to": [{"hostLists": ["nowhere"]}]}]});
    api.put(cluster_policy("bad", deny));
    let egret = proxy(&api, "");
    egret.wait_for_log("there is no list `nowhere`");
    assert_eq!(ask(&egret, &origin), 200);
}

#[test]
fn goes_on_with_what_is_known_while_the_api_server_is_away() {
    let (api, origin) = (api(), HttpOrigin::start());
    api.put(cluster_policy("everything", allow_all()));
    let egret = proxy(&api, "");
    api.set_away(true);
    egret.wait_for_log("the watch broke");
    assert_eq!(ask(&egret, &origin), 200);
    assert_eq!(egret.admin_page("/readyz").status(), 200);
    api.remove(VERSION, "clusteregresspolicies", "", "everything");
    api.compact();
    api.set_away(false);
    becomes(&egret, &origin, 403);
}

#[test]
fn is_not_ready_until_the_policies_were_read_once() {
    let (api, origin) = (api(), HttpOrigin::start());
    api.put(cluster_policy("everything", allow_all()));
    api.set_away(true);
    let egret = proxy(&api, "");
    assert_eq!(egret.admin_page("/readyz").status(), 503);
    api.set_away(false);
    wait_until("the proxy to be ready", PATIENCE, || egret.admin_page("/readyz").status() == 200);
    becomes(&egret, &origin, 200);
}

#[test]
fn serves_a_cluster_that_has_no_such_kinds() {
    let (api, origin) = (ApiServer::start(), HttpOrigin::start());
    let egret = proxy(&api, "policies: [{name: everything, rules: [{action: Allow}]}]\n");
    assert_eq!(egret.admin_page("/readyz").status(), 200);
    assert_eq!(ask(&egret, &origin), 200);
    egret.wait_for_log("the API server does not know policies of this kind");
}

fn egret(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn crds_prints_every_definition() {
    let output = egret(&["crds"], "");
    assert!(output.status.success());
    let printed = text(&output.stdout);
    let names: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("  name: ")).collect();
    assert_eq!(
        names,
        ["clusteregresspolicies.egret.dev", "egresspolicies.egret.dev", "egressproxies.egret.dev"]
    );
}

#[test]
fn import_writes_an_object_that_check_takes() {
    let aks = r#"{"httpProxy": "http://p.example:8080/", "noProxy": ["*.corp.example"], "trustedCa": ""}"#;
    for (kind, input) in [
        ("aks", aks),
        ("openshift", "spec: {httpProxy: 'http://p.example:8080', noProxy: '.a.example,.b.example'}"),
        (
            "istio",
            "spec: {httpProxyEnvs: {httpProxy: 'http://p.example:8080', noProxy: 'a.example,b.example'}}",
        ),
        ("banzai", "httpProxy: http://p.example:8080"),
    ] {
        let imported = egret(&["import", kind, "-", "--name", "corp"], input);
        assert!(imported.status.success(), "{kind}: {}", text(&imported.stderr));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("proxy.yaml");
        std::fs::write(&file, &imported.stdout).unwrap();
        let checked = egret(&["check", file.to_str().unwrap()], "");
        assert!(checked.status.success(), "{kind}: {}", text(&checked.stdout));
        assert!(text(&checked.stdout).contains("1 EgressProxy"), "{}", text(&checked.stdout));
        assert!(text(&imported.stdout).contains("\n  name: corp\n"), "{}", text(&imported.stdout));
    }
}

#[test]
fn import_says_what_is_wrong_and_prints_no_object() {
    let output = egret(&["import", "aks", "-"], r#"{"httpProxy": "proxy"}"#);
    // A scheme is put before it, and the port is the usual one.
    assert!(output.status.success());
    let output = egret(&["import", "aks", "-"], r#"{"httpProxy": 5}"#);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("`httpProxy` is a number"), "{}", text(&output.stderr));
}

#[test]
fn check_points_at_the_lines_of_objects() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("objects.yaml");
    let objects = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: egret.dev/v1alpha1\nkind: EgressProxy\nmetadata: {name: default}\nspec:\n  httpProxy: http://p.example:8080\n  noProxy: ['*.corp.example']\n---\napiVersion: egret.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {name: p}\nspec:\n  rules:\n    - action: Deny\n      when: identity.usr == 'a'\n";
    std::fs::write(&file, objects).unwrap();
    let output = egret(&["check", "--format", "json", file.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let places: Vec<(u64, &str)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["line"].as_u64().unwrap(), problem["path"].as_str().unwrap()))
        .collect();
    assert_eq!(places, [(10, "spec.noProxy[0]"), (18, "spec.rules[0].when")]);
}
