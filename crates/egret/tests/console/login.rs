//! Who gets in, and who does not.

use egret_testkit::Egret;

use super::{PASSWORD, TOKEN, VIEWER, setting};

const JSON: &str = "Content-Type: application/json";

#[test]
fn refuses_the_api_without_a_token() {
    let setting = setting();
    for path in ["session", "server", "flows", "events", "stats", "policy", "ca", "audit", "export/har"] {
        let answer = setting.ask("GET", &format!("/api/v1/{path}"), &[], "");
        assert_eq!(answer.status(), 401, "{path}");
        assert_eq!(answer.json()["code"], "unauthenticated", "{path}");
    }
    let methods = setting.ask("GET", "/api/v1/session", &[], "").json()["methods"].clone();
    assert_eq!(methods, serde_json::json!(["token", "password"]));
    for line in ["Authorization: Bearer wrong", "Authorization: Basic eDp5", "Cookie: egret_console=made-up"]
    {
        assert_eq!(setting.ask("GET", "/api/v1/flows", &[line], "").status(), 401, "{line}");
    }
}

#[test]
fn refuses_a_token_in_the_query_of_the_api() {
    let setting = setting();
    assert_eq!(setting.ask("GET", &format!("/api/v1/flows?token={TOKEN}"), &[], "").status(), 401);
}

#[test]
fn the_link_gives_a_cookie_and_leaves_the_address_bar() {
    let setting = setting();
    let answer = setting.ask("GET", &format!("/?token={TOKEN}"), &[], "");
    assert_eq!((answer.status(), answer.fields.first("location")), (303, Some("/")));
    let cookie = answer.fields.first("set-cookie").unwrap();
    assert!(cookie.starts_with("egret_console="), "{cookie}");
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(setting.ask("GET", "/api/v1/flows", &[&cookie], "").status(), 200);
    let wrong = setting.ask("GET", "/?token=wrong", &[], "");
    assert_eq!((wrong.status(), wrong.fields.first("set-cookie")), (303, None));
}

#[test]
fn the_link_is_printed_at_the_start() {
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret")).arg("--console").arg("127.0.0.1:0").start();
    egret.wait_for_log(&format!("console   http://{}/?token=", egret.console()));
}

