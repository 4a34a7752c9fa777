//! The protocol, byte by byte.

use std::time::Duration;

use egret_testkit::scripted::{Step, send};
use egret_testkit::wait::PATIENCE;
use egret_testkit::{DnsServer, Ended, HttpOrigin, ScriptedOrigin};

use super::{builder, named, request};

/// What comes back for these bytes, and how the connection ends.
fn answer(bytes: &[u8]) -> (Vec<u8>, Ended, String) {
    let egret = builder().config("timeouts: {head: 2s}\n").start();
    let mut client = egret.connect();
    client.send(bytes);
    let (bytes, ended) = client.read_to_end(PATIENCE);
    (bytes, ended, egret.exactly(1)[0].reason())
}

#[test]
fn a_connection_is_made_and_both_ends_may_finish_first() {
    let egret = builder().start();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(4), send("pong"), Step::ReadToEnd]]);
    let mut client = egret.connect();
    client.send([5, 1, 0]);
    assert_eq!(client.take(2), [5, 0]);
    client.send(request(1, origin.address()));
    let reply = client.take(10);
    assert_eq!(reply[..4], [5, 0, 0, 1]);
    assert_ne!(reply[8..], [0, 0], "the address that was bound");
    client.send("ping");
    assert_eq!(client.take(4), b"pong");
    client.finish();
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    let record = &egret.exactly(1)[0];
    assert_eq!(record.method(), "CONNECT");
    assert_eq!(record.target(), origin.address().to_string());
    assert_eq!(record.text("downstream"), "SOCKS5");
    assert_eq!((record.status(), record.bytes_up(), record.bytes_down()), (200, 4, 4));
}

#[test]
fn everything_may_come_in_one_piece_or_byte_by_byte() {
    let origin = HttpOrigin::start();
    let authority = origin.address();
    let mut bytes = vec![5, 2, 0, 2];
    bytes.extend(request(1, authority));
    bytes.extend(format!("GET /echo HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").bytes());
    for size in [1, 3, bytes.len()] {
        let egret = builder().start();
        let mut client = egret.connect();
        client.send_in_pieces(&bytes, size, Duration::from_millis(1));
        let (answer, _) = client.read_to_end(PATIENCE);
        assert_eq!(answer[..4], [5, 0, 5, 0], "{size}");
        assert!(answer[12..].starts_with(b"HTTP/1.1 200 "), "{size}");
    }
}

#[test]
fn names_are_resolved_by_the_proxy() {
    let dns = DnsServer::knowing(&[("name.test", "127.0.0.1")]);
    let egret = builder().dns(dns.address()).start();
    let origin = HttpOrigin::start();
    for bytes in [
        [&[5, 1, 0][..], &named("name.test", origin.address().port())].concat(),
        [&[4, 1][..], &origin.address().port().to_be_bytes(), &[0, 0, 0, 9], b"me\0name.test\0"].concat(),
    ] {
        let version = bytes[0];
        let mut client = egret.connect();
        client.send(&bytes);
        let granted: &[u8] = if version == 5 { &[5, 0, 5, 0] } else { &[0, 90] };
        assert_eq!(client.take(granted.len()), granted);
    }
    for record in egret.exactly(2) {
        assert_eq!(record.target(), format!("name.test:{}", origin.address().port()));
    }
}

#[test]
fn refusals_have_the_codes_of_the_protocol() {
    let origin = HttpOrigin::start();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dns = DnsServer::knowing(&[]);
    let egret = builder().config("rules: {deny: [{name: no, ports: [25]}]}\n").dns(dns.address()).start();
    let mut count = 0;
    let mut ask = |bytes: &[u8]| {
        let mut client = egret.connect();
        client.send([5, 1, 0]);
        assert_eq!(client.take(2), [5, 0]);
        client.send(bytes);
        let (reply, ended) = client.read_to_end(PATIENCE);
        assert_eq!(ended, Ended::Eof);
        assert_eq!(reply.len(), 10);
        count += 1;
        (reply[1], egret.exactly(count)[count - 1].reason())
    };
    assert_eq!(ask(&request(1, dead)), (5, "connect-refused".into()));
    assert_eq!(ask(&request(1, "169.254.169.254:80".parse().unwrap())), (2, "denied-by-guard".into()));
    assert_eq!(ask(&request(1, "127.0.0.1:25".parse().unwrap())), (2, "denied-by-rule".into()));
    assert_eq!(ask(&named("nowhere.test", 80)), (4, "dns-not-found".into()));
    assert_eq!(ask(&named("2852039166", 80)), (2, "denied-by-guard".into()));
    assert_eq!(ask(&request(2, origin.address())), (7, "method-unsupported".into()));
    assert_eq!(ask(&request(3, origin.address())), (2, "udp-not-allowed".into()));
    assert_eq!(ask(&[5, 9, 0, 1]), (7, "malformed-request".into()));
    assert_eq!(ask(&[5, 1, 0, 9]), (8, "malformed-request".into()));
    assert_eq!(ask(&[5, 1, 0, 3, 0, 0, 80]), (1, "malformed-request".into()));
}

#[test]
fn version_4_is_refused_in_its_own_way() {
    let (reply, _, reason) = answer(&[4, 1, 0, 80, 169, 254, 169, 254, 0]);
    assert_eq!((reply, reason), (vec![0, 91, 0, 0, 0, 0, 0, 0], "denied-by-guard".into()));
    let (reply, _, reason) = answer(&[&[4, 1, 0, 80, 10, 0, 0, 1][..], &[b'a'; 300]].concat());
    assert_eq!((reply[1], reason), (91, "malformed-request".into()));
}

#[test]
fn what_is_offered_has_to_be_something_that_is_served() {
    let (reply, ended, reason) = answer(&[5, 1, 1]);
    assert_eq!((reply, ended, reason), (vec![5, 0xff], Ended::Eof, "authentication-required".into()));
    let (reply, ..) = answer(&[5, 0]);
    assert_eq!(reply, [5, 0xff]);
}

#[test]
fn half_a_request_times_out() {
    for bytes in [&[5][..], &[5, 2, 0], &[4, 1, 0, 80, 10, 0, 0, 1, b'a']] {
        let (_, ended, reason) = answer(bytes);
        assert_eq!((ended, reason), (Ended::Eof, "request-timeout".into()), "{bytes:?}");
    }
}
