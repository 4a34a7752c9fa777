//! `http.maxBodyBytes`.

use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, RecordingOrigin};

use super::ruled;

const RULES: &str = "      - {name: small, action: Allow, to: [{cidrs: [127.0.0.0/8]}], http: {maxBodyBytes: 1KiB}, reason: send less, contact: sec@corp.example}\n";

fn refused(egret: &Egret, count: usize) {
    let records = egret.exactly(count);
    let record = &records[count - 1];
    assert_eq!((record.reason().as_str(), record.status()), ("body-too-large", 413));
    assert_eq!((record.text("policy").as_str(), record.text("rule").as_str()), ("web", "small"));
}

#[test]
fn a_longer_body_is_refused_before_anything_goes_on() {
    let egret = ruled(RULES).start();
    let origin = RecordingOrigin::start();
    let authority = origin.address();
    let head = |length: usize| {
        format!("POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {length}\r\n\r\n")
    };
    let answer = egret.connect().exchange(format!("{}{}", head(1024), "x".repeat(1024)));
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.requests().0.len(), 1);
    let answer = egret.connect().exchange(head(1025));
    assert_eq!(answer.status(), 413, "without its body having been waited for");
    for part in ["1025", "1024", "small", "send less", "sec@corp.example"] {
        assert!(answer.text().contains(part), "{part} in {}", answer.text());
    }
    refused(&egret, 2);
    assert_eq!(origin.requests().0.len(), 1);
    assert!(origin.requests().1.is_empty());
    let series = "egret_policy_refusals_total{policy=\"web\",rule=\"small\",reason=\"body-too-large\"}";
    assert_eq!(egret.metric(series), 1.0);
}

#[test]
fn a_body_of_unknown_length_is_cut_and_never_passed_on_as_whole() {
    let egret = ruled(RULES).start();
    let origin = RecordingOrigin::start();
    let authority = origin.address();
    let mut client = egret.connect();
    client.send(format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    for _ in 0..2 {
        client.send(&chunk);
    }
    assert!(client.is_quiet_for(std::time::Duration::from_millis(100)), "so far it is not too long");
    client.send("1\r\nx\r\n0\r\n\r\n");
    assert_eq!(client.response("POST").status(), 413);
    refused(&egret, 1);
    let _ = client.read_to_end(PATIENCE);
    let (whole, rest) = origin.requests();
    assert!(whole.iter().all(|request| !request.complete), "{whole:?}");
    assert!(!String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"));
}
