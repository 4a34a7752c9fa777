//! Content-Length and Transfer-Encoding of requests (RFC 9112 sections 6 and 11.2).

use super::case::{Case, case, run};

fn post(name: &'static str, section: &'static str, lines: &str, body: &str) -> Case {
    case(name, section, format!("POST http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\n{lines}\r\n{body}"))
}

fn upstream(lines: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: {{O}}\r\n{lines}\r\n{body}")
}

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

#[test]
fn content_length_is_digits_once() {
    let length = |name, value: &str| {
        post(name, "9110 8.6", &format!("Content-Length: {value}\r\n"), "hello").refused(&[400])
    };
    run(&[
        post("plain", "9110 8.6", "Content-Length: 5\r\n", "hello")
            .passed(upstream("Content-Length: 5\r\n", "hello")),
        post("zero", "9110 8.6", "Content-Length: 0\r\n", "").passed(upstream("Content-Length: 0\r\n", "")),
        post("whitespace around", "9110 5.5", "Content-Length:\t 5 \r\n", "hello")
            .passed(upstream("Content-Length: 5\r\n", "hello")),
        post("leading zeros", "9110 8.6", "Content-Length: 0005\r\n", "hello")
            .passed(upstream("Content-Length: 0005\r\n", "hello"))
            .passed(upstream("Content-Length: 5\r\n", "hello"))
            .refused(&[400]),
        // RFC 9110 8.6 lets a recipient take a list of equal values as one, or refuse it.
        post("a list of equal values", "9110 8.6", "Content-Length: 5, 5\r\n", "hello")
            .refused(&[400])
            .passed(upstream("Content-Length: 5\r\n", "hello")),
        post("two equal lines", "9110 8.6", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello")
            .refused(&[400])
            .passed(upstream("Content-Length: 5\r\n", "hello")),
        post("two differing lines", "9112 6.3", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")
            .refused(&[400]),
        post(
            "two differing lines, in other cases",
            "9112 6.3",
            "Content-Length: 5\r\nCONTENT-LENGTH: 0\r\n",
            "hello",
        )
        .refused(&[400]),
        length("a list of differing values", "5, 6"),
        length("a plus", "+5"),
        length("a minus", "-5"),
        length("a minus zero", "-0"),
        length("hexadecimal", "0x5"),
        length("two numbers", "5 5"),
        length("a fraction", "5.0"),
        length("an exponent", "5e0"),
        length("underscores", "5_0"),
        length("trailing garbage", "5a"),
        length("a semicolon", "5;x=y"),
        length("quotes", "\"5\""),
        length("nothing", ""),
        length("a comma alone", ","),
        length("a trailing comma", "5,"),
        length("a full-width digit", "\u{ef}\u{bc}\u{95}"),
        length("NUL", "5\0"),
        post("beyond 64 bits", "9110 8.6", "Content-Length: 18446744073709551621\r\n", "hello")
            .refused(&[400, 413]),
        post("beyond 63 bits", "9110 8.6", "Content-Length: 99999999999999999999999\r\n", "hello")
            .refused(&[400, 413]),
        post("a space before the colon", "9112 5.1", "Content-Length : 5\r\n", "hello").refused(&[400]),
        post("none, and bytes that are no request", "9112 6.3", "", "hello\r\n\r\n")
            .passed_then_refused(&["POST / HTTP/1.1\r\nHost: {O}\r\n\r\n"], &[400, 505])
            .passed_then_refused(&["POST / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 0\r\n\r\n"], &[400, 505]),
    ]);
}

#[test]
fn transfer_encoding_is_chunked_alone() {
    let encoding = |name, value: &str| {
        post(name, "9112 6.1", &format!("Transfer-Encoding: {value}\r\n"), CHUNKS).refused(&[400, 501])
    };
    let good = || upstream("Transfer-Encoding: chunked\r\n", CHUNKS);
    run(&[
        post("chunked", "9112 6.1", "Transfer-Encoding: chunked\r\n", CHUNKS).passed(good()),
        post("in another case", "9112 7", "transfer-encoding: CHUNKED\r\n", CHUNKS)
            .passed(upstream("transfer-encoding: CHUNKED\r\n", CHUNKS))
            .passed(upstream("transfer-encoding: chunked\r\n", CHUNKS))
            .passed(good()),
        post("a tab before the value", "9110 5.5", "Transfer-Encoding:\tchunked\r\n", CHUNKS).passed(good()),
        encoding("chunked twice", "chunked, chunked"),
        encoding("identity", "identity"),
        encoding("chunked, identity", "chunked, identity"),
        encoding("identity, chunked", "identity, chunked"),
        encoding("gzip", "gzip"),
        encoding("gzip, chunked", "gzip, chunked"),
        encoding("an unknown coding", "cow"),
        encoding("a prefix", "xchunked"),
        encoding("a suffix", "chunkedx"),
        encoding("a parameter", "chunked;q=1"),
        encoding("quotes", "\"chunked\""),
        encoding("nothing", ""),
        encoding("a vertical tab in front", "\u{b}chunked"),
        encoding("NUL", "chunked\0"),
        encoding("a byte above 127", "\u{a0}chunked"),
        post("a leading comma", "9110 5.6.1", "Transfer-Encoding: , chunked\r\n", CHUNKS)
            .refused(&[400, 501])
            .passed(good()),
        post("two lines", "9112 6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKS)
            .refused(&[400, 501]),
        post(
            "two lines, identity second",
            "9112 6.1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            CHUNKS,
        )
        .refused(&[400, 501]),
        post(
            "two lines, unknown first",
            "9112 6.1",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
            CHUNKS,
        )
        .refused(&[400, 501]),
        post("folded", "9112 5.2", "Transfer-Encoding:\r\n chunked\r\n", CHUNKS).refused(&[400]),
        post("a space before the colon", "9112 5.1", "Transfer-Encoding : chunked\r\n", CHUNKS)
            .refused(&[400]),
        case(
            "in HTTP/1.0",
            "9112 6.1",
            format!(
                "POST http://{{O}}/ HTTP/1.0\r\nHost: {{O}}\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}"
            ),
        )
        .refused(&[400, 501]),
    ]);
}

#[test]
fn both_are_refused() {
    let both = |name, lines: &str| post(name, "9112 6.1", lines, CHUNKS).refused(&[400]);
    run(&[
        both("length first", "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n"),
        both("encoding first", "Transfer-Encoding: chunked\r\nContent-Length: 15\r\n"),
        both("length zero", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        both("the smuggler's classic", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        both("in odd cases", "content-LENGTH: 15\r\ntransfer-ENCODING: chunked\r\n"),
        // Underscores are read as hyphens by some origins; alone they are an unknown field.
        post(
            "an underscore is another field",
            "9110 5.1",
            "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n",
            "hello",
        )
        .passed(upstream("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "hello"))
        .refused(&[400]),
    ]);
}

#[test]
fn any_method_may_have_a_body() {
    run(&[
        case(
            "GET with a body",
            "9110 9.3.1",
            "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi",
        )
        .passed("GET / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi"),
        case(
            "GET with chunks",
            "9110 9.3.1",
            format!(
                "GET http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}"
            ),
        )
        .passed(format!("GET / HTTP/1.1\r\nHost: {{O}}\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}")),
        case(
            "HEAD with a body",
            "9110 9.3.2",
            "HEAD http://{O}/ HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi",
        )
        .passed("HEAD / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi"),
        case(
            "DELETE with a body",
            "9110 9.3.5",
            "DELETE http://{O}/ HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi",
        )
        .passed("DELETE / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi"),
        case("an HTTP/1.0 POST", "9112 6.3", "POST http://{O}/ HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
            .passed("POST / HTTP/1.1\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi")
            .passed("POST / HTTP/1.0\r\nHost: {O}\r\nContent-Length: 2\r\n\r\nhi"),
    ]);
}
