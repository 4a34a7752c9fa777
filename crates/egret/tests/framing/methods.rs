//! Methods and expectations with a meaning for a proxy: OPTIONS, TRACE, Max-Forwards, Expect, Upgrade.

use egret_testkit::scripted::{Step, send};
use egret_testkit::{Egret, HttpOrigin, ScriptedOrigin};

use super::case::{case, run};

#[test]
fn options_and_trace_count_hops() {
    run(&[
        case("OPTIONS of a whole server", "9112 3.2.4", "OPTIONS http://{O} HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .passed("OPTIONS * HTTP/1.1\r\nHost: {O}\r\n\r\n"),
        case("OPTIONS of the root", "9112 3.2.4", "OPTIONS http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .passed("OPTIONS / HTTP/1.1\r\nHost: {O}\r\n\r\n"),
        case("OPTIONS with a query", "9112 3.2.4", "OPTIONS http://{O}?q HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .passed("OPTIONS /?q HTTP/1.1\r\nHost: {O}\r\n\r\n"),
        case(
            "OPTIONS, Max-Forwards 0",
            "9110 7.6.2",
            "OPTIONS http://{O}/ HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 0\r\n\r\n",
        )
        .answered(&[200, 204, 405, 501, 502]),
        case(
            "TRACE, Max-Forwards 0",
            "9110 7.6.2",
            "TRACE http://{O}/ HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 0\r\n\r\n",
        )
        .answered(&[200, 405, 501, 502]),
        case(
            "OPTIONS, Max-Forwards 5",
            "9110 7.6.2",
            "OPTIONS http://{O}/ HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 5\r\n\r\n",
        )
        .passed("OPTIONS / HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 4\r\n\r\n"),
        case(
            "TRACE, Max-Forwards 1",
            "9110 7.6.2",
            "TRACE http://{O}/ HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 1\r\n\r\n",
        )
        .passed("TRACE / HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 0\r\n\r\n"),
        case(
            "GET, Max-Forwards is not counted",
            "9110 7.6.2",
            "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 0\r\n\r\n",
        )
        .passed("GET / HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: 0\r\n\r\n"),
        case(
            "TRACE, Max-Forwards no number",
            "9110 7.6.2",
            "TRACE http://{O}/ HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: x\r\n\r\n",
        )
        .refused(&[400])
        .passed("TRACE / HTTP/1.1\r\nHost: {O}\r\nMax-Forwards: x\r\n\r\n"),
        case(
            "TRACE with a body",
            "9110 9.3.8",
            "TRACE http://{O}/ HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi",
        )
        .refused(&[400])
        .passed("TRACE / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi"),
    ]);
}

#[test]
fn upgrades_are_passed_except_to_http2() {
    run(&[
        case("h2c is taken away", "9113 3.1", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
            .passed("GET / HTTP/1.1\r\nHost: {O}\r\n\r\n"),
        case("h2c in upper case is taken away", "9113 3.1", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
            .passed("GET / HTTP/1.1\r\nHost: {O}\r\n\r\n"),
        case("an upgrade in HTTP/1.0 is ignored", "9110 7.8", "GET http://{O}/ HTTP/1.0\r\nHost: {O}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .passed("GET / HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .passed("GET / HTTP/1.0\r\nHost: {O}\r\n\r\n"),
        case("an upgrade that the origin declines", "9110 7.8", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n")
            .passed("GET / HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"),
        case("an upgrade with a body", "9110 7.8", "POST http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi")
            .passed("POST / HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi")
            .passed("POST / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi")
            .refused(&[400]),
    ]);
}

#[test]
fn an_accepted_upgrade_becomes_a_tunnel() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    // The first bytes of the new protocol come together with the request, as a hasty client sends them.
    client.send(format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        origin.url("/upgrade"),
        origin.address()
    ));
    let answer = client.response("GET");
    assert_eq!(answer.status(), 101);
    assert!(answer.fields.lists("connection", "upgrade"));
    assert_eq!(answer.fields.first("upgrade"), Some("echo"));
    client.send("one");
    assert_eq!(client.take(3), b"one");
    client.send(vec![7; 100_000]);
    assert_eq!(client.take(100_000), vec![7; 100_000]);
    drop(client);
    let record = egret.record(|r| r.target().contains("/upgrade"));
    assert_eq!(record.status(), 101);
    assert_eq!(record.bytes_up(), 100_003);
}

#[test]
fn expect_100_continue_waits_for_the_origin() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    let url = origin.url("/echo");
    client.send(format!(
        "POST {url} HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        origin.address()
    ));
    client.read_until(std::time::Duration::from_secs(10), |bytes| bytes.ends_with(b"\r\n\r\n"));
    assert!(client.pending.starts_with(b"HTTP/1.1 100 "), "{:?}", client.pending);
    client.send("hello");
    let replies = client.responses("POST");
    assert_eq!(replies.last().unwrap().status(), 200);
    assert_eq!(replies.last().unwrap().json()["body"], "hello");
}

#[test]
fn a_refused_expectation_is_passed_back_and_the_body_is_not_waited_for() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![vec![
        Step::ReadHead,
        send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    ]]);
    let authority = origin.address();
    let mut client = egret.connect();
    let answer = client.exchange(format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    ));
    assert_eq!(answer.status(), 417);
}

#[test]
fn early_hints_are_passed_on() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    client.send(format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", origin.url("/hints"), origin.address()));
    let replies = client.responses("GET");
    let statuses: Vec<u16> = replies.iter().map(|r| r.status()).collect();
    assert_eq!(statuses, [103, 200]);
    assert_eq!(replies[0].fields.first("link"), Some("</a.css>; rel=preload"));

    // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
    let mut client = egret.connect();
    client.send(format!("GET {} HTTP/1.0\r\n\r\n", origin.url("/hints")));
    let replies = client.responses("GET");
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].status(), 200);
}
