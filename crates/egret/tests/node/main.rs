//! `egret node` on the files of a node below a directory, read by the programs that they are for.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod apply;
mod foreign;
mod readers;
mod refuse;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use egret_testkit::TestCa;
use egret_testkit::tools::{client, run};
use tempfile::TempDir;

const CONTAINERD: &str = "etc/systemd/system/containerd.service.d/http-proxy.conf";
const KUBELET: &str = "etc/systemd/system/kubelet.service.d/http-proxy.conf";
const DOCKER: &str = "etc/docker/daemon.json";
const APT: &str = "etc/apt/apt.conf.d/95egret-proxy";
const ENVIRONMENT: &str = "etc/environment";
const DEBIAN_CA: &str = "usr/local/share/ca-certificates/egret-ca.crt";

/// A node's files.
struct Node {
    root: TempDir,
    ca: TestCa,
}

impl Node {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), ca: TestCa::new() }
    }

    fn debian() -> Self {
        let node = Self::new();
        node.write("etc/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\n");
        node
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = client(env!("CARGO_BIN_EXE_egret"));
        command.arg("node").args(arguments).arg("--root").arg(self.root.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// What a command that succeeds prints.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        assert_eq!(error, "");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that fails says.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Installs everything.
    fn install(&self, more: &[&str]) -> String {
        let ca = self.ca.pem();
        let base = ["install", "--http-proxy", "http://10.0.0.5:8888", "--ca", ca.to_str().unwrap()];
        self.ok(&[&base[..], more].concat())
    }

    /// Every file with what is in it.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        gather(self.root.path(), &mut found);
        found.sort();
        found
    }
}

fn gather(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}
