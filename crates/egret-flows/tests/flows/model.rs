use egret_core::policy::model::{Action, Mode};
use egret_core::policy::{Explanation, Step, StepOutcome};

use egret_flows::flow::{Decision, Flow, Headers, HeadersBuilder, Request, Summary};

use crate::some;

#[test]
fn a_flow_is_the_same_after_json_but_for_its_bodies() {
    for mut flow in [some::full(), some::tunnel(), some::websocket()] {
        let json = serde_json::to_string(&flow).expect("a flow is JSON");
        let again: Flow = serde_json::from_str(&json).expect("and is read again");
        flow.request.body.content = Default::default();
        if let Some(response) = &mut flow.response {
            response.body.content = Default::default();
        }
        assert_eq!(again, flow);
    }
}

#[test]
fn headers_keep_order_case_and_bytes() {
    let fields: [(&[u8], &[u8]); 4] =
        [(b"B", b"1"), (b"a", b""), (b"b", b"\xff\xfe"), (b"X-\xc3\xa9", b"\xc3\xa9")];
    let mut builder = HeadersBuilder::default();
    for (name, value) in fields {
        builder.push(name, value);
    }
    let headers = builder.finish();
    assert_eq!(headers.iter().collect::<Vec<_>>(), fields);
    assert_eq!(headers.all(b"b").collect::<Vec<_>>(), [&b"1"[..], b"\xff\xfe"]);
    let json = serde_json::to_string(&headers).expect("JSON");
    assert_eq!(serde_json::from_str::<Headers>(&json).expect("headers"), headers);
}

#[test]
fn a_target_is_taken_apart_and_put_together() {
    let table = [
        ("http://example.com/a?b#c", "example.com", 80, "/a?b#c", "http://example.com/a?b#c"),
        ("https://example.com", "example.com", 443, "/", "https://example.com/"),
        ("https://example.com?q", "example.com", 443, "/?q", "https://example.com/?q"),
        ("HTTPS://user:word@example.com:8443/", "example.com", 8443, "/", "https://example.com:8443/"),
        ("http://[2001:db8::1]:80/x", "2001:db8::1", 80, "/x", "http://[2001:db8::1]/x"),
        ("[2001:db8::1]:443", "2001:db8::1", 443, "", "[2001:db8::1]:443"),
        ("example.com:443", "example.com", 443, "", "example.com:443"),
        ("", "", 0, "", ""),
    ];
    for (target, host, port, path, url) in table {
        let mut request = Request::default();
        request.apply_target(target);
        assert_eq!(
            (request.host.as_str(), request.port, request.path.as_str()),
            (host, port, path),
            "{target}"
        );
        assert_eq!(request.url(), url);
    }
}

#[test]
fn a_decision_is_told_step_by_step() {
    let step = |rule: &str, outcome| Step {
        policy: "web".into(),
        mode: Mode::Enforce,
        rule: Some(rule.into()),
        action: Some(Action::Deny),
        outcome,
        why: format!("{rule}: because"),
    };
    let steps = vec![step("first", StepOutcome::NoMatch), step("second", StepOutcome::Match)];
    let decision =
        Decision::from(&Explanation { steps, allowed: false, decided_by: Some(1), look_inside: false });
    assert_eq!((decision.policy.as_deref(), decision.rule.as_deref()), (Some("web"), Some("second")));
    let shown: Vec<_> =
        decision.steps.iter().map(|s| (s.rule.as_str(), s.outcome.as_str(), s.why.as_str())).collect();
    assert_eq!(shown, [("first", "no match", "first: because"), ("second", "match", "second: because")]);
}

#[test]
fn a_row_of_a_list_names_things_as_the_flow_does() {
    let flow = some::full();
    let row = serde_json::to_value(Summary::from(&flow)).expect("JSON");
    let whole = serde_json::to_value(&flow).expect("JSON");
    let same = [
        "seq",
        "revision",
        "id",
        "active",
        "started",
        "client",
        "downstream",
        "upstream",
        "status",
        "treatment",
        "capture",
        "bytesUp",
        "bytesDown",
        "truncated",
        "tags",
        "mark",
        "comment",
    ];
    for name in same {
        assert_eq!(row[name], whole[name], "{name}");
    }
    let inner = [
        ("method", "request"),
        ("host", "request"),
        ("path", "request"),
        ("total", "timings"),
        ("rule", "decision"),
    ];
    for (name, part) in inner {
        assert_eq!(row[name], whole[part][name], "{name}");
    }
    assert_eq!((&row["identity"], &row["contentType"]), (&"alice".into(), &"text/html".into()));
    assert!(row.to_string().len() < 1000);
}
