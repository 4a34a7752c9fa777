//! Breakpoints.

use egret_testkit::http_origin::pattern;

use super::*;

/// Head and body of what curl printed.
fn parts(child: Child) -> (String, Vec<u8>) {
    let printed = child.wait_with_output().unwrap().stdout;
    let end = printed.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (text(&printed[..end]), printed[end..].to_vec())
}

#[test]
fn a_request_is_held_edited_and_goes_on() {
    let it = setting();
    let id = it.breakpoint("path:/echo*", "request");
    let child =
        it.begin(&["-H", "Authorization: Bearer secret", "-d", "as it was", &it.origin.url("/echo?a=1")]);
    let held = it.held();
    assert_eq!(
        (&held["phase"], &held["breakpoint"], &held["bodyEditable"]),
        (&json!("request"), &json!(id), &json!(true))
    );
    assert_eq!(held["body"]["text"], "as it was");
    let shown = held["request"]["headers"].as_array().unwrap();
    let authorization = shown.iter().find(|field| field["name"] == "Authorization").unwrap();
    assert_eq!(
        (&authorization["value"], &authorization["redacted"]),
        (&json!("Bearer [redacted]"), &json!(true))
    );
    assert_eq!(it.origin.accepted(), 0);
    let mut headers: Vec<Value> = shown.clone();
    headers.push(json!({ "name": "X-Edited", "value": "yes" }));
    let edit = json!({
        "method": "PUT", "target": it.origin.url("/echo?edited=1"), "headers": headers,
        "body": { "text": "as somebody wrote it" },
    });
    it.release(&held, json!({ "action": "go-on", "request": edit }));
    let seen = Setting::seen(&end(child));
    assert_eq!((&seen["method"], &seen["target"]), (&json!("PUT"), &json!("/echo?edited=1")));
    assert_eq!(seen["body"], "as somebody wrote it");
    assert_eq!(
        (fields(&seen, "X-Edited"), fields(&seen, "Authorization")),
        (vec!["yes"], vec!["Bearer secret"])
    );
    let flow = &it.flows("is:changed", 1)[0];
    assert_eq!(
        (&flow["request"]["method"], &flow["changedRequest"]["method"]),
        (&json!("POST"), &json!("PUT"))
    );
    assert_eq!(flow["changedRequest"]["body"]["text"], "as somebody wrote it");
    assert_eq!(flow["changes"], json!(["breakpoint"]));
    let record = it.egret.exactly(1).remove(0);
    assert_eq!((record.text("changes"), record.bytes_up()), ("breakpoint".to_owned(), 20));
}

#[test]
fn a_request_that_nobody_edits_goes_on_as_it_came() {
    let it = setting();
    it.breakpoint("method:POST", "request");
    for arguments in [
        vec!["-d", "fixed"],
        vec!["-H", "Transfer-Encoding: chunked", "-d", "in chunks"],
        vec!["-H", "Expect: 100-continue", "-d", "waits for a word"],
    ] {
        let url = it.origin.url("/echo");
        let mut all = arguments.clone();
        all.push(&url);
        let child = it.begin(&all);
        let held = it.held();
        it.release(&held, json!({ "action": "go-on" }));
        let printed = end(child);
        let printed = printed.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&printed);
        assert_eq!(Setting::seen(printed)["body"], *arguments.last().unwrap());
    }
    assert!(it.flows("is:changed", 0).is_empty());
}

#[test]
fn a_request_is_dropped_or_answered() {
    let it = setting();
    it.breakpoint("path:/echo", "request");
    let child = it.begin(&[&it.origin.url("/echo")]);
    it.release(&it.held(), json!({ "action": "drop" }));
    let printed = end(child);
    assert!(printed.starts_with("HTTP/1.1 403") && printed.contains("dropped-at-breakpoint"), "{printed}");
    let child = it.begin(&["-d", "x", &it.origin.url("/echo")]);
    let answer =
        json!({ "status": 201, "headers": [{ "name": "X-A", "value": "b" }], "body": { "text": "made up" } });
    it.release(&it.held(), json!({ "action": "answer", "response": answer }));
    let printed = end(child);
    assert!(
        printed.starts_with("HTTP/1.1 201") && printed.contains("X-A: b") && printed.ends_with("made up"),
        "{printed}"
    );
    assert_eq!(it.origin.accepted(), 0);
}

