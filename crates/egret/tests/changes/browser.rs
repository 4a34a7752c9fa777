//! The page that changes traffic, in Chromium.

use std::path::Path;

use egret_testkit::tools::{dependencies, succeed};

use super::*;

#[test]
fn a_browser_changes_holds_edits_and_replays() {
    let it = setting();
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console");
    assert!(pages.join("node_modules").exists(), "console/node_modules is missing: run ./test --deps");
    let pictures = dependencies().join("changes");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut node = client("node");
    node.current_dir(pages)
        .arg("test/browser/changes.mjs")
        .env("CONSOLE", format!("http://{}", it.egret.console()))
        .env("TOKEN", TOKEN)
        .env("PROXY", it.egret.url())
        .env("ORIGIN", it.origin.url(""))
        .env("PICTURES", pictures);
    assert!(succeed(&mut node).contains("all is well"));
}
