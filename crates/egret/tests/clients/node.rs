//! Node: undici's fetch, axios and the built-in http module.

use egret_testkit::tools::{client, dependencies, succeed};

use super::{script, setting};

fn run_script(name: &str) {
    let it = setting();
    let modules = dependencies().join("node_modules");
    assert!(modules.exists(), "{} is missing: run ./test --deps", modules.display());
    let output = succeed(
        client("node")
            .arg(script(name))
            .args([it.egret.url(), it.http.url(""), it.https.url_by_name("")])
            .env("NODE_PATH", modules.canonicalize().unwrap())
            .env("NODE_EXTRA_CA_CERTS", it.ca.pem()),
    );
    assert!(output.ends_with("good\n"), "{output}");
    let _ = it.egret.records_where(|_| true); // it went through the proxy
}

#[test]
fn node_undici_fetch() {
    run_script("with_undici.cjs");
}

#[test]
fn node_axios() {
    run_script("with_axios.cjs");
}

#[test]
fn node_http() {
    run_script("with_http.cjs");
}
