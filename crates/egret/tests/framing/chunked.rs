//! Chunked request bodies (RFC 9112 section 7.1).

use std::time::Duration;

use egret_testkit::message::bytes_of;
use egret_testkit::{Egret, RecordingOrigin};

use super::case::{Case, case, run};

fn chunks(name: &'static str, section: &'static str, body: &str) -> Case {
    case(
        name,
        section,
        format!("POST http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
    )
}

fn upstream(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: {{O}}\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn well_formed_chunks_are_passed() {
    let hello = upstream("5\r\nhello\r\n0\r\n\r\n");
    run(&[
        chunks("one chunk", "9112 7.1", "5\r\nhello\r\n0\r\n\r\n").passed(&hello),
        chunks("no chunk", "9112 7.1", "0\r\n\r\n").passed(upstream("0\r\n\r\n")),
        chunks("several chunks", "9112 7.1", "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n").passed(&hello),
        chunks("hexadecimal, lower case", "9112 7.1", "a\r\n0123456789\r\n0\r\n\r\n")
            .passed(upstream("a\r\n0123456789\r\n0\r\n\r\n")),
        chunks("hexadecimal, upper case", "9112 7.1", "A\r\n0123456789\r\n0\r\n\r\n")
            .passed(upstream("a\r\n0123456789\r\n0\r\n\r\n")),
        chunks("leading zeros", "9112 7.1", "0005\r\nhello\r\n000\r\n\r\n").passed(&hello).cut_off(),
        chunks("an extension", "9112 7.1.1", "5;a=b\r\nhello\r\n0\r\n\r\n").passed(&hello),
        chunks("an extension without a value", "9112 7.1.1", "5;a\r\nhello\r\n0\r\n\r\n").passed(&hello),
        chunks("a quoted extension", "9112 7.1.1", "5;a=\"b;\\\" c\"\r\nhello\r\n0\r\n\r\n").passed(&hello),
        chunks("an extension on the last chunk", "9112 7.1.1", "5\r\nhello\r\n0;a=b\r\n\r\n").passed(&hello),
        chunks("bad whitespace around an extension", "9112 7.1.1", "5 ; a = b\r\nhello\r\n0\r\n\r\n")
            .passed(&hello)
            .cut_off(),
        chunks("CR and LF within the data", "9112 7.1", "6\r\na\r\n0\r\n\r\n0\r\n\r\n")
            .passed(upstream("6\r\na\r\n0\r\n\r\n0\r\n\r\n")),
        chunks("a trailer", "9112 7.1.2", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
            .passed(upstream("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")),
        chunks("two trailers, in order and case", "9112 7.1.2", "0\r\nx-B: 1\r\nX-a: 2\r\n\r\n")
            .passed(upstream("0\r\nx-B: 1\r\nX-a: 2\r\n\r\n")),
    ]);
}

#[test]
fn malformed_chunks_cut_the_request_off() {
    let bad = |name, body: &str| chunks(name, "9112 7.1", body).cut_off();
    run(&[
        bad("no size", "\r\nhello\r\n0\r\n\r\n"),
        bad("a size that is no number", "g\r\nhello\r\n0\r\n\r\n"),
        bad("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        bad("a plus", "+5\r\nhello\r\n0\r\n\r\n"),
        bad("a minus", "-5\r\nhello\r\n0\r\n\r\n"),
        bad("a space before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        bad("a tab before the size", "\t5\r\nhello\r\n0\r\n\r\n"),
        bad("a space after the size", "5 \r\nhello\r\n0\r\n\r\n"),
        bad("a space within the size", "0 5\r\nhello\r\n0\r\n\r\n"),
        bad("garbage after the size", "5x\r\nhello\r\n0\r\n\r\n"),
        bad("an underscore", "1_0\r\nhellohellohelloh\r\n0\r\n\r\n"),
        bad("NUL after the size", "5\0\r\nhello\r\n0\r\n\r\n"),
        bad("a comma", "5,5\r\nhello\r\n0\r\n\r\n"),
        bad("17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("64 bits", "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
        bad("a bare CR after the size", "5\rhello\r\n0\r\n\r\n"),
        bad("two CR after the size", "5\r\r\nhello\r\n0\r\n\r\n"),
        bad("no CRLF after the data", "5\r\nhello0\r\n\r\n"),
        bad("a bare LF after the data", "5\r\nhello\n0\r\n\r\n"),
        bad("two other bytes after the data", "5\r\nhelloXX0\r\n\r\n"),
        bad("more data than the size says", "5\r\nhello!\r\n0\r\n\r\n"),
        bad("less data than the size says", "6\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF at the end", "5\r\nhello\r\n0\r\n\n"),
        bad("a bare LF after the last size", "5\r\nhello\r\n0\n\r\n"),
    ]);
}

#[test]
fn malformed_extensions_cut_the_request_off() {
    let bad = |name, body: &str| chunks(name, "9112 7.1.1", body).cut_off();
    let long = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000));
    run(&[
        bad("a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        bad("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        bad("NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"),
        bad("a control character in an extension", "5;a=\u{1}\r\nhello\r\n0\r\n\r\n"),
        bad("a quote that does not close", "5;a=\"b\r\nhello\r\n0\r\n\r\n"),
        bad("100 kB of extension", &long),
        chunks("an empty extension", "9112 7.1.1", "5;\r\nhello\r\n0\r\n\r\n")
            .cut_off()
            .passed(upstream("5\r\nhello\r\n0\r\n\r\n")),
    ]);
}

#[test]
fn malformed_trailers_cut_the_request_off() {
    let bad = |name, section, trailers: &str| {
        chunks(name, section, &format!("5\r\nhello\r\n0\r\n{trailers}\r\n")).cut_off()
    };
    run(&[
        bad("no colon", "9112 7.1.2", "X-Sum\r\n"),
        bad("a space before the colon", "9112 5.1", "X-Sum : 1\r\n"),
        bad("obs-fold", "9112 5.2", "X-Sum: 1\r\n 2\r\n"),
        bad("NUL", "9110 5.5", "X-Sum: \0\r\n"),
        bad("a bare LF", "9112 2.2", "X-Sum: 1\n"),
        bad("a bare CR", "9112 2.2", "X-Sum: 1\rX: 2\r\n"),
        bad("a bad name", "9110 5.1", "X Sum: 1\r\n"),
        bad("more than a head may have", "9112 7.1.2", &"X-Long-Trailer: 1234567890\r\n".repeat(10_000)),
    ]);
}

/// Fields that frame, route or authenticate mean nothing in a trailer and must not be merged
/// (RFC 9110 section 6.5.1): left out, or the request is cut off.
#[test]
fn trailers_cannot_frame_or_route() {
    let dropped = |name, line: &str| {
        chunks(name, "9110 6.5.1", &format!("5\r\nhello\r\n0\r\n{line}\r\nX-Ok: 1\r\n\r\n"))
            .passed(upstream("5\r\nhello\r\n0\r\nX-Ok: 1\r\n\r\n"))
            .cut_off()
    };
    run(&[
        dropped("Content-Length", "Content-Length: 5"),
        dropped("Transfer-Encoding", "Transfer-Encoding: chunked"),
        dropped("Host", "Host: elsewhere.example"),
        dropped("Connection", "Connection: close"),
        dropped("Proxy-Authorization", "Proxy-Authorization: Basic eDp5"),
        dropped("Authorization", "authorization: Basic eDp5"),
        dropped("Cookie", "Cookie: session=1"),
        dropped("Content-Type", "Content-Type: text/html"),
        dropped("Content-Encoding", "CONTENT-ENCODING: gzip"),
        dropped("Range", "Range: bytes=0-1"),
        dropped("Cache-Control", "Cache-Control: no-store"),
    ]);
}

#[test]
fn a_request_in_single_bytes_is_the_same_request() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = RecordingOrigin::start();
    let authority = origin.address();
    let text = format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;a=b\r\nhello\r\n3\r\n\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
    );
    let mut client = egret.connect();
    client.send_in_pieces(&bytes_of(&text), 1, Duration::from_millis(1));
    assert_eq!(client.response("POST").status(), 200);
    let (requests, rest) = origin.requests();
    assert!(rest.is_empty());
    assert_eq!(requests[0].body, b"hello\r\n!");
    assert_eq!(requests[0].trailers.first("x-sum"), Some("1"));
}
