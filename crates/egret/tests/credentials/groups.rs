//! The groups that users are found to be in, as the diagnostic log says them at the level `debug`.

use std::time::Duration;

use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, Ended, HttpOrigin, ScriptedOrigin, Step, wait_for};

use super::directory::Directory;
use super::tokens::Provider;
use super::{Setting, ask, basic, builder, line, reason};

const ALICE: &str = "uid=alice,ou=people,dc=corp,dc=example";
const OPS: &str = "cn=Ops \\2C night,ou=groups,dc=corp,dc=example";
/// The groups of alice from the beginning, by the member attribute of the group.
const INTERNET: &str = r#""cn=internet,ou=groups,dc=corp,dc=example", "internet""#;
/// What the user's own entry says, with the escapes of a string in a log.
const OPS_LOGGED: &str = r#""cn=ops \\2C night,ou=groups,dc=corp,dc=example", "ops , night""#;

/// With the level of the log at which groups are seen.
fn talkative(authentication: &str) -> Egret {
    builder().config(&format!("log: {{level: debug}}\nauthentication:\n{authentication}")).start()
}

/// The groups that the log has of a user who was found good last.
fn groups(egret: &Egret, user: &str) -> Option<String> {
    let log = egret.log();
    let user = format!("user=\"{user}\"");
    let line = log.lines().rfind(|line| line.contains("a user was found good") && line.contains(&user))?;
    Some(line.split_once("groups=[")?.1.split_once(']')?.0.to_owned())
}

#[track_caller]
fn expect(egret: &Egret, user: &str, expected: &str) {
    let is_so = |groups: &String| groups.eq_ignore_ascii_case(expected);
    wait_for(&format!("{user} in {expected}"), PATIENCE, || groups(egret, user).filter(is_so));
}

