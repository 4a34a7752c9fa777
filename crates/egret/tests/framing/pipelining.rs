//! Several requests on one connection (RFC 9112 section 9.3).

use super::case::{case, run};

const GET: &str = "GET http://{O}/1 HTTP/1.1\r\nHost: {O}\r\n\r\n";
const GET_UP: &str = "GET /1 HTTP/1.1\r\nHost: {O}\r\n\r\n";
const POST: &str = "POST http://{O}/2 HTTP/1.1\r\nHost: {O}\r\nContent-Length: 5\r\n\r\nhello";
const POST_UP: &str = "POST /2 HTTP/1.1\r\nHost: {O}\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str =
    "PUT http://{O}/3 HTTP/1.1\r\nHost: {O}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const CHUNKED_UP: &str =
    "PUT /3 HTTP/1.1\r\nHost: {O}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

#[test]
fn requests_that_follow_each_other_are_answered_in_order() {
    let all = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    run(&[
        case("two GETs", "9112 9.3.2", format!("{GET}{GET}")).passed_all(all(&[GET_UP, GET_UP])),
        case("GET, POST, PUT, GET", "9112 9.3.2", format!("{GET}{POST}{CHUNKED}{GET}"))
            .passed_all(all(&[GET_UP, POST_UP, CHUNKED_UP, GET_UP])),
        case("an empty line between", "9112 2.2", format!("{POST}\r\n{GET}"))
            .passed_all(all(&[POST_UP, GET_UP])),
        case("an empty line after chunks", "9112 2.2", format!("{CHUNKED}\r\n{GET}"))
            .passed_all(all(&[CHUNKED_UP, GET_UP])),
        case("twenty GETs", "9112 9.3.2", GET.repeat(20)).passed_all(vec![GET_UP.to_owned(); 20]),
        case(
            "nothing after Connection: close is served",
            "9112 9.6",
            format!("GET http://{{O}}/1 HTTP/1.1\r\nHost: {{O}}\r\nConnection: close\r\n\r\n{GET}"),
        )
        .passed(GET_UP),
        case(
            "nothing after an HTTP/1.0 request is served",
            "9112 9.3",
            format!("GET http://{{O}}/1 HTTP/1.0\r\nHost: {{O}}\r\n\r\n{GET}"),
        )
        .passed(GET_UP)
        .passed("GET /1 HTTP/1.0\r\nHost: {O}\r\n\r\n"),
    ]);
}

#[test]
fn nothing_after_a_refused_request_is_served() {
    run(&[
        case("a bad first", "9112 11.2", format!("GET http://{{O}}/ HTTP/1.1\r\n\r\n{GET}")).refused(&[400]),
        case("a bad second", "9112 11.2", format!("{GET}GET /x y HTTP/1.1\r\n\r\n{GET}"))
            .passed_then_refused(&[GET_UP], &[400]),
        case(
            "both lengths, a request within the body",
            "9112 11.2",
            format!("POST http://{{O}}/ HTTP/1.1\r\nHost: {{O}}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{GET}"),
        )
        .refused(&[400]),
        case(
            "a body longer than its length, ending in no request",
            "9112 11.2",
            "POST http://{O}/2 HTTP/1.1\r\nHost: {O}\r\nContent-Length: 5\r\n\r\nhelloXX\r\n\r\n",
        )
        .passed_then_refused(&[POST_UP], &[400, 505]),
        case(
            "a second request in origin-form is not passed to the first one's origin",
            "9112 3.2.1",
            format!("{GET}GET /secret HTTP/1.1\r\nHost: {{O}}\r\n\r\n"),
        )
        .passed_then_answered(&[GET_UP], &[400, 404, 421]),
    ]);
}
