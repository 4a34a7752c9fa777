//! Capture of flows through a real proxy with real clients, and `egret flows` on what was written.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod bodies;
mod heads;
mod intercepted;
mod policy;
mod redaction;
mod terminal;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use egret_testkit::tools::{client, succeed};
use egret_testkit::{Egret, HttpOrigin, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// How long flows may take to be written.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy that writes its flows, and an origin.
struct Setting {
    egret: Egret,
    origin: HttpOrigin,
    state: TempDir,
}

/// With this configuration, and a store that survives a restart.
fn setting(config: &str) -> Setting {
    let state = tempfile::tempdir().unwrap();
    let store = if config.contains("flows:") { "" } else { "flows: { persistent: true }\n" };
    let config = format!("{store}{config}");
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"));
    let egret = egret.arg("--state-dir").arg(state.path()).config(&config).start();
    Setting { egret, origin: HttpOrigin::start(), state }
}

impl Setting {
    fn curl(&self) -> Command {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "60", "-x", &self.egret.url()]);
        command
    }

    /// What `egret flows` prints.
    fn flows(&self, arguments: &[&str]) -> String {
        flows(self.state.path(), arguments)
    }

    /// The flows that were written, once there are so many, oldest first.
    fn written(&self, count: usize) -> Vec<Value> {
        wait_for("flows to be written", PATIENCE, || {
            let output = command(self.state.path(), &["list", "--format", "json"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let flows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (flows.len() >= count).then_some(flows)
        })
    }

    /// All of the only flow.
    fn only(&self) -> Value {
        let id = self.written(1)[0]["id"].as_str().unwrap().to_owned();
        self.whole(&id)
    }

    fn whole(&self, id: &str) -> Value {
        serde_json::from_str(&self.flows(&["show", id, "--format", "json"])).unwrap()
    }

    /// All flows as HAR.
    fn har(&self) -> Value {
        serde_json::from_str(&self.flows(&["export", "--har", "-"])).unwrap()
    }
}

fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = client(env!("CARGO_BIN_EXE_egret"));
    command.arg("flows").args(arguments).arg("--store").arg(state);
    command
}

fn flows(state: &Path, arguments: &[&str]) -> String {
    succeed(&mut command(state, arguments))
}

/// The value of a header field.
fn field<'a>(part: &'a Value, name: &str) -> Option<&'a str> {
    let fields = part["headers"].as_array()?;
    let field = fields.iter().find(|field| field["name"].as_str().unwrap().eq_ignore_ascii_case(name));
    field?["value"].as_str()
}
