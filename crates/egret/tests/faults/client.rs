//! Clients that go away, are slow on purpose, or take more than their share.

use std::time::Duration;

use egret_testkit::scripted::{Step, send};
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended, HttpOrigin, ScriptedOrigin};

use super::{configured, get};

#[test]
fn a_client_that_leaves_during_the_answer_frees_the_upstream() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    client.send(get(origin.address(), "/slow/1000/20"));
    let _ = client.take(200);
    client.reset();
    let record = &egret.exactly(1)[0];
    assert_eq!(record.reason(), "client-aborted");
    assert_eq!(record.status(), 200);
}

#[test]
fn a_half_sent_head_that_ends_with_a_reset_is_recorded() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    for half in ["G", "GET http://origin.test/ HTTP/1.1\r\nHost: ori"] {
        let mut client = egret.connect();
        client.send(half);
        // A reset that comes before the bytes are read takes them along.
        assert!(client.is_quiet_for(Duration::from_millis(100)));
        client.reset();
    }
    for record in egret.exactly(2) {
        assert_eq!((record.reason().as_str(), record.status()), ("client-aborted", 0), "{record:?}");
        assert!(record.text("detail").contains("within the request head"), "{record:?}");
    }
    // One that says nothing before it goes has asked for nothing.
    let silent = egret.connect();
    silent.reset();
    assert_eq!(egret.exactly(2).len(), 2);
}

#[test]
fn a_client_that_leaves_while_waiting_frees_the_upstream() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let mut client = egret.connect();
    client.send(get(origin.address(), "/"));
    wait_until("the request at the origin", PATIENCE, || {
        origin.received().first().is_some_and(|r| !r.bytes.is_empty())
    });
    client.reset();
    assert_ne!(origin.server().ending_of(0), Ended::Open);
    assert_eq!(egret.exactly(1)[0].reason(), "client-aborted");
}

#[test]
fn a_client_that_leaves_during_its_upload_frees_the_upstream() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let authority = origin.address();
    for ending in ["reset", "close"] {
        let mut client = egret.connect();
        client.send(format!(
            "POST http://{authority}/{ending} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 1000\r\n\r\nhalf"
        ));
        let count = origin.server().accepted();
        wait_until("the upload at the origin", PATIENCE, || {
            origin.received().iter().any(|r| r.bytes.windows(ending.len()).any(|w| w == ending.as_bytes()))
        });
        if ending == "reset" {
            client.reset()
        } else {
            drop(client)
        }
        let index = origin.server().accepted().max(count) - 1;
        assert_ne!(origin.server().ending_of(index), Ended::Open);
        let record = egret.record(|r| r.target().contains(ending));
        assert_eq!(record.reason(), "client-aborted");
    }
}

#[test]
fn a_client_that_leaves_within_a_head_leaves_at_most_a_line() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let mut client = egret.connect();
    client.send("GET http://127.0.0.1/ HTTP/1.1\r\nHo");
    drop(client);
    drop(egret.connect()); // and one that says nothing at all
    std::thread::sleep(Duration::from_millis(300));
    assert!(egret.records().len() <= 1, "{:?}", egret.records());
}

/// netcat and simple clients send FIN right after the request; the answer must still come.
#[test]
fn a_client_that_finishes_sending_gets_its_answer() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    client.send(get(origin.address(), "/delay/200")).finish();
    let (bytes, ended) = client.read_to_end(PATIENCE);
    assert!(bytes.ends_with(b"ok\n"), "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!(ended, Ended::Eof);
    assert_eq!(egret.exactly(1)[0].reason(), "");
}

#[test]
fn a_head_that_drips_is_given_up() {
    let egret = configured("timeouts: {head: 1s}\n");
    let mut client = egret.connect();
    for byte in b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127" {
        client.send([*byte]);
        if client.read_until(Duration::from_millis(100), |b| !b.is_empty()) != Ended::Open
            || !client.pending.is_empty()
        {
            break;
        }
    }
    let (bytes, ended) = client.read_to_end(PATIENCE);
    assert_ne!(ended, Ended::Open);
    assert!(bytes.starts_with(b"HTTP/1.1 408 "), "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!(egret.exactly(1)[0].reason(), "request-timeout");
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let egret = configured("timeouts: {head: 1s}\n");
    let (_, ended) = egret.connect().read_to_end(PATIENCE);
    assert_ne!(ended, Ended::Open);
}

