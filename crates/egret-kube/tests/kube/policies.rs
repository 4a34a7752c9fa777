//! Policies of the cluster, as the proxies read them from an API server.

use std::sync::Arc;
use std::time::Duration;

use egret_config::Overrides;
use egret_kube::client::{self, Access};
use egret_kube::policies::{ClusterPolicies, PolicyCounts};
use egret_testkit::{ApiServer, wait::wait_until};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(20);

fn server() -> ApiServer {
    let server = ApiServer::start();
    for definition in egret_kube::crd::definitions() {
        server.put(definition.object);
    }
    server
}

fn following(server: &ApiServer) -> Arc<ClusterPolicies> {
    let policies = Arc::new(ClusterPolicies::default());
    let access = Access { kubeconfig: Some(server.kubeconfig()), part: "test" };
    let inside = policies.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move { inside.follow(client::connect(&access).await.unwrap()).await });
    });
    policies
}

fn cluster(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "ClusterEgressPolicy",
        "metadata": {"name": name}, "spec": spec,
    })
}

fn namespaced(namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "EgressPolicy",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

fn allow(host: &str) -> Value {
    json!({"rules": [{"action": "Allow", "to": [{"hosts": [host]}]}]})
}

fn names(policies: &ClusterPolicies) -> Vec<String> {
    let name = |namespace: Option<&str>, name: &str| match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    policies
        .current()
        .iter()
        .map(|policy| {
            let metadata = &policy.document().metadata;
            name(metadata.namespace.as_ref().map(|namespace| namespace.0.as_str()), &metadata.name.0)
        })
        .collect()
}

#[track_caller]
fn becomes(policies: &ClusterPolicies, wanted: &[&str]) {
    wait_until(&format!("the policies {wanted:?}"), LONG, || names(policies) == wanted);
}

/// What the first rule of the first policy allows.
fn first_host(policies: &ClusterPolicies) -> String {
    let current = policies.current();
    let host = current.first().map(|policy| serde_json::to_value(policy.document()).unwrap());
    host.map(|policy| policy["spec"]["rules"][0]["to"][0]["hosts"][0].to_string()).unwrap_or_default()
}

#[test]
fn follows_policies_of_the_cluster_and_of_namespaces() {
    let server = server();
    server.put(cluster("b", allow("b.example")));
    server.put(namespaced("team-a", "a", allow("a.example")));
    let policies = following(&server);
    becomes(&policies, &["b", "team-a/a"]);
    wait_until("all to be read", LONG, || policies.is_read());
    server.put(cluster("a", allow("c.example")));
    becomes(&policies, &["a", "b", "team-a/a"]);
    server.remove("egret.dev/v1alpha1", "clusteregresspolicies", "", "b");
    server.remove("egret.dev/v1alpha1", "egresspolicies", "team-a", "a");
    becomes(&policies, &["a"]);
}

#[test]
fn a_wrong_version_leaves_the_last_right_one_in_force() {
    let server = server();
    server.put(cluster("a", allow("first.example")));
    let policies = following(&server);
    becomes(&policies, &["a"]);
    server.put(cluster("a", json!({"rules": [{"action": "Alow"}]})));
    wait_until("the wrong version", LONG, || {
        policies.counts() == PolicyCounts { accepted: 0, kept: 1, left_out: 0 }
    });
    assert_eq!(first_host(&policies), "\"first.example\"");
    server.put(cluster("a", allow("third.example")));
    wait_until("the right version", LONG, || first_host(&policies) == "\"third.example\"");
    assert_eq!(policies.counts(), PolicyCounts { accepted: 1, kept: 0, left_out: 0 });
}

#[test]
fn one_that_was_never_right_is_left_out_and_hides_no_other() {
    let server = server();
    server.put(cluster("a", json!({"rules": "none"})));
    server.put(cluster("b", allow("b.example")));
    let policies = following(&server);
    becomes(&policies, &["b"]);
    assert_eq!(policies.counts(), PolicyCounts { accepted: 1, kept: 0, left_out: 1 });
}

#[test]
fn goes_on_with_what_is_known_while_the_api_server_is_away() {
    let server = server();
    server.put(cluster("a", allow("a.example")));
    let policies = following(&server);
    becomes(&policies, &["a"]);
    server.set_away(true);
    wait_until("the watch to break", LONG, || policies.behind_for().is_some());
    assert_eq!(names(&policies), ["a"]);
    server.put(cluster("b", allow("b.example")));
    server.remove("egret.dev/v1alpha1", "clusteregresspolicies", "", "a");
    server.compact();
    server.set_away(false);
    becomes(&policies, &["b"]);
}

#[test]
fn tells_of_changes_but_not_of_a_new_status() {
    let server = server();
    server.put(cluster("a", allow("a.example")));
    let policies = following(&server);
    becomes(&policies, &["a"]);
    wait_until("all to be read", LONG, || policies.is_read());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut changes = policies.listen();
    let mut told = |most: Duration| {
        runtime.block_on(async { tokio::time::timeout(most, changes.changed()).await.is_ok() })
    };
    // What came with the lists.
    let _ = told(Duration::from_millis(500));
    let mut with_status = cluster("a", allow("a.example"));
    with_status["status"] = json!({"conditions": []});
    server.put(with_status);
    server.put(cluster("b", allow("b.example")));
    assert!(told(LONG));
    becomes(&policies, &["a", "b"]);
}

#[test]
fn policies_of_the_cluster_and_of_the_file_are_compiled_together() {
    let server = server();
    server.put(cluster("taken", allow("a.example")));
    server.put(cluster(
        "unknown-list",
        json!({"rules": [{"action": "Deny", "to": [{"hostLists": ["nowhere"]}]}]}),
    ));
    server.put(cluster("known-list", json!({"rules": [{"action": "Deny", "to": [{"hostLists": ["bad"]}]}]})));
    server.put(namespaced("team-a", "looks", json!({"rules": [{"action": "Allow", "tls": "Intercept"}]})));
    let policies = following(&server);
    becomes(&policies, &["known-list", "taken", "unknown-list", "team-a/looks"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("egret.yaml");
    std::fs::write(
        &file,
        "default: Deny\nhostLists: [{name: bad, hosts: [bad.example]}]\npolicies:\n- {name: taken, rules: [{action: Deny, to: [{hosts: [x.example]}]}]}\n",
    )
    .unwrap();
    let loaded = egret_config::load_beside(
        Some(&file),
        &Overrides::default(),
        1,
        &mut egret_config::ListCache::default(),
        &policies.current(),
    )
    .unwrap();
    let held: Vec<&str> =
        loaded.compiled.policies.policies.policies().iter().map(|policy| &*policy.name).collect();
    assert_eq!(held, ["known-list", "taken", "looks"]);
    let left_out: Vec<String> =
        loaded.compiled.left_out.iter().map(|out| format!("{}: {}", out.name, out.problems[0])).collect();
    assert!(left_out[0].starts_with("ClusterEgressPolicy taken: metadata.name: "), "{left_out:?}");
    assert!(left_out[1].contains("there is no list `nowhere`"), "{left_out:?}");
    // A namespace cannot start a CA.
    assert!(!loaded.compiled.snapshot.interception.enabled);
    assert!(
        loaded.compiled.warnings.iter().any(|warning| warning.one_line().contains("interception is off"))
    );
}