#[test]
fn a_response_is_held_edited_and_goes_on() {
    let it = setting();
    it.breakpoint("path:/chunked/*", "response");
    let child = it.begin(&[&it.origin.url("/chunked/1000")]);
    let held = it.held();
    let base64 = held["body"]["base64"].as_str().map(str::len);
    assert_eq!((&held["phase"], base64), (&json!("response"), Some(1000_usize.div_ceil(3) * 4)));
    it.release(
        &held,
        json!({ "action": "go-on", "response": { "status": 503, "body": { "text": "down" } } }),
    );
    let printed = end(child);
    assert!(printed.starts_with("HTTP/1.1 503 ") && printed.ends_with("\r\n\r\ndown"), "{printed}");
    assert!(printed.contains("Content-Length: 4\r\n") && !printed.contains("chunked"), "{printed}");
    let flow = &it.flows("status:503", 1)[0];
    assert_eq!((&flow["response"]["status"], &flow["changedResponse"]["status"]), (&json!(200), &json!(503)));

    it.breakpoint("path:/bytes/*|path:/until-close", "response");
    for (path, expected) in
        [("/chunked/5000", Some(pattern(5000))), ("/bytes/5000", Some(pattern(5000))), ("/until-close", None)]
    {
        let child = it.begin(&[&it.origin.url(path)]);
        it.release(&it.held(), json!({ "action": "go-on" }));
        let (head, body) = parts(child);
        assert!(head.starts_with("HTTP/1.1 200") && !body.is_empty(), "{path}: {head}");
        assert!(expected.is_none_or(|expected| body.starts_with(&expected)), "{path}: {} bytes", body.len());
    }
    let child = it.begin(&[&it.origin.url("/chunked/10")]);
    it.release(&it.held(), json!({ "action": "drop" }));
    assert!(end(child).contains("dropped-at-breakpoint"));
}

#[test]
fn a_body_that_is_too_long_passes_as_it_is() {
    let it = setting_with("limits: {heldBodyBytes: 4KiB}\ncapture: Headers\n", &[]);
    it.breakpoint("path:/echo", "request");
    it.breakpoint("path:/bytes/*|path:/chunked/*", "response");
    let long = "0123456789".repeat(20_000);
    let file = it.directory.path().join("long");
    std::fs::write(&file, &long).unwrap();
    let data = format!("@{}", file.display());
    for framing in ["Content-Type: text/plain", "Transfer-Encoding: chunked"] {
        let child =
            it.begin(&["-H", framing, "-H", "Expect:", "--data-binary", &data, &it.origin.url("/echo")]);
        let held = it.held();
        assert_eq!((&held["bodyEditable"], &held["body"]), (&json!(false), &Value::Null), "{framing}");
        let id = held["flow"]["id"].as_str().unwrap();
        let edit = json!({ "action": "go-on", "request": { "body": { "text": "x" } } });
        assert_eq!(it.refused("POST", &format!("/held/{id}"), edit), (409, "body-too-long".to_owned()));
        it.release(
            &held,
            json!({ "action": "go-on", "request": { "target": it.origin.url("/echo?head=edited") } }),
        );
        let seen = Setting::seen(&end(child));
        assert_eq!(
            (&seen["target"], seen["body"].as_str()),
            (&json!("/echo?head=edited"), Some(long.as_str())),
            "{framing}"
        );
    }
    for path in ["/bytes/300000", "/chunked/300000"] {
        let child = it.begin(&[&it.origin.url(path)]);
        let held = it.held();
        assert_eq!(held["bodyEditable"], false, "{path}");
        it.release(&held, json!({ "action": "go-on", "response": { "status": 299 } }));
        let (head, body) = parts(child);
        // Behind a chunked body curl prints the trailers as well.
        assert!(
            head.starts_with("HTTP/1.1 299") && body.starts_with(&pattern(300_000)),
            "{path}: {} bytes",
            body.len()
        );
    }
    assert!(it.egret.metric("egret_limit_hits_total{limit=\"held_body_bytes\"}") >= 4.0);
}

