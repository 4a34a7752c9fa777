//! What is asked, what is refused, and what goes on to origins.

use egret_testkit::{RecordingOrigin, wait_for};

use super::{Setting, basic, challenges, reason, request, sorted};

#[test]
fn asks_for_credentials_with_a_challenge() {
    let it = Setting::with("  realm: Corp \"proxy\"\n");
    let answer = it.ask(None);
    assert_eq!((answer.status(), reason(&answer).as_str()), (407, "authentication-required"));
    assert_eq!(challenges(&answer), [r#"Basic realm="Corp \"proxy\"", charset="UTF-8""#]);
    let other = it.ask(Some("Negotiate YIIabc=="));
    assert_eq!((other.status(), reason(&other).as_str()), (407, "authentication-required"));
    assert!(other.text().contains("the scheme Negotiate are not taken"), "{}", other.text());
    assert_eq!(it.origin.accepted(), 0, "nobody got through");
    let (_, tunnel) = it.egret.tunnel(&it.origin.address().to_string());
    assert_eq!((tunnel.status(), challenges(&tunnel).len()), (407, 1));
}

#[test]
fn lets_in_who_knows_the_password_and_says_who_it_was() {
    let it = Setting::with("");
    let answer = it.ask(Some(&basic("alice", "secret")));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let record = it.egret.record(|record| record.status() == 200);
    assert_eq!((record.text("user"), record.text("proof")), ("alice".to_owned(), "htpasswd".to_owned()));
    for (user, password) in [("alice", "Secret"), ("alice", ""), ("bob", "secret"), ("Alice", "secret")] {
        let answer = it.ask(Some(&basic(user, password)));
        assert_eq!((answer.status(), reason(&answer).as_str()), (407, "credentials-refused"), "{user}");
        assert_eq!(challenges(&answer).len(), 1);
    }
    let refused = it.egret.records_where(|record| record.reason() == "credentials-refused");
    assert!(refused.iter().all(|record| record.text("user").is_empty()), "nobody was proved");
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"basic\",result=\"accepted\"}"), 1.0);
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"basic\",result=\"refused\"}"), 4.0);
    assert_eq!(it.egret.metric("egret_client_requests_total{client=\"alice\",blame=\"none\"}"), 1.0);
}

#[test]
fn every_request_on_a_kept_connection_is_asked_anew() {
    let it = Setting::with("");
    let mut client = it.egret.connect();
    let good = request(&it.origin, Some(&basic("alice", "secret")));
    let mut status = |text: &str| client.send(text).response("GET").status();
    assert_eq!(status(&request(&it.origin, None)), 407, "the connection stays open for the answer");
    assert_eq!(status(&good), 200);
    assert_eq!(status(&request(&it.origin, None)), 407, "what was proved was one request's");
    assert_eq!(status(&request(&it.origin, Some(&basic("alice", "wrong")))), 407);
    assert_eq!(status(&good), 200);
    let records = it.egret.exactly(5);
    let users: Vec<String> = records.iter().map(|record| record.text("user")).collect();
    assert_eq!(users, ["", "alice", "", "", "alice"]);
}

#[test]
fn credentials_never_go_upstream_and_are_never_logged() {
    let it = Setting::with("");
    let origin = RecordingOrigin::start();
    let secret = basic("alice", "secret");
    let encoded = secret.trim_start_matches("Basic ");
    let mut client = it.egret.connect();
    client.send(format!(
        "GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nproxy-AUTHORIZATION: {secret}\r\n\
         Authorization: Basic b3JpZ2luOm9yaWdpbg==\r\nConnection: Proxy-Authorization\r\n\r\n",
        at = origin.address()
    ));
    let head =
        wait_for("the request", egret_testkit::wait::PATIENCE, || origin.requests().0.first().cloned());
    assert!(!head.fields.has("Proxy-Authorization"), "{head:?}");
    assert_eq!(
        head.fields.first("Authorization"),
        Some("Basic b3JpZ2luOm9yaWdpbg=="),
        "that one is the origin's"
    );
    drop(client);
    let wrong = it.ask(Some(&basic("alice", "hunter2")));
    it.ask(Some(encoded));
    let lines = format!("{:?}{}{}", it.egret.records_where(|_| true), it.egret.log(), wrong.text());
    for hidden in [encoded, "hunter2", "YWxpY2U6aHVudGVyMg"] {
        assert!(!lines.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_body_behind_a_refused_head_is_no_request() {
    let it = Setting::with("");
    let inner = request(&it.origin, Some(&basic("alice", "secret")));
    let mut client = it.egret.connect();
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{inner}",
        it.origin.url("/echo"),
        it.origin.address(),
        inner.len()
    ));
    let answers = client.responses("POST");
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].status(), 407);
    assert!(answers[0].fields.lists("Connection", "close"));
    assert_eq!(it.origin.accepted(), 0);
}

#[test]
fn the_proxys_own_pages_need_no_credentials() {
    let it = Setting::with("");
    for path in ["/", "/healthz", "/readyz"] {
        let answer = it.egret.connect().exchange(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{path}");
    }
    let traced = it.egret.connect().exchange(format!(
        "TRACE {} HTTP/1.1\r\nHost: {}\r\nMax-Forwards: 0\r\n\r\n",
        it.origin.url("/"),
        it.origin.address()
    ));
    assert_eq!(traced.status(), 407, "what is asked of the proxy as a proxy does");
}

#[test]
fn optional_credentials_may_be_left_out_but_not_be_wrong() {
    let it = Setting::with("  required: false\n");
    assert_eq!(it.ask(None).status(), 200);
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200);
    assert_eq!(it.ask(Some(&basic("alice", "wrong"))).status(), 407);
    assert_eq!(sorted(&it.egret.exactly(3), "user"), ["", "", "alice"]);
}

#[test]
fn exempt_addresses_need_none() {
    let it = Setting::with("  exempt: [127.0.0.0/8]\n");
    assert_eq!(it.ask(None).status(), 200);
    let it = Setting::with("  exempt: [10.0.0.0/8]\n");
    assert_eq!(it.ask(None).status(), 407);
}

#[test]
fn the_users_field_of_common_squid_and_combined_lines_is_filled() {
    for (format, piece) in
        [("common", " - alice ["), ("combined", " - alice ["), ("squid", " alice HIER_DIRECT/")]
    {
        let it = Setting::with(&format!("accessLog: {{format: {format}, output: {{file: access.log}}}}\n"));
        assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200);
        let file = it.egret.directory().join("access.log");
        let text = wait_for("the access line", egret_testkit::wait::PATIENCE, || {
            std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
        });
        assert!(text.contains(piece), "{format}: {text}");
    }
}
