//! wget.

use std::process::Command;

use egret_testkit::http_origin::pattern;
use egret_testkit::tools::{client, run, succeed};

use super::{Setting, setting};

fn wget(setting: &Setting) -> Command {
    let mut command = client("wget");
    command
        .env("http_proxy", setting.egret.url())
        .env("https_proxy", setting.egret.url())
        .env("no_proxy", "");
    command.args(["-q", "-T", "30", "-t", "1", "-O", "-"]);
    command.arg(format!("--ca-certificate={}", setting.ca.pem().display()));
    command
}

#[test]
fn wget_gets_http_and_https() {
    let it = setting();
    let output = run(wget(&it).arg(it.http.url("/bytes/200000")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, pattern(200_000));
    assert_eq!(succeed(wget(&it).arg(it.https.url_by_name("/"))), "origin\n");
    let records = it.egret.exactly(2);
    assert_eq!(records[1].method(), "CONNECT");
}

#[test]
fn wget_notices_a_cut_download() {
    let it = setting();
    let origin =
        egret_testkit::ScriptedOrigin::replying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    let output = run(wget(&it).arg(format!("http://{}/", origin.address())));
    assert!(!output.status.success(), "a cut body is not complete");
}
