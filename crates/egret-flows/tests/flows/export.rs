use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use bytes::Bytes;
use serde_json::Value;

use egret_flows::export::curl::{self, shell_word};
use egret_flows::export::{har, raw};
use egret_flows::flow::{Body, Flow, Headers, HeadersBuilder};

use crate::some;

/// What HAR 1.2 demands, by name: numbers, texts, lists and objects.
fn check(value: &Value, fields: &[(&str, &str)]) {
    for (name, kind) in fields {
        let (name, required) = name.strip_suffix('?').map_or((*name, true), |name| (name, false));
        let field = &value[name];
        let good = match *kind {
            "number" => field.as_f64().is_some_and(|number| number >= -1.0),
            "positive" => field.as_f64().is_some_and(|number| number >= 0.0),
            "integer" => field.is_i64() || field.is_u64(),
            "text" => field.is_string(),
            "list" => field.is_array(),
            "object" => field.is_object(),
            other => panic!("{other}"),
        };
        assert!(good || (!required && field.is_null()), "{name} is not a {kind} in {value}");
    }
    let known: Vec<&str> = fields.iter().map(|(name, _)| name.trim_end_matches('?')).collect();
    for name in value.as_object().expect("an object").keys() {
        assert!(
            name.starts_with('_') || name == "comment" || known.contains(&name.as_str()),
            "HAR has no {name}"
        );
    }
}

fn check_har(har: &Value) {
    check(har, &[("log", "object")]);
    check(&har["log"], &[("version", "text"), ("creator", "object"), ("pages", "list"), ("entries", "list")]);
    assert_eq!(har["log"]["version"], "1.2");
    check(&har["log"]["creator"], &[("name", "text"), ("version", "text")]);
    let message: &[(&str, &str)] = &[
        ("httpVersion", "text"),
        ("cookies", "list"),
        ("headers", "list"),
        ("headersSize", "integer"),
        ("bodySize", "integer"),
    ];
    for entry in har["log"]["entries"].as_array().expect("entries") {
        check(
            entry,
            &[
                ("startedDateTime", "text"),
                ("time", "positive"),
                ("request", "object"),
                ("response", "object"),
                ("cache", "object"),
                ("timings", "object"),
                ("serverIPAddress?", "text"),
            ],
        );
        let started = entry["startedDateTime"].as_str().expect("a text");
        assert!(started.parse::<jiff::Timestamp>().is_ok(), "{started}");
        let request = &entry["request"];
        check(
            request,
            &[
                message,
                &[("method", "text"), ("url", "text"), ("queryString", "list"), ("postData?", "object")],
            ]
            .concat(),
        );
        let response = &entry["response"];
        check(
            response,
            &[
                message,
                &[
                    ("status", "integer"),
                    ("statusText", "text"),
                    ("content", "object"),
                    ("redirectURL", "text"),
                ],
            ]
            .concat(),
        );
        check(
            &response["content"],
            &[
                ("size", "integer"),
                ("mimeType", "text"),
                ("text?", "text"),
                ("encoding?", "text"),
                ("compression?", "integer"),
            ],
        );
        if request["postData"].is_object() {
            check(&request["postData"], &[("mimeType", "text"), ("text", "text")]);
        }
        let timings = &entry["timings"];
        check(
            timings,
            &[
                ("blocked", "number"),
                ("dns", "number"),
                ("connect", "number"),
                ("ssl", "number"),
                ("send", "positive"),
                ("wait", "positive"),
                ("receive", "positive"),
            ],
        );
        let parts = ["blocked", "dns", "connect", "send", "wait", "receive"];
        let sum: f64 =
            parts.iter().filter_map(|part| timings[part].as_f64()).filter(|part| *part > 0.0).sum();
        assert!((sum - entry["time"].as_f64().expect("a number")).abs() < 0.01, "{timings}");
        for list in [&request["headers"], &response["headers"], &request["queryString"], &request["cookies"]]
        {
            list.as_array()
                .expect("a list")
                .iter()
                .for_each(|pair| check(pair, &[("name", "text"), ("value", "text")]));
        }
        for cookie in response["cookies"].as_array().expect("a list") {
            assert!(cookie["name"].is_string() && cookie["value"].is_string());
        }
    }
}

fn export(flows: &[Flow]) -> (Value, har::Exported) {
    let mut out = Vec::new();
    let exported = har::write(flows, &(), &mut out).expect("it is memory");
    (serde_json::from_slice(&out).expect("it is JSON"), exported)
}

