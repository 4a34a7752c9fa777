//! CONNECT requests (RFC 9110 section 9.3.6, RFC 9112 section 3.2.3).

use super::case::{Case, case, run};

fn connect(name: &'static str, section: &'static str, target: &str) -> Case {
    case(name, section, format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"))
}

fn with(name: &'static str, section: &'static str, lines: &str) -> Case {
    case(name, section, format!("CONNECT {{O}} HTTP/1.1\r\n{lines}\r\n"))
}

#[test]
fn a_tunnel_wants_host_and_port() {
    run(&[
        connect("host and port", "9112 3.2.3", "{O}").tunnelled(),
        connect("no port", "9110 9.3.6", "127.0.0.1").refused(&[400]),
        connect("an empty port", "9110 9.3.6", "127.0.0.1:").refused(&[400]),
        connect("port 0", "9110 9.3.6", "127.0.0.1:0").refused(&[400]),
        connect("port 65536", "9110 9.3.6", "127.0.0.1:65536").refused(&[400]),
        connect("a port with a plus", "9110 9.3.6", "127.0.0.1:+443").refused(&[400]),
        connect("a port that is no number", "9110 9.3.6", "127.0.0.1:https").refused(&[400]),
        connect("two ports", "9110 9.3.6", "127.0.0.1:443:443").refused(&[400]),
        connect("no host", "9110 9.3.6", ":443").refused(&[400]),
        connect("user information", "9110 4.2.4", "user@{O}").refused(&[400]),
        connect("a path", "9112 3.2.3", "{O}/").refused(&[400]),
        connect("a query", "9112 3.2.3", "{O}?x").refused(&[400]),
        connect("a fragment", "9112 3.2.3", "{O}#x").refused(&[400]),
        connect("absolute-form", "9112 3.2.3", "http://{O}").refused(&[400]),
        connect("origin-form", "9112 3.2.3", "/").refused(&[400]),
        connect("asterisk-form", "9112 3.2.3", "*").refused(&[400]),
        connect("IPv6 without brackets", "3986 3.2.2", "::1:443").refused(&[400]),
        connect("an open bracket", "3986 3.2.2", "[::1:443").refused(&[400]),
        connect("brackets without a port", "9110 9.3.6", "[::1]").refused(&[400]),
        connect("garbage after the bracket", "3986 3.2.2", "[::1]x:443").refused(&[400]),
        connect("a backslash", "3986 3.2.2", "127.0.0.1\\:443").refused(&[400]),
        connect("NUL", "9112 3.2.3", "127.0.0.1\0:443").refused(&[400]),
    ]);
}

#[test]
fn a_connect_request_has_a_strict_head() {
    run(&[
        with("no Host in HTTP/1.1", "9112 3.2", "").refused(&[400]),
        with("two Hosts", "9112 3.2", "Host: {O}\r\nHost: {O}\r\n").refused(&[400]),
        with("a Host of another name", "9112 3.2", "Host: elsewhere.example:443\r\n").refused(&[400]),
        // Clients are many that leave the port away here.
        with("a Host without the port", "9112 3.2", "Host: 127.0.0.1\r\n").tunnelled().refused(&[400]),
        with("an announced body", "9110 9.3.6", "Host: {O}\r\nContent-Length: 5\r\n").refused(&[400]),
        with("an announced chunked body", "9110 9.3.6", "Host: {O}\r\nTransfer-Encoding: chunked\r\n")
            .refused(&[400, 501]),
        with("both lengths", "9112 6.1", "Host: {O}\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n")
            .refused(&[400, 501]),
        with("a length of zero", "9110 9.3.6", "Host: {O}\r\nContent-Length: 0\r\n")
            .tunnelled()
            .refused(&[400]),
        with("obs-fold", "9112 5.2", "Host: {O}\r\nX: y\r\n z\r\n").refused(&[400]),
        with("a bare LF", "9112 2.2", "Host: {O}\nX: y\r\n").refused(&[400]),
        with(
            "fields that browsers send",
            "9110 9.3.6",
            "Host: {O}\r\nProxy-Connection: keep-alive\r\nUser-Agent: x\r\n",
        )
        .tunnelled(),
        case("HTTP/1.0 without Host", "9112 3.2", "CONNECT {O} HTTP/1.0\r\n\r\n").tunnelled(),
        case("HTTP/1.0 with Host", "9112 3.2", "CONNECT {O} HTTP/1.0\r\nHost: {O}\r\n\r\n").tunnelled(),
        case("lower case is another method", "9110 9.1", "connect {O} HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .refused(&[400, 501]),
        case("the proxy itself", "9110 7.6.3", "CONNECT {P} HTTP/1.1\r\nHost: {P}\r\n\r\n")
            .answered(&[403, 502, 508]),
    ]);
}

#[test]
fn what_was_meant_for_a_refused_tunnel_is_no_request() {
    let next = "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n";
    let refused = |name, connect: &str| case(name, "9110 9.3.6", format!("{connect}{next}"));
    run(&[
        refused("to the proxy itself", "CONNECT {P} HTTP/1.1\r\nHost: {P}\r\n\r\n").refused(&[403, 502, 508]),
        refused("to nobody", "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n").refused(&[502]),
    ]);
}
