//! Users of a real directory.

use std::time::{Duration, Instant};

use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, HttpOrigin, Message, Server, TestCa, wait_for};

use super::directory::Directory;
use super::{ask, basic, builder, line, reason};

struct Company {
    directory: Directory,
    egret: Egret,
    origin: HttpOrigin,
}

impl Company {
    fn with(scheme: &str, lines: &[&str], more: &str) -> Self {
        let directory = Directory::start();
        let yaml = format!("authentication:\n{more}{}", directory.section(scheme, lines));
        Self { egret: builder().config(&yaml).start(), origin: HttpOrigin::start(), directory }
    }

    fn login(&self, user: &str, password: &str) -> Message {
        ask(&self.egret, &self.origin, Some(&basic(user, password)))
    }

    #[track_caller]
    fn expect(&self, user: &str, password: &str, status: u16) {
        let answer = self.login(user, password);
        assert_eq!(answer.status(), status, "{user}: {}\n{}", answer.text(), self.egret.log());
    }
}

#[test]
fn logs_in_over_ldaps_and_starttls_with_a_private_ca() {
    for scheme in ["ldaps", "ldap"] {
        let it = Company::with(scheme, &[], "");
        it.expect("alice", "secret", 200);
        it.expect("bob", "hunter2", 200);
        it.expect("alice", "hunter2", 407);
        it.expect("mallory", "secret", 407);
        it.expect("nopassword", "x", 407);
        it.expect("alice", "", 407);
        let record = &it.egret.records_where(|record| record.text("user") == "alice")[0];
        assert_eq!(record.text("proof"), "ldap");
        assert_eq!(it.egret.metric("egret_directory_up"), 1.0);
    }
}

#[test]
fn the_name_is_recorded_as_the_directory_spells_it() {
    let it = Company::with("ldaps", &[], "");
    it.expect("ALICE", "secret", 200);
    assert_eq!(it.egret.exactly(1)[0].text("user"), "alice");
}

#[test]
fn goes_without_tls_only_when_told_to() {
    let it = Company::with("ldap", &["startTLS: false"], "");
    it.expect("alice", "secret", 200);
}

#[test]
fn refuses_a_directory_with_another_cas_certificate() {
    let directory = Directory::start();
    let other = TestCa::new();
    let section = directory.section("ldaps", &[]);
    let section =
        section.replace(&directory.ca.pem().display().to_string(), &other.pem().display().to_string());
    for section in [section.clone(), section.replace("ldaps://", "ldap://")] {
        let (egret, origin) =
            (builder().config(&format!("authentication:\n{section}")).start(), HttpOrigin::start());
        let answer = ask(&egret, &origin, Some(&basic("alice", "secret")));
        assert_eq!((answer.status(), reason(&answer).as_str()), (503, "authentication-unavailable"));
        egret.wait_for_log("the directory cannot be asked");
    }
}

#[test]
fn only_members_of_a_group_may() {
    let group = "allowedGroups: [\"cn=internet,ou=groups,dc=corp,dc=example\", \"cn=posix,ou=groups,dc=corp,dc=example\", \"cn=gone,dc=corp,dc=example\"]";
    let it = Company::with("ldaps", &[group], "");
    it.expect("alice", "secret", 200);
    it.expect("carol", "secret", 200);
    let answer = it.login("bob", "hunter2");
    assert_eq!((answer.status(), reason(&answer).as_str()), (403, "user-not-allowed"), "{}", answer.text());
    let wrong = it.login("bob", "guess");
    assert_eq!(
        reason(&wrong),
        "credentials-refused",
        "who does not know the password learns nothing of groups"
    );
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"basic\",result=\"not_allowed\"}"), 1.0);
}

