//! git over http and https, the smart protocol.

use std::path::Path;
use std::process::Command;

use egret_testkit::http_origin::Served;
use egret_testkit::tools::{client, succeed};
use egret_testkit::{Egret, HttpOrigin, TestCa};

fn git(directory: &Path) -> Command {
    let mut command = client("git");
    command
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    for person in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{person}_NAME"), "Test")
            .env(format!("GIT_{person}_EMAIL"), "test@example.com");
    }
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// A bare repository with one commit of some size, under `git/seed.git`.
fn repository(root: &Path) {
    let work = root.join("work");
    std::fs::create_dir_all(&work).unwrap();
    succeed(git(&work).args(["init", "-q", "-b", "main"]));
    let noise: Vec<u8> =
        (0..2_000_000u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
    std::fs::write(work.join("noise.bin"), noise).unwrap();
    std::fs::write(work.join("README"), "hello\n").unwrap();
    succeed(git(&work).args(["add", "."]));
    succeed(git(&work).args(["commit", "-q", "-m", "Start"]));
    std::fs::create_dir_all(root.join("git")).unwrap();
    succeed(git(root).args(["clone", "-q", "--bare", "work", "git/seed.git"]));
    succeed(git(&root.join("git/seed.git")).args(["config", "http.receivepack", "true"]));
}

fn clones_and_pushes(url: &str, egret: &Egret, ca: Option<&TestCa>, root: &Path, name: &str) {
    let mut clone = git(root);
    let with_proxy = |command: &mut Command| {
        command.env("http_proxy", egret.url()).env("https_proxy", egret.url());
        if let Some(ca) = ca {
            command.env("GIT_SSL_CAINFO", ca.pem());
        }
    };
    with_proxy(&mut clone);
    succeed(clone.args(["clone", "-q", url, name]));
    let copy = root.join(name);
    assert_eq!(std::fs::read_to_string(copy.join("README")).unwrap(), "hello\n");
    assert_eq!(std::fs::metadata(copy.join("noise.bin")).unwrap().len(), 2_000_000);
    std::fs::write(copy.join("more"), vec![b'm'; 100_000]).unwrap();
    succeed(git(&copy).args(["add", "."]));
    succeed(git(&copy).args(["commit", "-q", "-m", "More"]));
    let mut push = git(&copy);
    with_proxy(&mut push);
    succeed(push.args(["push", "-q", "origin", "HEAD:refs/heads/topic"]));
    let heads = succeed(git(&root.join("git/seed.git")).args(["branch", "--list", "topic"]));
    assert!(heads.contains("topic"));
}

#[test]
fn git_clones_and_pushes_over_http() {
    let directory = tempfile::tempdir().unwrap();
    repository(directory.path());
    let origin = HttpOrigin::serving(Served { git: Some(directory.path().join("git")), files: None });
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    clones_and_pushes(&origin.url("/git/seed.git"), &egret, None, directory.path(), "copy");
    let _ = egret.records_where(|r| r.target().contains("git-receive-pack"));
}

#[test]
fn git_clones_and_pushes_over_https() {
    let directory = tempfile::tempdir().unwrap();
    repository(directory.path());
    let ca = TestCa::new();
    let served = Served { git: Some(directory.path().join("git")), files: None };
    let origin = HttpOrigin::serving_tls(ca.server(&["localhost"]), served);
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    clones_and_pushes(&origin.url_by_name("/git/seed.git"), &egret, Some(&ca), directory.path(), "copy");
    assert!(egret.records_where(|_| true).iter().all(|r| r.method() == "CONNECT"));
}
