//! Real clients through the real binary, against origins on this machine. A client that is not
//! installed is a failure: `./test --deps` installs them all.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod apt;
mod curl;
mod git;
mod http2;
mod java;
mod node;
mod pac;
mod python;
mod wget;

use std::path::{Path, PathBuf};

use egret_testkit::{Egret, HttpOrigin, TestCa};

/// A proxy, an http origin and an https origin with a private CA.
struct Setting {
    egret: Egret,
    http: HttpOrigin,
    https: HttpOrigin,
    ca: TestCa,
}

fn setting() -> Setting {
    let ca = TestCa::new();
    let https = HttpOrigin::start_tls(&ca);
    Setting { egret: Egret::start(env!("CARGO_BIN_EXE_egret")), http: HttpOrigin::start(), https, ca }
}

/// A script beside these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/scripts").join(name)
}
