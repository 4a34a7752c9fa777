use std::time::Duration;

use serde_json::json;

use egret_flows::flow::Flow;
use egret_flows::rules::{AnswerBody, Effect, End, MAX_DELAY, RuleSpec, Rules, subject, subject_response};

use crate::capture::begin;

fn specs(rules: serde_json::Value) -> Vec<RuleSpec> {
    serde_json::from_value(rules).expect("rules")
}

fn rules(json: serde_json::Value) -> Rules {
    Rules::compile(&specs(json)).expect("good rules")
}

fn flow() -> Flow {
    subject(
        &begin(1),
        b"GET /v1/a?b=c HTTP/1.1\r\nHost: api.example.com\r\nX-A: 1\r\nCookie: secret\r\nx-a: 2\r\n\r\n",
    )
}

fn fields(flow: &Flow) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    flow.request.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn headers_are_set_added_and_removed_in_their_places() {
    let rules = rules(json!([{
        "name": "headers", "filter": "host:api.example.com",
        "actions": [
            { "setRequestHeader": { "name": "x-A", "value": "new" } },
            { "addRequestHeader": { "name": "X-B", "value": "b" } },
            { "removeRequestHeader": { "name": "Cook*" } },
            { "removeRequestHeader": { "name": "Hos*" } },
            { "setRequestHeader": { "name": "X-C", "value": "" } },
            { "setResponseHeader": { "name": "Server", "value": "me" } },
            { "tag": { "tag": "changed" } },
        ],
    }]));
    let mut flow = flow();
    let effect = rules.on_request(&mut flow, 0);
    assert_eq!(effect, Effect { applied: vec!["headers".into()], changed: true, ..Effect::default() });
    assert_eq!(
        fields(&flow),
        pairs(&[("Host", "api.example.com"), ("X-A", "new"), ("X-B", "b"), ("X-C", "")])
    );
    assert_eq!(flow.tags, ["changed"]);
    subject_response(&mut flow, b"HTTP/1.1 200 OK\r\nserver: nginx\r\n\r\n");
    let effect = rules.on_response(&mut flow, 0);
    assert!(effect.changed && !effect.retargeted);
    assert_eq!(flow.response.expect("a response").headers.text("server"), Some("me"));
}

#[test]
fn a_rule_changes_only_what_its_filter_finds() {
    let rules = rules(json!([
        { "name": "other", "filter": "host:other.example", "actions": [{ "block": { "status": 403 } }] },
        { "name": "off", "enabled": false, "actions": [{ "block": {} }] },
        { "name": "late", "filter": "status:500", "actions": [{ "delayResponse": { "millis": 10 } }] },
    ]));
    let mut flow = flow();
    let before = flow.clone();
    assert_eq!(rules.on_request(&mut flow, 0), Effect::default());
    assert_eq!(flow, before);
    subject_response(&mut flow, b"HTTP/1.1 500 No\r\n\r\n");
    assert_eq!(rules.on_response(&mut flow, 0).delay, Duration::from_millis(10));
}

#[test]
fn a_target_is_rewritten_and_has_to_pass_the_gate() {
    let rules = rules(json!([
        { "name": "to staging", "filter": "path:/v1/*", "actions": [
            { "rewrite": { "scheme": "http", "host": "staging.example", "port": 8080, "path": "^/v1/(.*)", "replacement": "/v2/$1" } },
        ] },
        { "name": "sees it", "filter": "host:staging.example", "actions": [{ "addRequestHeader": { "name": "X-S", "value": "1" } }] },
    ]));
    let mut flow = flow();
    let effect = rules.on_request(&mut flow, 0);
    assert!(effect.changed && effect.retargeted);
    assert_eq!(effect.applied, ["to staging".into(), "sees it".into()]);
    assert_eq!(flow.request.url(), "http://staging.example:8080/v2/a?b=c");
    assert_eq!(flow.request.headers.text("host"), Some("staging.example:8080"));
    assert_eq!(flow.destination.expect("it goes somewhere").to_string(), "staging.example:8080");
}

#[test]
fn what_a_rewrite_makes_can_stand_in_a_request_line() {
    let rules = rules(
        json!([{ "name": "r", "actions": [{ "rewrite": { "path": "b=c", "replacement": "x y\r\nEvil: 1" } }] }]),
    );
    let mut flow = flow();
    assert!(!rules.on_request(&mut flow, 0).retargeted);
    assert_eq!(flow.request.path, "/v1/a?b=c");
}

