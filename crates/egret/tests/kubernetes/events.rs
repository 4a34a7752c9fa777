//! Refusals as Events.

use std::time::Duration;

use egret_testkit::tools::{client, kubectl, succeed};
use egret_testkit::wait::PATIENCE;
use egret_testkit::wait_for;
use serde_json::Value;

use super::{Setting, only, pod};

fn events(setting: &Setting) -> Vec<Value> {
    setting.api.objects("v1", "events", "team-a")
}

#[test]
fn a_refusal_shows_in_kubectl_describe_pod() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-b]}"));
    assert_eq!(setting.ask(1).status(), 403);
    let event = wait_for("an Event", PATIENCE, || events(&setting).pop());
    assert_eq!(event["involvedObject"]["name"], "web");
    assert_eq!((&event["type"], &event["reason"]), (&"Warning".into(), &"EgressDeniedByDefault".into()));
    let note = event["message"].as_str().unwrap();
    assert!(
        note.contains("denied-by-default") && note.contains(&setting.origin.address().to_string()),
        "{note}"
    );
    let mut command = client(kubectl());
    command
        .arg("--kubeconfig")
        .arg(setting.api.kubeconfig())
        .args(["-n", "team-a", "describe", "pod", "web"]);
    let text = succeed(&mut command);
    assert!(text.contains("EgressDeniedByDefault") && text.contains("egret.dev/proxy"), "{text}");
}

#[test]
fn refusals_that_repeat_are_counted_in_one_event() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-b]}"));
    for _ in 0..50 {
        assert_eq!(setting.ask(1).status(), 403);
    }
    let joined = || setting.egret.metric(r#"egret_kubernetes_events_total{result="joined"}"#);
    wait_for("49 to be joined", PATIENCE, || (joined() == 49.0).then_some(()));
    assert_eq!(events(&setting).len(), 1);
    let count =
        wait_for("the count", Duration::from_secs(40), || events(&setting)[0]["series"]["count"].as_u64());
    assert_eq!(count, 50);
    assert_eq!(setting.api.count("POST", "/events"), 1);
}

#[test]
fn no_secret_and_no_other_failure_becomes_an_event() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-b]}"));
    let target = format!("http://{}/x?token=hunter2", setting.origin.address());
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", setting.origin.address());
    assert_eq!(setting.connect(1).exchange(request).status(), 403);
    let event = wait_for("an Event", PATIENCE, || events(&setting).pop());
    assert!(!event.to_string().contains("hunter2"), "{event}");

    let setting = Setting::with(&[pod("web", 1)], "", "");
    let request = "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n";
    assert_eq!(setting.connect(1).exchange(request).status(), 502, "nobody listens there");
    assert_eq!(setting.ask(1).status(), 200);
    std::thread::sleep(Duration::from_millis(300));
    assert!(events(&setting).is_empty());
}

#[test]
fn events_can_be_switched_off() {
    let setting = Setting::with(&[pod("web", 1)], "  events: false\n", &only("{namespaces: [team-b]}"));
    assert_eq!(setting.ask(1).status(), 403);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(setting.api.count("POST", "/events"), 0);
}
