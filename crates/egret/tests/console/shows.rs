//! What it shows of what passed.

use super::{setting, setting_with};

#[test]
fn lists_what_passed_and_all_about_it() {
    let setting = setting();
    assert_eq!(setting.fetch(&setting.origin.url("/bytes/1000?q=1")).status(), 200);
    let flow = setting.flows("method:GET status:200 path:/bytes/*", 1).remove(0);
    assert_eq!((flow["treatment"].as_str(), flow["bytesDown"].as_u64()), (Some("forward"), Some(1000)));
    assert_eq!((flow["state"].as_str(), flow["identity"].as_str()), (Some("complete"), Some("127.0.0.1")));
    let id = flow["id"].as_str().unwrap();
    let all = setting.json(&format!("/flows/{id}"));
    assert_eq!(all["target"].as_str(), Some(&*setting.origin.url("/bytes/1000?q=1")));
    assert!(all["phases"].as_array().unwrap().iter().any(|phase| phase["name"] == "wait"), "{all}");
    let curl = setting.api("GET", &format!("/flows/{id}/curl"));
    assert!(curl.text().contains("curl '"), "{}", curl.text());
    let har = setting.json(&format!("/export/har?id={id}"));
    assert_eq!(har["log"]["entries"].as_array().unwrap().len(), 1);
    assert_eq!(setting.api("GET", &format!("/flows/{id}/response/body")).json()["code"], "not-captured");
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let setting = setting_with("rules: {deny: [{hosts: [denied.test]}]}\n");
    assert_eq!(setting.fetch("http://denied.test/").status(), 403);
    let flow = setting.flows("is:refused", 1).remove(0);
    assert_eq!((flow["reason"].as_str(), flow["blame"].as_str()), (Some("denied-by-rule"), Some("policy")));
    let all = setting.json(&format!("/flows/{}", flow["id"].as_str().unwrap()));
    assert!(all["advice"].is_string() && all["what"].is_string(), "{all}");
    assert_eq!(all["trace"]["decision"], "deny");
    let stats = setting.json("/stats?window=5m");
    assert_eq!(
        (stats["totals"]["refusals"].as_u64(), stats["reasons"][0]["code"].as_str()),
        (Some(1), Some("denied-by-rule"))
    );
    let policy = setting.json("/policy");
    let hits: u64 = policy["policies"].as_array().unwrap().iter().map(|p| p["hits"].as_u64().unwrap()).sum();
    assert_eq!(hits, 1, "{policy}");
}

