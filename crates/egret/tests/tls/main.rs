//! TLS and mutual TLS to the proxy, with real clients: curl, openssl, Go, Python, Node, nghttp. A client
//! that is not installed is a failure: `./test --deps` installs them all.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod certificates;
mod clients;
mod hostile;
mod http2;
mod openssl;
mod reload;
mod walkthrough;

use std::path::{Path, PathBuf};
use std::process::Command;

use egret_testkit::tools::{client, succeed};
use egret_testkit::{Egret, EgretBuilder, HttpOrigin, TestCa, TestLeaf};
use tempfile::TempDir;

fn builder() -> EgretBuilder {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
}

/// The files of `egret certs init`.
struct Certs {
    directory: TempDir,
}

impl Certs {
    fn init() -> Self {
        let directory = tempfile::tempdir().unwrap();
        succeed(client(env!("CARGO_BIN_EXE_egret")).args(["certs", "init"]).arg(directory.path()));
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A proxy with mutual TLS, an http origin, and an https origin with a CA of its own.
struct Mutual {
    certs: Certs,
    egret: Egret,
    http: HttpOrigin,
    https: HttpOrigin,
    origin_ca: TestCa,
}

impl Mutual {
    fn start() -> Self {
        let certs = Certs::init();
        let egret = builder().arg("--mtls").arg(certs.directory.path()).start();
        let origin_ca = TestCa::new();
        let https = HttpOrigin::start_tls(&origin_ca);
        Self { certs, egret, http: HttpOrigin::start(), https, origin_ca }
    }

    /// curl with the proxy and the CAs, but without a client certificate.
    fn curl(&self) -> Command {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "--proxy", &self.egret.tls_url()]);
        command.arg("--proxy-cacert").arg(self.certs.path("ca.crt"));
        command.arg("--cacert").arg(self.origin_ca.pem());
        command
    }
}

/// A listener with TLS in YAML, on a port that the system chooses.
fn listener(leaf: &TestLeaf, further: &str) -> String {
    format!(
        "listeners:\n  - address: 127.0.0.1:0\n    tls:\n      certificates:\n        - certificate: {}\n          key: {}\n{further}",
        leaf.certificate.display(),
        leaf.key.display(),
    )
}

/// A proxy with this configuration, in which the listeners are.
fn configured(yaml: &str) -> Egret {
    builder().listen_as_configured().config(yaml).start()
}

/// A script beside these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/scripts").join(name)
}

/// A GET through the proxy.
fn get(authority: impl ToString, path: &str) -> String {
    let authority = authority.to_string();
    format!("GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
}
