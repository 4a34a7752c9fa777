//! The same inside TLS that is looked into, over HTTP/1.1 and HTTP/2.

use egret_testkit::TestCa;
use egret_testkit::tools::succeed;

use super::*;

/// A proxy that looks into everything, an origin with TLS, and the file that curl trusts.
fn inside() -> (Setting, String, TestCa) {
    let ca = TestCa::new();
    let directory = tempfile::tempdir().unwrap();
    let mut export = client(env!("CARGO_BIN_EXE_egret"));
    let trusted = directory.path().join("trusted.pem");
    let pem = succeed(export.args(["ca", "export", "--state-dir"]).arg(directory.path()));
    std::fs::write(&trusted, pem).unwrap();
    let upstream = ca.pem().display().to_string();
    let arguments = ["--intercept", "--upstream-ca", &upstream];
    let it = start("capture: Bodies\n", &arguments, HttpOrigin::start_tls(&ca), directory);
    (it, trusted.display().to_string(), ca)
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];

#[test]
fn rules_change_what_is_said_inside_tls() {
    let (it, trusted, _ca) = inside();
    let plain = HttpOrigin::start();
    it.rule(
        "headers",
        "path:/echo*",
        json!([
            { "setRequestHeader": { "name": "X-Debug", "value": "1" } },
            { "setResponseHeader": { "name": "X-Answered", "value": "changed" } },
        ]),
    );
    it.rule("elsewhere", "path:/moved", json!([
        { "rewrite": { "scheme": "http", "host": "127.0.0.1", "port": plain.address().port(), "path": "/moved", "replacement": "/echo?plain" } },
    ]));
    it.rule("tea", "path:/tea", json!([{ "answer": { "status": 418, "body": "tea" } }]));
    it.rule("stop", "path:/stop", json!([{ "block": {} }]));
    for version in VERSIONS {
        let fetch = |path: &str| {
            it.fetch(&[version, "--cacert", &trusted, "-d", "inside", &it.origin.url_by_name(path)])
        };
        let printed = fetch("/echo?a");
        let printed = printed.split_once("\r\n\r\n").unwrap().1;
        let seen = Setting::seen(printed);
        assert_eq!((fields(&seen, "X-Debug"), &seen["body"]), (vec!["1"], &json!("inside")), "{version}");
        assert!(printed.to_ascii_lowercase().contains("x-answered: changed"), "{version}: {printed}");
        let moved = fetch("/moved");
        assert!(moved.contains("/echo?plain"), "{version}: {moved}");
        let tea = fetch("/tea");
        assert!(tea.contains(" 418") && tea.ends_with("tea"), "{version}: {tea}");
        assert!(fetch("/stop").contains("blocked-by-change-rule"), "{version}");
    }
    assert_eq!(plain.accepted(), 1, "the second one uses the connection again");
}

#[test]
fn breakpoints_hold_what_is_said_inside_tls() {
    let (it, trusted, _ca) = inside();
    it.breakpoint("path:/echo*", "both");
    for version in VERSIONS {
        let child =
            it.begin(&[version, "--cacert", &trusted, "-d", "inside", &it.origin.url_by_name("/echo?a")]);
        let held = it.held();
        assert_eq!(
            (&held["flow"]["treatment"], &held["body"]["text"]),
            (&json!("intercept"), &json!("inside")),
            "{version}"
        );
        it.release(&held, json!({ "action": "go-on", "request": { "body": { "text": "edited" } } }));
        let held = wait_for("the response to be held", PATIENCE, || {
            Some(it.held()).filter(|held| held["phase"] == "response")
        });
        let body = held["body"]["text"].as_str().unwrap();
        assert!(body.contains("\"body\":\"edited\""), "{version}: {body}");
        it.release(
            &held,
            json!({ "action": "go-on", "response": { "status": 203, "body": { "text": "the end" } } }),
        );
        let printed = end(child);
        assert!(printed.contains(" 203") && printed.ends_with("the end"), "{version}: {printed}");
    }
}

#[test]
fn clients_that_reject_the_certificate_are_listed_with_what_to_do() {
    let (it, _trusted, _ca) = inside();
    let output = it.curl(&[&it.origin.url_by_name("/echo")]).output().unwrap();
    assert!(!output.status.success());
    let rejection = wait_for("the rejection", PATIENCE, || {
        let all = it.api("GET", "/ca/rejections", None)["rejections"].as_array().unwrap().clone();
        all.into_iter().next()
    });
    assert_eq!(
        (&rejection["host"], &rejection["alert"]),
        (&json!("localhost"), &json!("unknown_ca")),
        "{rejection:#}"
    );
    assert_eq!((&rejection["kind"], &rejection["count"]), (&json!("ca-not-trusted"), &json!(1)));
    assert!(rejection["advice"].as_str().unwrap().contains("egret ca export"), "{rejection:#}");
    assert_eq!(it.api("GET", "/ca", None)["rejections"][0], rejection);
}

#[test]
fn requests_inside_tls_are_sent_again() {
    let (it, trusted, _ca) = inside();
    it.fetch(&["--http2", "--cacert", &trusted, "-d", "inside", &it.origin.url_by_name("/echo?a")]);
    let first = &it.flows("method:POST", 1)[0];
    let id = first["id"].as_str().unwrap();
    let again = it.api("POST", &format!("/flows/{id}/replay"), Some(json!({})));
    let flow = &it.flows("is:replay", 1)[0];
    assert_eq!(
        (&flow["id"], &flow["replayOf"], &flow["status"]),
        (&again["id"], &json!(id), &json!(200)),
        "{flow:#}"
    );
    assert_eq!(flow["target"], first["target"]);
    assert!(flow["upstreamTls"]["version"].is_string(), "{flow:#}");
}
