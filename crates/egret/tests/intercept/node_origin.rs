//! An origin of Node's, which speaks HTTP/2 and HTTP/1.1 as it is told, behind a proxy that looks inside.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use egret_testkit::tools::{client, succeed};
use egret_testkit::{Egret, TestCa};
use serde_json::Value;
use tempfile::TempDir;

use super::script;

/// A running origin and the proxy before it. `NAMES` all lead to it.
pub(crate) struct Node {
    pub(crate) egret: Egret,
    child: Child,
    port: u16,
    state: TempDir,
    _ca: TestCa,
}

/// The names of the origin: in its certificate, the last two by a wildcard.
const NAMES: [&str; 3] = ["origin.test", "a.wild.test", "b.wild.test"];

/// The token of the console, where the configuration has `CONSOLE`.
const TOKEN: &str = "0123456789abcdef-admin";

/// What a configuration needs for [`Node::api`].
pub(crate) const CONSOLE: &str = "console: {address: 127.0.0.1:0, tokenFile: TOKEN_FILE}\n";

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// An origin that speaks these protocols: `h2`, `http/1.1`, or both with a comma between.
    pub(crate) fn speaking(protocols: &str) -> Self {
        Self::configured(protocols, "interception: {everything: true}\n")
    }

    /// The same under this configuration.
    pub(crate) fn configured(protocols: &str, yaml: &str) -> Self {
        let ca = TestCa::new();
        let (certificate, key) = ca.files(&["origin.test", "*.wild.test"]);
        let mut command = client("node");
        command.arg(script("origin.cjs")).arg(certificate).arg(key).arg(protocols).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        let state = tempfile::tempdir().unwrap();
        let hosts = state.path().join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 {}\n", NAMES.join(" "))).unwrap();
        let token = state.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let yaml = yaml.replace("PORT", line.trim()).replace("TOKEN_FILE", &token.display().to_string());
        let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
            .env("EGRET_CONSOLE", "")
            .arg("--state-dir")
            .arg(state.path())
            .arg("--upstream-ca")
            .arg(ca.pem())
            .config(&format!("dns: {{hostsFile: {}}}\n{yaml}", hosts.display()))
            .start();
        Self { egret, child, port, state, _ca: ca }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.state.path().join("interception-ca.crt")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_of(NAMES[0], path)
    }

    pub(crate) fn url_of(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    /// What the console's API says.
    pub(crate) fn api(&self, path: &str) -> Value {
        let mut command = client("curl");
        command.args(["-sS", "--noproxy", "*", "-H", &format!("Authorization: Bearer {TOKEN}")]);
        let text = succeed(command.arg(format!("http://{}/api/v1{path}", self.egret.console())));
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn curl(&self) -> Command {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "--proxy", &self.egret.url(), "--cacert"]).arg(self.ca());
        command
    }

    /// What the origin saw, and the version that curl spoke.
    pub(crate) fn seen(text: &str) -> (Value, String) {
        let (body, version) = text.rsplit_once('\n').unwrap();
        (serde_json::from_str(body).unwrap(), version.to_owned())
    }
}
