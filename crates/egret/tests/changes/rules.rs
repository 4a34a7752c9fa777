//! Change rules.

use super::*;

#[test]
fn headers_are_changed_both_ways_and_the_flow_shows_both() {
    let it = setting();
    it.rule(
        "debug headers",
        "path:/echo*",
        json!([
            { "setRequestHeader": { "name": "X-Debug", "value": "1" } },
            { "addRequestHeader": { "name": "X-More", "value": "2" } },
            { "removeRequestHeader": { "name": "X-Gone*" } },
            { "setResponseHeader": { "name": "X-Answered", "value": "changed" } },
            { "removeResponseHeader": { "name": "Content-Type" } },
        ]),
    );
    let printed =
        it.fetch(&["-H", "x-debug: 0", "-H", "X-Gone-1: a", "-d", "body", &it.origin.url("/echo?a=b")]);
    let seen = Setting::seen(&printed);
    assert_eq!((fields(&seen, "X-Debug"), fields(&seen, "X-More")), (vec!["1"], vec!["2"]));
    assert_eq!((fields(&seen, "X-Gone-1"), &seen["body"]), (vec![], &json!("body")));
    let head = printed.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.contains("x-answered: changed") && !head.contains("content-type"), "{printed}");

    let untouched = Setting::seen(&it.fetch(&[&it.origin.url_by_name("/echo")]));
    assert_eq!(fields(&untouched, "X-Debug"), ["1"]);
    let other = it.fetch(&[&it.origin.url("/status/204")]);
    assert!(!other.to_ascii_lowercase().contains("x-answered"), "{other}");

    let flow = &it.flows("change:\"debug headers\" method:POST", 1)[0];
    let names = |part: &Value| {
        let fields = part["headers"].as_array().unwrap().iter();
        fields.map(|field| field["name"].as_str().unwrap().to_ascii_lowercase()).collect::<Vec<_>>()
    };
    assert_eq!((&flow["changed"], &flow["changes"]), (&json!(true), &json!(["debug headers"])));
    assert!(names(&flow["request"]).contains(&"x-gone-1".to_owned()), "{flow:#}");
    assert!(!names(&flow["changedRequest"]).contains(&"x-gone-1".to_owned()), "{flow:#}");
    assert!(names(&flow["changedResponse"]).contains(&"x-answered".to_owned()), "{flow:#}");
    let record = it.egret.record(|record| record.method() == "POST");
    assert_eq!(record.text("changes"), "debug headers");
    let rule = &it.api("GET", "/changes", None)["rules"][0];
    assert_eq!((&rule["hits"], &rule["source"]), (&json!(2), &json!("console")));
}

#[test]
fn a_target_is_rewritten() {
    let it = setting();
    let port = it.origin.address().port();
    it.rule(
        "to staging",
        "host:production.test",
        json!([{ "rewrite": { "host": "127.0.0.1", "port": port, "path": "^/v1/(.*)[?].*", "replacement": "/echo?was=$1" } }]),
    );
    let seen = Setting::seen(&it.fetch(&["http://production.test/v1/orders?x=1"]));
    assert_eq!(seen["target"], "/echo?was=orders");
    assert_eq!(fields(&seen, "host"), [format!("127.0.0.1:{port}")]);
    let record = it.egret.exactly(1).remove(0);
    assert_eq!(record.target(), "http://production.test/v1/orders?x=1");
    assert_eq!(record.text("changedTarget"), format!("http://127.0.0.1:{port}/echo?was=orders"));
}

#[test]
fn a_rewritten_target_has_to_pass_policy() {
    let it = setting_with("rules: {deny: [{hosts: [forbidden.test]}]}\nguard: {allowLoopback: false}\n", &[]);
    it.rule("by name", "path:/name", json!([{ "rewrite": { "host": "forbidden.test" } }]));
    it.rule(
        "by address",
        "path:/address",
        json!([{ "rewrite": { "host": "127.0.0.1", "port": it.origin.address().port() } }]),
    );
    it.rule("metadata", "path:/metadata", json!([{ "rewrite": { "host": "169.254.169.254" } }]));
    for (path, code) in
        [("name", "denied-by-rule"), ("address", "denied-by-guard"), ("metadata", "denied-by-guard")]
    {
        let printed = it.fetch(&[&format!("http://allowed.test/{path}")]);
        assert!(printed.contains("403") && printed.contains(code), "{path}: {printed}");
    }
    assert_eq!(it.origin.accepted(), 0);
}

