//! Credentials from real clients, against files made by real tools, a real directory and real tokens. A
//! program that is not installed is a failure: `./test --deps` installs them all.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod backoff;
mod clients;
mod directory;
mod groups;
mod http;
mod ldap;
mod malformed;
mod passwords;
mod reload;
mod socks;
mod tokens;
mod users;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_testkit::{Egret, EgretBuilder, HttpOrigin, Message};

/// A password's bcrypt hash of the lowest cost, by the real htpasswd.
fn line(user: &str, password: &str) -> String {
    let mut command = egret_testkit::tools::client("htpasswd");
    egret_testkit::tools::succeed(command.args(["-nbB", "-C", "4", user, password])).trim().to_owned() + "\n"
}

fn builder() -> EgretBuilder {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
}

/// A proxy that knows alice by the password `secret`, and an origin.
struct Setting {
    egret: Egret,
    origin: HttpOrigin,
    directory: tempfile::TempDir,
}

impl Setting {
    /// With further lines of the section `authentication`.
    fn with(lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("users");
        std::fs::write(&file, line("alice", "secret")).unwrap();
        let yaml = format!("authentication:\n  htpasswd: {}\n{lines}", file.display());
        Self { egret: builder().config(&yaml).start(), origin: HttpOrigin::start(), directory }
    }

    fn users(&self) -> PathBuf {
        self.directory.path().join("users")
    }

    /// One request with this value of Proxy-Authorization, on a connection of its own.
    fn ask(&self, authorization: Option<&str>) -> Message {
        ask(&self.egret, &self.origin, authorization)
    }
}

fn ask(egret: &Egret, origin: &HttpOrigin, authorization: Option<&str>) -> Message {
    egret.connect().exchange(request(origin, authorization))
}

/// A request in absolute form.
fn request(origin: &HttpOrigin, authorization: Option<&str>) -> String {
    let field = authorization.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    format!("GET {} HTTP/1.1\r\nHost: {}\r\n{field}\r\n", origin.url("/echo"), origin.address())
}

/// The value of Proxy-Authorization for a user and a password.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The fields that a message challenges with.
fn challenges(message: &Message) -> Vec<&str> {
    message.fields.all("Proxy-Authenticate").collect()
}

/// The reason code of a refusal.
fn reason(message: &Message) -> String {
    let phrase = message.reason_phrase();
    phrase.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A script beside these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/credentials/scripts").join(name)
}

/// A member of each record, sorted: connections are served by several workers, whose lines come in no order.
fn sorted(records: &[egret_testkit::Record], member: &str) -> Vec<String> {
    let mut values: Vec<String> = records.iter().map(|record| record.text(member)).collect();
    values.sort();
    values
}
