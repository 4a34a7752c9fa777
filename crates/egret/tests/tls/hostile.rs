//! What is no handshake, half of one, or too many.

use std::net::TcpStream;
use std::time::Duration;

use egret_testkit::raw::RawClient;
use egret_testkit::tools::{client, run};
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended, HttpOrigin, TestCa, TlsClients};

use super::{configured, get, listener};

fn start(further: &str) -> (TestCa, Egret) {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&format!("{}{further}", listener(&leaf, "")));
    (ca, egret)
}

/// The beginning of a ClientHello, as openssl sends it: a record of a kilobyte, of which little comes.
const HALF: &[u8] = b"\x16\x03\x01\x04\x00\x01\x00\x03\xfc\x03\x03half of a hello";

#[test]
fn plain_http_is_told_so_in_plain_http() {
    let (_ca, egret) = start("");
    for request in [
        "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let mut raw = egret.connect();
        raw.send(request);
        let (bytes, ended) = raw.read_to_end(PATIENCE);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.starts_with("HTTP/1.1 400 egret plain-to-tls-port "), "{text}");
        assert!(text.contains("https:// as the scheme of the proxy's URL"), "{text}");
        assert_eq!(ended, Ended::Eof);
    }
    let records = egret.exactly(3);
    assert!(records.iter().all(|record| record.reason() == "plain-to-tls-port" && record.status() == 400));
    // And as curl shows it.
    let output = run(client("curl").args([
        "-sS",
        "--max-time",
        "30",
        "-x",
        &egret.url(),
        "https://example.com/",
        "-v",
    ]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("400 egret plain-to-tls-port"), "{text}");
}

#[test]
fn garbage_gets_an_alert_and_a_record() {
    let (_ca, egret) = start("");
    let garbage: [&[u8]; 6] = [
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x16\x00\x00\x00\x05hello",
        b"\x16\x03\x01\x00\x04h\x00\x00\x00", // a message of no known kind
        b"\x16\x03\x01\xff\xff\x01\x00\xff\xff",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", // SSL 2.0
        &[0xff; 4096],
    ];
    for (index, bytes) in garbage.iter().enumerate() {
        let mut raw = egret.connect();
        raw.send(bytes).finish();
        let (answer, ended) = raw.read_to_end(PATIENCE);
        assert!(answer.first() == Some(&0x15) && answer.len() == 7, "{bytes:x?}: an alert, not {answer:x?}");
        assert_eq!((answer[5], ended), (2, Ended::Eof), "fatal");
        let record = egret.exactly(index + 1).pop().unwrap();
        assert_eq!(record.reason(), "client-tls-failed", "{record:?}");
        assert_eq!(record.status(), 0);
    }
}

#[test]
fn garbage_inside_a_handshake_gets_an_alert_too() {
    let (ca, egret) = start("");
    // A good ClientHello, and then something else than the rest of the handshake.
    let mut hello = Vec::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(
        <rustls_pki_types::CertificateDer<'_> as rustls_pki_types::pem::PemObject>::pem_file_iter(ca.pem())
            .unwrap()
            .map(Result::unwrap),
    );
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    connection.write_tls(&mut hello).unwrap();
    for (index, rest) in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x17, 3, 3, 0, 40, 1, 2, 3], &hello].iter().enumerate()
    {
        let mut raw = egret.connect();
        raw.send(&hello);
        let _ = raw.read_until(PATIENCE, |bytes| bytes.len() > 500);
        raw.send(rest).finish();
        let (_, ended) = raw.read_to_end(PATIENCE);
        assert_ne!(ended, Ended::Open);
        let record = egret.exactly(index + 1).pop().unwrap();
        assert!(["client-tls-failed", "client-aborted"].contains(&record.reason().as_str()), "{record:?}");
    }
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let (_ca, egret) = start("timeouts: {clientTLS: 1s}\n");
    let mut silent = egret.connect();
    let mut half = egret.connect();
    half.send(HALF);
    assert_eq!(half.read_to_end(PATIENCE).1, Ended::Eof);
    assert_eq!(silent.read_to_end(PATIENCE).1, Ended::Eof);
    let record = egret.record(|_| true);
    assert_eq!(record.reason(), "client-tls-timeout");
    assert!(record.text("detail").contains("1s"), "{record:?}");
    // Who says nothing at all leaves no record, but is counted.
    let timeouts = "egret_client_handshake_failures_total{reason=\"client-tls-timeout\"}";
    wait_until("both to be counted", PATIENCE, || egret.metric(timeouts) > 1.9);
}

