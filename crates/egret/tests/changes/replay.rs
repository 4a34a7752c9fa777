//! Sending again.

use super::*;

fn replay(it: &Setting, id: &str, order: Value) -> Value {
    it.api("POST", &format!("/flows/{id}/replay"), Some(order))
}

/// A flow to repeat, and its id.
fn flow(it: &Setting, arguments: &[&str]) -> (Value, String) {
    it.fetch(arguments);
    let flow = it.flows("!is:replay", 1).remove(0);
    let id = flow["id"].as_str().unwrap().to_owned();
    (flow, id)
}

fn body(it: &Setting, id: &Value) -> Value {
    let text = it.api("GET", &format!("/flows/{}/response/text", id.as_str().unwrap()), None);
    serde_json::from_str(text["text"].as_str().unwrap()).unwrap()
}

#[test]
fn a_request_is_sent_again_as_it_was_and_with_changes() {
    let it = setting();
    let (_, id) = flow(&it, &["-H", "X-Mine: 1", "-d", "a=b", &it.origin.url("/echo?x=1")]);
    let first = replay(&it, &id, json!({}));
    let edit = json!({
        "method": "PATCH", "target": it.origin.url("/echo?x=2"), "headers": [{ "name": "X-Mine", "value": "2" }],
        "body": { "base64": "AAEC" },
    });
    let second = replay(&it, &id, json!({ "edit": edit }));
    let flows = it.flows("is:replay", 2);
    assert!(flows.iter().all(|flow| flow["replayOf"] == json!(id)), "{flows:#?}");
    let seen = body(&it, &first["id"]);
    assert_eq!(
        (&seen["method"], &seen["target"], &seen["body"]),
        (&json!("POST"), &json!("/echo?x=1"), &json!("a=b"))
    );
    assert_eq!(fields(&seen, "X-Mine"), ["1"]);
    let seen = body(&it, &second["id"]);
    assert_eq!((&seen["method"], &seen["target"]), (&json!("PATCH"), &json!("/echo?x=2")));
    assert_eq!((fields(&seen, "X-Mine"), fields(&seen, "Content-Length")), (vec!["2"], vec!["3"]));
    let record = it.egret.record(|record| record.method() == "PATCH");
    assert_eq!(
        (record.text("replayOf"), record.text("user"), record.text("proof")),
        (id, "console".into(), "console".into())
    );
    let audit = it.api("GET", "/audit", None);
    assert_eq!(
        audit["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "replay").count(),
        2
    );
}

#[test]
fn a_replay_passes_policy_as_whoever_sends_it() {
    let it = setting_with(
        "capture: Bodies\npolicies:\n- kind: ClusterEgressPolicy\n  name: debugging\n  rules:\n  - {name: no, action: Deny, to: [{hosts: [forbidden.test]}]}\n",
        &[],
    );
    let (_, id) = flow(&it, &[&it.origin.url("/echo")]);
    let denied = replay(&it, &id, json!({ "edit": { "target": "http://forbidden.test/" } }));
    let guarded = replay(&it, &id, json!({ "edit": { "target": "http://169.254.169.254/latest" } }));
    let flows = it.flows("is:replay", 2);
    let reason = |made: &Value| flows.iter().find(|flow| flow["id"] == made["id"]).unwrap()["reason"].clone();
    assert_eq!((reason(&denied), reason(&guarded)), (json!("denied-by-rule"), json!("denied-by-guard")));
    assert_eq!((&flows[0]["identity"], &flows[0]["proof"]), (&json!("console"), &json!("console")));
}

#[test]
fn what_was_redacted_is_said_and_can_be_filled_in() {
    let it = setting();
    let (flow, id) =
        flow(&it, &["-H", "Authorization: Bearer secret", &it.origin.url("/echo?token=secret&a=1")]);
    let (status, code) = it.refused("POST", &format!("/flows/{id}/replay"), json!({}));
    assert_eq!((status, code.as_str()), (409, "redacted"));
    let target = it.origin.url("/echo?token=another&a=1");
    let first = replay(&it, &id, json!({ "edit": { "target": target } }));
    assert!(first["notes"][0].as_str().unwrap().contains("authorization was redacted"), "{first}");
    let mut headers = flow["request"]["headers"].as_array().unwrap().clone();
    for field in headers.iter_mut().filter(|field| field["name"] == "Authorization") {
        *field = json!({ "name": "Authorization", "value": "Bearer another" });
    }
    let second = replay(&it, &id, json!({ "edit": { "target": target, "headers": headers } }));
    assert_eq!(second["notes"], json!([]));
    it.flows("is:replay", 2);
    // What the origin saw is redacted as well where it says so; the fields of its answer are not named so.
    assert_eq!(fields(&body(&it, &first["id"]), "authorization"), [""; 0]);
    assert_eq!(fields(&body(&it, &second["id"]), "authorization"), ["Bearer another"]);
}

#[test]
fn refuses_what_cannot_be_sent_again() {
    let it = setting_with("capture: {mode: Bodies, bodyBytes: 10}\n", &[]);
    let (_, id) = flow(&it, &["-d", "a body that is cut off", &it.origin.url("/status/204")]);
    let path = format!("/flows/{id}/replay");
    assert_eq!(it.refused("POST", &path, json!({})), (409, "not-replayable".to_owned()));
    replay(&it, &id, json!({ "allowTruncated": true }));
    replay(&it, &id, json!({ "edit": { "body": { "text": "whole" } } }));
    for edit in [
        json!({ "method": "CONNECT" }),
        json!({ "target": "ftp://a/" }),
        json!({ "headers": [{ "name": "a b", "value": "" }] }),
    ] {
        let order = json!({ "edit": edit, "allowTruncated": true });
        assert_eq!(it.refused("POST", &path, order), (400, "bad-edit".to_owned()), "{edit}");
    }
    assert_eq!(it.refused("POST", "/flows/00000000/replay", json!({})), (404, "no-such-flow".to_owned()));
    assert_eq!(it.ask(VIEWER, "POST", &path, Some(&json!({}))).status(), 403);
}

#[test]
fn no_more_are_sent_at_once_than_may_be() {
    let it = setting_with("limits: {replays: 2}\ncapture: Headers\n", &[]);
    let (_, id) = flow(&it, &[&it.origin.url("/delay/10")]);
    let slow = json!({ "edit": { "target": it.origin.url("/delay/3000") } });
    replay(&it, &id, slow.clone());
    replay(&it, &id, slow.clone());
    let path = format!("/flows/{id}/replay");
    assert_eq!(it.refused("POST", &path, slow), (503, "too-many-replays".to_owned()));
    it.flows("is:replay is:complete", 2);
    replay(&it, &id, json!({}));
    assert_eq!(it.egret.metric("egret_limit_hits_total{limit=\"replays\"}"), 1.0);
}

#[test]
fn the_command_line_sends_again_with_changes() {
    let it = setting();
    let (_, id) = flow(&it, &["-H", "X-Mine: 1", "-d", "a=b", &it.origin.url("/echo")]);
    let command = |arguments: &[&str]| {
        let mut command = client(env!("CARGO_BIN_EXE_egret"));
        command.args(["flows", "replay"]).args(arguments);
        command.args(["--console", &format!("http://{}", it.egret.console())]);
        command.arg("--token-file").arg(it.directory.path().join("token"));
        let output = command.output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, made, said) =
        command(&[&id, &id, "--change", "method=PUT", "--change", "header.X-Mine=2", "--change", "body=c=d"]);
    assert_eq!((code, made.lines().count()), (Some(0), 2), "{said}");
    it.flows("is:replay", 2);
    for line in made.lines() {
        let seen = body(&it, &json!(line));
        assert_eq!(
            (&seen["method"], &seen["body"], fields(&seen, "X-Mine")),
            (&json!("PUT"), &json!("c=d"), vec!["2"])
        );
    }
    let (code, made, said) =
        command(&[&id, "-X", "DELETE", "--remove-header", "X-Mine", "--url", &it.origin.url("/echo?cli")]);
    assert_eq!(code, Some(0), "{said}");
    it.flows("is:replay", 3);
    let seen = body(&it, &json!(made.trim()));
    assert_eq!(
        (&seen["method"], &seen["target"], fields(&seen, "X-Mine")),
        (&json!("DELETE"), &json!("/echo?cli"), vec![])
    );
    let (code, _, said) = command(&[&id, "--change", "nonsense"]);
    assert!(code == Some(2) && said.contains("is no change"), "{said}");
}
