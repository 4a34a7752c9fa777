//! Python: requests, aiohttp, httpx, urllib, and WebSockets.

use egret_testkit::tools::{client, python, succeed};

use super::{script, setting};

fn run_script(name: &str) {
    let it = setting();
    let output = succeed(
        client(python())
            .arg(script(name))
            .args([it.egret.url(), it.http.url(""), it.https.url_by_name("")])
            .arg(it.ca.pem())
            .env("SSL_CERT_FILE", it.ca.pem()),
    );
    assert!(output.ends_with("good\n"), "{output}");
    let _ = it.egret.records_where(|_| true); // it went through the proxy
}

#[test]
fn python_requests() {
    run_script("with_requests.py");
}

#[test]
fn python_urllib() {
    run_script("with_urllib.py");
}

#[test]
fn python_httpx() {
    run_script("with_httpx.py");
}

#[test]
fn python_aiohttp() {
    run_script("with_aiohttp.py");
}

#[test]
fn websockets_by_upgrade_and_by_tunnel() {
    run_script("with_websockets.py");
}