#[test]
fn a_password_lets_in() {
    let setting = setting();
    let (cookie, _) = setting.login(&format!(r#"{{"user":"ada","password":"{PASSWORD}"}}"#));
    let session = setting.ask("GET", "/api/v1/session", &[&cookie], "").json();
    assert_eq!((session["role"].as_str(), session["name"].as_str()), (Some("admin"), Some("ada")));
}

#[test]
fn under_a_cookie_a_change_needs_the_token_against_forgery() {
    let setting = setting();
    let (cookie, csrf) = setting.login(&format!(r#"{{"token":"{TOKEN}"}}"#));
    let refused = setting.ask("DELETE", "/api/v1/flows", &[&cookie], "");
    assert_eq!((refused.status(), refused.json()["code"].as_str()), (403, Some("csrf")));
    let wrong = setting.ask("DELETE", "/api/v1/flows", &[&cookie, "X-CSRF-Token: wrong"], "");
    assert_eq!(wrong.status(), 403);
    let right = setting.ask("DELETE", "/api/v1/flows", &[&cookie, &format!("X-CSRF-Token: {csrf}")], "");
    assert_eq!(right.status(), 200);
    let out = setting.ask("DELETE", "/api/v1/session", &[&cookie, &format!("X-CSRF-Token: {csrf}")], "");
    assert_eq!(out.status(), 204);
    assert_eq!(setting.ask("GET", "/api/v1/flows", &[&cookie], "").status(), 401);
}

#[test]
fn the_read_only_role_changes_nothing() {
    let setting = setting();
    let bearer = format!("Authorization: Bearer {VIEWER}");
    assert_eq!(setting.ask("GET", "/api/v1/flows", &[&bearer], "").status(), 200);
    for (method, path) in
        [("DELETE", "flows"), ("POST", "breakpoints"), ("POST", "changes"), ("POST", "flows/6psdrcg0/replay")]
    {
        let answer = setting.ask(method, &format!("/api/v1/{path}"), &[&bearer, JSON], "{}");
        assert_eq!((answer.status(), answer.json()["code"].as_str()), (403, Some("read-only")), "{path}");
    }
    let body = r#"{"url":"https://example.com/"}"#;
    assert_eq!(setting.ask("POST", "/api/v1/policy/explain", &[&bearer, JSON], body).status(), 200);
}

#[test]
fn refuses_names_that_are_not_its_own() {
    let setting = setting();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for host in ["evil.example", "127.0.0.1.evil.example:8081", "", "localhost.evil.example"] {
        for path in ["/", "/api/v1/flows", "/ca.pem"] {
            let answer = setting.ask("GET", path, &[&format!("Host: {host}"), &bearer], "");
            assert_eq!(answer.status(), 421, "{host} {path}");
        }
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:8081", "console.example", "egret.test"] {
        let answer = setting.ask("GET", "/api/v1/flows", &[&format!("Host: {host}"), &bearer], "");
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[test]
fn refuses_other_origins() {
    let setting = setting();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for origin in ["null", "http://evil.example", "https://localhost:1"] {
        let line = format!("Origin: {origin}");
        let answer = setting.ask("GET", "/api/v1/flows", &[&bearer, &line], "");
        assert_eq!(
            (answer.status(), answer.json()["code"].as_str()),
            (403, Some("cross-origin")),
            "{origin}"
        );
        assert_eq!(setting.ask("POST", "/api/v1/session", &[JSON, &line], "{}").status(), 403, "{origin}");
    }
    let own = format!("Origin: http://{}", setting.egret.console());
    assert_eq!(setting.ask("GET", "/api/v1/flows", &[&bearer, &own], "").status(), 200);
}

#[test]
fn makes_whoever_guesses_wait() {
    let setting = setting();
    let guess = |body: &str| setting.ask("POST", "/api/v1/session", &[JSON], body);
    let mut last = guess(r#"{"password":"guess"}"#);
    assert_eq!(last.json()["code"], "credentials-refused");
    for _ in 0..20 {
        last = guess(r#"{"password":"guess"}"#);
    }
    assert_eq!((last.status(), last.json()["code"].as_str()), (429, Some("too-many-failed-logins")));
    assert!(last.fields.has("retry-after"));
    assert_eq!(guess(&format!(r#"{{"password":"{PASSWORD}"}}"#)).status(), 429);
    // A token cannot be guessed, so programs go on.
    assert_eq!(setting.api("GET", "/flows").status(), 200);
}

#[test]
fn what_is_done_stands_in_the_audit() {
    let setting = setting();
    setting.ask("POST", "/api/v1/session", &[JSON], r#"{"token":"wrong"}"#);
    setting.login(&format!(r#"{{"token":"{VIEWER}"}}"#));
    setting.api("DELETE", "/flows?filter=is:error");
    let entries = setting.json("/audit")["entries"].clone();
    let actions: Vec<_> = entries.as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions, ["clear-flows", "login", "login-refused"]);
    assert_eq!(
        (entries[0]["target"].as_str(), entries[1]["role"].as_str()),
        (Some("is:error"), Some("read-only"))
    );
    assert!(!entries.to_string().contains(VIEWER) && !entries.to_string().contains("wrong"));
}

#[test]
fn a_secret_that_is_too_short_is_refused_at_the_start() {
    let secrets = tempfile::tempdir().unwrap();
    let path = secrets.path().join("token");
    std::fs::write(&path, "short\n").unwrap();
    let config = format!("console: {{address: '127.0.0.1:0', tokenFile: {}}}\n", path.display());
    let builder = Egret::builder(env!("CARGO_BIN_EXE_egret")).config(&config).env("EGRET_CONSOLE", "");
    let (status, log) = builder.run_to_end();
    assert!(!status.success() && log.contains("too short") && !log.contains("short\n"), "{log}");
}
