//! `egret policy suggest`.

use std::io::Write as _;
use std::time::Duration;

use egret_testkit::wait::wait_until;
use serde_json::{Value, json};

use super::{Place, denied, record};

/// So long a busy machine may take.
const LIMIT: Duration = Duration::from_secs(60);

fn history() -> String {
    let mut lines = String::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        lines.push_str(&record("alice", &format!("{name}.cdn.example.com:443"), json!({})));
    }
    for number in 0..8 {
        lines.push_str(&record("alice", &format!("shop{number}.co.uk:443"), json!({})));
    }
    lines.push_str(&record("alice", "api.example.com:8443", json!({"time": "2026-11-21T09:30:00Z"})));
    lines.push_str(&record("", "10.1.2.3:25", json!({"clientName": "spiffe://td/ns/web/sa/cart"})));
    lines.push_str(&record("", "anon.example.com:443", json!({})));
    lines.push_str(&record("", "anon.example.com:443", json!({"client": "10.0.0.10:1"})));
    let failed = json!({"status": 502, "reason": "dns-not-found", "blame": "upstream", "dialled": null});
    lines.push_str(&record("alice", "typo.example.com:443", failed));
    lines.push_str(&denied("alice", "evil.example.com:443"));
    lines.push_str(&record(
        "alice",
        "watched.example.com:443",
        json!({"auditPolicy": "t", "auditRule": "r"}),
    ));
    lines.push_str(&record("x\n  - name: evil", "a.example.com:443", json!({})));
    lines.push_str(&record("*", "star.example.com:443", json!({})));
    lines
}

#[test]
fn writes_a_configuration_that_is_good_and_allows_what_was_seen() {
    let place = Place::new();
    place.write("log", history());
    let ran = place.policy(&["suggest", "log", "-o", "egret.yaml"]).exits(0);
    assert!(ran.err.contains("1 flow that failed left out"), "{}", ran.err);
    let text = place.read("egret.yaml");
    for words in [
        "default: Deny",
        "\"*.cdn.example.com\" # 6 names (a.cdn.example.com, b.cdn.example.com, c.cdn.example.com, …), 6 flows, last 2026-11-20T10:00:00Z",
        "\"shop0.co.uk\"",
        "ports: [8443]",
        "{\"certificates\":[\"spiffe://td/ns/web/sa/cart\"]}",
        "address 10.0.0.9, address 10.0.0.10: 2 flows",
        "#   user alice to evil.example.com:443: 1 flow",
        "#   user alice to watched.example.com:443: 1 flow",
        "NOT ALLOWED: user *: a `*` in its name would stand for others too",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    assert!(
        !text.contains("*.co.uk") && !text.contains("typo.example.com") && !text.contains("star.example.com"),
        "{text}"
    );
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_egret"))
        .arg("check")
        .arg(place.path("egret.yaml"))
        .output();
    assert!(check.unwrap().status.success());
    place.policy(&["lint", "egret.yaml", "--deny-warnings"]).exits(0).says(&["0 errors, 0 warnings"]);
    // What was seen stays allowed; what nobody can be named for, or was watched, does not.
    let json = place.json(&["backtest", "egret.yaml", "--against", "log"]);
    assert_eq!((&json["newlyDenied"], &json["newlyAllowed"]), (&json!(4), &json!(0)), "{json:#}");
}

#[test]
fn tells_identities_apart_as_asked() {
    let place = Place::new();
    place.write("log", history());
    let policies = |more: &[&str]| -> Vec<String> {
        let json = place.json(&[&["suggest", "log"], more].concat());
        let policies = json["policies"].as_array().unwrap().clone();
        policies.iter().map(|policy| policy["policy"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(policies(&["--by", "none"]), ["everybody"]);
    assert_eq!(policies(&["--by", "certificate"]), ["certificate-td-ns-web-sa-cart"]);
    assert_eq!(policies(&["--by", "namespace"]), ["account-web-cart"]);
    assert!(policies(&["--by", "user"]).contains(&"user-alice".to_owned()));
    assert!(policies(&["--by", "address"]).contains(&"address-10.0.0.9".to_owned()));
}

#[test]
fn takes_in_what_failed_or_was_denied_where_it_is_told_to() {
    let place = Place::new();
    place.write("log", history());
    let hosts = |more: &[&str]| -> String {
        let json = place.json(&[&["suggest", "log", "--collapse", "0"], more].concat());
        json["policies"].as_array().unwrap().iter().map(|policy| policy["hosts"].to_string()).collect()
    };
    let usual = hosts(&[]);
    assert!(
        !usual.contains("typo.example.com") && !usual.contains("evil.example.com") && !usual.contains("*.")
    );
    assert!(hosts(&["--flows", "all"]).contains("typo.example.com"));
    let denied = hosts(&["--include-denied"]);
    assert!(denied.contains("evil.example.com") && denied.contains("watched.example.com"));
}

#[test]
fn writes_documents_and_trials() {
    let place = Place::new();
    place.write("log", history());
    let ran = place.policy(&["suggest", "log", "--format", "documents", "--mode", "audit"]).exits(0);
    place.write("trial.yaml", &ran.out);
    assert!(ran.out.contains("kind: ClusterEgressPolicy") && ran.out.contains("mode: Audit"));
    let json = place.json(&["explain", "-c", "trial.yaml", "--as", "alice", "new.example.net:443"]);
    assert_eq!((&json["decision"], &json["audit"]["policy"]), (&json!("Allow"), &json!("everything-else")));
    let json = place.json(&["explain", "-c", "trial.yaml", "--as", "alice", "a.cdn.example.com:443"]);
    assert_eq!(json["audit"], Value::Null);
}

#[test]
fn outlives_hostile_logs() {
    let place = Place::new();
    let mut log = history().into_bytes();
    log.extend(vec![b'x'; 3 << 20]);
    log.extend(b"\n\xff\xfe\n{\"method\":[[[[\n");
    log.extend(record("alice", "last.example.net:443", json!({})).bytes());
    let ran = place.policy_with(&["suggest"], &log).exits(0);
    assert!(ran.out.contains("last.example.net"), "{}", ran.out);
    ran.says(&["1 line passed over: longer than any record", "2 lines passed over: no record"]);
    place.policy_with(&["suggest"], b"").exits(0).says(&["policies: []"]);
}

#[test]
fn follows_a_file_through_its_rotation() {
    let place = Place::new();
    place.write("log", record("alice", "one.example.com:443", json!({})));
    let mut command = place.command(&["suggest", "--follow", "log", "--for", "1h", "-o", "out.yaml"]);
    let mut child = command.spawn().unwrap();
    // The file is open once the process holds it.
    let files = format!("/proc/{}/fd", child.id());
    let holds = |name: &str| {
        let path = place.path(name);
        std::fs::read_dir(&files)
            .unwrap()
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == path))
    };
    wait_until("the log to be open", LIMIT, || holds("log"));
    let mut log = std::fs::OpenOptions::new().append(true).open(place.path("log")).unwrap();
    log.write_all(record("alice", "two.example.com:443", json!({})).as_bytes()).unwrap();
    std::fs::rename(place.path("log"), place.path("log.1")).unwrap();
    place.write("log", record("alice", "three.example.com:443", json!({})));
    wait_until("the new log to be open", LIMIT, || holds("log"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    let text = place.read("out.yaml");
    for host in ["one", "two", "three"] {
        assert!(text.contains(&format!("\"{host}.example.com\"")), "{text}");
    }
}
