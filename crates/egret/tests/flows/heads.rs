//! Heads, and what goes with them.

use egret_testkit::scripted::{Step, send};
use egret_testkit::tools::{run, succeed};
use egret_testkit::{Egret, ScriptedOrigin, TestCa};

use super::*;

#[test]
fn heads_are_kept_in_order_and_spelling() {
    let it = setting("capture: Headers");
    succeed(it.curl().args(["-H", "X-PrObE: one", "-H", "x-second: two"]).arg(it.origin.url("/echo?a=1")));
    let flow = it.only();
    assert_eq!((&flow["capture"], &flow["status"]), (&"Headers".into(), &200.into()));
    assert_eq!(flow["target"], it.origin.url("/echo?a=1"));
    let request = &flow["request"];
    let names: Vec<&str> =
        request["headers"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    let at = |name: &str| names.iter().position(|other| *other == name);
    assert!(at("X-PrObE").is_some() && at("X-PrObE") < at("x-second"), "{names:?}");
    assert!(at("Via").is_none(), "as the client sent it: {names:?}");
    assert!(field(&flow["response"], "content-type").is_some(), "{flow:#}");
    assert_eq!(flow["response"]["body"]["captured"], 0);
    assert!(flow["response"]["body"]["size"].as_u64().unwrap() > 10);
    let phases: Vec<&str> =
        flow["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert!(["connect", "send", "wait"].iter().all(|name| phases.contains(name)), "{phases:?}");
    assert!(flow["totalMs"].as_f64().unwrap() > 0.0);
}

#[test]
fn every_flow_is_listed_by_its_record_alone() {
    let it = setting("rules:\n  deny: [{ hosts: [denied.example] }]");
    let ca = TestCa::new();
    let secure = HttpOrigin::start_tls(&ca);
    succeed(it.curl().arg(it.origin.url("/echo")));
    succeed(it.curl().arg("--cacert").arg(ca.pem()).arg(secure.url_by_name("/echo")));
    run(it.curl().arg("http://denied.example/x"));
    let flows = it.written(3);
    let one = |treatment: &str| flows.iter().find(|flow| flow["treatment"] == treatment).unwrap();
    assert!(flows.iter().all(|flow| flow["capture"] == "None"), "{flows:#?}");
    assert!(one("tunnel")["target"].as_str().unwrap().starts_with("localhost:"));
    assert!(flows.iter().any(|flow| flow["reason"] == "denied-by-rule" && flow["status"] == 403));
    assert!(it.whole(one("forward")["id"].as_str().unwrap()).get("request").is_none());
}

#[test]
fn a_refusal_is_captured_with_what_the_client_reads() {
    let it = setting("capture: Bodies\nrules:\n  deny: [{ name: no, hosts: [denied.example] }]");
    run(it.curl().args(["-H", "X-Probe: 1"]).arg("http://denied.example/x"));
    let flow = it.only();
    assert_eq!(field(&flow["request"], "x-probe"), Some("1"));
    assert_eq!((&flow["response"]["status"], &flow["reason"]), (&403.into(), &"denied-by-rule".into()));
    assert!(it.flows(&["show", flow["id"].as_str().unwrap()]).contains("denied.example"));
}

#[test]
fn messages_of_a_websocket_are_kept() {
    // "hello" unmasked from the origin; "hi" masked with zeros from the client.
    let origin = ScriptedOrigin::start(vec![vec![
        Step::ReadHead,
        send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        Step::Send(b"\x81\x05hello".to_vec()),
        Step::ReadToEnd,
    ]]);
    let it = setting("capture: Bodies");
    let authority = origin.address();
    let mut client = it.egret.connect();
    client.send(format!(
        "GET http://{authority}/chat HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    client.read_until(PATIENCE, |bytes| bytes.ends_with(b"hello"));
    client.send(b"\x81\x82\0\0\0\0hi");
    client.finish();
    client.read_to_end(PATIENCE);
    let flow = it.only();
    assert_eq!((&flow["kind"], &flow["messages"]), (&"websocket".into(), &2.into()), "{flow:#}");
    let har = it.har();
    let messages = har["log"]["entries"][0]["_webSocketMessages"].as_array().unwrap();
    let said: Vec<&str> = messages.iter().map(|message| message["data"].as_str().unwrap()).collect();
    assert_eq!(said, ["hello", "hi"]);
}

#[test]
fn without_capture_there_is_no_store() {
    let state = tempfile::tempdir().unwrap();
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"));
    let egret = egret.arg("--state-dir").arg(state.path()).config("workers: 1").start();
    let origin = HttpOrigin::start();
    let mut curl = client("curl");
    succeed(curl.args(["-sS", "-x", &egret.url()]).arg(origin.url("/echo")));
    assert!(!state.path().join("flows").exists());
    assert!(!egret.admin_page("/metrics").text().contains("egret_flows_"));
}

#[test]
fn the_store_is_counted() {
    let it = setting("capture: { mode: Bodies, bodyBytes: 10 }");
    succeed(it.curl().arg(it.origin.url("/bytes/1000")));
    it.written(1);
    assert_eq!(it.egret.metric("egret_flows_stored_total"), 1.0);
    assert_eq!(it.egret.metric("egret_flows_bodies_truncated_total"), 1.0);
    assert_eq!(it.egret.metric("egret_flows_kept"), 1.0);
    assert!(it.egret.metric("egret_flows_bytes{where=\"memory\"}") > 0.0);
    assert_eq!(it.egret.metric("egret_flows_lost_total{what=\"piece\"}"), 0.0);
}
