//! Origins that fail: in every phase, by reset and by close, and by saying nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use egret_testkit::raw::RawClient;
use egret_testkit::scripted::{Step, send};
use egret_testkit::{Egret, Ended, HttpOrigin, ScriptedOrigin};
use socket2::{Domain, Socket, Type};

use super::{builder, configured, get, post};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";

/// Runs one script and returns the proxy, the status the client saw (0 for none) and whether the
/// response was complete.
fn after(script: Vec<Step>) -> (Egret, u16, bool) {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![script]);
    let mut client = egret.connect();
    client.send(get(origin.address(), "/"));
    let at_end = client.read_until(Duration::from_secs(15), |bytes| {
        egret_testkit::message::response(bytes, "GET", false).is_some_and(|r| r.complete)
    });
    let response = egret_testkit::message::response(&client.pending, "GET", at_end == Ended::Eof);
    let (status, complete) = response.map_or((0, false), |r| (r.status(), r.complete));
    egret.exactly(1);
    (egret, status, complete)
}

fn only_reason(egret: &Egret) -> String {
    egret.records()[0].reason()
}

#[test]
fn reset_before_anything_is_a_bad_gateway() {
    let (egret, status, complete) = after(vec![Step::Reset]);
    assert_eq!((status, complete), (502, true));
    // Whether the reset is met while writing or while reading is the system's choice.
    let reason = only_reason(&egret);
    assert!(["upstream-reset", "response-incomplete"].contains(&reason.as_str()), "{reason}");
}

#[test]
fn reset_after_the_request_is_a_bad_gateway() {
    let (egret, status, complete) = after(vec![Step::ReadHead, Step::Reset]);
    assert_eq!((status, complete), (502, true));
    assert_eq!(only_reason(&egret), "upstream-reset");
}

#[test]
fn close_after_the_request_is_a_bad_gateway() {
    let (egret, status, complete) = after(vec![Step::ReadHead]);
    assert_eq!((status, complete), (502, true));
    assert_eq!(only_reason(&egret), "response-incomplete");
}

#[test]
fn reset_within_the_response_head_is_a_bad_gateway() {
    let pause = Step::Pause(Duration::from_millis(50));
    let (egret, status, complete) =
        after(vec![Step::ReadHead, send("HTTP/1.1 200 OK\r\nX:"), pause, Step::Reset]);
    assert_eq!((status, complete), (502, true));
    assert_eq!(only_reason(&egret), "upstream-reset");
}

#[test]
fn close_within_the_response_head_is_a_bad_gateway() {
    let (egret, status, complete) = after(vec![Step::ReadHead, send("HTTP/1.1 200 OK\r\nX:")]);
    assert_eq!((status, complete), (502, true));
    assert_eq!(only_reason(&egret), "response-incomplete");
}

#[test]
fn reset_within_the_body_is_seen_by_the_client() {
    let pause = Step::Pause(Duration::from_millis(50));
    let script = vec![Step::ReadHead, send(OK), send("hello"), pause, Step::Reset];
    let (egret, status, complete) = after(script);
    assert_eq!((status, complete), (200, false));
    assert_eq!(only_reason(&egret), "upstream-reset");
    assert_eq!(egret.records()[0].status(), 200, "the status that was sent");
}

#[test]
fn close_within_the_body_is_seen_by_the_client() {
    let (egret, status, complete) = after(vec![Step::ReadHead, send(OK), send("hello")]);
    assert_eq!((status, complete), (200, false));
    assert_eq!(only_reason(&egret), "response-incomplete");
    assert_eq!(egret.records()[0].bytes_down(), 5);
}

/// An origin that answers before it has read the body, and closes: the answer must reach the client.
#[test]
fn an_early_answer_to_an_upload_reaches_the_client() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![vec![
        Step::ReadHead,
        send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"),
    ]]);
    let authority = origin.address();
    let mut client = egret.connect();
    client.send(format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 1000000\r\n\r\nfirst bytes"
    ));
    let answer = client.response("POST");
    assert_eq!((answer.status(), answer.text().as_str()), (413, "big"));
    drop(client);
    egret.exactly(1);
}

#[test]
fn a_reset_during_an_upload_is_a_bad_gateway() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(1000), Step::Reset]]);
    let mut client = egret.connect();
    client.send(post(origin.address(), &"x".repeat(2_000_000)));
    let answer = client.response("POST");
    assert_eq!(answer.status(), 502);
    egret.exactly(1);
}