#[test]
fn a_kept_connection_that_says_nothing_more_is_closed() {
    let egret = configured("timeouts: {keepAlive: 1s}\n");
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    assert_eq!(client.exchange(get(origin.address(), "/echo")).status(), 200);
    let (bytes, ended) = client.read_to_end(PATIENCE);
    assert_eq!((bytes.as_slice(), ended), (b"".as_slice(), Ended::Eof), "closed without a word");
    egret.exactly(1);
}

#[test]
fn a_body_that_drips_is_given_up() {
    let egret = configured("limits: {bodyRateFloor: 1000, bodyRateWindow: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let authority = origin.address();
    let mut client = egret.connect();
    client.send(format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 1000\r\n\r\n"
    ));
    let mut ended = Ended::Open;
    for _ in 0..100 {
        client.send("x");
        ended = client.read_until(Duration::from_millis(100), |_| false);
        if ended != Ended::Open {
            break;
        }
    }
    assert_ne!(ended, Ended::Open);
    assert_ne!(origin.server().ending_of(0), Ended::Open);
    let reason = egret.exactly(1)[0].reason();
    assert!(["request-timeout", "transfer-stalled"].contains(&reason.as_str()), "{reason}");
}

/// The client does not read what it asked for.
#[test]
fn an_answer_that_is_not_read_is_given_up() {
    let egret = configured("timeouts: {bodyIdle: 1s}\n");
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    client.send(get(origin.address(), "/bytes/60000000"));
    let record = &egret.exactly(1)[0];
    assert_eq!(record.reason(), "transfer-stalled");
    assert!(record.bytes_down() < 60_000_000);
    drop(client);
}

#[test]
fn a_client_with_too_many_connections_is_told_so() {
    let egret = configured("limits: {connectionsPerClient: 5}\n");
    let origin = HttpOrigin::start();
    let mut held: Vec<_> = (0..5).map(|_| egret.connect()).collect();
    for client in &mut held {
        assert_eq!(client.exchange(get(origin.address(), "/echo")).status(), 200);
    }
    let mut extra = egret.connect();
    extra.send(get(origin.address(), "/echo"));
    let (bytes, _) = extra.read_to_end(PATIENCE);
    assert!(bytes.starts_with(b"HTTP/1.1 503 "), "{:?}", String::from_utf8_lossy(&bytes));
    held.clear();
    wait_until("room again", PATIENCE, || {
        let mut client = egret.connect();
        client.send(get(origin.address(), "/echo"));
        client.read_to_end(Duration::from_millis(300)).0.starts_with(b"HTTP/1.1 200 ")
    });
}

#[test]
fn too_many_connections_in_all_leave_those_that_stand_alone() {
    let egret = configured("limits: {connections: 5}\n");
    let origin = HttpOrigin::start();
    let mut held: Vec<_> = (0..5).map(|_| egret.connect()).collect();
    for client in &mut held {
        assert_eq!(client.exchange(get(origin.address(), "/echo")).status(), 200);
    }
    let mut extra = egret.connect();
    extra.send(get(origin.address(), "/echo"));
    let (bytes, _) = extra.read_to_end(Duration::from_millis(500));
    assert!(bytes.starts_with(b"HTTP/1.1 503 "), "{:?}", String::from_utf8_lossy(&bytes));
    for client in &mut held {
        assert_eq!(client.exchange(get(origin.address(), "/echo")).status(), 200);
    }
}

#[test]
fn a_tls_handshake_on_the_plain_port_is_recognised() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let mut client = egret.connect();
    client.send([0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]).send([0x41; 194]);
    let (_, ended) = client.read_to_end(PATIENCE);
    assert_ne!(ended, Ended::Open);
    assert_eq!(egret.exactly(1)[0].reason(), "tls-to-plain-port");
}

#[test]
fn an_answer_in_pieces_arrives_piece_by_piece() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let pause = Step::Pause(Duration::from_millis(700));
    let origin = ScriptedOrigin::start(vec![vec![
        Step::ReadHead,
        send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"),
        pause,
        send("6\r\nsecond\r\n0\r\n\r\n"),
    ]]);
    let mut client = egret.connect();
    client.send(get(origin.address(), "/"));
    client.read_until(Duration::from_millis(600), |bytes| bytes.windows(5).any(|w| w == b"first"));
    let text = String::from_utf8_lossy(&client.pending).into_owned();
    assert!(text.contains("first") && !text.contains("second"), "events are not held back: {text:?}");
    let answer = client.response("GET");
    assert_eq!(answer.body, b"firstsecond");
}
