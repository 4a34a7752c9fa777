//! Kept upstream connections that turn out to be dead (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).

use std::time::Duration;

use egret_testkit::scripted::{Step, send};
use egret_testkit::{Egret, ScriptedOrigin};

use super::{builder, get, post};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn second_connection() -> Vec<Step> {
    vec![Step::ReadRequest, send(OK), Step::Hold]
}

fn proxy() -> Egret {
    builder().env("EGRET_WORKERS", "1").start()
}

#[test]
fn a_connection_closed_while_idle_is_replaced() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadRequest, send(OK)], second_connection()]);
    let mut client = egret.connect();
    assert_eq!(client.exchange(get(origin.address(), "/1")).status(), 200);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(client.exchange(get(origin.address(), "/2")).status(), 200);
    egret.exactly(2);
}

#[test]
fn a_post_over_a_connection_closed_while_idle_goes_out_once() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadRequest, send(OK)], second_connection()]);
    let mut client = egret.connect();
    assert_eq!(client.exchange(get(origin.address(), "/1")).status(), 200);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(client.exchange(post(origin.address(), "once")).status(), 200);
    let all: Vec<u8> = origin.received().into_iter().flat_map(|r| r.bytes).collect();
    assert_eq!(all.windows(4).filter(|w| *w == b"once").count(), 1);
}

/// The origin closes at the moment the second request arrives: the unlucky race. GET is safe to send
/// again.
#[test]
fn a_get_is_sent_again_when_the_kept_connection_dies_under_it() {
    for dying in [vec![], vec![Step::Reset]] {
        let egret = proxy();
        let mut first = vec![Step::ReadRequest, send(OK), Step::ReadHead];
        first.extend(dying);
        let origin = ScriptedOrigin::start(vec![first, second_connection()]);
        let mut client = egret.connect();
        assert_eq!(client.exchange(get(origin.address(), "/1")).status(), 200);
        assert_eq!(client.exchange(get(origin.address(), "/2")).status(), 200);
        assert_eq!(origin.server().accepted(), 2);
        egret.exactly(2);
    }
}

/// POST is not: the origin may have acted on it.
#[test]
fn a_post_is_not_sent_again_when_the_kept_connection_dies_under_it() {
    for dying in [vec![], vec![Step::Reset]] {
        let egret = proxy();
        let mut first = vec![Step::ReadRequest, send(OK), Step::ReadRequest];
        first.extend(dying);
        let origin = ScriptedOrigin::start(vec![first, second_connection()]);
        let mut client = egret.connect();
        assert_eq!(client.exchange(get(origin.address(), "/1")).status(), 200);
        assert_eq!(client.exchange(post(origin.address(), "once")).status(), 502);
        let all: Vec<u8> = origin.received().into_iter().flat_map(|r| r.bytes).collect();
        assert_eq!(all.windows(4).filter(|w| *w == b"once").count(), 1);
        egret.exactly(2);
    }
}

/// Only a kept connection can be stale: a fresh one that dies is not tried again, or an origin that
/// crashes on a request would be hit over and over.
#[test]
fn a_fresh_connection_that_dies_is_not_retried() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadHead, Step::Reset], second_connection()]);
    assert_eq!(egret.connect().exchange(get(origin.address(), "/")).status(), 502);
    assert_eq!(origin.server().accepted(), 1);
}

/// A part of an answer has been seen, so the request was served.
#[test]
fn a_kept_connection_that_dies_within_the_answer_is_not_retried() {
    let egret = proxy();
    let half = send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
    let origin = ScriptedOrigin::start(vec![
        vec![Step::ReadRequest, send(OK), Step::ReadHead, half],
        second_connection(),
    ]);
    let mut client = egret.connect();
    assert_eq!(client.exchange(get(origin.address(), "/1")).status(), 200);
    let answer = client.exchange(get(origin.address(), "/2"));
    assert!(!answer.complete);
    assert_eq!(origin.server().accepted(), 1);
}

/// Two clients never see each other's answers over a shared upstream connection.
#[test]
fn answers_belong_to_their_requests() {
    let egret = proxy();
    let origin = egret_testkit::HttpOrigin::start();
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (egret, origin) = (&egret, &origin);
            scope.spawn(move || {
                let mut connection = egret.connect();
                for i in 0..50 {
                    let path = format!("/echo?client={client}&i={i}");
                    let answer = connection.exchange(get(origin.address(), &path));
                    assert_eq!(answer.json()["target"], path.as_str());
                }
            });
        }
    });
    egret.exactly(400);
}
