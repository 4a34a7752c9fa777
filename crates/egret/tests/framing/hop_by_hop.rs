//! What ends at the proxy (RFC 9110 section 7.6) and what it adds.

use super::case::{Case, case, run};

fn with(name: &'static str, section: &'static str, lines: &str) -> Case {
    case(name, section, format!("GET http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\n{lines}\r\n"))
}

fn upstream(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {{O}}\r\n{lines}\r\n")
}

#[test]
fn connection_fields_end_at_the_proxy() {
    run(&[
        with(
            "Connection and what it names",
            "9110 7.6.1",
            "Connection: X-Secret\r\nX-Secret: 1\r\nX-B: 2\r\n",
        )
        .passed(upstream("X-B: 2\r\n")),
        with("names in another case", "9110 7.6.1", "Connection: x-secret\r\nX-SECRET: 1\r\n")
            .passed(upstream("")),
        with("named before it stands", "9110 7.6.1", "X-Secret: 1\r\nConnection: X-Secret\r\n")
            .passed(upstream("")),
        with(
            "several Connection lines",
            "9110 7.6.1",
            "Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\nConnection: keep-alive, X-B\r\n",
        )
        .passed(upstream("")),
        with(
            "a list with empty elements",
            "9110 5.6.1",
            "Connection: ,, X-A ,,X-B,\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n",
        )
        .passed(upstream("X-C: 3\r\n")),
        with("a name that is not there", "9110 7.6.1", "Connection: X-Absent\r\nX-B: 2\r\n")
            .passed(upstream("X-B: 2\r\n")),
        with("every line of a named field", "9110 7.6.1", "Connection: X-A\r\nX-A: 1\r\nX-A: 2\r\n")
            .passed(upstream("")),
        with("Keep-Alive", "9110 7.6.1", "Keep-Alive: timeout=5\r\n").passed(upstream("")),
        with("Proxy-Connection", "9110 7.6.1", "Proxy-Connection: keep-alive\r\n").passed(upstream("")),
        with(
            "Proxy-Authorization is not for the origin",
            "9110 11.7.2",
            "Proxy-Authorization: Basic eDp5\r\n",
        )
        .passed(upstream("")),
        with("TE", "9110 7.6.1", "TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n")
            .passed(upstream(""))
            .passed(upstream("TE: trailers\r\nConnection: TE\r\n")),
        with("Upgrade that Connection does not name", "9110 7.8", "Upgrade: websocket\r\n")
            .passed(upstream("")),
        with("Connection: close is for this hop", "9112 9.6", "Connection: close\r\nX-A: 1\r\n")
            .passed(upstream("X-A: 1\r\n")),
    ]);
}

/// Connection cannot take away what a message is framed or routed by (RFC 9110 section 7.6.1: it names
/// no field that is meant for all recipients).
#[test]
fn connection_cannot_take_away_framing() {
    run(&[
        case("naming Host", "9110 7.6.1", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Host\r\n\r\n")
            .refused(&[400])
            .passed(upstream("")),
        case(
            "naming Content-Length",
            "9110 7.6.1",
            "POST http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc",
        )
        .refused(&[400])
        .passed("POST / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 3\r\n\r\nabc"),
        case(
            "naming Transfer-Encoding",
            "9110 7.6.1",
            "POST http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        )
        .refused(&[400])
        .passed("POST / HTTP/1.1\r\nHost: {O}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        case("no token", "9110 7.6.1", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nConnection: a b\r\n\r\n")
            .refused(&[400])
            .passed(upstream("")),
    ]);
}

#[test]
fn via_is_added_and_finds_loops() {
    run(&[
        // That Via is added is checked in every case that is passed.
        with("a Via that came is kept", "9110 7.6.3", "X-A: 1\r\nVia: 1.0 first\r\n")
            .passed(upstream("X-A: 1\r\n")),
        with("our own name is a loop", "9110 7.6.3", "Via: 1.1 egret-under-test\r\n")
            .answered(&[400, 502, 508]),
        with(
            "our own name among others is a loop",
            "9110 7.6.3",
            "Via: 1.0 first, 1.1 egret-under-test (x), 1.1 last\r\n",
        )
        .answered(&[400, 502, 508]),
        with(
            "our own name within another is none",
            "9110 7.6.3",
            "Via: 1.1 egret-under-test-two, 1.1 not.egret-under-test\r\n",
        )
        .passed(upstream("")),
        with("our own name in a comment is none", "9110 7.6.3", "Via: 1.1 first (1.1 egret-under-test)\r\n")
            .passed(upstream("")),
    ]);
}
