//! The Host field against the target (RFC 9112 sections 3.2 and 3.2.2, RFC 9110 section 7.2).

use super::case::{Case, case, run};

fn with_hosts(name: &'static str, section: &'static str, hosts: &str) -> Case {
    case(name, section, format!("GET http://{{O}}/ HTTP/1.1\r\n{hosts}\r\n"))
}

#[test]
fn host_must_be_there_once_and_agree() {
    let good = "GET / HTTP/1.1\r\nHost: {O}\r\n\r\n";
    run(&[
        with_hosts("missing in HTTP/1.1", "9112 3.2", "").refused(&[400]),
        with_hosts("twice, the same", "9112 3.2", "Host: {O}\r\nHost: {O}\r\n").refused(&[400]),
        with_hosts("twice, differing", "9112 3.2", "Host: {O}\r\nHost: elsewhere.example\r\n")
            .refused(&[400]),
        with_hosts("twice, in different case", "9112 3.2", "Host: {O}\r\nhOST: {O}\r\n").refused(&[400]),
        with_hosts("another host than the target", "9112 3.2.2", "Host: elsewhere.example\r\n")
            .refused(&[400]),
        with_hosts("another port than the target", "9112 3.2.2", "Host: 127.0.0.1:1\r\n").refused(&[400]),
        with_hosts("empty", "9112 3.2", "Host:\r\n").refused(&[400]),
        with_hosts("a list", "9112 3.2", "Host: {O}, {O}\r\n").refused(&[400]),
        with_hosts("with a path", "9112 3.2", "Host: {O}/path\r\n").refused(&[400]),
        with_hosts("with a scheme", "9112 3.2", "Host: http://{O}\r\n").refused(&[400]),
        with_hosts("with user information", "9110 7.2", "Host: user@{O}\r\n").refused(&[400]),
        with_hosts("with a space within", "9112 3.2", "Host: {O} elsewhere\r\n").refused(&[400]),
        with_hosts("with a tab within", "9112 3.2", "Host: {O}\telsewhere\r\n").refused(&[400]),
        with_hosts("with a bad port", "9112 3.2", "Host: 127.0.0.1:80x\r\n").refused(&[400]),
        with_hosts("with a byte above 127", "9112 3.2", "Host: {O}\u{a0}\r\n").refused(&[400]),
        with_hosts("with surrounding whitespace", "9110 5.5", "Host: \t{O} \t\r\n").passed(good),
        with_hosts("in lower case, name kept", "9110 5.1", "host: {O}\r\n")
            .passed("GET / HTTP/1.1\r\nhost: {O}\r\n\r\n")
            .passed(good),
    ]);
}

#[test]
fn http_1_0_may_come_without_host_and_leaves_with_one() {
    let good = "GET /x HTTP/1.1\r\nHost: {O}\r\n\r\n";
    let old = "GET /x HTTP/1.0\r\nHost: {O}\r\n\r\n"; // a proxy may also speak 1.0 upstream for a 1.0 client
    run(&[
        case("no Host", "9112 3.2", "GET http://{O}/x HTTP/1.0\r\n\r\n").passed(good).passed(old),
        case("with Host", "9112 3.2", "GET http://{O}/x HTTP/1.0\r\nHost: {O}\r\n\r\n")
            .passed(good)
            .passed(old),
        case("contradicting Host", "9112 3.2.2", "GET http://{O}/x HTTP/1.0\r\nHost: elsewhere\r\n\r\n")
            .refused(&[400]),
        case("two Hosts", "9112 3.2", "GET http://{O}/x HTTP/1.0\r\nHost: {O}\r\nHost: {O}\r\n\r\n")
            .refused(&[400]),
        case(
            "asked to be kept alive",
            "9112 9.3",
            "GET http://{O}/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        )
        .passed(good)
        .passed(old),
    ]);
}

/// `http://NAME:PORT` with a Host that means the same but is spelled otherwise.
#[test]
fn spelling_is_no_contradiction() {
    let port = |text: &str| text.to_owned();
    run(&[
        case(
            "the name's case",
            "9110 4.2.3",
            port("GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nX-Kept: LOCALHOST\r\n\r\n"),
        )
        .passed("GET / HTTP/1.1\r\nHost: {O}\r\nX-Kept: LOCALHOST\r\n\r\n"),
        case(
            "IPv4 mapped into IPv6 is another spelling: refused or replaced, never both",
            "9112 3.2.2",
            "GET http://{O}/ HTTP/1.1\r\nHost: [::ffff:127.0.0.1]:80\r\n\r\n",
        )
        .refused(&[400]),
    ]);
}
