//! `egret certs`, measured by the programs that its files are for: openssl, curl, Go and Java's keytool. One
//! that is not installed is a failure: `./test --deps` installs them all.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod bundle;
mod clients;
mod docs;
mod export;
mod make;
mod renew;
mod show;
mod words;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use egret_testkit::tools::{client, run, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// A directory of its own, in which commands run.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a CA, a server and a client in it.
    fn with_init(further: &[&str]) -> Self {
        let place = Self::new();
        place.egret(&[&["init", "."], further].concat());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = client(program);
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn certs(&self, arguments: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_egret"), &[&["certs"], arguments].concat())
    }

    /// Runs `egret certs`, which must succeed.
    fn egret(&self, arguments: &[&str]) -> String {
        succeed(&mut self.certs(arguments))
    }

    /// Runs `egret certs`, which must fail, and returns what it says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = run(&mut self.certs(arguments));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The JSON of `egret certs`, whatever its exit status.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = run(&mut self.certs(&[arguments, &["--format", "json"]].concat()));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    }

    /// Runs openssl, which must succeed.
    fn openssl(&self, arguments: &[&str]) -> String {
        succeed(&mut self.command("openssl", arguments))
    }
}

/// All that a program wrote.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The program in Go, built once for each test.
struct Go {
    program: PathBuf,
}

impl Go {
    fn build(place: &Place) -> Self {
        let program = place.path("peer");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certs/peer.go");
        // One cache for all tests; Go makes it safe to share.
        let cache = std::env::temp_dir().join("egret-test-go-cache");
        succeed(client("go").env("GOCACHE", cache).args(["build", "-o"]).arg(&program).arg(source));
        Self { program }
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Output {
        run(&mut place.command(&self.program, arguments))
    }

    /// Serves HTTPS with these files until dropped.
    fn serve(&self, place: &Place, arguments: &[&str]) -> GoServer {
        let mut command = place.command(&self.program, &[&["serve"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the server in Go: {line}"));
        GoServer { child, port }
    }
}

struct GoServer {
    child: Child,
    port: u16,
}

impl Drop for GoServer {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