#[test]
fn a_directory_tells_groups_in_the_entry_and_by_a_search() {
    let (directory, origin) = (Directory::start(), HttpOrigin::start());
    directory.join(OPS, ALICE);
    let login = |egret: &Egret, user: &str, password: &str| {
        let answer = ask(egret, &origin, Some(&basic(user, password)));
        assert_eq!(answer.status(), 200, "{user}: {}\n{}", answer.text(), egret.log());
    };

    let entry = talkative(&directory.section("ldaps", &[]));
    login(&entry, "alice", "secret");
    login(&entry, "bob", "hunter2");
    expect(&entry, "alice", OPS_LOGGED);
    expect(&entry, "bob", "");

    let search = talkative(&directory.section("ldaps", &["groupBase: ou=groups,dc=corp,dc=example"]));
    login(&search, "ALICE", "secret");
    login(&search, "carol", "secret");
    login(&search, "odd*(name)\\, \"of\" \\5c", "pässwörd");
    expect(&search, "alice", &format!("{OPS_LOGGED}, {INTERNET}"));
    expect(&search, "carol", r#""cn=posix,ou=groups,dc=corp,dc=example", "posix""#);
    wait_for("the group of alice and of the one with the odd name", PATIENCE, || {
        (search.log().matches(INTERNET).count() == 2).then_some(())
    });

    let filter = "groupFilter: \"(&(objectClass=posixGroup)(memberUid={user}))\"";
    let own = talkative(&directory.section("ldaps", &["groupBase: dc=corp,dc=example", filter]));
    login(&own, "alice", "secret");
    expect(&own, "alice", OPS_LOGGED);

    let allowed = "allowedGroups: [\"cn=internet,ou=groups,dc=corp,dc=example\"]";
    let allowed = talkative(&directory.section("ldaps", &[allowed]));
    login(&allowed, "alice", "secret");
    expect(&allowed, "alice", &format!("{OPS_LOGGED}, {INTERNET}"));
}

#[test]
fn a_directory_is_asked_for_groups_again_when_a_login_is_forgotten() {
    let (directory, origin) = (Directory::start(), HttpOrigin::start());
    let egret = talkative(&format!("  cache: {{accepted: 1s}}\n{}", directory.section("ldaps", &[])));
    let alice = basic("alice", "secret");
    assert_eq!(ask(&egret, &origin, Some(&alice)).status(), 200);
    expect(&egret, "alice", "");
    directory.join(OPS, ALICE);
    wait_for("the new group", PATIENCE, || {
        assert_eq!(ask(&egret, &origin, Some(&alice)).status(), 200);
        groups(&egret, "alice").filter(|groups| groups.contains("night"))
    });
}

#[test]
fn who_is_in_more_groups_than_are_read_is_refused() {
    let (directory, origin) = (Directory::start(), HttpOrigin::start());
    directory.join(OPS, ALICE);
    let section = directory.section("ldaps", &["groupBase: ou=groups,dc=corp,dc=example"]);
    let egret = talkative(&format!("  maxGroups: 1\n{section}"));
    let login = |user: &str, password: &str| ask(&egret, &origin, Some(&basic(user, password)));
    let answer = login("alice", "secret");
    assert_eq!((answer.status(), reason(&answer).as_str()), (503, "authentication-unavailable"));
    assert!(answer.text().contains("authentication.maxGroups"), "{}", answer.text());
    egret.wait_for_log("a user is refused who is in more groups");
    assert_eq!(reason(&login("alice", "guess")), "credentials-refused", "a guesser learns nothing of groups");
    assert_eq!(login("carol", "secret").status(), 200);
    assert_eq!(egret.metric("egret_limit_hits_total{limit=\"groups\"}"), 1.0);
    assert_eq!(egret.metric("egret_directory_up"), 1.0, "others are not held up");
}

#[test]
fn tokens_name_groups_in_a_claim_or_within_one() {
    let (provider, origin) = (Provider::new(), HttpOrigin::start());
    for (kind, claim, expected) in [
        ("list", "groups", r#""staff", "Domain Users""#),
        ("text", "groups", r#""staff", "web""#),
        ("nested", "realm_access.roles", r#""offline_access", "deploy""#),
        ("nested", "groups", ""),
    ] {
        let egret = talkative(&format!("{}    groupsClaim: {claim}\n", provider.section()));
        let token = provider.tokens["groups"][kind].as_str().unwrap();
        assert_eq!(ask(&egret, &origin, Some(&format!("Bearer {token}"))).status(), 200);
        expect(&egret, "alice", expected);
    }
    let egret = talkative(&format!("  maxGroups: 1\n{}", provider.section()));
    let token = provider.tokens["groups"]["text"].as_str().unwrap();
    let answer = ask(&egret, &origin, Some(&format!("Bearer {token}")));
    assert_eq!((answer.status(), reason(&answer).as_str()), (503, "authentication-unavailable"));
}

#[test]
fn a_file_adds_groups_to_users_of_every_kind() {
    let files = tempfile::tempdir().unwrap();
    let (users, groups_file) = (files.path().join("users"), files.path().join("groups"));
    std::fs::write(&users, line("service", "x")).unwrap();
    std::fs::write(&groups_file, "# who\nbuild: service alice \\\n  bob\ninternet: alice\n").unwrap();
    let (directory, provider, origin) = (Directory::start(), Provider::new(), HttpOrigin::start());
    directory.join(OPS, ALICE);
    let egret = talkative(&format!(
        "  htpasswd: {}\n  groupsFile: {}\n{}{}",
        users.display(),
        groups_file.display(),
        directory.section("ldaps", &[]),
        provider.section()
    ));
    let login = |user: &str, password: &str| {
        assert_eq!(ask(&egret, &origin, Some(&basic(user, password))).status(), 200, "{}", egret.log());
    };
    login("service", "x");
    expect(&egret, "service", r#""build""#);
    login("alice", "secret");
    expect(&egret, "alice", &format!(r#"{OPS_LOGGED}, "build", "internet""#));
    let token = provider.tokens["groups"]["list"].as_str().unwrap();
    assert_eq!(ask(&egret, &origin, Some(&format!("Bearer {token}"))).status(), 200);
    expect(&egret, "alice", r#""staff", "Domain Users", "build", "internet""#);
}

#[test]
fn a_changed_file_of_groups_counts_at_once_and_a_broken_one_not_at_all() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("groups");
    std::fs::write(&file, "staff: alice\n").unwrap();
    let lines =
        format!("  groupsFile: {}\n  cache: {{accepted: 1h}}\nlog: {{level: debug}}\n", file.display());
    let it = Setting::with(&lines);
    let alice = basic("alice", "secret");
    assert_eq!(it.ask(Some(&alice)).status(), 200);
    expect(&it.egret, "alice", r#""staff""#);
    std::fs::write(&file, "staff: alice\nadmins alice\n").unwrap();
    it.egret.wait_for_log("the new configuration is refused");
    assert!(it.egret.log().contains("is no file of groups: line 2 has no colon"), "{}", it.egret.log());
    std::fs::write(&file, "staff: alice\nadmins: alice\n").unwrap();
    it.egret.wait_for_log("reloaded");
    assert_eq!(it.ask(Some(&alice)).status(), 200);
    expect(&it.egret, "alice", r#""admins", "staff""#);
}

/// Only these may go anywhere.
fn only(group: &str) -> String {
    format!(
        "policies: [{{name: staff, from: [{{groups: ['{group}']}}], rules: [{{action: Allow}}]}}]\ndefault: Deny\n"
    )
}

#[test]
fn a_policy_is_for_a_group_of_the_directory_by_either_name() {
    let (directory, origin) = (Directory::start(), HttpOrigin::start());
    for group in ["internet", "cn=internet,ou=groups,dc=corp,dc=example", "inter*"] {
        let section = directory.section("ldaps", &["groupBase: ou=groups,dc=corp,dc=example"]);
        let egret = builder().config(&format!("{}authentication:\n{section}", only(group))).start();
        for (user, password, status) in [("alice", "secret", 200), ("bob", "hunter2", 403)] {
            let answer = ask(&egret, &origin, Some(&basic(user, password)));
            assert_eq!(answer.status(), status, "{user}, {group}: {}", answer.text());
        }
    }
}

#[test]
fn tunnels_of_who_has_left_a_group_are_closed_and_others_stay() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("groups");
    std::fs::write(&file, "staff: alice bob\n").unwrap();
    let it = Setting::with(&format!("  groupsFile: {}\n{}", file.display(), only("staff")));
    std::fs::write(it.users(), line("alice", "secret") + &line("bob", "secret") + &line("eve", "secret"))
        .unwrap();
    it.egret.wait_for_log("reloaded");
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let at = origin.address();
    let tunnel = |user: &str| {
        let mut client = it.egret.connect();
        let credentials = basic(user, "secret");
        client.send(format!(
            "CONNECT {at} HTTP/1.1\r\nHost: {at}\r\nProxy-Authorization: {credentials}\r\n\r\n"
        ));
        let status = client.response("CONNECT").status();
        (client, status)
    };
    let ((mut alices, first), (mut bobs, second)) = (tunnel("alice"), tunnel("bob"));
    assert_eq!((first, second, tunnel("eve").1), (200, 200, 403));
    std::fs::write(&file, "staff: bob eve\nguests: alice\n").unwrap();
    assert_ne!(alices.read_to_end(Duration::from_secs(20)).1, Ended::Open, "alice has left");
    assert!(bobs.is_quiet_for(Duration::from_millis(200)), "bob has not");
    let record = it.egret.record(|record| record.reason() == "policy-changed");
    assert_eq!(record.text("user"), "alice");
    assert_eq!((tunnel("eve").1, tunnel("alice").1), (200, 403), "{}", it.egret.log());
}
