//! Users that come and go while the proxy runs.

use std::time::Duration;

use egret_testkit::{Ended, Step, wait_for};
use egret_testkit::{ScriptedOrigin, wait::PATIENCE};

use super::{Setting, basic, line};

#[test]
fn a_changed_file_counts_at_once_although_logins_are_remembered() {
    let it = Setting::with("  cache: {accepted: 1h}\n");
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200);
    std::fs::write(it.users(), line("alice", "changed") + &line("bob", "secret")).unwrap();
    it.egret.wait_for_log("reloaded");
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 407, "the old password is forgotten");
    assert_eq!(it.ask(Some(&basic("alice", "changed"))).status(), 200);
    assert_eq!(it.ask(Some(&basic("bob", "secret"))).status(), 200);
}

#[test]
fn a_broken_file_changes_nothing() {
    let it = Setting::with("");
    std::fs::write(it.users(), "this is no file of users\n").unwrap();
    it.egret.wait_for_log("the new configuration is refused");
    assert!(it.egret.log().contains("line 1 has no colon"), "{}", it.egret.log());
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200);
    assert_eq!(it.ask(None).status(), 407);
    std::fs::remove_file(it.users()).unwrap();
    wait_for("a second refusal", PATIENCE, || {
        (it.egret.log().matches("the new configuration is refused").count() >= 2).then_some(())
    });
    assert_eq!(it.ask(None).status(), 407, "never open");
}

#[test]
fn tunnels_of_users_who_are_gone_are_closed() {
    let it = Setting::with("");
    std::fs::write(it.users(), line("alice", "secret") + &line("bob", "secret")).unwrap();
    it.egret.wait_for_log("reloaded");
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let at = origin.address();
    let tunnel = |user: &str| {
        let mut client = it.egret.connect();
        let credentials = basic(user, "secret");
        client.send(format!(
            "CONNECT {at} HTTP/1.1\r\nHost: {at}\r\nProxy-Authorization: {credentials}\r\n\r\n"
        ));
        assert_eq!(client.response("CONNECT").status(), 200);
        client
    };
    let (mut alices, mut bobs) = (tunnel("alice"), tunnel("bob"));
    std::fs::write(it.users(), line("bob", "secret")).unwrap();
    let (_, ended) = alices.read_to_end(Duration::from_secs(20));
    assert_ne!(ended, Ended::Open, "alice is gone");
    assert!(bobs.is_quiet_for(Duration::from_millis(200)), "bob is not");
    let record = it.egret.record(|record| record.reason() == "policy-changed");
    assert_eq!(record.text("user"), "alice");
    assert!(record.text("detail").contains("is not known any more"), "{}", record.0);
}

#[test]
fn tunnels_of_nobody_are_closed_when_credentials_are_asked_for() {
    let it = Setting::with("  required: false\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let (mut client, answer) = it.egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 200);
    let yaml = std::fs::read_to_string(it.egret.config_path()).unwrap();
    std::fs::write(it.egret.config_path(), yaml.replace("required: false", "required: true")).unwrap();
    assert_ne!(client.read_to_end(Duration::from_secs(20)).1, Ended::Open);
    assert_eq!(it.egret.record(|record| record.method() == "CONNECT").reason(), "policy-changed");
}
