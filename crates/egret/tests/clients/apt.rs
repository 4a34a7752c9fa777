//! apt, with a repository of one package.

use std::path::Path;

use egret_testkit::http_origin::Served;
use egret_testkit::tools::{client, succeed};
use egret_testkit::{Egret, HttpOrigin};

/// Builds a package and the index of a flat repository.
fn repository(root: &Path) {
    let package = root.join("package/DEBIAN");
    std::fs::create_dir_all(&package).unwrap();
    let control = "Package: egret-test\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <t@example.com>\nDescription: a test\n";
    std::fs::write(package.join("control"), control).unwrap();
    let repo = root.join("repo");
    std::fs::create_dir_all(&repo).unwrap();
    let deb = repo.join("egret-test_1.0_all.deb");
    succeed(client("dpkg-deb").args(["--build", "--root-owner-group"]).arg(root.join("package")).arg(&deb));
    let sum = succeed(client("sha256sum").arg(&deb));
    let sum = sum.split_whitespace().next().unwrap();
    let size = std::fs::metadata(&deb).unwrap().len();
    let index = format!("{control}Filename: ./egret-test_1.0_all.deb\nSize: {size}\nSHA256: {sum}\n\n");
    std::fs::write(repo.join("Packages"), index).unwrap();
}

#[test]
fn apt_updates_and_downloads() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    repository(root);
    let origin = HttpOrigin::serving(Served { git: None, files: Some(root.join("repo")) });
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    for path in ["state/lists/partial", "cache/archives/partial", "etc", "out"] {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    std::fs::write(root.join("state/status"), "").unwrap();
    std::fs::write(root.join("etc/sources.list"), format!("deb [trusted=yes] {} ./\n", origin.url("/files")))
        .unwrap();
    let apt = |arguments: &[&str]| {
        let mut command = client("apt-get");
        command.current_dir(root.join("out"));
        for (key, value) in [
            ("Dir::Etc", "etc"),
            ("Dir::Etc::sourceparts", "/dev/null"),
            ("Dir::State", "state"),
            ("Dir::State::status", "state/status"),
            ("Dir::Cache", "cache"),
        ] {
            let value = if value.starts_with('/') { value.into() } else { root.join(value) };
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0"]);
        command.arg("-o").arg(format!("Acquire::http::Proxy={}", egret.url())).args(arguments);
        succeed(&mut command)
    };
    apt(&["update"]);
    apt(&["download", "egret-test"]);
    assert!(root.join("out/egret-test_1.0_all.deb").exists());
    let _ = egret.record(|r| r.target().ends_with(".deb") && r.status() == 200);
}