#[test]
fn a_hello_in_pieces_is_understood() {
    let (ca, egret) = start("");
    // A bridge that passes on one byte at a time.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (between, proxy) = (listener.local_addr().unwrap(), egret.address());
    std::thread::spawn(move || {
        let (mut from, _) = listener.accept().unwrap();
        let mut to = TcpStream::connect(proxy).unwrap();
        to.set_nodelay(true).unwrap();
        let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        let mut byte = [0];
        while std::io::Read::read(&mut from, &mut byte).is_ok_and(|count| count == 1) {
            if std::io::Write::write_all(&mut to, &byte).is_err() {
                break;
            }
        }
    });
    let mut client = TlsClients::new(&ca.pem(), None).connect(between).unwrap();
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(client.exchange(health).unwrap().status(), 200);
}

#[test]
fn half_handshakes_are_bounded_and_do_not_stop_the_others() {
    let (ca, egret) = start("limits: {handshakes: 500}\ntimeouts: {clientTLS: 60s}\n");
    let origin = HttpOrigin::start();
    let clients = TlsClients::new(&ca.pem(), None);
    let mut open = clients.connect(egret.address()).unwrap();
    assert_eq!(open.exchange(get(origin.address(), "/echo")).unwrap().status(), 200);
    let before = egret.resident_bytes();
    let mut halves: Vec<RawClient> = Vec::new();
    for _ in 0..500 {
        let mut half = egret.connect();
        half.send(HALF);
        halves.push(half);
    }
    wait_until("500 handshakes", PATIENCE, || egret.metric("egret_client_handshakes_open") > 499.0);
    let taken = egret.resident_bytes().saturating_sub(before);
    assert!(taken < 500 * 32 * 1024, "{taken} bytes for 500 half handshakes");
    // One more gets an alert at once, and who is through already is served.
    for _ in 0..3 {
        let mut refused = egret.connect();
        refused.send(HALF);
        let (answer, _) = refused.read_to_end(PATIENCE);
        assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, 80], "internal_error");
    }
    assert_eq!(open.exchange(get(origin.address(), "/echo")).unwrap().status(), 200);
    let records = egret.records_where(|record| record.reason() == "too-many-handshakes");
    assert!(!records.is_empty());
    assert!(egret.metric("egret_limit_hits_total{limit=\"handshakes\"}") >= 3.0);
    drop(halves);
    wait_until("room for others", PATIENCE, || clients.connect(egret.address()).is_ok());
    assert!(egret.metric("egret_client_handshakes_open") < 500.0);
}

#[test]
fn a_connection_over_the_limit_gets_an_alert_and_no_http() {
    let (ca, egret) = start("limits: {connectionsPerClient: 2}\n");
    let clients = TlsClients::new(&ca.pem(), None);
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut open: Vec<_> = (0..2).map(|_| clients.connect(egret.address()).unwrap()).collect();
    assert!(open.iter_mut().all(|client| client.exchange(health).unwrap().status() == 200));
    let mut raw = egret.connect();
    assert_eq!(raw.read_to_end(PATIENCE).0, [0x15, 3, 3, 0, 2, 2, 80]);
    assert_eq!(egret.record(|record| record.status() == 0).reason(), "too-many-connections-from-client");
}

#[test]
fn tls_inside_tls_is_refused_and_draining_ends_half_handshakes() {
    let (ca, mut egret) = start("");
    let mut client = TlsClients::new(&ca.pem(), None).connect(egret.address()).unwrap();
    let answer = client.exchange(HALF).unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("TLS handshake inside TLS"), "{}", answer.text());
    let mut half = egret.connect();
    half.send(HALF);
    wait_until("a handshake", PATIENCE, || egret.metric("egret_client_handshakes_open") > 0.0);
    egret.signal(rustix::process::Signal::TERM);
    assert!(egret.wait_for_end(Duration::from_secs(20)).success());
}
