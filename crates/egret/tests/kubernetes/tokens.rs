//! Tokens of service accounts.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_testkit::ApiServer;
use egret_testkit::wait::PATIENCE;
use serde_json::{Value, json};

use super::{Setting, only, pod};

fn bearer(token: &str) -> String {
    format!("Proxy-Authorization: Bearer {token}\r\n")
}

fn recorded(case: &str) -> Value {
    let text = include_str!("../../../egret-testkit/fixtures/k8s/tokenreview.json");
    let cases: Value = serde_json::from_str(text).unwrap();
    let case = cases.as_array().unwrap().iter().find(|c| c["case"] == case).unwrap();
    case["response"]["status"].clone()
}

const LINES: &str = "  unknownSourceWait: 0s\n";

#[test]
fn a_token_proves_a_workload_from_wherever_it_comes() {
    let setting = Setting::with(&[pod("web", 1)], LINES, &only("{podSelector: {matchLabels: {app: web}}}"));
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    assert_eq!(setting.ask(99).status(), 403, "nobody is known there");
    assert_eq!(setting.ask_with(99, &bearer(&token)).status(), 200);
    let basic = STANDARD.encode(format!("anybody:{token}"));
    let fields = format!("Proxy-Authorization: Basic {basic}\r\n");
    assert_eq!(setting.ask_with(99, &fields).status(), 200, "as the password of Basic");
    let records = setting.egret.exactly(3);
    for record in &records[1..] {
        assert_eq!(record.text("user"), "system:serviceaccount:team-a:builder");
        assert_eq!(record.text("proof"), "service-account");
        assert_eq!((record.text("pod").as_str(), record.text("source").as_str()), ("web", ""));
    }
}

#[test]
fn recorded_reviews_are_understood() {
    let setting = Setting::with(
        &[],
        &format!("{LINES}  tokenAudience: egress-proxy\n"),
        &only("{serviceAccounts: [team-a/builder]}"),
    );
    for (case, status, detail) in [
        ("tokenreview-ok", 200, ""),
        ("tokenreview-sa-token-not-pod-bound", 200, ""),
        ("tokenreview-wrong-audience", 407, "for another audience"),
        ("tokenreview-token-with-both-audiences-none-asked", 407, "for another audience"),
        ("tokenreview-garbage", 407, "does not accept the token"),
        ("tokenreview-tampered-signature", 407, "does not accept the token"),
        ("tokenreview-after-pod-deleted", 407, "pod is gone"),
    ] {
        let token = format!("token-{case}");
        setting.api.token_review(&token, recorded(case));
        let answer = setting.ask_with(99, &bearer(&token));
        assert_eq!(answer.status(), status, "{case}: {}", answer.text());
        assert!(answer.text().contains(detail), "{case}: {}", answer.text());
        if status == 407 {
            let challenges: Vec<&str> = answer.fields.all("Proxy-Authenticate").collect();
            assert!(
                challenges.iter().any(|c| c.starts_with("Bearer ") && c.contains("invalid_token")),
                "{challenges:?}"
            );
            assert!(challenges.iter().any(|c| c.starts_with("Basic ")), "{challenges:?}");
        }
    }
    let log = format!("{:?}{}", setting.egret.records(), setting.egret.log());
    assert!(!log.contains("token-tokenreview"), "no token is logged");
    assert_eq!(setting.egret.metric(r#"egret_token_reviews_total{result="good"}"#), 2.0);
    assert_eq!(setting.egret.metric(r#"egret_token_reviews_total{result="refused"}"#), 5.0);
}

#[test]
fn a_token_is_reviewed_once_for_a_while_and_by_one_at_a_time() {
    let setting = Setting::with(&[pod("web", 1)], LINES, &only("{namespaces: [team-a]}"));
    setting.api.set_delay(Duration::from_millis(300));
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(setting.ask_with(1, &bearer(&token)).status(), 200));
        }
    });
    assert_eq!(setting.api.count("POST", "/tokenreviews"), 1);
    for _ in 0..2 {
        assert_eq!(setting.ask_with(1, &bearer("eyJ.not.good")).status(), 407);
    }
    assert_eq!(setting.api.count("POST", "/tokenreviews"), 2, "what is wrong is remembered as well");
    let review = &setting.api.calls().into_iter().find(|c| c.path.ends_with("/tokenreviews")).unwrap().body;
    assert_eq!(review["spec"]["audiences"], json!(["egret"]));
}

