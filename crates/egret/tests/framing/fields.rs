//! Field lines (RFC 9112 section 5, RFC 9110 section 5).

use super::case::{Case, case, run};

fn with(name: &'static str, section: &'static str, lines: &str) -> Case {
    case(name, section, format!("GET http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\n{lines}\r\n"))
}

fn upstream(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {{O}}\r\n{lines}\r\n")
}

#[test]
fn malformed_fields_are_refused() {
    run(&[
        with("a space before the colon", "9112 5.1", "X-A : b\r\n").refused(&[400]),
        with("a tab before the colon", "9112 5.1", "X-A\t: b\r\n").refused(&[400]),
        with("no colon", "9112 5", "X-A\r\n").refused(&[400]),
        with("no name", "9112 5", ": b\r\n").refused(&[400]),
        with("a space within the name", "9110 5.1", "X A: b\r\n").refused(&[400]),
        with("a parenthesis in the name", "9110 5.1", "X(A): b\r\n").refused(&[400]),
        with("a slash in the name", "9110 5.1", "X/A: b\r\n").refused(&[400]),
        with("NUL in the name", "9110 5.1", "X\0A: b\r\n").refused(&[400]),
        with("a byte above 127 in the name", "9110 5.1", "X\u{e9}A: b\r\n").refused(&[400]),
        with("a control character in the name", "9110 5.1", "X\u{b}A: b\r\n").refused(&[400]),
        with("NUL in the value", "9110 5.5", "X-A: b\0c\r\n").refused(&[400]),
        with("a bare CR in the value", "9112 2.2", "X-A: b\rc\r\n").refused(&[400]),
        with("a bare CR and a field after it", "9112 2.2", "X-A: b\rX-B: c\r\n").refused(&[400]),
        with("a bare LF in the value", "9112 2.2", "X-A: b\nX-B: c\r\n").refused(&[400]),
        with("a bare LF at the line's end", "9112 2.2", "X-A: b\n").refused(&[400]),
        with("two CR at the line's end", "9112 2.2", "X-A: b\r\r\n").refused(&[400]),
        with("obs-fold with a space", "9112 5.2", "X-A: b\r\n c\r\n").refused(&[400]),
        with("obs-fold with a tab", "9112 5.2", "X-A: b\r\n\tc\r\n").refused(&[400]),
        with("obs-fold that hides a field", "9112 5.2", "X-A: b\r\n Content-Length: 5\r\n").refused(&[400]),
        with("a line of whitespace", "9112 2.2", " \r\n").refused(&[400]),
        with("a control character in the value", "9110 5.5", "X-A: b\u{1}c\r\n").refused(&[400]),
        with("DEL in the value", "9110 5.5", "X-A: b\u{7f}c\r\n").refused(&[400]),
        case(
            "whitespace before the first field",
            "9112 2.2",
            "GET http://{O}/ HTTP/1.1\r\n X: y\r\nHost: {O}\r\n\r\n",
        )
        .refused(&[400]),
        case("bare LF throughout", "9112 2.2", "GET http://{O}/ HTTP/1.1\nHost: {O}\n\n").refused(&[400]),
        case("bare LF ends the head", "9112 2.2", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\n")
            .refused(&[400]),
        case("bare CR ends the head", "9112 2.2", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\rX\r\n\r\n")
            .refused(&[400]),
    ]);
}

#[test]
fn well_formed_fields_are_passed_as_they_are() {
    run(&[
        with("order and case", "9110 5.3", "x-B: 1\r\nX-a: 2\r\nX-B: 3\r\n")
            .passed(upstream("x-B: 1\r\nX-a: 2\r\nX-B: 3\r\n")),
        with("an empty value", "9110 5.5", "X-A:\r\n").passed(upstream("X-A:\r\n")),
        with("no space after the colon", "9112 5", "X-A:b\r\n").passed(upstream("X-A: b\r\n")),
        with("whitespace around the value", "9112 5.1", "X-A: \t b \t\r\n").passed(upstream("X-A: b\r\n")),
        with("whitespace within the value", "9110 5.5", "X-A: b \t c\r\n")
            .passed(upstream("X-A: b \t c\r\n")),
        with("bytes above 127 in the value", "9110 5.5", "X-A: \u{c3}\u{a9}\u{ff}\r\n")
            .passed(upstream("X-A: \u{c3}\u{a9}\u{ff}\r\n")),
        with("colons in the value", "9110 5.5", "X-A: a:b: c\r\n").passed(upstream("X-A: a:b: c\r\n")),
        with("a quoted string with everything", "9110 5.6.4", "X-A: \"a, b\\\" ;\"\r\n")
            .passed(upstream("X-A: \"a, b\\\" ;\"\r\n")),
        with("every character of a name", "9110 5.1", "!#$%&'*+-.^_`|~09: b\r\n")
            .passed(upstream("!#$%&'*+-.^_`|~09: b\r\n")),
        with("cookies stay apart", "6265 5.4", "Cookie: a=b\r\nCookie: c=d\r\n")
            .passed(upstream("Cookie: a=b\r\nCookie: c=d\r\n")),
        with("X-Forwarded-For is left alone by default", "7239", "X-Forwarded-For: 192.0.2.1\r\n")
            .passed(upstream("X-Forwarded-For: 192.0.2.1\r\n")),
        with(
            "trace context is passed on",
            "9110 7.6",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n",
        )
        .passed(upstream(
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n",
        )),
        with("conditions are for the origin", "9110 13", "If-None-Match: \"x\"\r\nRange: bytes=0-1\r\n")
            .passed(upstream("If-None-Match: \"x\"\r\nRange: bytes=0-1\r\n")),
        with("credentials for the origin", "9110 11.6.2", "Authorization: Basic eDp5\r\n")
            .passed(upstream("Authorization: Basic eDp5\r\n")),
        with("a value of 8 KiB", "9112 5", &format!("X-A: {}\r\n", "v".repeat(8192)))
            .passed(upstream(&format!("X-A: {}\r\n", "v".repeat(8192)))),
    ]);
}
