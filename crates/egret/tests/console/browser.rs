//! The console as people see it: the contract held by its own checker, and the pages in Chromium.

use std::path::{Path, PathBuf};

use egret_testkit::tools::{client, dependencies, succeed};

use super::{TOKEN, setting_with};

fn pages() -> PathBuf {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console");
    assert!(pages.join("node_modules").exists(), "console/node_modules is missing: run ./test --deps");
    pages
}

#[test]
fn keeps_its_contract() {
    let setting = setting_with("rules: {deny: [{hosts: [denied.test]}]}\n");
    for number in 0..120 {
        setting.fetch(&setting.origin.url(&format!("/status/204?{number}")));
    }
    setting.fetch("http://denied.test/");
    drop(setting.egret.tunnel(&setting.origin.address().to_string()));
    setting.flows("is:refused", 1);
    let mut node = client("node");
    node.current_dir(pages())
        .arg("dev/conform.mjs")
        .arg(format!("http://{}", setting.egret.console()))
        .arg(TOKEN);
    assert!(succeed(&mut node).contains(" 0 findings"));
}

#[test]
fn a_browser_sees_traffic_arrive() {
    let setting = setting_with("rules: {deny: [{hosts: [denied.test]}]}\n");
    let mut node = client("node");
    let picture = dependencies().join("console.png");
    node.current_dir(pages())
        .arg("test/browser/live.mjs")
        .env("CONSOLE", format!("http://{}", setting.egret.console()))
        .env("TOKEN", TOKEN)
        .env("PROXY", setting.egret.url())
        .env("ORIGIN", setting.origin.url(""))
        .env("PICTURE", picture);
    assert!(succeed(&mut node).contains("all is well"));
}
