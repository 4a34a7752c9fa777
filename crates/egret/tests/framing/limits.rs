//! Sizes (RFC 9112 section 3 and RFC 9110 sections 5.4 and 15.5): up to the limit it passes, beyond it
//! there is a status that says so.

use super::case::{case, run};

#[test]
fn heads_have_a_limit() {
    let request = |line: &str, fields: &str| format!("GET {line} HTTP/1.1\r\nHost: {{O}}\r\n{fields}\r\n");
    let many = |count: usize| (0..count).map(|i| format!("X-{i}: v\r\n")).collect::<String>();
    let long = format!("X: {}\r\n", "v".repeat(80 * 1024));
    let endless = "v".repeat(2 * 1024 * 1024);
    let path = "a".repeat(15_000);
    let too_long = "a".repeat(20_000);
    run(&[
        case("190 fields", "9110 5.4", request("http://{O}/", &many(190)))
            .passed(format!("GET / HTTP/1.1\r\nHost: {{O}}\r\n{}\r\n", many(190))),
        case("300 fields", "6585 5", request("http://{O}/", &many(300))).refused(&[431]),
        case("a field of 80 KiB", "6585 5", request("http://{O}/", &long)).refused(&[431]),
        case("20000 fields", "6585 5", request("http://{O}/", &many(20_000))).refused(&[431]),
        case("a field that does not end", "6585 5", format!("GET http://{{O}}/ HTTP/1.1\r\nX: {endless}"))
            .refused(&[431]),
        case("a target of 15000 bytes", "9112 3", request(&format!("http://{{O}}/{path}"), ""))
            .passed(format!("GET /{path} HTTP/1.1\r\nHost: {{O}}\r\n\r\n")),
        case("a target of 20000 bytes", "9110 15.5.15", request(&format!("http://{{O}}/{too_long}"), ""))
            .refused(&[414]),
        case("a target that does not end", "9110 15.5.15", format!("GET http://{{O}}/{endless}"))
            .refused(&[414, 431]),
        case("a method that does not end", "9110 15.5.1", endless.clone()).refused(&[400, 414, 431, 501]),
        case("empty lines without end", "9112 2.2", "\r\n".repeat(100_000)).refused(&[400, 431]),
    ]);
}