#[test]
fn explains_what_would_happen() {
    let setting = setting_with("rules: {deny: [{hosts: [denied.test]}]}\n");
    let ask = |body: &str| {
        let bearer = format!("Authorization: Bearer {}", super::TOKEN);
        let lines = [bearer.as_str(), "Content-Type: application/json"];
        setting.ask("POST", "/api/v1/policy/explain", &lines, body)
    };
    let denied = ask(r#"{"url":"https://denied.test/","as":{"user":"ada"}}"#).json();
    assert_eq!((denied["decision"].as_str(), denied["treatment"].as_str()), (Some("deny"), Some("tunnel")));
    assert!(denied["steps"].as_array().unwrap().iter().any(|step| step["outcome"] == "decided"), "{denied}");
    assert_eq!(ask(r#"{"url":"http://other.test/"}"#).json()["decision"], "allow");
    assert_eq!(ask(r#"{"url":"ftp://x/"}"#).json()["code"], "bad-request");
    assert_eq!(ask(r#"{"url":"http://x.test/","bogus":1}"#).status(), 400);
}

#[test]
fn a_filter_that_is_wrong_says_where() {
    let setting = setting();
    let answer = setting.api("GET", "/flows?filter=status:200%20hots:x");
    let problem = answer.json();
    assert_eq!((answer.status(), problem["code"].as_str()), (400, Some("bad-filter")));
    assert_eq!((problem["position"].as_u64(), problem["length"].as_u64()), (Some(11), Some(6)));
    assert_eq!(problem["suggestion"], "host:");
    assert_eq!(setting.api("GET", "/flows?nonsense=1").status(), 400);
}

#[test]
fn pages_by_offset_and_by_cursor_are_the_same_while_flows_come_in() {
    let setting = setting();
    for number in 0..9 {
        setting.fetch(&setting.origin.url(&format!("/status/204?{number}")));
    }
    setting.flows("status:204", 9);
    let first = setting.json("/flows?limit=4");
    setting.fetch(&setting.origin.url("/status/204?late"));
    setting.flows("status:204", 10);
    let next = setting.json(&format!("/flows?limit=4&cursor={}", first["next"].as_str().unwrap()));
    let revision = first["revision"].as_str().unwrap();
    let second = setting.json(&format!("/flows?limit=4&offset=4&until={revision}"));
    assert_eq!(second["total"], 9);
    assert_eq!(next["flows"], second["flows"]);
}

#[test]
fn marks_and_comments_stay_with_a_flow() {
    let setting = setting();
    setting.fetch(&setting.origin.url("/status/204"));
    let id = setting.flows("status:204", 1)[0]["id"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {}", super::TOKEN);
    let lines = [bearer.as_str(), "Content-Type: application/json"];
    let path = format!("/api/v1/flows/{id}");
    let body = r#"{"mark":"red","comment":"<script>alert(1)</script>"}"#;
    assert_eq!(setting.ask("PATCH", &path, &lines, body).json()["mark"], "red");
    assert_eq!(setting.ask("PATCH", &path, &lines, r#"{"mark":"pink"}"#).status(), 400);
    setting.flows("mark:red comment:*script*", 1);
    assert_eq!(setting.ask("PATCH", &path, &lines, r#"{"mark":"none"}"#).json().get("mark"), None);
    assert_eq!(setting.api("DELETE", &format!("/flows/{id}")).status(), 204);
    assert_eq!(setting.api("GET", &format!("/flows/{id}")).status(), 404);
}

#[test]
fn hands_out_the_ca_without_a_token() {
    let setting = setting();
    let pem = setting.ask("GET", "/ca.pem", &[], "").text();
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 1);
    let bundle = setting.ask("GET", "/ca-bundle.pem", &[], "").text();
    assert!(bundle.contains(pem.trim()) && bundle.matches("BEGIN CERTIFICATE").count() > 50);
    for path in ["/ca.crt", "/ca.p12"] {
        let answer = setting.ask("GET", path, &[], "");
        assert_eq!((answer.status(), answer.body.first()), (200, Some(&0x30)), "{path}");
    }
    assert!(!bundle.contains("PRIVATE KEY"));
    assert_eq!(setting.json("/ca")["present"], true);
}

#[test]
fn the_port_speaks_tls_with_a_certificate_of_the_ca() {
    use egret_testkit::tools;
    let setting = setting();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, setting.ask("GET", "/ca.pem", &[], "").body).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{}/api/v1/ca/trust-check", setting.egret.console().port());
        let mut curl = tools::client("curl");
        let line = ["-s", "-w", "%{http_code}", "-H", "Origin: https://elsewhere.example", "--cacert"];
        let status = tools::succeed(curl.args(line).arg(&ca).arg(&url));
        assert_eq!(status, "204");
    }
}

#[test]
fn no_page_may_run_or_load_what_is_not_its_own() {
    let setting = setting();
    let page = setting.ask("GET", "/", &[], "");
    let policy = page.fields.first("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    for path in ["/", "/api/v1/flows", "/nope", "/ca.pem"] {
        let answer = setting.ask("GET", path, &[], "");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.fields.first(name), Some(value), "{path}");
        }
        assert!(answer.fields.has("content-security-policy"), "{path}");
    }
}

#[test]
fn what_clients_send_comes_out_as_json_alone() {
    let setting = setting();
    let nasty = setting.origin.url("/status/204?%3Cscript%3E<script>alert(1)</script>");
    setting.fetch(&nasty);
    let answer = setting.api("GET", "/flows");
    assert_eq!(answer.fields.first("content-type"), Some("application/json"));
    let answer =
        setting.ask("GET", "/api/v1/%3Cscript%3E", &[&format!("Authorization: Bearer {}", super::TOKEN)], "");
    assert_eq!(answer.fields.first("content-type"), Some("application/problem+json"));
}

#[test]
fn says_what_it_cannot_do() {
    let setting = setting();
    let features = setting.json("/server")["features"].clone();
    for (name, path) in [("breakpoints", "/breakpoints"), ("changes", "/changes")] {
        if features[name] == false {
            assert_eq!(setting.api("POST", path).json()["code"], "not-available", "{name}");
        }
    }
}

#[test]
fn is_reached_through_the_proxy_by_its_magic_name() {
    let setting = setting();
    let page = setting.fetch("http://egret.test/");
    assert_eq!((page.status(), page.text().contains("<!doctype html>")), (200, true), "{}", page.text());
    assert!(setting.fetch("http://egret.test/ca.pem").text().contains("BEGIN CERTIFICATE"));
    assert_eq!(setting.fetch("http://egret.test/api/v1/flows").status(), 401);
    // The console's address is the proxy's own, as any other of its listeners.
    assert_ne!(setting.fetch(&format!("http://{}/", setting.egret.console())).status(), 200);
    assert_ne!(setting.fetch("http://other.egret.test/").status(), 200);
}
