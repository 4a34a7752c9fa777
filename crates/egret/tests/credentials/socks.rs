//! The same users over SOCKS.

use egret_testkit::RawClient;
use egret_testkit::tools::{client, run, succeed};

use super::{Setting, sorted};

/// User and password as RFC 1929 sends them.
fn login(user: &str, password: &str) -> Vec<u8> {
    let mut bytes = vec![1, u8::try_from(user.len()).unwrap()];
    bytes.extend(user.as_bytes());
    bytes.push(u8::try_from(password.len()).unwrap());
    bytes.extend(password.as_bytes());
    bytes
}

fn connect(it: &Setting, methods: &[u8]) -> (RawClient, Vec<u8>) {
    let mut client = it.egret.connect();
    client.send(methods);
    let answer = client.take(2);
    (client, answer)
}

#[test]
fn curl_logs_in_over_socks() {
    let it = Setting::with("");
    let curl = |user: &str| {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "-x", &format!("socks5h://{user}{}", it.egret.address())]);
        command.arg(it.origin.url("/"));
        command
    };
    assert_eq!(succeed(&mut curl("alice:secret@")), "origin\n");
    for user in ["alice:wrong@", "mallory:secret@", ""] {
        assert!(!run(&mut curl(user)).status.success(), "{user}");
    }
    let record = it.egret.record(|record| record.status() == 200);
    assert_eq!((record.text("user"), record.text("downstream")), ("alice".to_owned(), "SOCKS5".to_owned()));
    let reasons = sorted(&it.egret.exactly(4), "reason");
    assert_eq!(reasons, ["", "authentication-required", "credentials-refused", "credentials-refused"]);
    assert_eq!(it.origin.accepted(), 1, "nobody else got through");
}

#[test]
fn no_way_leads_around_the_question() {
    let it = Setting::with("");
    assert_eq!(connect(&it, &[5, 1, 0]).1, [5, 0xff], "no authentication alone is not enough");
    assert_eq!(connect(&it, &[5, 2, 0, 1]).1, [5, 0xff]);
    assert_eq!(connect(&it, &[5, 2, 0, 2]).1, [5, 2], "a password is chosen where one is offered");
    let (mut client, _) = connect(&it, &[5, 1, 2]);
    client.send(login("alice", "wrong"));
    assert_eq!(client.take(2), [1, 1]);
    let (mut client, _) = connect(&it, &[5, 1, 2]);
    client.send(login("alice", ""));
    assert_eq!(client.take(2), [1, 1], "an empty password is nobody's");
    let address = it.origin.address();
    let mut version_4 = vec![4, 1];
    version_4.extend(address.port().to_be_bytes());
    version_4.extend([127, 0, 0, 1]);
    version_4.extend(b"alice\0");
    let mut client = it.egret.connect();
    client.send(version_4);
    assert_eq!(client.take(2), [0, 91], "SOCKS4 carries no password");
    assert_eq!(it.origin.accepted(), 0);
}

#[test]
fn optional_credentials_may_be_left_out() {
    let it = Setting::with("  required: false\n");
    assert_eq!(connect(&it, &[5, 1, 0]).1, [5, 0]);
    let (mut client, answer) = connect(&it, &[5, 2, 0, 2]);
    assert_eq!(answer, [5, 2]);
    client.send(login("alice", "wrong"));
    assert_eq!(client.take(2), [1, 1]);
}
