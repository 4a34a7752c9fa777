//! Notes for `egret_build_info` and `--version` what was built, and with which compiler.

use std::path::Path;
use std::process::Command;

fn main() {
    let head = Path::new("../../.git/HEAD");
    if head.exists() {
        println!("cargo::rerun-if-changed=../../.git/HEAD");
        println!("cargo::rerun-if-changed=../../.git/logs/HEAD");
    }
    println!("cargo::rerun-if-env-changed=EGRET_REVISION");
    // Sources without their history, as in a container build, can say it by the variable.
    let revision = std::env::var("EGRET_REVISION")
        .ok()
        .or_else(|| output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"])));
    println!("cargo::rustc-env=EGRET_REVISION={}", revision.unwrap_or_default());
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(Command::new(compiler).arg("--version"));
    println!("cargo::rustc-env=EGRET_RUSTC={}", version.unwrap_or_default());
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}
