//! Looking inside TLS, with real clients on one side and origins, good and bad, on the other.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod alpn;
mod clients;
mod events;
mod http3;
mod inlets;
mod node_origin;
mod origins;
mod policy;
mod protocols;
mod wildcards;

use std::path::{Path, PathBuf};
use std::process::Command;

use egret_testkit::http_origin::Served;
use egret_testkit::tools::client;
use egret_testkit::{Egret, EgretBuilder, HttpOrigin, TestCa};
use tempfile::TempDir;

/// A proxy that looks inside, with a CA of its own, and an origin behind it.
struct Inside {
    state: TempDir,
    egret: Egret,
    origin: HttpOrigin,
    origin_ca: TestCa,
}

impl Inside {
    /// Looks into everything.
    fn everything() -> Self {
        Self::start(|builder| builder.arg("--intercept"))
    }

    /// With this configuration, in which `PORT` stands for the origin's port. `closed.test` is the origin as well.
    fn configured(yaml: &str) -> Self {
        Self::start_in(|builder, port, state| {
            let hosts = format!("dns: {{hostsFile: {}}}\n", state.join("hosts").display());
            builder.config(&(hosts + &yaml.replace("PORT", port)))
        })
    }

    fn start(change: impl FnOnce(EgretBuilder) -> EgretBuilder) -> Self {
        Self::start_in(|builder, _, _| change(builder))
    }

    fn start_in(change: impl FnOnce(EgretBuilder, &str, &Path) -> EgretBuilder) -> Self {
        let state = tempfile::tempdir().unwrap();
        let origin_ca = TestCa::new();
        let names = ["localhost", "127.0.0.1", "closed.test"];
        let origin = HttpOrigin::serving_tls(origin_ca.server(&names), Served::default());
        std::fs::write(state.path().join("hosts"), "127.0.0.1 localhost closed.test\n").unwrap();
        let builder = Egret::builder(env!("CARGO_BIN_EXE_egret"));
        let builder = builder.arg("--state-dir").arg(state.path()).arg("--upstream-ca").arg(origin_ca.pem());
        let egret = change(builder, &origin.address().port().to_string(), state.path()).start();
        Self { state, egret, origin, origin_ca }
    }

    /// What clients have to trust.
    fn ca(&self) -> PathBuf {
        self.state.path().join("interception-ca.crt")
    }

    fn url(&self, path: &str) -> String {
        self.origin.url_by_name(path)
    }

    /// The same origin by a name that rules leave closed.
    fn closed_url(&self, path: &str) -> String {
        format!("https://closed.test:{}{path}", self.origin.address().port())
    }

    /// curl that trusts the origin's own CA, and not the one of interception.
    fn curl_of_origin(&self) -> Command {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "--proxy", &self.egret.url(), "--cacert"]);
        command.arg(self.origin_ca.pem());
        command
    }

    fn curl(&self) -> Command {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "--proxy", &self.egret.url(), "--cacert"]).arg(self.ca());
        command
    }
}

/// A script beside these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/intercept/scripts").join(name)
}
