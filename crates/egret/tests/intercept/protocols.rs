//! What is not HTTP over TLS in a tunnel, and what is more than requests and responses.

use std::time::Duration;

use egret_testkit::tools::{client, python, run, succeed};

use super::{Inside, script};

#[test]
fn a_tunnel_without_tls_is_refused_and_the_reason_names_what_it_carries() {
    let it = Inside::everything();
    let authority = it.origin.address().to_string();
    for (bytes, what) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "it speaks SSH"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "it sends plain HTTP"),
        ("EHLO me\r\n", "it speaks SMTP"),
    ] {
        let (mut tunnel, answer) = it.egret.tunnel(&authority);
        assert_eq!(answer.status(), 200);
        tunnel.send(bytes);
        let (said, _) = tunnel.read_to_end(Duration::from_secs(10));
        let record = it.egret.record(|record| record.text("detail").contains(what));
        assert_eq!(record.reason(), "tls-expected");
        if bytes.starts_with("GET") {
            assert!(String::from_utf8_lossy(&said).contains("Reason code: tls-expected"));
        }
    }
    assert_eq!(it.origin.accepted(), 0);
}

#[test]
fn a_tunnel_without_tls_may_pass_where_it_is_set_so() {
    let it = Inside::configured("interception: {everything: true, otherProtocols: Tunnel}\n");
    let (mut tunnel, _) = it.egret.tunnel(&it.origin.address().to_string());
    tunnel.send("SSH-2.0-x\r\n");
    tunnel.read_to_end(Duration::from_secs(10));
    let record = it.egret.record(|record| record.method() == "CONNECT");
    assert_eq!(record.text("treatment"), "tunnel");
    assert_eq!(record.bytes_up(), 11);
}

#[test]
fn a_hello_that_comes_in_pieces_is_read_and_a_damaged_one_is_refused() {
    let it = Inside::everything();
    let authority = it.origin.address().to_string();
    let (mut tunnel, _) = it.egret.tunnel(&authority);
    tunnel.send(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00");
    let (said, _) = tunnel.read_to_end(Duration::from_secs(10));
    assert_eq!(said.first(), Some(&0x15), "an alert");
    let record = it.egret.record(|record| record.method() == "CONNECT");
    assert_eq!(record.reason(), "client-hello-malformed");
}

#[test]
fn websockets_pass_over_http1() {
    let it = Inside::everything();
    let mut command = client(python());
    command.arg(script("upgrade.py")).args([it.egret.address().to_string(), it.origin.address().to_string()]);
    assert_eq!(succeed(command.arg(it.ca())).trim(), "hello");
    let record = it.egret.record(|record| record.status() == 101);
    assert_eq!(record.text("treatment"), "intercept");
}

#[test]
fn interim_responses_trailers_and_slow_bodies_pass() {
    let it = Inside::everything();
    for flag in ["--http1.1", "--http2"] {
        assert_eq!(succeed(it.curl().args([flag, &it.url("/hints")])), "ok\n");
        let head = succeed(it.curl().args([flag, "-v", "--stderr", "-", &it.url("/hints")]));
        assert!(head.contains(" 103"), "{head}");
        assert_eq!(succeed(it.curl().args([flag, &it.url("/slow/5/50")])).len(), 50);
        let size = ["-o", "/dev/null", "-w", "%{size_download}"];
        assert_eq!(succeed(it.curl().args(size).args([flag, &it.url("/chunked/70000")])), "70000");
    }
}

#[test]
fn expect_continue_is_answered_by_the_origin() {
    let it = Inside::everything();
    let mut curl = it.curl();
    curl.args(["--http1.1", "-v", "--stderr", "-", "-H", "Expect: 100-continue", "--data-binary", "body"]);
    let output = run(curl.arg(it.url("/echo")));
    assert!(output.status.success(), "{output:?}");
}
