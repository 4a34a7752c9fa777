//! Pods by their addresses: policy, records, metrics and refusals.

use egret_testkit::wait::PATIENCE;
use egret_testkit::{ApiServer, wait_for};
use serde_json::json;

use super::{Setting, only, pod};

#[test]
fn policy_selects_by_namespace_account_and_labels() {
    for (from, web, job) in [
        ("{namespaces: [team-a]}", 200, 200),
        ("{namespaces: [team-b]}", 403, 403),
        ("{serviceAccounts: [team-a/builder]}", 200, 200),
        ("{serviceAccounts: [other]}", 403, 403),
        ("{podSelector: {matchLabels: {app: web}}}", 200, 403),
        ("{namespaceSelector: {matchLabels: {env: prod}}}", 200, 200),
        ("{namespaceSelector: {matchLabels: {env: dev}}}", 403, 403),
    ] {
        let api = ApiServer::start();
        api.put(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "labels": {"env": "prod"}},
        }));
        let setting = Setting::at(api, &[pod("web", 1), pod("job", 2)], "", &only(from));
        assert_eq!((setting.ask(1).status(), setting.ask(2).status()), (web, job), "{from}");
    }
}

#[test]
fn records_metrics_and_refusals_name_the_workload() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-b]}"));
    let answer = setting.ask(1);
    assert_eq!(answer.status(), 403);
    assert!(answer.text().contains("for team-a/builder (pod web)"), "{}", answer.text());
    let record = setting.egret.exactly(1).remove(0);
    for (name, value) in [
        ("namespace", "team-a"),
        ("serviceAccount", "builder"),
        ("pod", "web"),
        ("owner", "Deployment/web"),
        ("node", "node-a"),
        ("reason", "denied-by-default"),
        ("source", ""),
    ] {
        assert_eq!(record.text(name), value, "{name}");
    }
    let labels = r#"{namespace="team-a",service_account="builder",blame="policy"}"#;
    assert_eq!(setting.egret.metric(&format!("egret_workload_requests_total{labels}")), 1.0);
    assert_eq!(setting.egret.metric(r#"egret_workload_lookups_total{result="pod"}"#), 1.0);
    assert_eq!(setting.egret.metric("egret_kubernetes_pods"), 1.0);
    assert_eq!(setting.egret.metric(r#"egret_kubernetes_synced{kind="pods"}"#), 1.0);
}

#[test]
fn labels_that_change_hold_at_once_and_for_open_tunnels() {
    let from = "{podSelector: {matchLabels: {tier: out}}}";
    let setting = Setting::with(&[pod("web", 1)], "", &only(from));
    assert_eq!(setting.ask(1).status(), 403);
    let label = |tier: &str| {
        setting
            .api
            .change("v1", "pods", "team-a", "web", |pod| pod["metadata"]["labels"]["tier"] = json!(tier));
    };
    label("out");
    setting.becomes(1, 200);
    let mut tunnel = setting.tunnel(1);
    label("in");
    let _ = tunnel.read_to_end(PATIENCE);
    let record = setting.egret.record(|r| r.method() == "CONNECT");
    assert_eq!(record.reason(), "policy-changed");
}

#[test]
fn labels_of_a_namespace_that_change_hold_at_once() {
    let setting =
        Setting::with(&[pod("web", 1)], "", &only("{namespaceSelector: {matchLabels: {env: prod}}}"));
    assert_eq!(setting.ask(1).status(), 403);
    setting.api.change("v1", "namespaces", "", "team-a", |namespace| {
        namespace["metadata"]["labels"]["env"] = json!("prod");
    });
    setting.becomes(1, 200);
}

#[test]
fn addresses_of_nodes_and_of_nobody_are_told_apart_and_said() {
    let mut on_host = pod("agent", 250);
    on_host["spec"]["hostNetwork"] = json!(true);
    let pods = [pod("web", 1), on_host];
    let setting = Setting::with(&pods, "  unknownSourceWait: 0s\n", &only("{namespaces: [team-a]}"));
    let (node, unknown) = (setting.ask(250), setting.ask(99));
    assert_eq!((node.status(), unknown.status()), (403, 403));
    assert!(
        node.text().contains("127.0.7.250 (no workload is known: the address is a node's"),
        "{}",
        node.text()
    );
    assert!(unknown.text().contains("is no pod's: it is from outside the cluster"), "{}", unknown.text());
    let records = setting.egret.exactly(2);
    assert_eq!((records[0].text("source").as_str(), records[1].text("source").as_str()), ("node", "unknown"));
    assert_eq!(setting.egret.metric(r#"egret_workload_lookups_total{result="node"}"#), 1.0);
}

#[test]
fn the_first_words_of_a_new_pod_wait_for_the_news_of_it() {
    let setting = Setting::with(&[], "  unknownSourceWait: 10s\n", &only("{namespaces: [team-a]}"));
    let mut client = setting.connect(1);
    client.send(setting.request(""));
    // The connection is there, and nobody knows yet whose it is.
    std::thread::sleep(std::time::Duration::from_millis(200));
    setting.api.put(pod("web", 1));
    assert_eq!(client.response("GET").status(), 200);
}

#[test]
fn a_daemon_watches_the_pods_of_its_node_alone() {
    let mut elsewhere = pod("job", 2);
    elsewhere["spec"]["nodeName"] = json!("node-b");
    let lines = "  scope: Node\n  nodeName: node-a\n  unknownSourceWait: 0s\n";
    let setting = Setting::with(&[pod("web", 1), elsewhere], lines, &only("{namespaces: [team-a]}"));
    assert_eq!((setting.ask(1).status(), setting.ask(2).status()), (200, 403));
    let of_pods = |call: &&egret_testkit::api_server::Called| call.path == "/api/v1/pods";
    let calls = setting.api.calls();
    assert!(calls.iter().filter(of_pods).all(|c| c.query.contains("fieldSelector=spec.nodeName=node-a")));
}

#[test]
fn watches_no_more_namespaces_than_it_is_told() {
    // Policies are those of the whole cluster; a test of their own looks at them.
    let lines = "  namespaces: [team-a, team-c]\n  unknownSourceWait: 0s\n  bareServiceNames: Ignore\n  policies: false\n";
    let mut other = pod("other", 2);
    other["metadata"]["namespace"] = json!("team-b");
    let setting = Setting::with(&[pod("web", 1), other], lines, &only("{namespaces: [team-*]}"));
    assert_eq!((setting.ask(1).status(), setting.ask(2).status()), (200, 403));
    for call in setting.api.calls() {
        assert!(call.path.starts_with("/api/v1/namespaces/team-"), "{}", call.path);
    }
}

#[test]
fn the_node_must_be_named() {
    let api = ApiServer::start();
    let config = super::config(&api, "  scope: Node\n", "");
    let (status, log) = super::builder().config(&config).env("NODE_NAME", "").run_to_end();
    assert!(!status.success() && log.contains("NODE_NAME"), "{log}");
}

#[test]
fn pods_of_a_large_cluster_are_known() {
    let api = ApiServer::start();
    for number in 0..2500_u32 {
        let mut one = pod(&format!("pod-{number}"), 1);
        let address = format!("127.9.{}.{}", number / 250, number % 250 + 1);
        one["status"]["podIP"] = json!(address);
        one["status"]["podIPs"] = json!([{"ip": address}]);
        api.put(one);
    }
    let setting = Setting::at(api, &[pod("web", 1)], "", &only("{podSelector: {matchLabels: {app: web}}}"));
    wait_for("all pods", PATIENCE, || {
        (setting.egret.metric("egret_kubernetes_pods") == 2501.0).then_some(())
    });
    assert_eq!(setting.ask(1).status(), 200);
}
