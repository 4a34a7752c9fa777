//! The PROXY protocol: by hand, by curl, and from a real HAProxy.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use egret_testkit::tools::{client, succeed};
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended, HttpOrigin};

fn trusting(networks: &str) -> Egret {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .listen_as_configured()
        .config(&format!(
            "listeners: [{{address: 127.0.0.1:0, proxyProtocol: [{networks}]}}]\ntimeouts: {{head: 2s}}\n"
        ))
        .start()
}

fn get(origin: &HttpOrigin) -> String {
    let authority = origin.address();
    format!("GET http://{authority}/echo HTTP/1.1\r\nHost: {authority}\r\n\r\n")
}

/// A header of version 2 for 192.0.2.7:1234, with an addition.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x07\x7f\x00\x00\x01\x04\xd2\x22\xb8\x04\x00\x01\x00";

#[test]
fn the_client_is_the_one_that_the_balancer_names() {
    let egret = trusting("127.0.0.0/8");
    let origin = HttpOrigin::start();
    for (header, expected) in [
        (&b"PROXY TCP4 192.0.2.1 127.0.0.1 56324 8888\r\n"[..], "192.0.2.1:56324"),
        (b"PROXY TCP6 2001:db8::1 ::1 5 8888\r\n", "[2001:db8::1]:5"),
        (BINARY, "192.0.2.7:1234"),
    ] {
        let mut client = egret.connect();
        client.send([header, get(&origin).as_bytes()].concat());
        assert_eq!(client.response("GET").status(), 200);
        drop(client);
        let record = egret.record(|record| record.text("client") == expected);
        assert_eq!(record.status(), 200);
    }
}

#[test]
fn a_balancer_may_speak_for_itself() {
    let egret = trusting("127.0.0.1");
    let origin = HttpOrigin::start();
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
        let mut client = egret.connect();
        client.send([header, get(&origin).as_bytes()].concat());
        assert_eq!(client.response("GET").status(), 200);
    }
    assert!(egret.exactly(2).iter().all(|record| record.text("client").starts_with("127.0.0.1:")));
}

#[test]
fn a_header_may_come_in_pieces() {
    let egret = trusting("127.0.0.1");
    let origin = HttpOrigin::start();
    let bytes = [BINARY, get(&origin).as_bytes()].concat();
    let mut client = egret.connect();
    client.send_in_pieces(&bytes, 5, Duration::from_millis(2));
    assert_eq!(client.response("GET").status(), 200);
    assert_eq!(egret.exactly(1)[0].text("client"), "192.0.2.7:1234");
}

#[test]
fn a_balancer_must_introduce_its_clients() {
    let egret = trusting("127.0.0.1");
    let origin = HttpOrigin::start();
    for bytes in [get(&origin).as_bytes(), b"PROXY TCP4 1.2.3 127.0.0.1 1 2\r\n\r\n", b"\x16\x03\x01"] {
        let mut client = egret.connect();
        client.send(bytes);
        let (reply, ended) = client.read_to_end(PATIENCE);
        assert!(reply.starts_with(b"HTTP/1.1 400 "), "{:?}", String::from_utf8_lossy(&reply));
        assert_eq!(ended, Ended::Eof);
    }
    let mut half = egret.connect();
    half.send("PROXY TC");
    assert!(half.read_to_end(PATIENCE).0.starts_with(b"HTTP/1.1 408 "));
    drop(egret.connect()); // a probe that only connects
    let records = egret.exactly(4);
    assert!(records[0].text("detail").contains("PROXY"), "{records:#?}");
}

#[test]
fn connections_are_counted_by_the_client_and_not_by_the_balancer() {
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .listen_as_configured()
        .config(
            "listeners: [{address: 127.0.0.1:0, proxyProtocol: [127.0.0.1]}]\n\
             limits: {connectionsPerClient: 2}\n",
        )
        .start();
    let origin = HttpOrigin::start();
    let open = |client: &str| {
        let mut connection = egret.connect();
        connection.send([format!("PROXY TCP4 {client} 127.0.0.1 1 2\r\n"), get(&origin)].concat());
        let status = connection.response("GET").status();
        (connection, status)
    };
    let mut held = Vec::new();
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"] {
        let (connection, status) = open(client);
        assert_eq!(status, 200, "{client}");
        held.push(connection);
    }
    assert_eq!(open("192.0.2.1").1, 503);
    let refused = egret.record(|record| record.status() == 503);
    assert_eq!(refused.reason(), "too-many-connections-from-client");
    assert!(refused.text("client").starts_with("192.0.2.1:"), "{refused:?}");
    held.clear();
    wait_until("room again", PATIENCE, || open("192.0.2.1").1 == 200);
}

#[test]
fn nobody_else_is_believed() {
    let egret = trusting("192.0.2.0/24");
    let origin = HttpOrigin::start();
    let mut liar = egret.connect();
    liar.send([b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n", get(&origin).as_bytes()].concat());
    assert_eq!(liar.response("GET").status(), 400);
    assert_eq!(egret.connect().exchange(get(&origin)).status(), 200);
    assert!(egret.exactly(2).iter().all(|record| record.text("client").starts_with("127.0.0.1:")));
}

#[test]
fn curl_says_it() {
    let egret = trusting("127.0.0.1");
    let origin = HttpOrigin::start();
    // Sent to the proxy, because that is what curl connects to.
    let text =
        succeed(client("curl").args(["-sS", "--haproxy-protocol", "-x", &egret.url(), &origin.url("/")]));
    assert_eq!(text, "origin\n");
    assert_eq!(egret.exactly(1)[0].status(), 200);
}

struct Balancer {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn haproxy(egret: &Egret, how: &str) -> Balancer {
    let directory = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = directory.path().join("haproxy.cfg");
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         listen one\n bind {address}\n server egret {} {how}\n",
        egret.address()
    );
    std::fs::write(&file, config).unwrap();
    let mut child = Command::new("/usr/sbin/haproxy")
        .arg("-db")
        .arg("-f")
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("haproxy: {error}; run ./test --deps"));
    wait_until("HAProxy", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none(), "HAProxy has ended");
        TcpStream::connect(address).is_ok()
    });
    Balancer { child, address, _directory: directory }
}

#[test]
fn haproxy_says_it_in_both_versions() {
    for how in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id"] {
        let egret = trusting("127.0.0.1");
        let origin = HttpOrigin::start();
        let balancer = haproxy(&egret, how);
        let proxy = format!("http://{}", balancer.address);
        let output =
            succeed(client("curl").args(["-sS", "-x", &proxy, "-w", " %{local_port}", &origin.url("/")]));
        let port = output.strip_prefix("origin\n ").unwrap().to_owned();
        let record = egret.record(|record| record.status() == 200);
        assert_eq!(record.text("client"), format!("127.0.0.1:{port}"), "{how}");
    }
}
