//! SIGTERM: what is in flight finishes, what is new goes elsewhere, and nothing waits for ever.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use egret_testkit::scripted::Step;
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended, HttpOrigin, RawClient, ScriptedOrigin};
use rustix::process::Signal;

use super::{builder, configured, get};

#[test]
fn in_flight_requests_finish() {
    let mut egret = configured("drain: {timeout: 20s}\n");
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    client.send(get(origin.address(), "/slow/20/50")); // one second
    let _ = client.read_until(PATIENCE, |bytes| bytes.windows(10).any(|w| w == b"slow bytes"));
    assert_eq!(egret.admin_page("/readyz").status(), 200);
    egret.signal(Signal::TERM);
    wait_until("readyz to fail", PATIENCE, || egret.admin_page("/readyz").status() == 503);
    assert_eq!(egret.admin_page("/healthz").status(), 200, "it is alive while it drains");
    wait_until("accepting to stop", PATIENCE, || {
        TcpStream::connect_timeout(&egret.address(), Duration::from_millis(200)).is_err()
    });
    let answer = client.response("GET");
    assert!(answer.complete);
    assert_eq!(answer.body.len(), 200);
    assert!(egret.wait_for_end(PATIENCE).success());
    let records = egret.records();
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!((records[0].status(), records[0].reason().as_str()), (200, ""));
}

/// A kept connection without a request is closed at once, and the last answer on one says `close`.
#[test]
fn kept_connections_do_not_hold_the_drain_up() {
    let mut egret = configured("drain: {timeout: 30s}\n");
    let origin = HttpOrigin::start();
    let mut idle = egret.connect();
    assert_eq!(idle.exchange(get(origin.address(), "/echo")).status(), 200);
    let mut busy = egret.connect();
    busy.send(get(origin.address(), "/delay/500"));
    std::thread::sleep(Duration::from_millis(100));
    egret.signal(Signal::TERM);
    assert_eq!(idle.read_to_end(PATIENCE).1, Ended::Eof);
    let answer = busy.response("GET");
    assert_eq!(answer.status(), 200);
    assert!(answer.fields.lists("connection", "close"));
    assert_eq!(busy.read_to_end(PATIENCE).1, Ended::Eof);
    assert!(egret.wait_for_end(Duration::from_secs(10)).success());
}

#[test]
fn the_deadline_closes_tunnels_with_a_reason() {
    let mut egret = configured("drain: {timeout: 1s}\n");
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let (mut client, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 200);
    client.send("x");
    wait_until("the byte at the origin", PATIENCE, || {
        origin.received().first().is_some_and(|received| received.bytes == b"x")
    });
    egret.signal(Signal::TERM);
    assert_ne!(client.read_to_end(PATIENCE).1, Ended::Open);
    assert!(egret.wait_for_end(PATIENCE).success());
    let records = egret.records();
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!((records[0].reason().as_str(), records[0].bytes_up()), ("draining", 1));
}

#[test]
fn without_work_it_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
        egret.signal(signal);
        assert!(egret.wait_for_end(Duration::from_secs(5)).success());
    }
}

/// Instances follow each other on one port (SO_REUSEPORT) under a load of new connections: no request
/// fails.
#[test]
fn a_rolling_restart_fails_no_request() {
    let origin = HttpOrigin::start();
    let first = builder().start();
    let address = first.address();
    let start = || builder().listen(&address.to_string()).start();
    let stop = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    let mut instances = vec![first]; // outlives the load
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) && served.load(Ordering::SeqCst) < 100_000 {
                    match once(address, &origin) {
                        Ok(()) => served.fetch_add(1, Ordering::SeqCst),
                        Err(why) => {
                            failed.lock().unwrap().push(why);
                            0
                        }
                    };
                }
            });
        }
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(300));
            instances.push(start());
            std::thread::sleep(Duration::from_millis(300));
            let mut old = instances.remove(0);
            old.signal(Signal::TERM);
            let status = old.wait_for_end(PATIENCE);
            if !status.success() {
                failed.lock().unwrap().push(format!("an instance ended with {status}"));
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::SeqCst);
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} failed, {} served: {failed:?}",
        failed.len(),
        served.load(Ordering::SeqCst)
    );
    assert!(served.load(Ordering::SeqCst) > 100);
}

fn once(address: std::net::SocketAddr, origin: &HttpOrigin) -> Result<(), String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| format!("connect: {e}"))?;
    let mut client = RawClient { stream, pending: Vec::new() };
    client.send(get(origin.address(), "/echo"));
    let ended = client.read_until(PATIENCE, |bytes| {
        egret_testkit::message::response(bytes, "GET", false).is_some_and(|r| r.complete)
    });
    let answer = egret_testkit::message::response(&client.pending, "GET", false);
    match answer {
        Some(answer) if answer.complete && answer.status() == 200 => Ok(()),
        Some(answer) => Err(format!("{} ({ended:?})", answer.start_line)),
        None => Err(format!("no answer ({ended:?})")),
    }
}
