//! The protocol that a client is answered with is the one that the origin speaks.

use egret_testkit::tools::{client, python, run, succeed};

use super::node_origin::Node;
use super::script;

fn get(it: &Node, flags: &[&str], path: &str) -> (serde_json::Value, String) {
    let text = succeed(it.curl().args(flags).args(["-w", "\n%{http_version}", &it.url(path)]));
    Node::seen(&text)
}

#[test]
fn http2_and_http1_are_mirrored_at_the_handshake() {
    for (origin, flag, spoken, seen) in [
        ("h2,http/1.1", "--http2", "2", "2.0"),
        ("h2", "--http2", "2", "2.0"),
        ("h2,http/1.1", "--http1.1", "1.1", "1.1"),
        ("http/1.1", "--http2", "1.1", "1.1"),
    ] {
        let it = Node::speaking(origin);
        // The first time it is found out, and then it is known.
        for _ in 0..2 {
            let (answer, version) = get(&it, &[flag], "/");
            assert_eq!((&*version, &answer["version"]), (spoken, &seen.into()), "{origin} {flag}");
        }
    }
}

#[test]
fn the_connection_that_was_made_to_find_out_serves_the_first_request() {
    for origin in ["h2,http/1.1", "http/1.1"] {
        let it = Node::speaking(origin);
        for _ in 0..3 {
            let (answer, _) = get(&it, &["--http2"], "/");
            assert!(answer["connections"].as_u64().unwrap() <= 2, "one in each worker: {answer}");
        }
        let records = it.egret.records_where(|record| record.method() == "GET");
        assert_eq!(records[0].text("reused"), "true", "{records:?}");
    }
}

#[test]
fn large_bodies_pass_both_ways_over_http2() {
    let it = Node::speaking("h2");
    let size = ["--http2", "-o", "/dev/null", "-w", "%{size_download} %{http_version}"];
    assert_eq!(succeed(it.curl().args(size).arg(it.url("/bytes/5000000"))), "5000000 2");
    let file = it.egret.directory().join("upload");
    std::fs::write(&file, vec![b'x'; 3_000_000]).unwrap();
    let text = succeed(it.curl().arg("-T").arg(&file).arg(it.url("/upload")));
    assert_eq!(text, "3000000");
}

#[test]
fn a_client_that_speaks_http2_alone_is_served_by_an_origin_without() {
    let it = Node::speaking("http/1.1");
    let mut command = client(python());
    command.arg(script("http2_alone.py")).args([it.egret.address().to_string(), it.url("/")]);
    let text = succeed(command.arg(it.ca()));
    assert!(text.contains("\"version\":\"1.1\""), "{text}");
    let record = it.egret.record(|record| record.method() == "GET");
    assert_eq!(
        (record.text("downstream"), record.text("upstream")),
        ("HTTP/2".to_owned(), "HTTP/1.1".to_owned())
    );
}

#[test]
fn a_host_that_is_set_to_http1_is_told_so_at_once() {
    let yaml =
        "interception: {everything: true}\nupstream: {origins: [{hosts: [origin.test], http1Only: true}]}\n";
    let it = Node::configured("h2,http/1.1", yaml);
    let (answer, version) = get(&it, &["--http2"], "/");
    assert_eq!((&*version, &answer["version"]), ("1.1", &"1.1".into()));
}

#[test]
fn an_origin_that_cannot_be_reached_is_told_inside_and_tried_once() {
    let it = Node::speaking("h2");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let url = format!("https://origin.test:{port}/");
    let text = succeed(it.curl().args(["--http2", "-i", &url]));
    assert!(text.contains("502") && text.contains("Reason code: connect-refused"), "{text}");
    let record = it.egret.record(|record| record.method() == "GET");
    assert_eq!((record.status(), record.reason().as_str()), (502, "connect-refused"));
    assert!(!record.text("connectMs").is_empty(), "as if the request itself had met it: {record:?}");
}

#[test]
fn what_is_wrong_with_an_origin_is_still_said_inside() {
    let it = Node::speaking("h2");
    // Its certificate is for another name.
    let mut curl = it.curl();
    curl.arg("-i").arg(it.url("/").replace("origin.test", "127.0.0.1"));
    let text = succeed(&mut curl);
    assert!(text.contains("upstream-certificate-invalid") && text.contains("(wrong-name)"), "{text}");
    assert!(run(it.curl().arg(it.url("/"))).status.success(), "the right name works");
}