#[test]
fn what_policy_denies_is_not_answered_by_a_rule() {
    let it = setting_with("rules: {deny: [{hosts: [forbidden.test]}]}\n", &[]);
    it.rule("answer", "", json!([{ "answer": { "body": "made up" } }]));
    assert!(it.fetch(&["http://forbidden.test/"]).contains("denied-by-rule"));
    assert!(it.fetch(&["http://allowed.test/"]).ends_with("made up"));
}

#[test]
fn the_client_is_answered_from_a_body_or_a_file() {
    let it = setting();
    let files = it.directory.path().join("answers");
    std::fs::create_dir_all(&files).unwrap();
    let large = "0123456789".repeat(100_000);
    std::fs::write(files.join("large.txt"), &large).unwrap();
    let field = json!([{ "name": "X-From", "value": "a rule" }]);
    it.rule(
        "inline",
        "path:/inline",
        json!([{ "answer": { "status": 418, "headers": field, "body": "tea" } }]),
    );
    it.rule("file", "path:/file", json!([{ "answer": { "file": "large.txt" } }]));
    it.rule("none", "path:/none", json!([{ "answer": { "status": 204 } }]));
    let printed = it.fetch(&[&it.origin.url("/inline")]);
    assert!(
        printed.starts_with("HTTP/1.1 418") && printed.contains("X-From: a rule") && printed.ends_with("tea"),
        "{printed}"
    );
    let printed = it.fetch(&[&it.origin.url("/file")]);
    assert!(printed.ends_with(&large), "{} bytes", printed.len());
    assert!(printed.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{}", &printed[..200]);
    let printed = it.fetch(&["-I", &it.origin.url("/file")]);
    assert!(printed.contains("Content-Length: 1000000\r\n") && printed.ends_with("\r\n\r\n"), "{printed}");
    let printed = it.fetch(&[&it.origin.url("/none")]);
    assert!(printed.starts_with("HTTP/1.1 204") && !printed.contains("Content-Length"), "{printed}");
    // The file is read when it is needed.
    std::fs::remove_file(files.join("large.txt")).unwrap();
    let printed = it.fetch(&[&it.origin.url("/file")]);
    assert!(printed.contains("change-failed"), "{printed}");
    assert_eq!(it.origin.accepted(), 0);
    assert_eq!(it.flows("treatment:local is:complete", 4).len(), 4);
}

#[test]
fn rules_of_the_console_answer_with_files_of_one_directory() {
    let it = setting();
    let files = it.directory.path().join("answers");
    std::fs::create_dir_all(&files).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", files.join("link")).unwrap();
    for file in ["/etc/passwd", "../token", "link", "missing", ""] {
        let rule = json!({ "name": "r", "filter": "", "actions": [{ "answer": { "file": file } }] });
        assert_eq!(it.refused("POST", "/changes", rule), (400, "bad-rule".to_owned()), "{file}");
    }
}

#[test]
fn blocked_requests_have_a_reason_and_may_have_a_status() {
    let it = setting();
    it.rule("stop it", "path:/blocked", json!([{ "block": { "message": "not today" } }]));
    it.rule("gone", "path:/gone", json!([{ "block": { "status": 410 } }]));
    it.rule("silent", "path:/silent", json!([{ "block": { "status": 444 } }]));
    let printed = it.fetch(&[&it.origin.url("/blocked")]);
    assert!(printed.starts_with("HTTP/1.1 403") && printed.contains("blocked-by-change-rule"), "{printed}");
    assert!(printed.contains("rule `stop it`: not today"), "{printed}");
    assert!(it.fetch(&[&it.origin.url("/gone")]).starts_with("HTTP/1.1 410 egret blocked-by-change-rule"));
    let output = it.curl(&[&it.origin.url("/silent")]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(52), 0), "{}", text(&output.stderr));
    assert_eq!(it.origin.accepted(), 0);
    let records = it.egret.exactly(3);
    assert!(records.iter().all(|record| record.reason() == "blocked-by-change-rule"), "{records:?}");
    assert_eq!(records[2].status(), 0);
}

