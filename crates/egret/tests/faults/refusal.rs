//! What a client reads when the answer is no (RFC 9209, and reason codes that records share).

use egret_testkit::{Egret, HttpOrigin};

use super::configured;

const RULES: &str =
    "rules: {deny: [{name: no-secrets, hosts: [secret.test]}]}\nhttp: {contact: ops@corp.test}\n";

fn ask(egret: &Egret, accept: &str) -> egret_testkit::Message {
    egret.connect().exchange(format!(
        "GET http://secret.test/x HTTP/1.1\r\nHost: secret.test\r\nAccept: {accept}\r\n\r\n"
    ))
}

#[test]
fn a_refused_connect_says_why_in_its_reason_phrase() {
    let egret = configured(RULES);
    let (_, answer) = egret.tunnel("secret.test:443");
    let record = &egret.exactly(1)[0];
    assert_eq!(answer.start_line, format!("HTTP/1.1 403 egret denied-by-rule {}", record.id()));
    let status = answer.fields.first("proxy-status").unwrap();
    assert!(status.starts_with("egret") && status.contains("; error=http_request_denied"), "{status}");
    assert!(answer.text().contains("no-secrets"), "{}", answer.text());
    assert_eq!(record.reason(), "denied-by-rule");
    assert_eq!(record.text("rule"), "no-secrets");
    assert_eq!(record.text("blame"), "policy");
    assert_eq!((record.status(), record.method().as_str()), (403, "CONNECT"));
}

#[test]
fn a_refusal_comes_as_the_client_likes_it() {
    let egret = configured(RULES);
    let text = ask(&egret, "*/*");
    assert_eq!(text.status(), 403);
    assert!(text.fields.first("content-type").unwrap().starts_with("text/plain"));
    assert!(text.text().contains("denied-by-rule") && text.text().contains("no-secrets"));
    assert!(text.text().contains("ops@corp.test"));

    let html = ask(&egret, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    assert!(html.fields.first("content-type").unwrap().starts_with("text/html"));
    assert!(html.text().to_lowercase().contains("<html") && html.text().contains("denied-by-rule"));

    let json = ask(&egret, "application/json");
    assert!(json.fields.first("content-type").unwrap().contains("json"));
    assert!(json.json().is_object());
    assert!(json.text().contains("denied-by-rule"));
    assert_eq!(json.fields.first("cache-control"), Some("no-store"));
    egret.exactly(3);
}

#[test]
fn a_refusal_does_not_let_html_in() {
    let egret = configured("rules: {default: deny}\n");
    let target = "http://secret.test/<script>alert(1)</script>";
    let answer = egret
        .connect()
        .exchange(format!("GET {target} HTTP/1.1\r\nHost: secret.test\r\nAccept: text/html\r\n\r\n"));
    assert!(answer.status() == 403 || answer.status() == 400);
    assert!(!answer.text().contains("<script>"), "{}", answer.text());
}

#[test]
fn a_refused_head_request_has_no_body() {
    let egret = configured(RULES);
    let mut client = egret.connect();
    client.send("HEAD http://secret.test/ HTTP/1.1\r\nHost: secret.test\r\nConnection: close\r\n\r\n");
    let (bytes, _) = client.read_to_end(egret_testkit::wait::PATIENCE);
    assert!(bytes.starts_with(b"HTTP/1.1 403 "));
    assert!(bytes.ends_with(b"\r\n\r\n"), "{:?}", String::from_utf8_lossy(&bytes));
}

#[test]
fn a_policy_refusal_keeps_the_connection() {
    let egret = configured(RULES);
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    let refused = client.exchange("GET http://secret.test/ HTTP/1.1\r\nHost: secret.test\r\n\r\n");
    assert_eq!(refused.status(), 403);
    let answer = client.exchange(super::get(origin.address(), "/echo"));
    assert_eq!(answer.status(), 200);
    egret.exactly(2);
}

#[test]
fn rules_match_names_ports_and_networks() {
    let origin = HttpOrigin::start();
    let other = HttpOrigin::start();
    let egret = configured(&format!(
        "rules:\n  deny: [{{name: port, ports: [{}]}}]\n  allow: [{{name: here, cidrs: [127.0.0.0/8]}}]\n  default: deny\n",
        other.address().port()
    ));
    assert_eq!(egret.tunnel(&origin.address().to_string()).1.status(), 200);
    let (_, denied) = egret.tunnel(&other.address().to_string());
    assert_eq!(denied.status(), 403);
    assert!(denied.reason_phrase().contains("denied-by-rule"));
    let (_, denied) = egret.tunnel("192.0.2.1:80");
    assert!(denied.reason_phrase().contains("denied-by-default"), "{}", denied.start_line);
    assert_eq!(other.accepted(), 0);
}

#[test]
fn secrets_stay_out_of_refusals_and_records() {
    let egret = configured(RULES);
    let answer = egret.connect().exchange(
        "GET http://user:hunter2@secret.test/ HTTP/1.1\r\nHost: secret.test\r\n\
         Proxy-Authorization: Basic aHVudGVyMg==\r\nAuthorization: Bearer hunter2\r\nCookie: hunter2\r\n\r\n",
    );
    assert_eq!(answer.status(), 400);
    assert!(!answer.text().contains("hunter2") && !answer.text().contains("aHVudGVyMg"));
    let record = &egret.exactly(1)[0];
    assert!(!record.0.to_string().contains("hunter2"), "{}", record.0);
    assert!(!egret.log().contains("hunter2"));
}
