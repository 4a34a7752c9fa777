//! Hashes of every kind, by the programs that make them, and what they cost the proxy.

use std::time::{Duration, Instant};

use egret_testkit::tools::{client, succeed};
use egret_testkit::{HttpOrigin, wait_for};

use super::{Setting, ask, basic, builder, line};

const PASSWORD: &str = "corr€ct hörse";

/// A hash by `openssl passwd`.
fn openssl(kind: &str) -> String {
    succeed(client("openssl").args(["passwd", kind, PASSWORD])).trim().to_owned()
}

/// A hash by the reference implementation of Argon2.
fn argon2(kind: &str) -> String {
    let command = format!("printf %s \"$1\" | argon2 somesalt {kind} -e");
    succeed(client("sh").args(["-c", &command, "sh", PASSWORD])).trim().to_owned()
}

#[test]
fn reads_what_htpasswd_openssl_and_argon2_make() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    let htpasswd = |arguments: &[&str]| {
        let mut command = client("htpasswd");
        command.args(arguments).arg(&file).args([&arguments.join(""), PASSWORD]);
        succeed(&mut command);
        arguments.join("")
    };
    std::fs::write(&file, "").unwrap();
    let mut users = vec![
        htpasswd(&["-bB"]),
        htpasswd(&["-b2"]),
        htpasswd(&["-b5"]),
        htpasswd(&["-b5", "-r", "20000"]),
        htpasswd(&["-bm"]),
    ];
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (user, hash) in [
        ("openssl-5", openssl("-5")),
        ("openssl-6", openssl("-6")),
        ("openssl-apr1", openssl("-apr1")),
        ("argon2i", argon2("-i -t 2 -m 12 -p 1")),
        ("argon2d", argon2("-d -t 2 -m 12 -p 1")),
        ("argon2id", argon2("-id -t 3 -m 14 -p 4")),
    ] {
        text.push_str(&format!("{user}:{hash}\n"));
        users.push(user.to_owned());
    }
    std::fs::write(&file, text).unwrap();
    let (egret, origin) = (builder().arg("--htpasswd").arg(&file).start(), HttpOrigin::start());
    for user in &users {
        assert_eq!(ask(&egret, &origin, Some(&basic(user, PASSWORD))).status(), 200, "{user}");
        assert_eq!(ask(&egret, &origin, Some(&basic(user, "wrong"))).status(), 407, "{user}");
        // Each was wrong once, which is forgiven after each success.
        assert_eq!(ask(&egret, &origin, Some(&basic(user, PASSWORD))).status(), 200, "{user}");
    }
    let log = egret.log();
    assert_eq!(log.matches("is apr1, which is too easily guessed").count(), 2, "{log}");
}

#[test]
fn users_whose_hashes_are_not_supported_cannot_log_in() {
    let it = Setting::with("");
    let des = succeed(client("htpasswd").args(["-nbd", "des", "secret"]));
    let sha = succeed(client("htpasswd").args(["-nbs", "sha", "secret"]));
    let text = format!("{}\n{}\nplain:secret\n{}", des.trim(), sha.trim(), line("alice", "secret"));
    std::fs::write(it.users(), text).unwrap();
    it.egret.wait_for_log("reloaded");
    for user in ["des", "sha", "plain"] {
        assert_eq!(it.ask(Some(&basic(user, "secret"))).status(), 407, "{user}");
    }
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200);
    let log = it.egret.log();
    assert!(log.contains("crypt(3) or plain text") && log.contains("unsalted SHA-1"), "{log}");
    assert!(!log.contains("plain:secret"), "{log}");
}

/// Many logins with expensive hashes at once, while somebody who is known already goes on working.
#[test]
fn password_hashes_do_not_hold_up_others() {
    let it = Setting::with("  checks: 64\n  backoff: {failures: 1000}\n  timeout: 2m\n");
    let hash = succeed(client("htpasswd").args(["-nbB", "-C", "11", "slow", "secret"]));
    std::fs::write(it.users(), format!("{}\n{}", hash.trim(), line("alice", "secret"))).unwrap();
    it.egret.wait_for_log("reloaded");
    let known = basic("alice", "secret");
    assert_eq!(it.ask(Some(&known)).status(), 200);

    let mut guesses: Vec<_> = (0..12)
        .map(|guess| {
            let mut client = it.egret.connect();
            client.send(super::request(&it.origin, Some(&basic("slow", &format!("guess {guess}")))));
            client
        })
        .collect();
    let began = Instant::now();
    let mut served = 0;
    let mut client = it.egret.connect();
    while it.egret.metric("egret_credentials_total{method=\"basic\",result=\"refused\"}") < 12.0 {
        assert_eq!(client.send(super::request(&it.origin, Some(&known))).response("GET").status(), 200);
        served += 1;
        std::thread::sleep(Duration::from_millis(1)); // leaves the machine some room for the guesses
        assert!(began.elapsed() < Duration::from_secs(80), "the guesses are checked");
    }
    assert!(served > 12, "{served} requests were served meanwhile");
    for guess in &mut guesses {
        assert_eq!(guess.response("GET").status(), 407);
    }
}

#[test]
fn more_checks_than_allowed_are_refused_for_now() {
    let it = Setting::with("  checks: 4\n  backoff: {failures: 1000}\n");
    let hash = succeed(client("htpasswd").args(["-nbB", "-C", "12", "slow", "secret"]));
    std::fs::write(it.users(), hash.trim()).unwrap();
    it.egret.wait_for_log("reloaded");
    let mut clients: Vec<_> = (0..8)
        .map(|guess| {
            let mut client = it.egret.connect();
            client.send(super::request(&it.origin, Some(&basic("slow", &format!("guess {guess}")))));
            client
        })
        .collect();
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.response("GET").status()).collect();
    assert!(statuses.contains(&503) && statuses.contains(&407), "{statuses:?}");
    assert!(statuses.iter().all(|status| [407, 503].contains(status)), "nobody gets in: {statuses:?}");
    assert!(it.egret.metric("egret_limit_hits_total{limit=\"credential_checks\"}") >= 1.0);
    let refused = it.egret.records_where(|record| record.status() == 503);
    assert_eq!(refused[0].reason(), "authentication-unavailable");
    wait_for("the checks to be done", egret_testkit::wait::PATIENCE, || {
        (it.ask(Some(&basic("slow", "secret"))).status() == 200).then_some(())
    });
}

#[test]
fn many_requests_of_one_user_are_one_check() {
    let it = Setting::with("  checks: 1\n");
    let hash = succeed(client("htpasswd").args(["-nbB", "-C", "10", "slow", "secret"]));
    std::fs::write(it.users(), hash.trim()).unwrap();
    it.egret.wait_for_log("reloaded");
    let good = basic("slow", "secret");
    let mut clients: Vec<_> = (0..30)
        .map(|_| {
            let mut client = it.egret.connect();
            client.send(super::request(&it.origin, Some(&good)));
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.response("GET").status(), 200);
    }
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"basic\",result=\"accepted\"}"), 1.0);
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"basic\",result=\"remembered\"}"), 29.0);
}