#[test]
fn an_answer_or_a_block_is_the_end_and_a_hold_is_not() {
    let table = [
        (
            json!({ "answer": { "status": 418, "headers": [{ "name": "X", "value": "y" }], "file": "/srv/answer.json" } }),
            true,
        ),
        (json!({ "answer": { "body": "{}" } }), true),
        (json!({ "block": { "status": 451, "message": "no" } }), true),
        (json!({ "block": {} }), true),
        (json!({ "holdRequest": {} }), false),
    ];
    for (action, ends) in table {
        let rules = rules(json!([{ "name": "r", "actions": [action, { "delayRequest": { "millis": 5 } }] }]));
        let effect = rules.on_request(&mut flow(), 0);
        assert_eq!(
            (effect.end.is_some(), effect.hold.as_deref(), effect.delay.is_zero()),
            (ends, (!ends).then_some("r"), ends),
            "{action}"
        );
        if let Some(End::Answer(answer)) = effect.end {
            let file = matches!(answer.body, AnswerBody::File(_));
            assert_eq!(answer.status, if file { 418 } else { 200 });
        }
    }
}

#[test]
fn delays_add_up_to_a_bound() {
    let rules = rules(json!([{ "name": "r", "actions": [
        { "delayRequest": { "millis": 300_000 } }, { "delayRequest": { "millis": 300_000 } },
    ] }]));
    assert_eq!(rules.on_request(&mut flow(), 0).delay, MAX_DELAY);
}

#[test]
fn refuses_rules_that_cannot_be_carried_out() {
    let with = |action| json!([{ "name": "r", "actions": [action] }]);
    let table = [
        (json!([{ "name": "r", "filter": "hots:x", "actions": [{ "block": {} }] }]), "did you mean host:?"),
        (json!([{ "name": "r", "filter": "~b x", "actions": [{ "block": {} }] }]), "looks into bodies"),
        (json!([{ "name": "r", "actions": [] }]), "has no actions"),
        (with(json!({ "setRequestHeader": { "name": "a b", "value": "" } })), "no name of a header field"),
        (with(json!({ "setRequestHeader": { "name": "a", "value": "x\r\nEvil: 1" } })), "control characters"),
        (
            with(json!({ "addRequestHeader": { "name": "Content-Length", "value": "5" } })),
            "where a message ends",
        ),
        (with(json!({ "setRequestHeader": { "name": "host", "value": "a" } })), "use rewrite with host"),
        (json!([{ "name": "", "actions": [{ "block": {} }] }]), "no name of a rule"),
        (json!([{ "name": "a\nb", "actions": [{ "block": {} }] }]), "no name of a rule"),
        (json!([{ "name": "r", "actions": vec![json!({ "block": {} }); 33] }]), "more than 32 actions"),
        (with(json!({ "removeRequestHeader": { "name": "*" } })), "would remove content-length"),
        (with(json!({ "rewrite": {} })), "rewrites nothing"),
        (with(json!({ "rewrite": { "scheme": "ftp" } })), "http or https"),
        (with(json!({ "rewrite": { "host": "a b" } })), "is no host"),
        (with(json!({ "rewrite": { "host": "a:80" } })), "write it as port"),
        (with(json!({ "rewrite": { "path": "(" , "replacement": "" } })), "no regular expression"),
        (with(json!({ "rewrite": { "path": "a" } })), "go together"),
        (with(json!({ "answer": { "status": 101 } })), "from 200 to 599"),
        (with(json!({ "answer": { "file": "x", "body": "y" } })), "one of them"),
        (with(json!({ "delayRequest": { "millis": 300_001 } })), "at most 300000"),
    ];
    for (json, words) in table {
        let error = Rules::compile(&specs(json.clone())).expect_err(&json.to_string()).to_string();
        assert!(error.contains(words), "{error}");
    }
    let many = specs(json!(vec![json!({ "name": "r", "actions": [{ "block": {} }] }); 101]));
    assert!(Rules::compile(&many).expect_err("too many").to_string().contains("more than 100"));
    assert!(
        serde_json::from_value::<RuleSpec>(json!({ "name": "r", "actions": [{ "explode": {} }] })).is_err()
    );
}

#[test]
fn a_flow_is_counted_once_by_each_rule_that_touches_it() {
    let rules = rules(json!([
        { "name": "both ways", "actions": [
            { "setRequestHeader": { "name": "X", "value": "1" } },
            { "setResponseHeader": { "name": "X", "value": "1" } },
        ] },
        { "name": "back", "filter": "status:404", "actions": [{ "tag": { "tag": "seen" } }, { "delayResponse": { "millis": 1 } }] },
    ]));
    let mut flow = flow();
    let _ = rules.on_request(&mut flow, 7);
    subject_response(&mut flow, b"HTTP/1.1 404 No\r\n\r\n");
    let _ = rules.on_response(&mut flow, 9);
    assert_eq!(flow.changes, ["both ways", "back"]);
    let filter = |text: &str| egret_flows::filter::Filter::parse(text).expect("a filter");
    assert!(filter("change:both* is:changed").matches(&flow, 0, &()));
    assert!(!filter("change:nothing").matches(&flow, 0, &()));
}
