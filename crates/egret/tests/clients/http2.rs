//! HTTP/2 with prior knowledge (RFC 9113), and extended CONNECT (RFC 8441).

use egret_testkit::tools::{client, python, succeed};

use super::{script, setting};

#[test]
fn http2_forward_tunnel_and_extended_connect() {
    let it = setting();
    let output = succeed(
        client(python())
            .arg(script("with_h2.py"))
            .args([it.egret.url(), it.http.url(""), it.https.url_by_name("")])
            .arg(it.ca.pem()),
    );
    assert!(output.ends_with("good\n"), "{output}");
    let records = it.egret.records_where(|_| true);
    assert!(records.iter().all(|r| r.text("downstream") == "HTTP/2"), "{records:#?}");
}