#[test]
fn har_has_all_that_it_must_whatever_the_flow() {
    let bare = Flow { active: true, ..some::full() };
    let bare = Flow { response: None, timings: Default::default(), ..bare };
    let mut binary = some::full();
    binary.request.body = Body::whole(&b"\xff\x00"[..]);
    binary.request.headers = Headers::from_pairs([("Cookie", "a=b; c=d"), ("X-\u{e9}", "<script>")]);
    let response = binary.response.as_mut().expect("a response");
    response.body = Body::whole(&b"\x89PNG\x00"[..]);
    response.headers = Headers::from_pairs([
        ("Set-Cookie", "sid=1; Path=/; HttpOnly; Secure"),
        ("Location", "/next"),
        ("Content-Encoding", "rot13"),
    ]);
    let mut strange = some::full();
    // A clock that went back, and phases that take longer than the whole.
    strange.timings.total = Some(10);
    strange.started = u64::MAX;
    strange.request.path = "/%ff?a&=b&c=%00&&".into();
    let flows = [some::full(), bare, binary, strange, some::websocket(), some::tunnel()];
    let (har, exported) = export(&flows);
    assert_eq!((exported.written, exported.skipped), (5, 1));
    check_har(&har);
    let entries = &har["log"]["entries"];
    assert_eq!(entries[0]["startedDateTime"], "2026-01-02T03:04:05.678Z");
    assert_eq!(entries[0]["time"], 2500.0);
    assert_eq!(entries[0]["timings"]["connect"], 5.0);
    assert_eq!(entries[0]["timings"]["ssl"], 3.0);
    assert_eq!(entries[0]["request"]["postData"]["text"], "{\"name\":\"Egret\"}");
    assert_eq!(entries[0]["request"]["queryString"][1]["value"], "a b");
    assert_eq!(entries[1]["response"]["status"], 503);
    assert_eq!(entries[2]["response"]["content"]["encoding"], "base64");
    assert_eq!(entries[2]["response"]["redirectURL"], "/next");
    assert_eq!(entries[2]["response"]["cookies"][0]["httpOnly"], true);
    assert_eq!(entries[2]["request"]["cookies"][1]["name"], "c");
    assert_eq!(entries[4]["_webSocketMessages"][0]["data"], "hello from here");
    assert_eq!(entries[4]["_webSocketMessages"][1]["opcode"], 2);
    let (empty, _) = export(&[]);
    check_har(&empty);
}

/// Takes one request with a body of a stated length, and gives its bytes.
fn one_request(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text[..end].split("content-length: ").nth(1).map_or(0, |rest| {
                rest.split("\r\n").next().and_then(|digits| digits.parse::<usize>().ok()).expect("a length")
            });
            let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("its end") + 4;
            if bytes.len() >= head + length {
                break;
            }
        }
        let read = stream.read(&mut buffer).expect("readable");
        assert!(read > 0, "the request ends early");
        bytes.extend_from_slice(&buffer[..read]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").expect("writable");
    bytes
}

/// Runs the command for a flow with a real shell and a real curl, and gives what arrives.
fn run(mut flow: Flow, directory: &std::path::Path) -> (Vec<u8>, curl::CurlCommand) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    flow.request.scheme = "http".into();
    flow.request.host = "127.0.0.1".into();
    flow.request.port = listener.local_addr().expect("an address").port();
    let body = flow.request.body.in_memory().cloned();
    let command = curl::command(&flow, body.as_deref()).expect("a command");
    if let (Some(file), Some(body)) = (&command.body_file, &body) {
        std::fs::write(directory.join(file), body).expect("written");
    }
    let origin = std::thread::spawn(move || one_request(&listener));
    let output = Command::new("sh")
        .args(["-c", &format!("{} --silent --show-error --noproxy '*' --max-time 20", command.command)])
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{}\n{}", command.command, String::from_utf8_lossy(&output.stderr));
    (origin.join().expect("it was asked"), command)
}

const HOSTILE: &[&str] = &[
    "plain",
    "it's 'quoted' \"twice\"",
    "$(touch pwned) `touch pwned` ${HOME} $HOME",
    "; touch pwned; | & < > * ? [a-z] ~ # !event !!",
    "back\\slash \\' \\\" \\",
    "-o pwned",
    "@/etc/passwd",
    "tab\there",
    "%s %n %d %%",
    "caf\u{e9} \u{65e5}\u{672c} \u{1f426}",
    "right\u{202e}to left",
    "'",
    "''",
    "\\'",
];