#[test]
fn delays_hold_a_message_up_and_end_with_the_client() {
    let it = setting();
    it.rule(
        "slow",
        "path:/status/*",
        json!([{ "delayRequest": { "millis": 300 } }, { "delayResponse": { "millis": 300 } }]),
    );
    it.rule("stuck", "path:/echo", json!([{ "delayRequest": { "millis": 300_000 } }]));
    it.fetch(&[&it.origin.url("/status/204")]);
    let flow = &it.flows("status:204", 1)[0];
    assert!(flow["totalMs"].as_f64().unwrap() >= 600.0, "{flow:#}");
    let mut child = it.begin(&["--http1.1", &it.origin.url("/echo")]);
    wait_for("the flow", PATIENCE, || {
        let page = it.api("GET", "/flows?filter=path%3A%2Fecho", None);
        (page["total"] == 1).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    it.api(
        "DELETE",
        &format!("/changes/{}", it.api("GET", "/changes", None)["rules"][1]["id"].as_str().unwrap()),
        None,
    );
}

#[test]
fn rules_are_edited_live_and_everything_is_audited() {
    let it = setting();
    let id = it.rule("one", "path:/echo", json!([{ "setRequestHeader": { "name": "X", "value": "1" } }]));
    let changed =
        json!({ "name": "one", "filter": "path:/echo", "enabled": false, "actions": [{ "block": {} }] });
    it.api("PUT", &format!("/changes/{id}"), Some(changed.clone()));
    let seen = Setting::seen(&it.fetch(&[&it.origin.url("/echo")]));
    assert!(fields(&seen, "X").is_empty());
    it.api(
        "PUT",
        &format!("/changes/{id}"),
        Some(json!({ "name": "one", "filter": "path:/echo", "actions": [{ "block": {} }] })),
    );
    assert!(it.fetch(&[&it.origin.url("/echo")]).contains("blocked-by-change-rule"));
    it.api("DELETE", &format!("/changes/{id}"), None);
    assert_eq!(Setting::seen(&it.fetch(&[&it.origin.url("/echo")]))["target"], "/echo");
    assert_eq!(it.refused("PUT", &format!("/changes/{id}"), changed), (404, "no-such-rule".to_owned()));
    let audit = it.api("GET", "/audit", None);
    let actions: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["remove-change", "change-change", "change-change", "add-change"].map(Value::from));
}

#[test]
fn refuses_rules_that_cannot_be_carried_out_and_says_where() {
    let it = setting();
    let rule = |filter: &str, actions: Value| json!({ "name": "r", "filter": filter, "actions": actions });
    let block = json!([{ "block": {} }]);
    assert_eq!(it.refused("POST", "/changes", rule("hots:x", block.clone())), (400, "bad-filter".to_owned()));
    assert_eq!(it.refused("POST", "/changes", rule("body:x", block)), (400, "bad-rule".to_owned()));
    let table = [
        json!([]),
        json!([{ "setRequestHeader": { "name": "Content-Length", "value": "1" } }]),
        json!([{ "setRequestHeader": { "name": "A", "value": "b\r\nEvil: 1" } }]),
        json!([{ "rewrite": { "path": "(", "replacement": "" } }]),
        json!([{ "delayRequest": { "millis": 300_001 } }]),
    ];
    for actions in table {
        assert_eq!(
            it.refused("POST", "/changes", rule("", actions.clone())),
            (400, "bad-rule".to_owned()),
            "{actions}"
        );
    }
    for actions in
        [json!([{ "explode": {} }]), json!([{ "block": {}, "tag": { "tag": "x" } }]), json!("block")]
    {
        assert_eq!(
            it.refused("POST", "/changes", rule("", actions.clone())),
            (400, "bad-request".to_owned()),
            "{actions}"
        );
    }
    let wrong = it.ask(TOKEN, "POST", "/changes", Some(&rule("host:a hots:x", json!([{ "block": {} }]))));
    assert_eq!(wrong.json()["position"], 7, "{}", wrong.text());
    assert_eq!(it.ask(VIEWER, "POST", "/changes", Some(&rule("", json!([{ "block": {} }])))).status(), 403);
    assert_eq!(it.ask(VIEWER, "GET", "/changes", None).json()["rules"], json!([]));
}

#[test]
fn a_large_body_passes_through_rules_without_being_held() {
    let it = setting_with("capture: Headers\n", &[]);
    it.rule(
        "headers",
        "",
        json!([
            { "setRequestHeader": { "name": "X", "value": "1" } },
            { "setResponseHeader": { "name": "X", "value": "1" } },
        ]),
    );
    let before = it.egret.resident_bytes();
    let large = it.directory.path().join("large");
    std::fs::write(&large, vec![b'a'; 64 << 20]).unwrap();
    let data = format!("@{}", large.display());
    let seen = it.fetch(&["-H", "Expect:", "--data-binary", &data, &it.origin.url("/status/204")]);
    assert!(seen.starts_with("HTTP/1.1 204"), "{seen}");
    let output = it.curl(&[&it.origin.url("/bytes/67108864")]).output().unwrap();
    assert!(output.stdout.len() > 64 << 20);
    let grown = it.egret.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
}
