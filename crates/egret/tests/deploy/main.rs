//! The manifests and the chart: rendered by kubectl and by Helm's own library, and held against what an API server says
//! of each kind. `./test --deps` installs both.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod apply;
mod chart;
mod container;
mod dashboard;
mod kustomize;
mod netpol;
mod objects;
mod openapi;
mod parity;
mod rights;
mod secrets;
mod sense;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use egret_testkit::tools::{client, of_python, python, run, succeed};
use serde_json::Value;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn script() -> Command {
    let mut command = client(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/scripts/render.py"));
    command
}

/// The objects in a text of YAML documents.
fn objects_of(yaml: &str) -> Vec<Value> {
    let mut child = script().arg("yaml").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "this is no YAML:\n{yaml}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `kubectl kustomize` makes of a directory of `deploy/`.
fn kustomized(directory: &str) -> Vec<Value> {
    let mut command = client(of_python("kubectl"));
    objects_of(&succeed(command.arg("kustomize").arg(root().join("deploy").join(directory))))
}

/// What Helm makes of the chart with these values, without its notes.
fn charted(values: &Value) -> Vec<Value> {
    let mut objects = rendered(values).unwrap();
    objects.retain(|object| object["kind"] != "Notes");
    objects
}

/// What Helm makes of the chart, or why it does not.
fn rendered(values: &Value) -> Result<Vec<Value>, String> {
    let output = run(script().arg("chart").arg(root().join("charts/egret")).arg(values.to_string()));
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// `egret check` of every configuration among the objects, with a CA where the Secret would be.
fn check_configurations(objects: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    for config in objects.iter().filter_map(|object| object["data"]["egret.yaml"].as_str()) {
        let ca = folder.path().join("interception");
        succeed(client(env!("CARGO_BIN_EXE_egret")).args(["certs", "ca", "--force"]).arg(&ca));
        std::fs::rename(ca.join("ca.crt"), ca.join("tls.crt")).unwrap();
        std::fs::rename(ca.join("ca.key"), ca.join("tls.key")).unwrap();
        let file = folder.path().join("egret.yaml");
        std::fs::write(&file, config.replace("/etc/egret", at)).unwrap();
        // As the manifests set it.
        succeed(client(env!("CARGO_BIN_EXE_egret")).arg("check").arg(&file).env("NODE_NAME", "node-a"));
    }
}
