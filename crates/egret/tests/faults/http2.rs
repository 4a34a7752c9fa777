//! HTTP/2 clients that break the rules of the frames, byte by byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, HttpOrigin};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK literals that are not indexed (RFC 7541 section 6.2.2).
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        assert!(text.len() < 127, "a longer one has another form");
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    };
    list.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn request(stream: u32, list: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &fields(list))
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(egret: &Egret) -> Self {
        let mut stream = TcpStream::connect(egret.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
        Self { stream }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads frames up to one of this type on this stream; gives its payload.
    fn until(&mut self, kind: u8, stream: u32) -> Vec<u8> {
        for _ in 0..1_000_000 {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).unwrap_or_else(|error| panic!("no frame {kind}: {error}"));
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).unwrap();
            if head[3] == kind && u32::from_be_bytes([head[5], head[6], head[7], head[8]]) == stream {
                return payload;
            }
        }
        panic!("no frame of type {kind} among a million")
    }
}

/// What the frame layer refuses by itself never becomes a request, and leaves its record all the same.
#[test]
fn a_request_that_is_malformed_in_http2_is_recorded() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let authority = origin.address().to_string();
    let good = [(":method", "GET"), (":scheme", "http"), (":authority", &*authority), (":path", "/echo")];
    let with = |name, value| [&good[..], &[(name, value)]].concat();
    let mut client = Client::connect(&egret);
    let malformed = [
        good[1..].to_vec(),                      // no :method
        with(":method", "GET"),                  // twice
        with("connection", "close"),             // of HTTP/1.1 alone
        [&[("x", "1")][..], &good[..]].concat(), // a pseudo-header field behind another
    ];
    for (number, list) in (0..).zip(&malformed) {
        let stream = 1 + 2 * number;
        client.send(&request(stream, list));
        assert_eq!(client.until(RST_STREAM, stream), 1u32.to_be_bytes(), "PROTOCOL_ERROR for {list:?}");
    }
    client.send(&request(99, &good));
    assert!(!client.until(HEADERS, 99).is_empty());
    let records = egret.exactly(malformed.len() + 1);
    let refused: Vec<_> = records.iter().filter(|record| record.status() == 0).collect();
    assert_eq!(refused.len(), malformed.len(), "{records:#?}");
    for record in refused {
        assert_eq!((record.reason().as_str(), &*record.text("downstream")), ("malformed-request", "HTTP/2"));
        assert!(record.text("detail").contains("RFC 9113"), "{record:?}");
    }
}

/// Heads that are so large that they get a bare 431 leave a record that says so.
#[test]
fn a_head_that_is_far_too_large_is_recorded() {
    let egret = super::configured("limits: {headBytes: 1KiB, targetBytes: 512B, headFields: 10}\n");
    let mut client = Client::connect(&egret);
    let value = "v".repeat(100);
    let mut list = vec![(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];
    list.extend(std::iter::repeat_n(("x-long", &*value), 60));
    client.send(&request(1, &list));
    client.until(HEADERS, 1);
    let records = egret.exactly(1);
    assert_eq!((records[0].status(), &*records[0].reason()), (431, "head-too-large"));
}

#[test]
fn a_flood_of_frames_that_move_nothing_is_ended() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let floods = [
        ("PING", frame(PING, 0, 0, b"12345678")),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 15])),
        ("unknown", frame(0xbb, 0, 0, b"")),
    ];
    for (number, (name, flood)) in (1..).zip(&floods) {
        let mut client = Client::connect(&egret);
        let mut sending = client.stream.try_clone().unwrap();
        let bytes = flood.repeat(1000);
        let flooding = std::thread::spawn(move || {
            // It is over when the proxy does not take any more.
            (0..200).take_while(|_| sending.write_all(&bytes).is_ok()).count()
        });
        let payload = client.until(GOAWAY, 0);
        assert_eq!(payload[4..8], 11u32.to_be_bytes(), "ENHANCE_YOUR_CALM for {name}");
        flooding.join().unwrap();
        let struck = egret.metric("egret_limit_hits_total{limit=\"h2_idle_frames\"}");
        assert_eq!(struck, f64::from(number), "{name}");
        assert_eq!(egret.connect().exchange(super::get(origin.address(), "/")).status(), 200);
    }
}

/// Clients that measure the path with PING send many of them, and mean no harm.
#[test]
fn a_thousand_pings_are_answered() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let mut client = Client::connect(&egret);
    for number in 0..1000u64 {
        client.send(&frame(PING, 0, 0, &number.to_be_bytes()));
        assert_eq!(client.until(PING, 0), number.to_be_bytes());
    }
}

/// Answers that nobody reads do not pile up: the proxy stops reading instead.
#[test]
fn answers_to_pings_that_nobody_reads_take_no_memory() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let before = egret.resident_bytes();
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let mut client = Client::connect(&egret);
            client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            // Fails when the proxy has stopped reading, or has ended it.
            let _ = client.stream.write_all(&frame(PING, 0, 0, b"12345678").repeat(9000));
            client
        })
        .collect();
    let grown = egret.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more for {} clients", clients.len());
}
