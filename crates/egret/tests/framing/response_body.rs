//! Bodies of responses (RFC 9112 sections 6 to 8): how long they are, and what a cut looks like.

use egret_testkit::scripted::Step;
use egret_testkit::{Egret, ScriptedOrigin};

use super::reply::{Reply, SECRET, reply, run};

const GET_10: &str = "GET http://{O}/ HTTP/1.0\r\n\r\n";
const HEAD: &str = "HEAD http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n";

fn framed(name: &'static str, section: &'static str, lines: &str, body: &str) -> Reply {
    reply(name, section, format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}"))
}

#[test]
fn ambiguous_lengths_of_responses_are_refused() {
    let bad = |name, lines: &str| {
        framed(name, "9112 6.3", lines, &format!("5\r\n{SECRET}\r\n0\r\n\r\n")).bad_gateway()
    };
    run(&[
        bad("both", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        bad("both, the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        bad("two differing lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        bad("a list of differing lengths", "Content-Length: 5, 6\r\n"),
        bad("a plus", "Content-Length: +5\r\n"),
        bad("a minus", "Content-Length: -5\r\n"),
        bad("hexadecimal", "Content-Length: 0x5\r\n"),
        bad("no digits", "Content-Length: five\r\n"),
        bad("nothing", "Content-Length:\r\n"),
        bad("beyond 64 bits", "Content-Length: 18446744073709551621\r\n"),
        bad("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
        bad("chunked, identity", "Transfer-Encoding: chunked, identity\r\n"),
        bad("an unknown coding", "Transfer-Encoding: cow\r\n"),
        bad("gzip alone", "Transfer-Encoding: gzip\r\n"),
        bad("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        bad("two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        bad("a vertical tab", "Transfer-Encoding: \u{b}chunked\r\n"),
        bad("folded", "Transfer-Encoding:\r\n chunked\r\n"),
        framed("two equal lengths", "9110 8.6", "Content-Length: 2\r\nContent-Length: 2\r\n", "ok")
            .bad_gateway()
            .delivered(200, "ok"),
        reply(
            "chunked in an HTTP/1.0 response",
            "9112 6.1",
            format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{SECRET}\r\n0\r\n\r\n"),
        )
        .bad_gateway(),
    ]);
}

#[test]
fn bodies_are_passed_whole() {
    run(&[
        framed("a length", "9112 6.3", "Content-Length: 5\r\n", "hello").delivered(200, "hello"),
        framed("a length of zero", "9112 6.3", "Content-Length: 0\r\n", "").delivered(200, ""),
        framed(
            "chunks",
            "9112 7.1",
            "Transfer-Encoding: chunked\r\n",
            "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        )
        .delivered(200, "hello"),
        framed("no chunks", "9112 7.1", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n").delivered(200, ""),
        framed(
            "trailers",
            "9112 7.1.2",
            "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
            "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        )
        .delivered(200, "hello")
        .trailer("X-Sum", "1"),
        framed("until close", "9112 6.3", "", "hello").delivered(200, "hello"),
        framed("until close, empty", "9112 6.3", "", "").delivered(200, ""),
        reply("an HTTP/1.0 response until close", "9112 6.3", "HTTP/1.0 200 OK\r\n\r\nhello")
            .delivered(200, "hello"),
        reply(
            "an HTTP/1.0 response with a length",
            "9112 6.3",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        )
        .held()
        .delivered(200, "hello"),
        framed("HEAD with a length", "9110 9.3.2", "Content-Length: 5\r\n", "")
            .to(HEAD)
            .held()
            .delivered(200, "")
            .with("Content-Length", "5"),
        framed("HEAD with an encoding", "9112 6.1", "Transfer-Encoding: chunked\r\n", "")
            .to(HEAD)
            .held()
            .delivered(200, ""),
        reply("204", "9110 15.3.5", "HTTP/1.1 204 No Content\r\n\r\n").held().delivered(204, ""),
        reply(
            "304 with a length",
            "9110 15.4.5",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n",
        )
        .held()
        .delivered(304, "")
        .with("ETag", "\"x\""),
        reply("205 without a body", "9110 15.3.6", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
            .held()
            .delivered(205, ""),
        reply(
            "206",
            "9110 15.3.7",
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\r\nhe",
        )
        .delivered(206, "he")
        .with("Content-Range", "bytes 0-1/5"),
    ]);
}

#[test]
fn an_http_1_0_client_gets_no_chunks() {
    run(&[
        framed(
            "chunks become until-close",
            "9112 7",
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        )
        .to(GET_10)
        .delivered(200, "hello")
        .without("Transfer-Encoding"),
        framed("a length stays", "9112 6.3", "Content-Length: 5\r\n", "hello")
            .to(GET_10)
            .delivered(200, "hello")
            .with("Content-Length", "5"),
        framed("until close stays", "9112 6.3", "", "hello").to(GET_10).delivered(200, "hello"),
        framed(
            "kept alive and chunked",
            "9112 7",
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        )
        .to("GET http://{O}/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .delivered(200, "hello")
        .without("Transfer-Encoding"),
    ]);
}

#[test]
fn a_cut_body_never_looks_complete() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    run(&[
        framed("a length, half the body", "9112 8", "Content-Length: 10\r\n", "hello").incomplete(),
        framed("a length, no body", "9112 8", "Content-Length: 10\r\n", "").incomplete(),
        framed("a length, all but one byte", "9112 8", "Content-Length: 6\r\n", "hello").incomplete(),
        framed("a length, reset", "9112 8", "Content-Length: 10\r\n", "hello").reset().incomplete(),
        framed("chunks without the last", "9112 8", chunked, "5\r\nhello\r\n").incomplete(),
        framed("a chunk cut in the data", "9112 8", chunked, "a\r\nhello").incomplete(),
        framed("a chunk cut in the size", "9112 8", chunked, "5\r\nhello\r\n1").incomplete(),
        framed("no empty line after the last chunk", "9112 8", chunked, "5\r\nhello\r\n0\r\n").incomplete(),
        framed("a trailer cut off", "9112 8", chunked, "5\r\nhello\r\n0\r\nX-Sum: 1\r\n").incomplete(),
        framed("chunks, reset", "9112 8", chunked, "5\r\nhello\r\n").reset().incomplete(),
        framed("until close, reset", "9112 8", "", "hello").reset().incomplete(),
        framed("a length, half the body, HTTP/1.0 client", "9112 8", "Content-Length: 10\r\n", "hello")
            .to(GET_10)
            .incomplete(),
        // To an HTTP/1.0 client the end of the connection is the end of the body, so only a reset tells.
        framed("chunks without the last, HTTP/1.0 client", "9112 8", chunked, "5\r\nhello\r\n")
            .to(GET_10)
            .incomplete(),
        framed("until close, reset, HTTP/1.0 client", "9112 8", "", "hello").to(GET_10).reset().incomplete(),
    ]);
}

/// What is wrong from the first byte on, and comes with the head, is told as long as nothing has gone out.
#[test]
fn a_bad_first_chunk_is_a_502() {
    let bad =
        |name, body: &str| framed(name, "9112 7.1", "Transfer-Encoding: chunked\r\n", body).bad_gateway();
    run(&[
        bad("no size", "\r\nfrom-the-origin\r\n0\r\n\r\n"),
        bad("a size that is no number", "xyz\r\nfrom-the-origin\r\n0\r\n\r\n"),
        bad("a bare LF after the size", "f\nfrom-the-origin\r\n0\r\n\r\n"),
        bad("a size that is no number, and no end", "xyz\r\n").held(),
        bad("no size, HTTP/1.0 client", "\r\nfrom-the-origin\r\n0\r\n\r\n").to(GET_10),
    ]);
}

/// The record of such a response says what the client was told, and not what the origin had said.
#[test]
fn a_bad_first_chunk_is_recorded_as_what_it_became() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadRequest, Step::Send(reply.into())]]);
    let authority = origin.address();
    let request = format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert_eq!(egret.connect().exchange(request).status(), 502);
    let lines = egret.exactly(1);
    assert_eq!(
        (lines[0].status(), lines[0].reason().as_str()),
        (502, "ambiguous-response-framing"),
        "{lines:?}"
    );
}

#[test]
fn malformed_chunks_of_a_response_are_cut_off() {
    // What comes with the head can still be answered with 502.
    let bad = |name, body: &str| {
        framed(name, "9112 7.1", "Transfer-Encoding: chunked\r\n", body).incomplete().bad_gateway()
    };
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000));
    run(&[
        bad("no size", "\r\nhello\r\n0\r\n\r\n"),
        bad("a size that is no number", "xyz\r\nhello\r\n0\r\n\r\n"),
        bad("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        bad("a minus", "-5\r\nhello\r\n0\r\n\r\n"),
        bad("a space before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        bad("17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("no CRLF after the data", "5\r\nhelloXX0\r\n\r\n"),
        bad("a bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
        bad("a bare LF after the data", "5\r\nhello\n0\r\n\r\n"),
        bad("a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        bad("100 kB of extension", &long),
        bad("a bad second chunk", "5\r\nhello\r\nz\r\nhello\r\n0\r\n\r\n"),
        bad("a trailer without a colon", "5\r\nhello\r\n0\r\nX-Sum\r\n\r\n"),
        bad("a trailer with obs-fold", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
        bad("a trailer with NUL", "5\r\nhello\r\n0\r\nX-Sum: \0\r\n\r\n"),
    ]);
}
