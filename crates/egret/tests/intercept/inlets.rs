//! Tunnels that are looked into, by every way that leads to the proxy.

use std::path::{Path, PathBuf};

use egret_testkit::tools::{client, python, succeed};
use egret_testkit::{Egret, HttpOrigin, TestCa};
use tempfile::TempDir;

use super::{Inside, script};

/// A proxy with mutual TLS that looks inside, and an origin.
struct Mutual {
    certs: TempDir,
    state: TempDir,
    egret: Egret,
    origin: HttpOrigin,
    _ca: TestCa,
}

impl Mutual {
    fn start() -> Self {
        let (certs, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        succeed(client(env!("CARGO_BIN_EXE_egret")).args(["certs", "init"]).arg(certs.path()));
        let ca = TestCa::new();
        let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
            .arg("--intercept")
            .arg("--mtls")
            .arg(certs.path())
            .arg("--state-dir")
            .arg(state.path())
            .arg("--upstream-ca")
            .arg(ca.pem())
            .start();
        Self { certs, state, egret, origin: HttpOrigin::start_tls(&ca), _ca: ca }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.certs.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.state.path().join("interception-ca.crt")
    }

    /// The request inside was seen, and who sent it is known from the certificate.
    fn check(&self, path: &str) {
        let url = self.origin.url_by_name(path);
        let record = self.egret.record(|record| record.target() == url);
        assert_eq!((record.status(), record.text("treatment").as_str()), (200, "intercept"));
        assert_eq!(record.text("clientName"), "egret-client", "{record:?}");
    }
}

fn http2_connect(proxy: &str, url: &str, ca: &Path, outer: &[PathBuf]) -> String {
    let mut command = client(python());
    command.arg(script("http2_connect.py")).args([proxy, url]).arg(ca).args(outer);
    succeed(&mut command).trim().to_owned()
}

#[test]
fn connect_over_http2_without_tls() {
    let it = Inside::everything();
    let said = http2_connect(&it.egret.address().to_string(), &it.url("/bytes/7"), &it.ca(), &[]);
    assert_eq!(said, "HTTP/1.1 200 Scripted 7");
    let connect = it.egret.record(|record| record.method() == "CONNECT");
    assert_eq!(
        (connect.text("downstream"), connect.text("treatment")),
        ("HTTP/2".into(), "intercept".into())
    );
    it.egret.record(|record| record.method() == "GET" && record.text("treatment") == "intercept");
}

#[test]
fn connect_over_mutual_tls() {
    let it = Mutual::start();
    let mut curl = client("curl");
    curl.args(["-sS", "--max-time", "30", "--proxy", &it.egret.tls_url()]);
    curl.arg("--proxy-cacert").arg(it.path("ca.crt")).arg("--cacert").arg(it.ca());
    curl.arg("--proxy-cert").arg(it.path("client.crt")).arg("--proxy-key").arg(it.path("client.key"));
    assert_eq!(succeed(curl.arg(it.origin.url_by_name("/bytes/7"))).len(), 7);
    it.check("/bytes/7");
}

#[test]
fn connect_over_http2_in_mutual_tls() {
    let it = Mutual::start();
    let outer = ["ca.crt", "client.crt", "client.key"].map(|name| it.path(name));
    let url = it.origin.url_by_name("/bytes/9");
    let said = http2_connect(&it.egret.address().to_string(), &url, &it.ca(), &outer);
    assert_eq!(said, "HTTP/1.1 200 Scripted 9");
    it.check("/bytes/9");
}
