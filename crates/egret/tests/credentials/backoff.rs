//! Whoever guesses is slowed down.

use super::{Setting, basic, reason};

#[test]
fn an_address_that_guesses_is_not_checked_for_a_while() {
    let it = Setting::with("  backoff: {failures: 3, delay: 5m, maxDelay: 10m}\n");
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200);
    for guess in 0..4 {
        let answer = it.ask(Some(&basic("alice", &format!("guess {guess}"))));
        assert_eq!((answer.status(), reason(&answer).as_str()), (407, "credentials-refused"), "{guess}");
    }
    let blocked = it.ask(Some(&basic("alice", "another guess")));
    assert_eq!((blocked.status(), reason(&blocked).as_str()), (429, "too-many-failed-logins"));
    let wait: u64 = blocked.fields.first("Retry-After").unwrap().parse().unwrap();
    assert!((290..=300).contains(&wait), "{wait}");
    assert_eq!(blocked.fields.all("Retry-After").count(), 1);
    assert_eq!(it.egret.metric("egret_limit_hits_total{limit=\"login_failures\"}"), 1.0);
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"basic\",result=\"blocked\"}"), 1.0);
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200, "who is known goes on");
    let (client, tunnel) = it.egret.tunnel("127.0.0.1:1");
    assert_eq!(tunnel.status(), 407, "and who sends none is told what to send");
    drop(client);
}

#[test]
fn the_same_wrong_password_again_is_no_further_guess() {
    let it = Setting::with("  cache: {refused: 0s}\n  backoff: {failures: 2, delay: 5m}\n");
    for _ in 0..20 {
        let answer = it.ask(Some(&basic("alice", "last year's")));
        assert_eq!((answer.status(), reason(&answer).as_str()), (407, "credentials-refused"));
    }
    assert_eq!(
        it.ask(Some(&basic("alice", "secret"))).status(),
        200,
        "others of the address are not concerned"
    );
}

#[test]
fn the_time_is_over_after_a_while() {
    let it = Setting::with("  backoff: {failures: 0, delay: 1s, maxDelay: 1s}\n");
    assert_eq!(it.ask(Some(&basic("alice", "guess"))).status(), 407);
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 429);
    egret_testkit::wait_for("the end of the time", egret_testkit::wait::PATIENCE, || {
        (it.ask(Some(&basic("alice", "secret"))).status() == 200).then_some(())
    });
}
