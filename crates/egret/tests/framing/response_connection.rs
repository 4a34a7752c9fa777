//! What an origin's answer does to its connection (RFC 9112 sections 9 and 11.1), and interim responses
//! (RFC 9110 section 15.2).

use egret_testkit::scripted::{Step, send};
use egret_testkit::{Egret, ScriptedOrigin};

use super::reply::{SECRET, reply, run};

const HEAD: &str = "HEAD http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n";
const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

/// Bytes after the end of a response belong to nobody: the connection they came on is not used again.
#[test]
fn leftover_bytes_are_never_the_next_answer() {
    let after = |name, head: &str| reply(name, "9112 9.3", format!("{head}{EVIL}")).held().not_reused();
    run(&[
        after("after a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").delivered(200, "ok"),
        after("after chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .delivered(200, "ok"),
        after("after an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").delivered(200, ""),
        after("after 204", "HTTP/1.1 204 No Content\r\n\r\n").delivered(204, ""),
        after("after 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n").delivered(304, ""),
        after("after HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").to(HEAD).delivered(200, ""),
        reply("204 with a body", "9110 15.3.5", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil")
            .held()
            .not_reused()
            .delivered(204, "")
            .bad_gateway(),
        reply(
            "204 with chunks",
            "9112 6.1",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        )
        .held()
        .not_reused()
        .delivered(204, "")
        .bad_gateway(),
        reply("304 with a body", "9110 15.4.5", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil")
            .held()
            .not_reused()
            .delivered(304, ""),
        reply("HEAD with a body", "9110 9.3.2", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            .to(HEAD)
            .held()
            .not_reused()
            .delivered(200, ""),
        reply(
            "Connection: close",
            "9112 9.6",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        )
        .held()
        .not_reused()
        .delivered(200, "ok"),
        reply("HTTP/1.0 without keep-alive", "9112 9.3", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .held()
            .not_reused()
            .delivered(200, "ok"),
    ]);
}

#[test]
fn switching_protocols_unasked_is_refused() {
    let upgrade =
        "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    run(&[
        reply(
            "101 unasked",
            "9110 15.2.2",
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n{SECRET}"),
        )
        .held()
        .bad_gateway(),
        reply(
            "101 to another protocol than was asked for",
            "9110 7.8",
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n{SECRET}"
            ),
        )
        .to(upgrade)
        .held()
        .bad_gateway(),
        reply("101 without Upgrade", "9110 7.8", format!("HTTP/1.1 101 Switching Protocols\r\n\r\n{SECRET}"))
            .to(upgrade)
            .held()
            .bad_gateway(),
        reply(
            "a refused upgrade is an answer",
            "9110 7.8",
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        )
        .to(upgrade)
        .held()
        .delivered(400, "no"),
    ]);
}

#[test]
fn interim_responses_are_read_strictly() {
    run(&[
        reply("103 and then 200", "8297 2", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .held()
            .delivered(200, "ok"),
        reply("100 unasked", "9110 15.2.1", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .held()
            .delivered(200, "ok"),
        reply("an unknown 1xx", "9110 15.2", "HTTP/1.1 150 Odd\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .held()
            .delivered(200, "ok"),
        reply("103 and then the end", "9110 15.2", "HTTP/1.1 103 Early Hints\r\n\r\n").bad_gateway().incomplete(),
        reply("103 with a length and a body", "9112 6.3", format!("HTTP/1.1 103 Early Hints\r\nContent-Length: 15\r\n\r\n{SECRET}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
            .bad_gateway(),
        reply("103 with a bad field", "9112 5", format!("HTTP/1.1 103 Early Hints\r\nX {SECRET}: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
            .bad_gateway(),
    ]);
}

#[test]
fn a_flood_of_interim_responses_is_bounded() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![vec![
        Step::ReadHead,
        Step::Repeat(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".to_vec(), 1_000_000),
        send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ]]);
    let mut client = egret.connect();
    let authority = origin.address();
    client.send(format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    let answers = client.responses("GET");
    assert!(answers.len() < 10_000, "{} interim responses came through", answers.len() - 1);
    assert_eq!(answers.last().unwrap().status(), 502);
    assert_eq!(egret.record(|r| r.method() == "GET").status(), 502);
}

/// A kept connection is used again when nothing speaks against it (RFC 9112 section 9.3).
#[test]
fn a_clean_connection_is_reused() {
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret")).env("EGRET_WORKERS", "1").start();
    let answer = || vec![Step::ReadRequest, send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")];
    let script: Vec<Step> = (0..5).flat_map(|_| answer()).chain([Step::Hold]).collect();
    let origin = ScriptedOrigin::start(vec![script]);
    let authority = origin.address();
    let mut client = egret.connect();
    for _ in 0..5 {
        let answer =
            client.exchange(format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(origin.server().accepted(), 1);
}
