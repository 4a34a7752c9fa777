//! Addresses that go from pod to pod.

use egret_testkit::wait::PATIENCE;
use egret_testkit::wait_for;
use serde_json::json;

use super::{Setting, only, pod};

const WEB: &str = "{podSelector: {matchLabels: {app: web}}}";

#[test]
fn the_end_of_a_pod_ends_its_tunnels() {
    let setting = Setting::with(&[pod("web", 1), pod("job", 2)], "", &only("{namespaces: [team-a]}"));
    let (mut ended, mut other) = (setting.tunnel(1), setting.tunnel(2));
    setting.api.remove("v1", "pods", "team-a", "web");
    let _ = ended.read_to_end(PATIENCE);
    let record = setting.egret.record(|r| r.text("pod") == "web" && !r.is_interim());
    assert_eq!(
        (record.reason().as_str(), record.text("serviceAccount").as_str()),
        ("workload-gone", "builder")
    );
    other.send("GET /echo HTTP/1.1\r\nHost: o\r\n\r\n");
    assert_eq!(other.response("GET").status(), 200, "tunnels of others go on");
}

#[test]
fn a_pod_that_is_done_leaves_at_once() {
    for phase in ["Succeeded", "Failed"] {
        let setting = Setting::with(&[pod("web", 1)], "  unknownSourceWait: 0s\n", &only(WEB));
        assert_eq!(setting.ask(1).status(), 200);
        let mut kept = setting.connect(1);
        assert_eq!(kept.exchange(setting.request("")).status(), 200);
        setting.api.change("v1", "pods", "team-a", "web", |pod| pod["status"]["phase"] = json!(phase));
        let answer = setting.becomes(1, 403);
        assert!(answer.text().contains("is no pod's"), "{}", answer.text());
        let answer = kept.exchange(setting.request(""));
        assert!(answer.text().contains("workload-gone"), "{}", answer.text());
    }
}

#[test]
fn a_kept_connection_is_never_the_next_pods() {
    let setting = Setting::with(&[pod("job", 1)], "", &only("{namespaces: [team-a]}"));
    let mut kept = setting.connect(1);
    assert_eq!(kept.exchange(setting.request("")).status(), 200);
    setting.api.remove("v1", "pods", "team-a", "job");
    setting.api.put(pod("web", 1));
    wait_for("the next pod", PATIENCE, || {
        setting.ask(1);
        setting.egret.records().iter().any(|r| r.text("pod") == "web").then_some(())
    });
    let answer = kept.exchange(setting.request(""));
    assert_eq!(answer.status(), 403);
    assert!(
        answer.text().contains("workload-gone") && answer.text().contains("(pod web) now"),
        "{}",
        answer.text()
    );
}

#[test]
fn two_pods_with_one_address_are_nobody() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-a]}"));
    let mut tunnel = setting.tunnel(1);
    setting.api.put(pod("job", 1));
    let answer = setting.becomes(1, 403);
    assert!(answer.text().contains("is that of more than one pod"), "{}", answer.text());
    let _ = tunnel.read_to_end(PATIENCE);
    assert_eq!(setting.egret.record(|r| r.method() == "CONNECT").reason(), "workload-gone");
    assert_eq!(setting.egret.metric("egret_kubernetes_ambiguous_addresses"), 1.0);
    let found = setting.egret.records_where(|r| r.text("source") == "ambiguous");
    assert!(found.iter().all(|r| r.text("namespace").is_empty()), "{found:?}");
    setting.api.remove("v1", "pods", "team-a", "job");
    setting.becomes(1, 200);
    assert_eq!(setting.egret.metric("egret_kubernetes_ambiguous_addresses"), 0.0);
}

#[test]
fn a_pod_of_the_same_name_is_another() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-a]}"));
    let mut tunnel = setting.tunnel(1);
    setting.api.remove("v1", "pods", "team-a", "web");
    setting.api.put(pod("web", 1));
    let _ = tunnel.read_to_end(PATIENCE);
    assert_eq!(setting.egret.record(|r| r.method() == "CONNECT").reason(), "workload-gone");
    setting.becomes(1, 200);
}
