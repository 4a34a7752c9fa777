//! Bearer tokens by PyJWT, with keys from a file and from a URL.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use egret_testkit::tools::{client, python, succeed};
use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, HttpOrigin, Message, Server, TestCa, wait_for};
use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;

use super::{ask, basic, builder, challenges, line, reason, script, sorted};

pub(crate) struct Provider {
    directory: tempfile::TempDir,
    pub(crate) tokens: Value,
}

impl Provider {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = succeed(client(python()).arg(script("make_tokens.py")).arg(directory.path()));
        Self { tokens: serde_json::from_str(&text).unwrap(), directory }
    }

    fn set(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    fn good(&self) -> &str {
        self.tokens["good"]["ES256"].as_str().unwrap()
    }

    pub(crate) fn section(&self) -> String {
        format!(
            "  jwt:\n    issuers: [https://login.example/]\n    audiences: [egret]\n    keysFile: {}\n",
            self.directory.path().join("keys.json").display()
        )
    }
}

fn bearer(egret: &Egret, origin: &HttpOrigin, token: &str) -> Message {
    ask(egret, origin, Some(&format!("Bearer {token}")))
}

#[test]
fn accepts_what_pyjwt_signs() {
    let provider = Provider::new();
    let egret = builder().config(&format!("authentication:\n{}", provider.section())).start();
    let origin = HttpOrigin::start();
    let good = provider.tokens["good"].as_object().unwrap();
    for (name, token) in good {
        let answer = bearer(&egret, &origin, token.as_str().unwrap());
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
    }
    let records = egret.exactly(good.len());
    assert!(records.iter().all(|record| record.text("user") == "alice" && record.text("proof") == "jwt"));
    assert_eq!(egret.metric("egret_token_keys"), 4.0);
    let log = format!("{records:?}{}", egret.log());
    assert!(!log.contains(provider.good()), "no token is logged");
}

#[test]
fn refuses_tokens_that_are_forged_or_not_for_it() {
    let provider = Provider::new();
    let yaml = format!("authentication:\n  backoff: {{failures: 1000}}\n{}", provider.section());
    let (egret, origin) = (builder().config(&yaml).start(), HttpOrigin::start());
    for (name, token) in provider.tokens["bad"].as_object().unwrap() {
        let answer = bearer(&egret, &origin, token.as_str().unwrap());
        assert_eq!((answer.status(), reason(&answer).as_str()), (407, "credentials-refused"), "{name}");
        let challenge = challenges(&answer).join("");
        assert!(
            challenge.starts_with("Bearer realm=\"egret\", error=\"invalid_token\", error_description=\""),
            "{challenge}"
        );
        assert!(!answer.text().contains(token.as_str().unwrap()), "{name}: it is not quoted");
    }
    assert_eq!(origin.accepted(), 0);
    for (value, code) in [
        ("Bearer", "credentials-malformed"),
        ("Bearer a b", "credentials-malformed"),
        ("Bearer {}", "credentials-malformed"),
        (&*format!("Bearer {}", "a".repeat(20_000)), "credentials-malformed"),
    ] {
        let answer = ask(&egret, &origin, Some(value));
        assert_eq!((answer.status(), reason(&answer).as_str()), (400, code));
    }
    let missing = ask(&egret, &origin, None);
    assert_eq!((missing.status(), challenges(&missing)), (407, vec!["Bearer realm=\"egret\""]));
    let password = ask(&egret, &origin, Some(&basic("alice", "secret")));
    assert_eq!((password.status(), reason(&password).as_str()), (407, "authentication-required"));
}

#[test]
fn tokens_and_passwords_go_together() {
    let provider = Provider::new();
    let users = provider.directory.path().join("users");
    std::fs::write(&users, line("bob", "secret")).unwrap();
    let yaml = format!("authentication:\n  htpasswd: {}\n{}", users.display(), provider.section());
    let (egret, origin) = (builder().config(&yaml).start(), HttpOrigin::start());
    let missing = ask(&egret, &origin, None);
    assert_eq!(challenges(&missing), ["Basic realm=\"egret\", charset=\"UTF-8\"", "Bearer realm=\"egret\""]);
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 200);
    assert_eq!(ask(&egret, &origin, Some(&basic("bob", "secret"))).status(), 200);
    assert_eq!(sorted(&egret.exactly(3), "user"), ["", "alice", "bob"]);
}

#[test]
fn a_token_is_remembered_no_longer_than_it_is_valid() {
    let provider = Provider::new();
    let yaml = format!("authentication:\n  cache: {{accepted: 1h}}\n{}", provider.section());
    let (egret, origin) = (builder().config(&yaml).start(), HttpOrigin::start());
    let token = provider.tokens["short"].as_str().unwrap();
    assert_eq!(bearer(&egret, &origin, token).status(), 200);
    wait_for("the token's end", PATIENCE, || (bearer(&egret, &origin, token).status() == 407).then_some(()));
}

