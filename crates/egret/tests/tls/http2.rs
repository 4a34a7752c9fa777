//! HTTP/2 over TLS: curl's HTTPS2 proxies, nghttp, h2load, and Python's h2.

use egret_testkit::tools::{client, python, succeed};
use egret_testkit::{HttpOrigin, TestCa};

use super::{Mutual, configured, listener, script};

#[test]
fn curl_tunnels_over_http2() {
    let it = Mutual::start();
    let output = succeed(
        client(python())
            .arg(script("curl_http2.py"))
            .args([it.egret.tls_url(), it.http.url(""), it.https.url_by_name("")])
            .arg(it.certs.path("ca.crt"))
            .arg(it.certs.path("client.pem"))
            .arg(it.origin_ca.pem()),
    );
    assert!(output.ends_with("good\n"), "{output}");
    let records = it.egret.records_where(|record| record.text("downstream") == "HTTP/2");
    assert!(records.iter().all(|record| record.text("clientName") == "egret-client"), "{records:#?}");
    assert!(records.iter().any(|record| record.method() == "CONNECT"), "{records:#?}");
}

#[test]
fn many_tunnels_and_requests_share_one_connection() {
    let it = Mutual::start();
    let output = succeed(
        client(python())
            .arg(script("h2_over_tls.py"))
            .args([it.egret.tls_url(), it.http.url(""), it.https.address().to_string()])
            .arg(it.certs.path("ca.crt"))
            .arg(it.certs.path("client.pem"))
            .arg(it.origin_ca.pem()),
    );
    assert!(output.ends_with("good\n"), "{output}");
    let records = it.egret.records_where(|_| true);
    assert!(records.iter().all(|record| record.text("clientName") == "egret-client"), "{records:#?}");
    assert!((it.egret.metric("egret_connections_total") - 1.0).abs() < 0.1);
}

#[test]
fn nghttp_and_h2load_forward_over_tls() {
    let ca = TestCa::new();
    let egret = configured(&listener(&ca.server_leaf("server", &["localhost"]), ""));
    let origin = HttpOrigin::start();
    let url = format!("{}/echo", egret.tls_url());
    let authority = format!(":authority: {}", origin.address());
    let text =
        succeed(client("nghttp").args(["--no-dep", "-H", &authority, "-H", ":scheme: http", "-v", &url]));
    assert!(text.contains(":status: 200") && text.contains("negotiated protocol: h2"), "{text}");
    assert_eq!(egret.exactly(1)[0].target(), format!("http://{}/echo", origin.address()));
    let text = succeed(client("h2load").args([
        "-n",
        "2000",
        "-c",
        "4",
        "-m",
        "32",
        "-H",
        &authority,
        "-H",
        ":scheme: http",
        &url,
    ]));
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored"), "{text}");
    assert!(text.contains("2000 2xx"), "{text}");
}