/// Names that would change the filter, were they not escaped (CWE-90).
#[test]
fn names_cannot_change_the_filter() {
    let it = Company::with("ldaps", &[], "  backoff: {failures: 1000}\n");
    for user in [
        "*",
        "a*",
        "alice*",
        "*)(uid=alice",
        "alice)(objectClass=*",
        "*)(|(uid=alice)",
        "alice)(&",
        "*))(|(objectClass=*",
        "\\2a",
        "\\61lice",
        "al\\69ce",
        "alice,ou=people,dc=corp,dc=example",
        "(uid=alice)",
        "{user}",
    ] {
        for password in ["secret", "*", "searcher"] {
            it.expect(user, password, 407);
        }
    }
    it.expect("odd*(name), \"of\" \\", "pässwörd", 407);
    it.expect("odd*(name)\\, \"of\" \\5c", "pässwörd", 200);
    it.expect("alice", "secret", 200);
    assert_eq!(it.egret.metric("egret_directory_up"), 1.0, "no filter was broken");
}

#[test]
fn a_name_that_is_not_one_entrys_is_nobodys() {
    let it = Company::with("ldaps", &["userAttribute: mail"], "");
    it.expect("same@corp.example", "secret", 407);
    it.egret.wait_for_log("more than one entry");
}

#[test]
fn a_directory_that_is_down_lets_nobody_in() {
    let mut it = Company::with("ldaps", &[], "  cache: {accepted: 1h}\n");
    it.expect("alice", "secret", 200);
    it.directory.stop();
    let answer = it.login("bob", "hunter2");
    assert_eq!((answer.status(), reason(&answer).as_str()), (503, "authentication-unavailable"));
    assert!(answer.fields.has("Retry-After") && !answer.fields.has("Proxy-Authenticate"));
    assert!(
        !answer.text().contains("127.0.0.1:6"),
        "where the directory is, is nobody's business: {}",
        answer.text()
    );
    assert_eq!(it.egret.metric("egret_directory_up"), 0.0);
    it.egret.wait_for_log("the directory cannot be asked");
    it.expect("mallory", "x", 503);
    it.expect("alice", "secret", 200);
    it.expect("alice", "guess", 503);
    it.directory.start_again();
    wait_for("bob to log in again", PATIENCE, || (it.login("bob", "hunter2").status() == 200).then_some(()));
    it.expect("mallory", "x", 407);
    it.egret.wait_for_log("the directory answers again");
    assert_eq!(it.egret.metric("egret_directory_up"), 1.0);
}

#[test]
fn a_directory_that_was_restarted_is_asked_over_new_connections() {
    let mut it = Company::with("ldaps", &[], "  cache: {accepted: 0s}\n");
    for _ in 0..3 {
        it.expect("alice", "secret", 200);
    }
    it.directory.stop();
    it.directory.start_again();
    it.expect("alice", "secret", 200);
}

#[test]
fn a_slow_directory_holds_up_nobody_else() {
    let it = Company::with("ldaps", &["timeout: 2s"], "  cache: {accepted: 1h}\n");
    it.expect("alice", "secret", 200);
    it.directory.freeze();
    let mut waiting = it.egret.connect();
    waiting.send(super::request(&it.origin, Some(&basic("bob", "hunter2"))));
    let began = Instant::now();
    for _ in 0..20 {
        it.expect("alice", "secret", 200);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "who is known does not wait");
    let answer = waiting.response("GET");
    assert_eq!((answer.status(), reason(&answer).as_str()), (503, "authentication-unavailable"));
    it.directory.thaw();
    wait_for("bob to log in", PATIENCE, || (it.login("bob", "hunter2").status() == 200).then_some(()));
}