#[test]
fn an_origin_that_never_answers_times_out() {
    let egret = configured("timeouts: {response: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::Hold]]);
    let answer = egret.connect().exchange(get(origin.address(), "/"));
    assert_eq!(answer.status(), 504);
    assert!(answer.fields.first("proxy-status").unwrap().contains("http_response_timeout"));
    assert_eq!(egret.exactly(1)[0].reason(), "response-timeout");
    assert_ne!(origin.server().ending_of(0), Ended::Open, "the upstream connection is given up");
}

#[test]
fn a_body_that_stalls_is_cut_off() {
    let egret = configured("timeouts: {bodyIdle: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadHead, send(OK), send("hello"), Step::Hold]]);
    let mut client = egret.connect();
    client.send(get(origin.address(), "/"));
    let (bytes, ended) = client.read_to_end(Duration::from_secs(15));
    assert!(bytes.ends_with(b"hello"));
    assert_ne!(ended, Ended::Open);
    assert_eq!(egret.exactly(1)[0].reason(), "transfer-stalled");
}

/// An origin may stream events, or think; the floor is for clients.
#[test]
fn an_origin_may_be_slower_than_the_floor() {
    let egret = configured("limits: {bodyRateFloor: 1000, bodyRateWindow: 1s}\n");
    let origin = HttpOrigin::start();
    let answer = egret.connect().exchange(get(origin.address(), "/slow/30/100")); // 100 bytes a second
    assert!(answer.complete);
    assert_eq!(egret.exactly(1)[0].reason(), "");
}

#[test]
fn a_slow_body_above_the_floor_arrives() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let answer = egret.connect().exchange(get(origin.address(), "/slow/20/50"));
    assert_eq!(answer.body.len(), 200);
    assert!(answer.complete);
}

/// A port that nothing listens on.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_refused_connection_is_a_bad_gateway() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let nobody = closed_port();
    let answer = egret.connect().exchange(get(nobody, "/"));
    assert_eq!(answer.status(), 502);
    assert!(answer.reason_phrase().starts_with("egret connect-refused "), "{}", answer.start_line);
    let (_, answer) = egret.tunnel(&nobody.to_string());
    assert_eq!(answer.status(), 502);
    assert!(answer.reason_phrase().starts_with("egret connect-refused "), "{}", answer.start_line);
    assert!(egret.exactly(2).iter().all(|r| r.reason() == "connect-refused"));
}

/// A listener whose queue is full: the system drops further SYNs, as a firewall would.
fn black_hole() -> (Socket, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return (socket, waiting),
        }
    }
    panic!("the queue does not fill");
}

#[test]
fn a_connection_that_never_stands_times_out() {
    let egret = configured("timeouts: {connect: 1s}\n");
    let (socket, _waiting) = black_hole();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let answer = egret.connect().exchange(get(address, "/"));
    assert_eq!(answer.status(), 504);
    // 200 is never said before the upstream connection stands (RFC 9110 section 9.3.6).
    let (_, answer) = egret.tunnel(&address.to_string());
    assert_eq!(answer.status(), 504);
    assert!(egret.exactly(2).iter().all(|r| r.reason() == "connect-timeout"));
}

#[test]
fn an_untrusted_origin_certificate_is_refused() {
    // Only where the proxy itself speaks TLS to the origin: an https URL in a plain request.
    let ca = egret_testkit::TestCa::new();
    let origin = HttpOrigin::start_tls(&ca);
    let authority = origin.address();
    let request = format!("GET {} HTTP/1.1\r\nHost: {authority}\r\n\r\n", origin.url("/echo"));
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let answer = egret.connect().exchange(&request);
    assert_eq!(answer.status(), 502);
    assert_eq!(egret.exactly(1)[0].reason(), "upstream-certificate-invalid");

    let egret = builder().arg("--upstream-ca").arg(ca.pem()).start();
    let answer = egret.connect().exchange(&request);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["target"], "/echo");
}

#[test]
fn bodies_of_some_megabytes_pass_both_ways_in_constant_memory() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let before = egret.resident_bytes();
    let mut client: RawClient = egret.connect();
    let answer = client.exchange(get(origin.address(), "/bytes/12000000"));
    assert!(answer.body == egret_testkit::http_origin::pattern(12_000_000), "{} bytes", answer.body.len());
    let body = "y".repeat(12_000_000);
    let authority = origin.address();
    let mut sender = RawClient { stream: client.stream.try_clone().unwrap(), pending: Vec::new() };
    let upload = format!(
        "POST http://{authority}/echo HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let sending = std::thread::spawn(move || {
        sender.send(upload);
    });
    let answer = client.response("POST");
    sending.join().unwrap();
    assert_eq!(answer.json()["bytes"], 12_000_000);
    let grown = egret.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "memory grew by {grown} bytes");
}
