//! Changing traffic while debugging: rules, breakpoints and replay, with a real proxy and real clients.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod breakpoints;
mod browser;
mod configured;
mod inside;
mod replay;
mod rules;

use std::process::{Child, Command, Stdio};

use egret_testkit::message::Message;
use egret_testkit::raw::RawClient;
use egret_testkit::tools::client;
use egret_testkit::wait::{PATIENCE, wait_for};
use egret_testkit::{Egret, HttpOrigin};
use serde_json::{Value, json};

/// The tokens that the tests give.
const TOKEN: &str = "0123456789abcdef-admin";
const VIEWER: &str = "0123456789abcdef-viewer";

/// A proxy with a console, and an origin.
struct Setting {
    egret: Egret,
    origin: HttpOrigin,
    directory: tempfile::TempDir,
}

fn setting() -> Setting {
    setting_with("capture: Bodies\n", &[])
}

/// With more of a configuration, and more on the command line.
fn setting_with(more: &str, arguments: &[&str]) -> Setting {
    start(more, arguments, HttpOrigin::start(), tempfile::tempdir().unwrap())
}

fn start(more: &str, arguments: &[&str], origin: HttpOrigin, directory: tempfile::TempDir) -> Setting {
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path.display().to_string()
    };
    let config = format!(
        "console: {{address: '127.0.0.1:0', tokenFile: {}, readOnlyTokenFile: {}}}\n{more}",
        file("token", TOKEN),
        file("viewer", VIEWER)
    );
    let mut builder = Egret::builder(env!("CARGO_BIN_EXE_egret")).config(&config).env("EGRET_CONSOLE", "");
    for argument in arguments {
        builder = builder.arg(*argument);
    }
    let egret = builder.arg("--state-dir").arg(directory.path()).start();
    Setting { egret, origin, directory }
}

impl Setting {
    /// Asks the API, with this token.
    fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Message {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut client = RawClient::connect(self.egret.console());
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.send(head).response(method)
    }

    /// The same, as admin, for what has to go well.
    fn api(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask(TOKEN, method, path, body.as_ref());
        assert!(answer.status() < 300, "{method} {path}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// The same for what is refused: status and code.
    fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let answer = self.ask(TOKEN, method, path, Some(&body));
        let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        (answer.status(), code)
    }

    /// Adds a change rule, and gives its id.
    fn rule(&self, name: &str, filter: &str, actions: Value) -> String {
        let rule = json!({ "name": name, "filter": filter, "actions": actions });
        self.api("POST", "/changes", Some(rule))["id"].as_str().unwrap().to_owned()
    }

    /// Adds a breakpoint, and gives its id.
    fn breakpoint(&self, filter: &str, phase: &str) -> String {
        let point = json!({ "filter": filter, "phase": phase });
        self.api("POST", "/breakpoints", Some(point))["id"].as_str().unwrap().to_owned()
    }

    /// Waits until one flow is held, and gives it with what can be edited.
    fn held(&self) -> Value {
        let id = wait_for("a flow to be held", PATIENCE, || {
            let held = self.api("GET", "/held", None);
            let held = held["held"].as_array().unwrap().clone();
            (held.len() == 1).then(|| held[0]["flow"]["id"].as_str().unwrap().to_owned())
        });
        self.api("GET", &format!("/held/{id}"), None)
    }

    fn release(&self, held: &Value, order: Value) {
        let id = held["flow"]["id"].as_str().unwrap();
        self.api("POST", &format!("/held/{id}"), Some(order));
    }

    /// curl through the proxy; it prints the answer's head and body.
    fn curl(&self, arguments: &[&str]) -> Command {
        let mut command = client("curl");
        command.args(["-sS", "-i", "--max-time", "60", "-x", &self.egret.url()]).args(arguments);
        command
    }

    /// What curl prints.
    fn fetch(&self, arguments: &[&str]) -> String {
        text(&self.curl(arguments).output().unwrap().stdout)
    }

    /// curl, under way.
    fn begin(&self, arguments: &[&str]) -> Child {
        self.curl(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the filter finds so many flows that are over, and gives them whole.
    fn flows(&self, filter: &str, count: usize) -> Vec<Value> {
        let query: String = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let rows = wait_for("the flows", PATIENCE, || {
            let page = self.api("GET", &format!("/flows?sort=started&filter={query}"), None);
            let rows = page["flows"].as_array().unwrap().clone();
            let over = rows.iter().all(|row| !["open", "held"].contains(&row["state"].as_str().unwrap()));
            (over && rows.len() == count).then_some(rows)
        });
        let whole = |row: &Value| self.api("GET", &format!("/flows/{}", row["id"].as_str().unwrap()), None);
        rows.iter().map(whole).collect()
    }

    /// What the origin saw, as `/echo` says it.
    fn seen(printed: &str) -> Value {
        let body = printed.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|_| panic!("the origin did not answer: {printed}"))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What curl printed, when it is through.
fn end(child: Child) -> String {
    text(&child.wait_with_output().unwrap().stdout)
}

/// The values of a field that the origin saw.
fn fields<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let all = seen["fields"].as_array().unwrap().iter();
    let named = all.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|field| field[1].as_str().unwrap()).collect()
}