#[test]
fn a_server_that_says_nothing_or_nonsense_is_unavailable() {
    for answer in
        [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x84\x7f\xff\xff\xff", b"\x30\x03\x02\x01\x01"]
    {
        let server = Server::start(move |mut connection| {
            use std::io::Write as _;
            connection.read_some();
            let _ = connection.stream.write_all(answer);
            while connection.read_some() > 0 {}
        });
        let yaml = format!(
            "authentication:\n  ldap: {{urls: [\"ldap://{}\"], startTLS: false, base: dc=x, timeout: 1s}}\n",
            server.address()
        );
        let (egret, origin) = (builder().config(&yaml).start(), HttpOrigin::start());
        let answer = ask(&egret, &origin, Some(&basic("alice", "secret")));
        assert_eq!((answer.status(), reason(&answer).as_str()), (503, "authentication-unavailable"));
        assert_eq!(ask(&egret, &origin, None).status(), 407, "the proxy goes on");
    }
}

#[test]
fn logins_are_remembered_for_a_time() {
    let it = Company::with("ldaps", &[], "  cache: {accepted: 2s}\n");
    it.expect("alice", "secret", 200);
    it.directory.change_password("uid=alice,ou=people,dc=corp,dc=example", "changed");
    it.expect("alice", "changed", 200);
    wait_for("the old password to be forgotten", PATIENCE, || {
        (it.login("alice", "secret").status() == 407).then_some(())
    });
    it.expect("alice", "changed", 200);
}

#[test]
fn connections_are_kept_and_bounded() {
    let it =
        Company::with("ldaps", &["connections: 3"], "  cache: {accepted: 0s}\n  backoff: {failures: 1000}\n");
    let mut clients: Vec<_> = (0..30)
        .map(|guess| {
            let mut client = it.egret.connect();
            client.send(super::request(&it.origin, Some(&basic("alice", &format!("guess {guess}")))));
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.response("GET").status(), 407);
    }
    let connections = it.directory.connections();
    assert!((1..=3).contains(&connections), "{connections}");
    it.expect("alice", "secret", 200);
    assert!(it.directory.connections() <= 3);
}

#[test]
fn users_of_the_file_are_not_asked_of_the_directory() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("users");
    std::fs::write(&file, line("alice", "from the file") + &line("service", "x")).unwrap();
    let mut it = Company::with("ldaps", &[], &format!("  htpasswd: {}\n", file.display()));
    it.expect("alice", "from the file", 200);
    it.expect("alice", "secret", 407);
    it.expect("bob", "hunter2", 200);
    it.directory.stop();
    it.expect("service", "x", 200);
}

#[test]
fn the_second_server_stands_in_for_the_first() {
    let directory = Directory::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let section =
        directory.section("ldaps", &[]).replace("urls: [", &format!("urls: [\"ldaps://{nobody}\", "));
    let (egret, origin) =
        (builder().config(&format!("authentication:\n{section}")).start(), HttpOrigin::start());
    assert_eq!(ask(&egret, &origin, Some(&basic("alice", "secret"))).status(), 200, "{}", egret.log());
}

#[test]
fn a_filter_that_is_none_is_said_at_the_start() {
    let directory = Directory::start();
    let section = directory.section("ldaps", &["filter: \"(&(uid={user})!)\""]);
    let (status, said) = builder().config(&format!("authentication:\n{section}")).run_to_end();
    assert!(!status.success() && said.contains("is not a search filter"), "{said}");
    let section = directory.section("ldaps", &["groupBase: dc=corp", "groupFilter: \"(&(member={dn})!)\""]);
    let (status, said) = builder().config(&format!("authentication:\n{section}")).run_to_end();
    assert!(!status.success() && said.contains("authentication.ldap.groupFilter: `(&"), "{said}");
}

#[test]
fn a_wrong_search_account_is_said_in_the_log() {
    let directory = Directory::start();
    let section = directory.section("ldaps", &[]).replace("cn=egret,", "cn=nobody,");
    let (egret, origin) =
        (builder().config(&format!("authentication:\n{section}")).start(), HttpOrigin::start());
    assert_eq!(ask(&egret, &origin, Some(&basic("alice", "secret"))).status(), 503);
    egret.wait_for_log("refuses cn=nobody,dc=corp,dc=example");
    assert!(!egret.log().contains("searcher") && !egret.log().contains("secret"), "{}", egret.log());
}
