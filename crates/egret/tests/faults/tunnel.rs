//! Tunnels: what goes in comes out, and each side's ending reaches the other as it was.

use std::time::Duration;

use egret_testkit::http_origin::pattern;
use egret_testkit::raw::RawClient;
use egret_testkit::scripted::{Step, send};
use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, Ended, HttpOrigin, ScriptedOrigin, TestCa};

use super::{builder, configured};

fn proxy() -> Egret {
    Egret::start(env!("CARGO_BIN_EXE_egret"))
}

fn tunnel(egret: &Egret, origin: &ScriptedOrigin) -> RawClient {
    let (client, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 200);
    assert!(!answer.fields.has("content-length"), "RFC 9110 section 9.3.6");
    assert!(!answer.fields.has("transfer-encoding"), "RFC 9110 section 9.3.6");
    client
}

#[test]
fn early_client_bytes_are_not_lost() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(5), send("world"), Step::ReadToEnd]]);
    let authority = origin.address();
    let mut client = egret.connect();
    client.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\nhello"));
    assert_eq!(client.response("CONNECT").status(), 200);
    assert_eq!(client.take(5), b"world");
    client.finish();
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    assert_eq!(origin.received()[0].bytes, b"hello");
    let record = &egret.exactly(1)[0];
    assert_eq!((record.bytes_up(), record.bytes_down()), (5, 5));
    assert_eq!((record.status(), record.reason().as_str()), (200, ""));
    assert_eq!(record.target(), authority.to_string());
}

#[test]
fn many_early_client_bytes_are_not_lost() {
    let egret = proxy();
    let bytes = pattern(300_000);
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(bytes.len()), send("got it")]]);
    let authority = origin.address();
    let mut client = egret.connect();
    let mut all = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes();
    all.extend_from_slice(&bytes);
    client.send(all);
    assert_eq!(client.response("CONNECT").status(), 200);
    assert_eq!(client.take(6), b"got it");
    assert_eq!(origin.received()[0].bytes, bytes);
}

#[test]
fn an_origin_that_speaks_first_is_heard() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![send("220 ready\r\n"), Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    assert_eq!(client.take(11), b"220 ready\r\n");
}

#[test]
fn the_client_may_finish_first() {
    let egret = proxy();
    let late = Step::Pause(Duration::from_millis(200));
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd, late, send("answer after the end")]]);
    let mut client = tunnel(&egret, &origin);
    client.send("question").finish();
    let (bytes, ended) = client.read_to_end(PATIENCE);
    assert_eq!((bytes.as_slice(), ended), (b"answer after the end".as_slice(), Ended::Eof));
    assert_eq!(origin.received()[0].bytes, b"question");
    assert_eq!(egret.exactly(1)[0].reason(), "");
}

#[test]
fn the_origin_may_finish_first() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![send("all I have"), Step::Finish, Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    let (bytes, ended) = client.read_to_end(PATIENCE);
    assert_eq!((bytes.as_slice(), ended), (b"all I have".as_slice(), Ended::Eof));
    std::thread::sleep(Duration::from_millis(100));
    client.send("still talking").finish();
    assert_eq!(origin.server().ending_of(0), Ended::Eof);
    assert_eq!(origin.received()[0].bytes, b"still talking");
    egret.exactly(1);
}

#[test]
fn a_reset_by_the_client_reaches_the_origin_as_a_reset() {
    let egret = proxy();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    client.send("x");
    std::thread::sleep(Duration::from_millis(100));
    client.reset();
    assert_eq!(origin.server().ending_of(0), Ended::Reset);
    assert_eq!(egret.exactly(1)[0].reason(), "client-aborted");
}

#[test]
fn a_reset_by_the_origin_reaches_the_client_as_a_reset() {
    let egret = proxy();
    let pause = Step::Pause(Duration::from_millis(100));
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(1), pause, Step::Reset]]);
    let mut client = tunnel(&egret, &origin);
    client.send("x");
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Reset);
    assert_eq!(egret.exactly(1)[0].reason(), "upstream-reset");
}