#[test]
fn what_nobody_lets_go_on_goes_on_after_a_time_or_is_dropped() {
    let it = setting();
    let point = |filter: &str, then: &str| {
        it.api(
            "POST",
            "/breakpoints",
            Some(json!({ "filter": filter, "phase": "request", "timeoutMs": 1000, "onTimeout": then })),
        );
    };
    point("path:/echo", "go-on");
    point("path:/status/204", "drop");
    assert_eq!(Setting::seen(&it.fetch(&[&it.origin.url("/echo")]))["target"], "/echo");
    assert!(it.fetch(&[&it.origin.url("/status/204")]).contains("dropped-at-breakpoint"));
    assert_eq!(it.egret.metric("egret_limit_hits_total{limit=\"held_time\"}"), 2.0);
    let wrong = json!({ "filter": "", "phase": "request", "timeoutMs": 10 });
    assert_eq!(it.refused("POST", "/breakpoints", wrong), (400, "bad-breakpoint".to_owned()));
    let wrong = json!({ "filter": "host:(", "phase": "request" });
    assert_eq!(it.refused("POST", "/breakpoints", wrong), (400, "bad-filter".to_owned()));
}

#[test]
fn no_more_flows_are_held_than_may_be() {
    let it = setting_with("limits: {heldFlows: 1}\ncapture: Headers\n", &[]);
    let id = it.breakpoint("path:/echo*", "request");
    let first = it.begin(&[&it.origin.url("/echo?1")]);
    let held = it.held();
    assert_eq!(Setting::seen(&it.fetch(&[&it.origin.url("/echo?2")]))["target"], "/echo?2");
    assert_eq!(it.egret.metric("egret_limit_hits_total{limit=\"held_flows\"}"), 1.0);
    // What a breakpoint holds goes on when it is removed.
    it.api("DELETE", &format!("/breakpoints/{id}"), None);
    assert_eq!(Setting::seen(&end(first))["target"], "/echo?1");
    let gone = format!("/held/{}", held["flow"]["id"].as_str().unwrap());
    assert_eq!(it.refused("POST", &gone, json!({ "action": "go-on" })), (409, "not-held".to_owned()));
}

#[test]
fn everything_goes_on_when_the_console_has_gone() {
    let it = setting();
    let mut stream = RawClient::connect(it.egret.console());
    stream.send(format!(
        "GET /api/v1/events?topics=held,rules HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    ));
    stream.read_until(PATIENCE, |bytes| text(bytes).contains("event: hello"));
    it.breakpoint("path:/echo", "request");
    let child = it.begin(&[&it.origin.url("/echo")]);
    stream.read_until(PATIENCE, |bytes| text(bytes).contains("\"state\":\"held\""));
    let told = text(&stream.pending);
    assert!(told.contains("\"what\":\"breakpoints\"") && told.contains("\"state\":\"held\""), "{told}");
    drop(stream);
    assert_eq!(Setting::seen(&end(child))["target"], "/echo");
    // And nothing is held any more while nobody is there.
    assert_eq!(Setting::seen(&it.fetch(&[&it.origin.url("/echo")]))["target"], "/echo");
}

#[test]
fn a_client_that_goes_away_is_held_no_more() {
    let it = setting();
    it.breakpoint("path:/echo", "request");
    let mut client = it.egret.connect();
    client.send(format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", it.origin.url("/echo"), it.origin.address()));
    it.held();
    client.reset();
    wait_for("the flow to go", PATIENCE, || {
        (it.api("GET", "/held", None)["held"] == json!([])).then_some(())
    });
    assert_eq!(it.egret.record(|record| record.method() == "GET").reason(), "client-aborted");
}

#[test]
fn the_console_itself_is_never_held() {
    let it = setting();
    it.breakpoint("", "both");
    it.rule("block all", "", json!([{ "block": {} }]));
    let printed = it.fetch(&["http://egret.test/"]);
    assert!(printed.starts_with("HTTP/1.1 200"), "{printed}");
}

#[test]
fn whoever_may_only_look_lets_nothing_go() {
    let it = setting();
    it.breakpoint("path:/echo", "request");
    let child = it.begin(&[&it.origin.url("/echo")]);
    let held = it.held();
    let path = format!("/held/{}", held["flow"]["id"].as_str().unwrap());
    assert_eq!(it.ask(VIEWER, "GET", &path, None).status(), 200);
    assert_eq!(it.ask(VIEWER, "POST", &path, Some(&json!({ "action": "drop" }))).status(), 403);
    it.release(&held, json!({ "action": "go-on" }));
    assert!(end(child).starts_with("HTTP/1.1 200"));
}