#[test]
fn a_token_of_another_pod_is_refused_unless_it_may_be() {
    let pods = [pod("web", 1), pod("job", 2)];
    let setting = Setting::with(&pods, LINES, &only("{namespaces: [team-a]}"));
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    assert_eq!(setting.ask_with(1, &bearer(&token)).status(), 200);
    let answer = setting.ask_with(2, &bearer(&token));
    assert_eq!(answer.status(), 403);
    assert!(
        answer.text().contains("workload-mismatch") && answer.text().contains("(pod job)"),
        "{}",
        answer.text()
    );
    let unbound = setting.api.issue_token("team-a", "builder", &["egret"], None);
    assert_eq!(setting.ask_with(2, &bearer(&unbound)).status(), 200, "it is the same account's");

    let lines = format!("{LINES}  tokenMustFitSource: false\n");
    let setting = Setting::with(&pods, &lines, &only("{podSelector: {matchLabels: {app: web}}}"));
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    assert_eq!(setting.ask(2).status(), 403);
    assert_eq!(setting.ask_with(2, &bearer(&token)).status(), 200, "the token alone decides");
}

#[test]
fn the_end_of_its_pod_ends_a_token() {
    let setting = Setting::with(&[pod("web", 1)], LINES, &only("{namespaces: [team-a]}"));
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    let mut tunnel = setting.connect(99);
    let authority = setting.origin.address();
    tunnel.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n", bearer(&token)));
    assert_eq!(tunnel.response("CONNECT").status(), 200);
    setting.api.remove("v1", "pods", "team-a", "web");
    egret_testkit::wait_for("the end of the token", PATIENCE, || {
        (setting.ask_with(99, &bearer(&token)).status() != 200).then_some(())
    });
}

#[test]
fn tokens_go_on_while_the_api_server_is_away() {
    let lines = format!("{LINES}  tokenCache: 1ms\n");
    let setting = Setting::with(&[pod("web", 1)], &lines, &only("{namespaces: [team-a]}"));
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    assert_eq!(setting.ask_with(99, &bearer(&token)).status(), 200);
    setting.api.set_away(true);
    assert_eq!(setting.ask_with(99, &bearer(&token)).status(), 200, "it was good, and is valid yet");
    let other = setting.api.issue_token("team-a", "builder", &["egret"], None);
    let answer = setting.ask_with(99, &bearer(&other));
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.text().contains("authentication-unavailable"), "{}", answer.text());
}

#[test]
fn a_token_may_be_asked_of_everybody() {
    let sections = format!("authentication: {{required: true}}\n{}", only("{namespaces: [team-a]}"));
    let setting = Setting::with(&[pod("web", 1)], LINES, &sections);
    assert_eq!(setting.ask(1).status(), 407);
    let token = setting.api.issue_token("team-a", "builder", &["egret"], Some("web"));
    assert_eq!(setting.ask_with(1, &bearer(&token)).status(), 200);
    let wrong = setting.api.issue_token("team-a", "builder", &["other"], Some("web"));
    assert_eq!(setting.ask_with(1, &bearer(&wrong)).status(), 407);
}

#[test]
fn says_when_it_may_not_review_tokens() {
    let api = ApiServer::start();
    api.forbid("create", "authentication.k8s.io", "tokenreviews");
    let setting = Setting::at(api, &[pod("web", 1)], LINES, &only("{namespaces: [team-a]}"));
    let answer = setting.ask_with(1, &bearer("eyJ.a.b"));
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("does not let the proxy review tokens"), "{}", answer.text());
    assert!(setting.egret.log().contains("tokenreviews.authentication.k8s.io is forbidden"));
}
