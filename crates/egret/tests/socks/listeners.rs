//! Ports of their own, and SOCKS inside TLS.

use std::io::{Read as _, Write as _};

use egret_testkit::tools::{client, run};
use egret_testkit::{HttpOrigin, TestCa, TlsClients};

use super::{builder, request};

#[test]
fn a_port_may_be_for_one_protocol_alone() {
    let egret = builder()
        .listen_as_configured()
        .config(
            "listeners: [{address: 127.0.0.1:0, protocols: [socks]}, {address: 127.0.0.1:0, protocols: [http]}]\n",
        )
        .start();
    let origin = HttpOrigin::start();
    let (socks, http) = (egret.listener(0), egret.listener(1));
    let fetch = |proxy: String| run(client("curl").args(["-sS", "-f", "-x", &proxy, &origin.url("/")]));
    assert!(fetch(format!("socks5h://{socks}")).status.success());
    assert!(fetch(format!("http://{http}")).status.success());
    assert!(!fetch(format!("http://{socks}")).status.success());
    assert!(!fetch(format!("socks5h://{http}")).status.success());
    let records = egret.exactly(4);
    assert_eq!(
        (records[2].reason(), records[3].reason()),
        ("unknown-protocol".into(), "unknown-protocol".into())
    );
}

#[test]
fn socks_is_served_inside_tls() {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let egret = builder()
        .listen_as_configured()
        .config(&format!(
            "listeners: [{{address: 127.0.0.1:0, tls: {{certificates: [{{certificate: {}, key: {}}}]}}}}]\n",
            leaf.certificate.display(),
            leaf.key.display()
        ))
        .start();
    let origin = HttpOrigin::start();
    let authority = origin.address();
    let mut tls = TlsClients::new(&ca.pem(), None).connect(egret.address()).unwrap();
    let mut bytes = vec![5, 1, 0];
    bytes.extend(request(1, authority));
    bytes.extend(format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").bytes());
    tls.stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    // How the connection ends is not what this is about.
    let _ = tls.stream.read_to_end(&mut answer);
    assert_eq!(answer[..4], [5, 0, 5, 0]);
    assert!(answer.ends_with(b"origin\n"));
    drop(tls);
    let record = &egret.exactly(1)[0];
    assert_eq!((record.text("downstream").as_str(), record.text("tlsVersion").as_str()), ("SOCKS5", "1.3"));
}
