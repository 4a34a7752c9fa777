//! The request line (RFC 9112 sections 2.3 and 3) and what stands before it.

use super::case::{case, run};

#[test]
fn the_request_line_is_read_strictly() {
    let good = "GET / HTTP/1.1\r\nHost: {O}\r\n\r\n";
    let rest = "\r\nHost: {O}\r\n\r\n";
    run(&[
        case("plain GET", "9112 3", "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n").passed(good),
        case("one empty line before it", "9112 2.2", "\r\nGET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .passed(good),
        case("a bare LF before it", "9112 2.2", "\nGET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .refused(&[400])
            .passed(good),
        case("a bare CR before it", "9112 2.2", "\rGET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .refused(&[400]),
        case("a space before it", "9112 2.2", " GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n")
            .refused(&[400]),
        case("two spaces after the method", "9112 3", format!("GET  http://{{O}}/ HTTP/1.1{rest}"))
            .refused(&[400]),
        case("two spaces before the version", "9112 3", format!("GET http://{{O}}/  HTTP/1.1{rest}"))
            .refused(&[400]),
        case("a tab after the method", "9112 3", format!("GET\thttp://{{O}}/ HTTP/1.1{rest}"))
            .refused(&[400]),
        case("a tab before the version", "9112 3", format!("GET http://{{O}}/\tHTTP/1.1{rest}"))
            .refused(&[400]),
        case("a vertical tab for a space", "9112 3", format!("GET\u{b}http://{{O}}/ HTTP/1.1{rest}"))
            .refused(&[400]),
        case("a space after the version", "9112 3", format!("GET http://{{O}}/ HTTP/1.1 {rest}"))
            .refused(&[400]),
        case("a fourth word", "9112 3", format!("GET http://{{O}}/ HTTP/1.1 more{rest}")).refused(&[400]),
        case("a bare LF at its end", "9112 2.2", "GET http://{O}/ HTTP/1.1\nHost: {O}\r\n\r\n")
            .refused(&[400]),
        case("two CR at its end", "9112 2.2", "GET http://{O}/ HTTP/1.1\r\r\nHost: {O}\r\n\r\n")
            .refused(&[400]),
        case("NUL in the target", "9112 3.2", format!("GET http://{{O}}/\0 HTTP/1.1{rest}")).refused(&[400]),
        case("no target", "9112 3", "GET HTTP/1.1\r\nHost: {O}\r\n\r\n").refused(&[400]),
        case("no method", "9112 3", " http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n").refused(&[400]),
        case("one word", "9112 3", "GARBAGE\r\n\r\n").refused(&[400]),
    ]);
}

#[test]
fn the_version_is_read_strictly() {
    let with = |version: &str| format!("GET http://{{O}}/ {version}\r\nHost: {{O}}\r\n\r\n");
    let good = "GET / HTTP/1.1\r\nHost: {O}\r\n\r\n";
    run(&[
        case("HTTP/0.9 without a version", "9112 3", "GET http://{O}/\r\n\r\n").refused(&[400, 505]),
        case("HTTP/0.9 spelled out", "9110 15.6.6", with("HTTP/0.9")).refused(&[400, 505]),
        case("a higher minor version is served as 1.1", "9112 2.3", with("HTTP/1.2"))
            .passed(good)
            .refused(&[400, 505]),
        case("HTTP/2.0", "9110 15.6.6", with("HTTP/2.0")).refused(&[400, 505]),
        case("HTTP/3.0", "9110 15.6.6", with("HTTP/3.0")).refused(&[400, 505]),
        case("lower case", "9112 2.3", with("http/1.1")).refused(&[400, 505]),
        case("mixed case", "9112 2.3", with("Http/1.1")).refused(&[400, 505]),
        case("two digits", "9112 2.3", with("HTTP/1.10")).refused(&[400, 505]),
        case("two digits in front", "9112 2.3", with("HTTP/11.1")).refused(&[400, 505]),
        case("a leading zero", "9112 2.3", with("HTTP/01.1")).refused(&[400, 505]),
        case("no minor version", "9112 2.3", with("HTTP/1")).refused(&[400, 505]),
        case("no digits", "9112 2.3", with("HTTP/x.y")).refused(&[400, 505]),
        case("a comma for the dot", "9112 2.3", with("HTTP/1,1")).refused(&[400, 505]),
        case("another protocol's name", "9112 2.3", with("ICAP/1.0")).refused(&[400, 505]),
        case("a space within", "9112 2.3", with("HTTP /1.1")).refused(&[400, 505]),
    ]);
}

#[test]
fn methods_are_tokens_and_case_matters() {
    let with = |method: &str| format!("{method} http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\n\r\n");
    let upstream = |method: &str| format!("{method} / HTTP/1.1\r\nHost: {{O}}\r\n\r\n");
    let long = "M".repeat(8 * 1024);
    run(&[
        case("an unknown method is passed on", "9110 9.1", with("PROPFIND")).passed(upstream("PROPFIND")),
        case("lower case is another method, passed as it is", "9110 9.1", with("get"))
            .passed(upstream("get")),
        case("every character of a token", "9110 5.6.2", with("!#$%&'*+-.^_`|~A0"))
            .passed(upstream("!#$%&'*+-.^_`|~A0")),
        case("a parenthesis", "9110 9.1", with("GE(T")).refused(&[400]),
        case("a colon", "9110 9.1", with("GET:")).refused(&[400]),
        case("a slash", "9110 9.1", with("GE/T")).refused(&[400]),
        case("a quote", "9110 9.1", with("\"GET\"")).refused(&[400]),
        case("NUL", "9110 9.1", with("GE\0T")).refused(&[400]),
        case("a control character", "9110 9.1", with("GE\u{7f}T")).refused(&[400]),
        case("a byte above 127", "9110 9.1", with("GÉT")).refused(&[400]),
        case("8 KiB of method", "9112 3", with(&long)).refused(&[400, 414, 431, 501]).passed(upstream(&long)),
    ]);
}
