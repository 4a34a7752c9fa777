//! The web console of a real proxy: who gets in, what it shows, and that nothing captured ever runs.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod browser;
mod live;
mod login;
mod shows;

use egret_testkit::message::Message;
use egret_testkit::raw::RawClient;
use egret_testkit::wait::{PATIENCE, wait_for};
use egret_testkit::{Egret, HttpOrigin};
use serde_json::Value;

/// The tokens that the tests give.
const TOKEN: &str = "0123456789abcdef-admin";
const VIEWER: &str = "0123456789abcdef-viewer";
const PASSWORD: &str = "correct horse";

/// A proxy with a console, and an origin.
struct Setting {
    egret: Egret,
    origin: HttpOrigin,
    _secrets: tempfile::TempDir,
}

fn setting() -> Setting {
    setting_with("")
}

fn setting_with(more: &str) -> Setting {
    let secrets = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path.display().to_string()
    };
    let config = format!(
        "console:\n  address: 127.0.0.1:0\n  tokenFile: {}\n  readOnlyTokenFile: {}\n  passwordFile: {}\n  \
         names: [console.example]\n{more}",
        file("token", TOKEN),
        file("viewer", VIEWER),
        file("password", PASSWORD)
    );
    let builder = Egret::builder(env!("CARGO_BIN_EXE_egret")).config(&config).env("EGRET_CONSOLE", "");
    let egret = builder.arg("--state-dir").arg(secrets.path()).start();
    Setting { egret, origin: HttpOrigin::start(), _secrets: secrets }
}

impl Setting {
    /// Sends a request to the console, with these header lines, and reads the answer.
    fn ask(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Message {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !lines.iter().any(|line| line.starts_with("Host:")) {
            head.push_str(&format!("Host: {}\r\n", self.egret.console()));
        }
        for line in lines {
            head.push_str(&format!("{line}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let mut client = RawClient::connect(self.egret.console());
        client.send(format!("{head}\r\n{body}")).response(method)
    }

    /// [`Setting::ask`] as the program with the token.
    fn api(&self, method: &str, path: &str) -> Message {
        self.ask(method, &format!("/api/v1{path}"), &[&format!("Authorization: Bearer {TOKEN}")], "")
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.api("GET", path);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// A request through the proxy.
    fn fetch(&self, target: &str) -> Message {
        let host = target.split('/').nth(2).unwrap();
        self.egret
            .connect()
            .exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    /// Waits until the filter finds so many flows, and gives them.
    fn flows(&self, filter: &str, count: usize) -> Vec<Value> {
        let query: String = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
        wait_for("the flows", PATIENCE, || {
            let page = self.json(&format!("/flows?filter={query}"));
            let flows = page["flows"].as_array().unwrap().clone();
            (flows.len() == count).then_some(flows)
        })
    }

    /// Logs in, and gives the line with the cookie and the token against forgery.
    fn login(&self, body: &str) -> (String, String) {
        let answer = self.ask("POST", "/api/v1/session", &["Content-Type: application/json"], body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let cookie = answer.fields.first("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        (format!("Cookie: {cookie}"), answer.json()["csrf"].as_str().unwrap().to_owned())
    }
}
