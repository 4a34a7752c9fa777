//! A mixed load for some time: memory and descriptors stay level, and every flow leaves one record.
//!
//! `EGRET_SOAK_SECONDS` says for how long (12 by default, so that every run of the suite has a short
//! one); `./test --soak MIN` sets it and shows the figures.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, HttpOrigin};

const MIB: f64 = 1024.0 * 1024.0;

/// One round of everything: kept requests, uploads, chunks, a tunnel, a refusal, a client that leaves.
/// Returns how many flows it made.
fn round(egret: &Egret, origin: &HttpOrigin) -> u64 {
    let authority = origin.address();
    let get = |path: &str| format!("GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let mut client = egret.connect();
    for path in ["/echo", "/bytes/50000", "/chunked/20000", "/trailers", "/hints", "/status/204"] {
        let answer = client.exchange(get(path));
        assert!(answer.complete && answer.status() < 300, "{path}: {}", answer.start_line);
    }
    let body = "b".repeat(30_000);
    let post = format!(
        "POST http://{authority}/echo HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(client.exchange(post).json()["bytes"], 30_000);
    assert_eq!(egret.connect().exchange("GET http://x y HTTP/1.1\r\n\r\n").status(), 400);
    let (mut tunnel, answer) = egret.tunnel(&authority.to_string());
    assert_eq!(answer.status(), 200);
    tunnel.send(format!("GET /bytes/100000 HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    assert_eq!(tunnel.response("GET").body.len(), 100_000);
    let mut leaving = egret.connect();
    leaving.send(get("/bytes/3000000"));
    let _ = leaving.take(1000);
    leaving.reset();
    10
}

#[test]
fn memory_and_descriptors_stay_level_under_load() {
    let seconds = std::env::var("EGRET_SOAK_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(12);
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    let stop = AtomicBool::new(false);
    let flows = AtomicU64::new(0);
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    flows.fetch_add(round(&egret, &origin), Ordering::SeqCst);
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(seconds * 1000 / 60));
            samples.push((egret.resident_bytes(), egret.open_descriptors()));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let flows = flows.load(Ordering::SeqCst);
    let median = |part: &[(u64, usize)]| {
        let mut bytes: Vec<u64> = part.iter().map(|s| s.0).collect();
        bytes.sort_unstable();
        bytes[bytes.len() / 2]
    };
    let third = samples.len() / 3;
    let (first, second, last) =
        (median(&samples[..third]), median(&samples[third..2 * third]), median(&samples[2 * third..]));
    println!(
        "soak: {seconds} s, {flows} flows, resident memory by thirds {:.1} / {:.1} / {:.1} MiB, descriptors at most {}",
        first as f64 / MIB,
        second as f64 / MIB,
        last as f64 / MIB,
        samples.iter().map(|s| s.1).max().unwrap_or(0)
    );
    assert!(last < second + 8 * 1024 * 1024, "memory grows: {second} to {last} bytes");
    // Kept upstream connections remain; what clients opened does not.
    wait_until("descriptors to be given back", PATIENCE, || egret.open_descriptors() < 300);
    wait_until("a record for each flow", PATIENCE, || egret.records().len() as u64 >= flows);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(egret.records().len() as u64, flows, "one record for each flow");
}
