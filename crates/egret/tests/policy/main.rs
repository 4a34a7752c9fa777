//! `egret policy`, as the CI of a platform team and people at a terminal use it.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod backtest;
mod explain;
mod lint;
mod suggest;
mod table;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A configuration that the tests share.
const POLICIES: &str = r#"default: Deny
policies:
  - name: no-uploads
    priority: 10
    rules:
      - {name: uploads, action: Deny, to: [{hosts: ["uploads.example.com"]}], reason: nothing leaves, contact: sec@corp.example}
  - name: payments
    priority: 20
    from: [{users: [alice]}, {groups: [payments]}, {certificates: ["spiffe://td/ns/pay/sa/*"]}]
    rules:
      - {name: bank, action: Allow, to: [{hosts: ["**.bank.example.com", bank.example.com], ports: [443]}]}
      - {name: reads, action: Allow, to: [{hosts: [plain.example.com], ports: [80]}], http: {methods: [GET], paths: ["/v1/**"]}}
      - {name: office, action: Allow, to: [{cidrs: [203.0.113.0/24], ports: [443]}]}
  - name: trial
    priority: 15
    mode: Audit
    rules:
      - {name: no-beta, action: Deny, to: [{hosts: [beta.bank.example.com]}]}
  - kind: EgressPolicy
    metadata: {name: web, namespace: web}
    spec:
      rules:
        - {name: cdn, action: Allow, to: [{hosts: ["*.cdn.example.com"], ports: [443]}]}
"#;

/// A directory of its own, in which commands run.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the configuration that tests share.
    fn with_policies() -> Self {
        let place = Self::new();
        place.write("egret.yaml", POLICIES);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
        command.current_dir(self.0.path()).env_remove("EGRET_CONFIG").arg("policy").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `egret policy`, with this on standard input.
    fn policy_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::from(child.wait_with_output().unwrap())
    }

    fn policy(&self, arguments: &[&str]) -> Ran {
        self.policy_with(arguments, b"")
    }

    /// The JSON that a command prints, whatever its exit status.
    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.policy(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
    }
}

/// What a command said.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.out.contains(word) || self.err.contains(word),
                "no {word:?} in: {}{}",
                self.out,
                self.err
            );
        }
        self
    }
}

/// A line of the access log.
fn record(user: &str, target: &str, more: Value) -> String {
    let mut line = json!({
        "time": "2026-11-20T10:00:00.000Z", "flow": "x", "client": "10.0.0.9:4000", "method": "CONNECT",
        "target": target, "treatment": "tunnel", "status": 200, "route": "direct", "dialled": "192.0.2.1:443",
        "reused": false, "bytesUp": 1, "bytesDown": 1,
    });
    if !user.is_empty() {
        line["user"] = json!(user);
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    format!("{line}\n")
}

/// A line of a flow that policy denied.
fn denied(user: &str, target: &str) -> String {
    let more = json!({"status": 403, "treatment": "local", "reason": "denied-by-default", "blame": "policy", "dialled": null, "route": null});
    record(user, target, more)
}

#[test]
fn names_its_commands_in_the_help() {
    let place = Place::new();
    place.policy(&["--help"]).exits(0).says(&["test", "explain", "suggest", "backtest", "lint"]);
}