#[test]
fn the_command_sends_what_was_sent_whatever_is_in_it() {
    let directory = tempfile::tempdir().expect("a directory");
    for hostile in HOSTILE {
        let mut flow = some::full();
        flow.request.version = "HTTP/1.1".into();
        flow.request.path = format!("/a/../b/[1-3]/{{x,y}}?q={}", hostile.replace([' ', '\t', '#'], "+"));
        flow.request.path.retain(|c| c.is_ascii() && !c.is_control());
        let mut headers = HeadersBuilder::default();
        headers.push(b"X-Hostile", hostile.as_bytes());
        headers.push(b"X-Bytes", b"caf\xe9 \xff\x80");
        headers.push(b"X-Empty", b"");
        headers.push(b"x-twice", b"1");
        headers.push(b"X-Twice", b"2");
        flow.request.headers = headers.finish();
        let body = format!("{hostile}\r\nsecond line\n\n");
        flow.request.body = Body::whole(body.clone());
        let (received, command) = run(flow.clone(), directory.path());
        let head_end = received.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let (head, sent) = (&received[..head_end + 2], &received[head_end + 4..]);
        assert_eq!(String::from_utf8_lossy(sent), body, "{}", command.command);
        assert!(
            head.starts_with(format!("POST {} HTTP/1.1\r\n", flow.request.path).as_bytes()),
            "{}",
            head.escape_ascii()
        );
        let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end()).collect();
        for (name, value) in flow.request.headers.iter() {
            let line = if value.is_empty() { [name, b":"].concat() } else { [name, b": ", value].concat() };
            assert!(lines.contains(&line.as_slice()), "{} in {}", line.escape_ascii(), head.escape_ascii());
        }
        assert!(!String::from_utf8_lossy(head).to_ascii_lowercase().contains("user-agent"));
        assert!(!command.command.contains(|c: char| c.is_control() && c != '\n'), "{}", command.command);
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0, "nothing else was run");
}

#[test]
fn binary_and_long_bodies_are_sent_by_the_command_as_well() {
    let directory = tempfile::tempdir().expect("a directory");
    let all: Vec<u8> = (0..=255).collect();
    for body in [all, vec![b'x'; 300_000]] {
        let mut flow = some::full();
        flow.request.method = "PUT".into();
        flow.request.body = Body::whole(Bytes::from(body.clone()));
        flow.request.version = "HTTP/1.1".into();
        let (received, command) = run(flow, directory.path());
        assert!(received.starts_with(b"PUT ") && received.ends_with(&body), "{}", command.command);
    }
}

#[test]
fn methods_without_a_body_are_sent_without_one() {
    let directory = tempfile::tempdir().expect("a directory");
    for method in ["GET", "HEAD", "DELETE", "POST", "OPTIONS"] {
        let mut flow = some::full();
        flow.request.method = method.into();
        flow.request.version = "HTTP/1.1".into();
        flow.request.body = Body::default();
        let (received, command) = run(flow, directory.path());
        assert!(received.starts_with(format!("{method} ").as_bytes()), "{}", command.command);
    }
}

#[test]
fn the_command_says_what_is_missing() {
    let mut flow = some::full();
    flow.request.headers = Headers::from_pairs([
        ("Authorization", "Bearer [redacted]"),
        ("@file", "x"),
        ("Host", "other.example"),
    ]);
    flow.request.path = "/?token=%5Bredacted%5D".into();
    flow.request.body.truncated = true;
    let command = curl::command(&flow, None).expect("a command");
    for words in ["authorization was redacted", "the header field @file", "values in the URL", "of 16 bytes"]
    {
        assert!(command.notes.iter().any(|note| note.contains(words)), "{:?}", command.notes);
    }
    assert!(command.command.contains("--header 'Host: other.example'") && !command.command.contains("@file"));
    assert_eq!(curl::command(&some::tunnel(), None), None);
}

#[test]
fn words_are_as_short_as_they_can_be() {
    for (bytes, word) in [
        (&b"plain-1.2/x"[..], "plain-1.2/x"),
        (b"", "''"),
        (b"a b", "'a b'"),
        (b"it's", "'it'\\''s'"),
        (b"\xff\xfe", "\"$(printf '\\377\\376')\""),
        (b"a\x1bb", "'a'\"$(printf '\\033')\"'b'"),
    ] {
        assert_eq!(shell_word(bytes), word);
    }
}

#[test]
fn raw_messages_are_as_they_were() {
    let flow = some::full();
    let request = raw::request(&flow, b"{}");
    assert!(
        request.starts_with(
            b"POST /v2/items?page=2&sort=a%20b HTTP/2\r\nHost: api.example.com\r\nContent-Type: "
        )
    );
    assert!(request.ends_with(b"x-trace: two\r\n\r\n{}"));
    let response = raw::response(&flow, b"body").expect("a response");
    assert!(response.starts_with(b"HTTP/1.1 503 Service Unavailable\r\nServer: nginx/1.27\r\n"));
    assert!(response.ends_with(b"\r\n\r\nbody\r\nChecksum: abc\r\n"));
    assert!(
        raw::request(&some::tunnel(), b"")
            .starts_with(b"CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n")
    );
}
