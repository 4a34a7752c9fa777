//! Status lines and field lines of responses (RFC 9112 sections 4 and 5).

use super::reply::{Reply, SECRET, reply, run};

fn line(name: &'static str, section: &'static str, status_line: &str) -> Reply {
    reply(name, section, format!("{status_line}\r\nContent-Length: 2\r\nX: {SECRET}\r\n\r\nok"))
}

fn field(name: &'static str, section: &'static str, lines: &str) -> Reply {
    reply(name, section, format!("HTTP/1.1 200 OK\r\nX: {SECRET}\r\nContent-Length: 2\r\n{lines}\r\nok"))
}

#[test]
fn the_status_line_is_read_strictly() {
    run(&[
        line("plain", "9112 4", "HTTP/1.1 200 OK").delivered(200, "ok"),
        line("an empty reason phrase", "9112 4", "HTTP/1.1 200 ").delivered(200, "ok"),
        line("no space after the code", "9112 4", "HTTP/1.1 200").delivered(200, "ok").bad_gateway(),
        line("a long reason phrase", "9112 4", &format!("HTTP/1.1 200 {}", "very ".repeat(100)))
            .delivered(200, "ok"),
        line("bytes above 127 in the phrase", "9112 4", "HTTP/1.1 200 \u{c3}\u{a9}").delivered(200, "ok"),
        line("an unknown code", "9110 15", "HTTP/1.1 299 Odd").delivered(299, "ok"),
        line("a code above 599", "9110 15", "HTTP/1.1 799 Odd").delivered(799, "ok").bad_gateway(),
        line("two digits", "9112 4", "HTTP/1.1 20 OK").bad_gateway(),
        line("four digits", "9112 4", "HTTP/1.1 2000 OK").bad_gateway(),
        line("a code of letters", "9112 4", "HTTP/1.1 abc OK").bad_gateway(),
        line("a negative code", "9112 4", "HTTP/1.1 -20 OK").bad_gateway(),
        line("code 000", "9110 15", "HTTP/1.1 000 OK").bad_gateway(),
        line("code 099", "9110 15", "HTTP/1.1 099 OK").bad_gateway(),
        line("two spaces", "9112 4", "HTTP/1.1  200 OK").bad_gateway(),
        line("a tab", "9112 4", "HTTP/1.1\t200 OK").bad_gateway(),
        line("a space in front", "9112 4", " HTTP/1.1 200 OK").bad_gateway(),
        line("another protocol", "9112 4", "ICY 200 OK").bad_gateway(),
        line("lower case", "9112 2.3", "http/1.1 200 OK").bad_gateway(),
        line("HTTP/2.0", "9112 2.3", "HTTP/2.0 200 OK").bad_gateway(),
        line("HTTP/0.9", "9112 2.3", "HTTP/0.9 200 OK").bad_gateway(),
        line("HTTP/1.10", "9112 2.3", "HTTP/1.10 200 OK").bad_gateway(),
        line("HTTP/1.2", "9112 2.3", "HTTP/1.2 200 OK").delivered(200, "ok").bad_gateway(),
        line("NUL in the phrase", "9112 4", "HTTP/1.1 200 O\0K").bad_gateway(),
        line("a bare CR in the phrase", "9112 2.2", "HTTP/1.1 200 O\rK").bad_gateway(),
        reply(
            "a bare LF at its end",
            "9112 2.2",
            format!("HTTP/1.1 200 OK\nX: {SECRET}\r\nContent-Length: 2\r\n\r\nok"),
        )
        .bad_gateway(),
        reply("no head at all", "9112 4", format!("<html>{SECRET}</html>\r\n\r\n")).bad_gateway(),
        reply("nothing", "9112 9.5", "").bad_gateway(),
        reply("half a status line", "9112 8", format!("HTTP/1.1 200 {SECRET}")).bad_gateway(),
        reply("half a head", "9112 8", format!("HTTP/1.1 200 OK\r\nX: {SECRET}\r\n")).bad_gateway(),
    ]);
}

