//! Datagrams.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use egret_testkit::raw::RawClient;
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended};

use super::{builder, request};

/// A server that sends every datagram back.
fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok((count, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..count], from);
        }
    });
    address
}

/// The connection, the relay's address, and a socket to send from.
fn associate(egret: &Egret) -> (RawClient, SocketAddr, UdpSocket) {
    let mut client = egret.connect();
    client.send([5, 1, 0]);
    assert_eq!(client.take(2), [5, 0]);
    client.send(request(3, "0.0.0.0:0".parse().unwrap()));
    let reply = client.take(10);
    assert_eq!(reply[..4], [5, 0, 0, 1]);
    let relay = SocketAddr::from((
        [reply[4], reply[5], reply[6], reply[7]],
        u16::from_be_bytes([reply[8], reply[9]]),
    ));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (client, relay, socket)
}

fn datagram(to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = request(0, to);
    bytes[0] = 0;
    bytes.extend(payload);
    bytes
}

#[test]
fn datagrams_go_out_and_come_back() {
    let egret = builder().config("socks: {udp: true}\n").start();
    let (one, two) = (echo(), echo());
    let (client, relay, socket) = associate(&egret);
    let mut bytes = [0; 65_536];
    for (to, payload) in
        [(one, vec![b'a'; 3]), (two, vec![b'b'; 1400]), (one, vec![b'c'; 30_000]), (two, vec![])]
    {
        socket.send_to(&datagram(to, &payload), relay).unwrap();
        let (count, from) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!(from, relay);
        assert_eq!(bytes[..count], datagram(to, &payload));
    }
    drop(client);
    let records = egret.exactly(3);
    let of = |target: &str| records.iter().find(|record| record.target() == target).unwrap();
    let first = of(&one.to_string());
    assert_eq!((first.method().as_str(), first.bytes_up(), first.bytes_down()), ("UDP", 30_003, 30_003));
    assert_eq!(of(&two.to_string()).bytes_up(), 1400);
    assert_eq!(of("0.0.0.0:0").method(), "UDP-ASSOCIATE");
    wait_until("the relay's end", PATIENCE, || {
        socket.send_to(&datagram(one, b"x"), relay).is_err() || socket.recv_from(&mut bytes).is_err()
    });
}

#[test]
fn the_guard_and_the_rules_hold_for_datagrams() {
    let egret = builder().config("socks: {udp: true}\nrules: {deny: [{name: dns, ports: [53]}]}\n").start();
    let there = echo();
    let (client, relay, socket) = associate(&egret);
    for _ in 0..5 {
        socket.send_to(&datagram("169.254.169.254:80".parse().unwrap(), b"x"), relay).unwrap();
        socket.send_to(&datagram("127.0.0.1:53".parse().unwrap(), b"x"), relay).unwrap();
    }
    socket.send_to(&datagram(there, b"x"), relay).unwrap();
    let mut bytes = [0; 100];
    let (count, _) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!(bytes[..count], datagram(there, b"x"));
    drop(client);
    let mut reasons: Vec<_> = egret.exactly(4).iter().map(|record| record.reason()).collect();
    reasons.sort();
    assert_eq!(reasons, ["", "", "denied-by-guard", "denied-by-rule"], "one record for a destination");
}

#[test]
fn strangers_and_nonsense_are_ignored() {
    let egret = builder().config("socks: {udp: true}\n").start();
    let there = echo();
    let (_client, relay, socket) = associate(&egret);
    let mut bytes = [0; 100];
    socket.send_to(&datagram(there, b"mine"), relay).unwrap();
    socket.recv_from(&mut bytes).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stranger.send_to(&datagram(there, b"theirs"), relay).unwrap();
    assert!(stranger.recv_from(&mut bytes).is_err());
    let mut fragment = datagram(there, b"part");
    fragment[2] = 1;
    for nonsense in [&b""[..], b"\0", b"\0\0\0\x09", &fragment] {
        socket.send_to(nonsense, relay).unwrap();
    }
    socket.send_to(&datagram(there, b"last"), relay).unwrap();
    let (count, _) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!(bytes[..count], datagram(there, b"last"));
}

#[test]
fn associations_and_destinations_are_bounded() {
    let egret =
        builder().config("socks: {udp: true, udpAssociations: 1, udpDestinations: 1, udpIdle: 1s}\n").start();
    let (one, two) = (echo(), echo());
    let (_client, relay, socket) = associate(&egret);
    let mut second = egret.connect();
    second.send([5, 1, 0]).send(request(3, "0.0.0.0:0".parse().unwrap()));
    assert_eq!(second.take(4), [5, 0, 5, 1]);
    assert_eq!(second.read_to_end(PATIENCE).1, Ended::Eof);
    let mut bytes = [0; 100];
    socket.send_to(&datagram(one, b"x"), relay).unwrap();
    socket.recv_from(&mut bytes).unwrap();
    socket.send_to(&datagram(two, b"x"), relay).unwrap();
    wait_until("a datagram over the limit", PATIENCE, || {
        egret.metric("egret_limit_hits_total{limit=\"udp_destinations\"}") >= 1.0
    });
    assert_eq!(egret.metric("egret_limit_hits_total{limit=\"udp_associations\"}"), 1.0);
    wait_until("room again", PATIENCE, || {
        socket.send_to(&datagram(two, b"y"), relay).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.recv_from(&mut bytes).is_ok()
    });
}