#[test]
fn megabytes_pass_both_ways_at_once() {
    let egret = proxy();
    let origin = HttpOrigin::start();
    let authority = origin.address();
    let (mut client, answer) = egret.tunnel(&authority.to_string());
    assert_eq!(answer.status(), 200);
    client.send(format!(
        "GET /upgrade HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    ));
    assert_eq!(client.response("GET").status(), 101);
    let bytes = pattern(8_000_000);
    let mut sender = RawClient { stream: client.stream.try_clone().unwrap(), pending: Vec::new() };
    let to_send = bytes.clone();
    let sending = std::thread::spawn(move || {
        sender.send(to_send);
    });
    assert_eq!(client.take(bytes.len()), bytes);
    sending.join().unwrap();
    drop(client);
    let record = &egret.exactly(1)[0];
    assert!(record.bytes_up() > 8_000_000 && record.bytes_down() > 8_000_000);
}

/// Neither side reads: the proxy holds a bounded amount and stops reading itself.
#[test]
fn a_tunnel_holds_back_a_sender_whose_reader_is_slow() {
    let egret = proxy();
    let late = Step::Pause(Duration::from_secs(2));
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(1), late, Step::ReadToEnd]]);
    let client = tunnel(&egret, &origin);
    let before = egret.resident_bytes();
    let mut sender = RawClient { stream: client.stream.try_clone().unwrap(), pending: Vec::new() };
    let bytes = pattern(40_000_000);
    let sending = std::thread::spawn(move || {
        sender.send(bytes).finish();
    });
    std::thread::sleep(Duration::from_secs(1));
    let grown = egret.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "memory grew by {grown} bytes");
    sending.join().unwrap();
    assert_eq!(origin.server().ending_of(0), Ended::Eof);
    assert_eq!(origin.received()[0].bytes.len(), 40_000_000);
}

#[test]
fn an_idle_tunnel_is_closed_with_a_reason() {
    let egret = configured("timeouts: {tunnelIdle: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    assert_ne!(client.read_to_end(PATIENCE).1, Ended::Open);
    assert_ne!(origin.server().ending_of(0), Ended::Open);
    assert_eq!(egret.exactly(1)[0].reason(), "idle-timeout");
}

#[test]
fn a_busy_tunnel_is_not_idle() {
    let egret = configured("timeouts: {tunnelIdle: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    for _ in 0..10 {
        client.send("x");
        std::thread::sleep(Duration::from_millis(200));
    }
    client.finish();
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    let record = &egret.exactly(1)[0];
    assert_eq!((record.reason().as_str(), record.bytes_up()), ("", 10));
}

#[test]
fn a_tunnel_has_a_lifetime_if_asked() {
    let egret = configured("timeouts: {tunnelLifetime: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    let mut ended = Ended::Open;
    for _ in 0..100 {
        client.send("x");
        ended = client.read_until(Duration::from_millis(100), |_| false);
        if ended != Ended::Open {
            break;
        }
    }
    assert_ne!(ended, Ended::Open);
    assert_eq!(egret.exactly(1)[0].reason(), "lifetime-exceeded");
}

#[test]
fn a_long_tunnel_leaves_interim_lines() {
    let egret = configured("accessLog: {interim: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &origin);
    client.send("hello");
    let interim = egret.records_where(|r| r.is_interim() && r.bytes_up() == 5);
    client.finish();
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    let last = egret.record(|r| !r.is_interim());
    assert_eq!(last.id(), interim[0].id(), "the same flow");
}

#[test]
fn tls_passes_through_untouched() {
    let ca = TestCa::new();
    let origin = HttpOrigin::start_tls(&ca);
    let egret = builder().start();
    let output = egret_testkit::tools::succeed(
        egret_testkit::tools::client("curl")
            .args(["-sS", "--max-time", "20", "-x", &egret.url(), "--cacert"])
            .arg(ca.pem())
            .arg(origin.url("/bytes/3000000"))
            .args(["-o", "/dev/null", "-w", "%{http_code} %{size_download}"]),
    );
    assert_eq!(output, "200 3000000");
    assert_eq!(egret.exactly(1)[0].text("treatment"), "tunnel");
}