#[test]
fn a_changed_file_of_keys_counts_at_once() {
    let provider = Provider::new();
    let egret = builder().config(&format!("authentication:\n{}", provider.section())).start();
    let origin = HttpOrigin::start();
    let new = provider.tokens["new"].as_str().unwrap();
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 200);
    assert_eq!(bearer(&egret, &origin, new).status(), 407);
    std::fs::write(provider.directory.path().join("keys.json"), provider.set("rotated.json")).unwrap();
    egret.wait_for_log("reloaded");
    assert_eq!(bearer(&egret, &origin, new).status(), 200);
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 407, "its key is gone");
    std::fs::write(
        provider.directory.path().join("keys.json"),
        "{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}]}",
    )
    .unwrap();
    egret.wait_for_log("authentication.jwt.keysFile: none of its 1 keys");
    assert_eq!(bearer(&egret, &origin, new).status(), 200, "what was good last stays");
}

/// A server of keys over TLS, whose answer can be changed.
struct KeyServer {
    server: Server,
    answer: Arc<Mutex<String>>,
    ca: TestCa,
}

impl KeyServer {
    fn start(answer: &str) -> Self {
        let ca = TestCa::new();
        let tls = ca.server(&["localhost", "127.0.0.1"]);
        let answer = Arc::new(Mutex::new(answer.to_owned()));
        let current = answer.clone();
        let server = Server::start(move |connection| {
            let session = ServerConnection::new(tls.clone()).unwrap();
            let mut stream = StreamOwned::new(session, connection.stream.try_clone().unwrap());
            let mut head = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let _ = stream.write_all(current.lock().unwrap().as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        Self { server, answer, ca }
    }

    fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap());
    }

    pub(crate) fn section(&self) -> String {
        format!(
            "authentication:\n  jwt:\n    issuers: [https://login.example/]\n    audiences: [egret]\n    \
             refresh: 10s\n    keysURL: https://{}/keys?v=1\n    trustedCA: {}\n",
            self.server.address(),
            self.ca.pem().display()
        )
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn keys_come_from_a_url_and_change_there() {
    let provider = Provider::new();
    let keys = KeyServer::start(&ok(&provider.set("keys.json")));
    let (egret, origin) = (builder().config(&keys.section()).start(), HttpOrigin::start());
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 200, "{}", egret.log());
    assert!(egret.metric("egret_token_keys_fetched_timestamp_seconds") > 1.0e9);
    keys.answer(&ok(&provider.set("rotated.json")));
    let new = provider.tokens["new"].as_str().unwrap();
    wait_for("the new key to be fetched", PATIENCE, || {
        (bearer(&egret, &origin, new).status() == 200).then_some(())
    });
    assert!(keys.server.accepted() < 6, "it is not asked for every token: {}", keys.server.accepted());
}

#[test]
fn keys_come_through_the_parent_that_the_routes_have() {
    let provider = Provider::new();
    let keys = KeyServer::start(&ok(&provider.set("keys.json")));
    let parent = builder().start();
    let yaml = format!("{}parents: [{{urls: [\"{}\"]}}]\n", keys.section(), parent.url());
    let (egret, origin) = (builder().config(&yaml).start(), HttpOrigin::start());
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 200, "{}", egret.log());
    let record = &parent.records_where(|record| record.method() == "CONNECT")[0];
    assert_eq!(record.target(), keys.server.address().to_string());
}

#[test]
fn keys_that_were_good_stay_while_the_provider_is_away() {
    let provider = Provider::new();
    let keys = KeyServer::start(&ok(&provider.set("keys.json")));
    let (egret, origin) = (builder().config(&keys.section()).start(), HttpOrigin::start());
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 200);
    for answer in [
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ok("{\"keys\": []}"),
        "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ] {
        let before = keys.server.accepted();
        keys.answer(&answer);
        wait_for("another fetch", PATIENCE, || (keys.server.accepted() > before).then_some(()));
        egret.wait_for_log("those that were are kept");
        let other = provider.tokens["good"]["RS256"].as_str().unwrap();
        assert_eq!(bearer(&egret, &origin, other).status(), 200, "{answer}");
    }
}

#[test]
fn without_any_keys_nobody_gets_in() {
    let provider = Provider::new();
    for answer in
        ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "", &ok("no JSON"), &ok(&" ".repeat(400_000))]
    {
        let keys = KeyServer::start(answer);
        let (egret, origin) = (builder().config(&keys.section()).start(), HttpOrigin::start());
        let refused = bearer(&egret, &origin, provider.good());
        assert_eq!((refused.status(), reason(&refused).as_str()), (503, "authentication-unavailable"));
        assert_eq!(ask(&egret, &origin, None).status(), 407);
        keys.answer(&ok(&provider.set("keys.json")));
        wait_for("the keys", PATIENCE, || {
            (bearer(&egret, &origin, provider.good()).status() == 200).then_some(())
        });
    }
}

#[test]
fn keys_are_not_taken_from_somebody_elses_certificate() {
    let provider = Provider::new();
    let keys = KeyServer::start(&ok(&provider.set("keys.json")));
    let other = TestCa::new();
    let section =
        keys.section().replace(&keys.ca.pem().display().to_string(), &other.pem().display().to_string());
    let (egret, origin) = (builder().config(&section).start(), HttpOrigin::start());
    egret.wait_for_log("the keys for tokens could not be fetched");
    assert_eq!(bearer(&egret, &origin, provider.good()).status(), 503);
}
