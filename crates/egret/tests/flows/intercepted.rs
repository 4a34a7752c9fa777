//! Requests inside TLS that is looked into.

use egret_testkit::TestCa;
use egret_testkit::tools::succeed;

use super::*;

#[test]
fn what_is_said_inside_tls_is_captured_with_tls_of_both_sides() {
    let state = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .arg("--state-dir")
        .arg(state.path())
        .arg("--intercept")
        .arg("--upstream-ca")
        .arg(ca.pem())
        .config("capture: Bodies\nflows: { persistent: true }")
        .start();
    let mut export = client(env!("CARGO_BIN_EXE_egret"));
    let pem = succeed(export.args(["ca", "export", "--state-dir"]).arg(state.path()));
    let trusted = state.path().join("trusted.pem");
    std::fs::write(&trusted, pem).unwrap();
    let origin = HttpOrigin::start_tls(&ca);
    let url = origin.url_by_name("/echo?a=1");
    let it = Setting { egret, origin, state };
    succeed(it.curl().arg("--cacert").arg(&trusted).args(["-d", "inside"]).arg(&url));
    let flows = it.written(2);
    let tunnel = flows.iter().find(|flow| flow["method"] == "CONNECT").unwrap();
    let request = flows.iter().find(|flow| flow["method"] == "POST").unwrap();
    let flow = it.whole(request["id"].as_str().unwrap());
    assert_eq!((&flow["target"], &flow["treatment"]), (&url.into(), &"intercept".into()));
    assert_eq!(flow["tunnel"], tunnel["id"]);
    assert_eq!(flow["request"]["body"]["captured"], 6);
    assert_eq!(flow["downstreamTls"]["sni"], "localhost", "{flow:#}");
    assert!(flow["upstreamTls"]["cipherSuite"].as_str().unwrap().starts_with("TLS_"), "{flow:#}");
    assert_eq!(flow["upstreamTls"]["chain"][0]["sans"][0], "DNS:localhost", "{flow:#}");
    assert_eq!(it.har()["log"]["entries"].as_array().unwrap().len(), 1);
}
