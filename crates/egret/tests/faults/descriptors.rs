//! Descriptors run out: accepting pauses, nothing spins, what stands goes on, and it recovers.

use std::time::Duration;

use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, HttpOrigin, RawClient};

use super::{builder, get};

/// Processor time used so far, in clock ticks (100 a second).
fn ticks(egret: &Egret) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", egret.pid())).unwrap();
    let rest: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    rest[11].parse::<u64>().unwrap() + rest[12].parse::<u64>().unwrap()
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let egret = builder().env("EGRET_WORKERS", "2").descriptors(80).start();
    let origin = HttpOrigin::start();
    let mut standing = egret.connect();
    assert_eq!(standing.exchange(get(origin.address(), "/echo")).status(), 200);

    let flood: Vec<RawClient> = (0..150).map(|_| egret.connect()).collect();
    wait_until("descriptors to run out", PATIENCE, || egret.open_descriptors() >= 75);
    std::thread::sleep(Duration::from_millis(300));
    let before = ticks(&egret);
    std::thread::sleep(Duration::from_secs(1));
    let used = ticks(&egret) - before;
    assert!(used < 40, "it spins: {used} of 100 ticks");

    // A connection that stands may be told that nothing more can be opened, but it is served.
    let answer = standing.exchange(get(origin.address(), "/echo"));
    assert!([200, 502, 503].contains(&answer.status()), "{}", answer.start_line);

    drop(flood);
    wait_until("service again", PATIENCE, || {
        let mut client = egret.connect();
        client.send(get(origin.address(), "/echo"));
        client.read_to_end(Duration::from_millis(500)).0.starts_with(b"HTTP/1.1 200 ")
    });
}

#[test]
fn descriptors_come_back_after_many_flows() {
    let egret = builder().start();
    let origin = HttpOrigin::start();
    for _ in 0..20 {
        let (mut client, answer) = egret.tunnel(&origin.address().to_string());
        assert_eq!(answer.status(), 200);
        client.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response("GET").status(), 200);
    }
    let before = egret.open_descriptors();
    for _ in 0..200 {
        let (_, answer) = egret.tunnel(&origin.address().to_string());
        assert_eq!(answer.status(), 200);
    }
    egret.exactly(220);
    wait_until("descriptors to be given back", PATIENCE, || egret.open_descriptors() <= before + 5);
}