#[test]
fn malformed_response_fields_are_refused() {
    run(&[
        field("obs-fold", "9112 5.2", "X-A: b\r\n c\r\n")
            .bad_gateway()
            .delivered(200, "ok")
            .with("X-A", "b c"),
        field("a space before the colon", "9112 5.1", "X-A : b\r\n").bad_gateway().delivered(200, "ok"),
        field("a space before the colon of a length", "9112 5.1", "Content-Length : 1\r\n").bad_gateway(),
        field("no colon", "9112 5", "X-A\r\n").bad_gateway(),
        field("no name", "9112 5", ": b\r\n").bad_gateway(),
        field("a bad name", "9110 5.1", "X A: b\r\n").bad_gateway(),
        field("NUL in a name", "9110 5.1", "X\0A: b\r\n").bad_gateway(),
        field("NUL in a value", "9110 5.5", "X-A: b\0\r\n").bad_gateway(),
        field("a bare CR in a value", "9112 2.2", "X-A: b\rc\r\n").bad_gateway(),
        field("a bare CR that splits", "9112 11.1", "X-A: b\r\r\nSet-Cookie: evil=1\r\n").bad_gateway(),
        field("a bare LF", "9112 2.2", "X-A: b\nSet-Cookie: evil=1\r\n").bad_gateway(),
        field("300 fields", "9110 5.4", &"X-A: b\r\n".repeat(300)).bad_gateway(),
        field("a field of 200 KiB", "9110 5.4", &format!("X-A: {}\r\n", "v".repeat(200 * 1024)))
            .bad_gateway(),
        reply(
            "whitespace before the first field",
            "9112 2.2",
            format!("HTTP/1.1 200 OK\r\n X: {SECRET}\r\nContent-Length: 2\r\n\r\nok"),
        )
        .bad_gateway(),
        reply(
            "a head that does not end",
            "9110 5.4",
            format!("HTTP/1.1 200 OK\r\nX: {SECRET}{}", "v".repeat(1024 * 1024)),
        )
        .held()
        .bad_gateway(),
    ]);
}

#[test]
fn response_fields_are_passed_or_end_here() {
    run(&[
        field("bytes above 127", "9110 5.5", "X-A: \u{c3}\u{a9}\r\n")
            .delivered(200, "ok")
            .with("X-A", "\u{c3}\u{a9}"),
        field("an empty value", "9110 5.5", "X-A:\r\n").delivered(200, "ok").with("X-A", ""),
        field("two Set-Cookie stay apart", "6265 3", "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n")
            .delivered(200, "ok")
            .with("Set-Cookie", "a=b")
            .with("Set-Cookie", "c=d"),
        field("Connection and what it names", "9110 7.6.1", "Connection: X-Hop\r\nX-Hop: 1\r\nX-B: 2\r\n")
            .delivered(200, "ok")
            .without("X-Hop")
            .with("X-B", "2"),
        field("Keep-Alive", "9110 7.6.1", "Keep-Alive: timeout=5\r\n")
            .delivered(200, "ok")
            .without("Keep-Alive"),
        field("Proxy-Connection", "9110 7.6.1", "Proxy-Connection: close\r\n")
            .delivered(200, "ok")
            .without("Proxy-Connection"),
        field("Proxy-Authenticate of an origin", "9110 11.7.1", "Proxy-Authenticate: Basic realm=x\r\n")
            .delivered(200, "ok")
            .without("Proxy-Authenticate"),
        field("the origin's challenge is the client's", "9110 11.6.1", "WWW-Authenticate: Basic realm=x\r\n")
            .delivered(200, "ok")
            .with("WWW-Authenticate", "Basic realm=x"),
        field(
            "Date and Server are the origin's",
            "9110 6.6.1",
            "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: old\r\n",
        )
        .delivered(200, "ok")
        .with("Date", "Mon, 01 Jan 2024 00:00:00 GMT")
        .with("Server", "old"),
    ]);
}
