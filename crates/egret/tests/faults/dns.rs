//! Name servers that fail, lie, and are slow.

use std::time::Duration;

use egret_testkit::dns::A;
use egret_testkit::{DnsAnswer, DnsServer, Egret, HttpOrigin};

use super::{builder, get};

/// A proxy that asks this server once, and not for long.
fn asking(server: &DnsServer) -> Egret {
    builder()
        .config("dns: {timeout: 500ms, attempts: 1, search: [], negativeTTL: 30s, minTTL: 1s}\n")
        .dns(server.address())
        .start()
}

fn status_for(answer: DnsAnswer) -> (u16, String) {
    let server = DnsServer::start(move |_, _, _| answer.clone());
    let egret = asking(&server);
    let response = egret.connect().exchange(get("name.test:80", "/"));
    (response.status(), egret.exactly(1)[0].reason())
}

#[test]
fn a_name_that_does_not_exist_says_so() {
    assert_eq!(status_for(DnsAnswer::NxDomain), (502, "dns-not-found".into()));
}

#[test]
fn a_name_without_addresses_says_so() {
    assert_eq!(status_for(DnsAnswer::Addresses(vec![], 60)), (502, "dns-not-found".into()));
}

#[test]
fn a_failing_server_says_so() {
    assert_eq!(status_for(DnsAnswer::ServFail), (502, "dns-failed".into()));
    assert_eq!(status_for(DnsAnswer::Refused), (502, "dns-failed".into()));
}

#[test]
fn a_silent_server_times_out() {
    assert_eq!(status_for(DnsAnswer::Silence), (504, "dns-timeout".into()));
}

#[test]
fn garbage_is_no_answer() {
    let (status, reason) = status_for(DnsAnswer::Garbage);
    assert!([502, 504].contains(&status), "{status}");
    assert!(["dns-failed", "dns-timeout"].contains(&reason.as_str()), "{reason}");
}

#[test]
fn an_answer_under_another_id_is_not_believed() {
    let origin = HttpOrigin::start();
    let server = DnsServer::start(|_, _, _| DnsAnswer::WrongId(vec!["127.0.0.1".parse().unwrap()]));
    let egret = asking(&server);
    let answer = egret.connect().exchange(get(format!("name.test:{}", origin.address().port()), "/echo"));
    assert!([502, 504].contains(&answer.status()));
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn a_slow_answer_is_waited_for_and_asked_for_once() {
    let origin = HttpOrigin::start();
    let server = DnsServer::start(|_, _, _| {
        DnsAnswer::After(Duration::from_millis(250), Box::new(DnsAnswer::address("127.0.0.1")))
    });
    let egret = builder().env("EGRET_WORKERS", "1").dns(server.address()).start();
    let authority = format!("slow.test:{}", origin.address().port());
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(egret.connect().exchange(get(&authority, "/echo")).status(), 200));
        }
    });
    assert!(server.asked("slow.test", A) <= 2, "asked {} times", server.asked("slow.test", A));
    let records = egret.exactly(20);
    assert!(records.iter().any(|r| r.0.get("dnsMs").is_some()));
}

#[test]
fn answers_are_kept_as_long_as_they_say() {
    let origin = HttpOrigin::start();
    let server = DnsServer::start(|name, _, _| match name {
        "long.test" => DnsAnswer::Addresses(vec!["127.0.0.1".parse().unwrap()], 60),
        "short.test" => DnsAnswer::Addresses(vec!["127.0.0.1".parse().unwrap()], 1),
        _ => DnsAnswer::NxDomain,
    });
    let egret = builder()
        .config("dns: {search: [], negativeTTL: 30s, minTTL: 1s}\n")
        .env("EGRET_WORKERS", "1")
        .dns(server.address())
        .start();
    for _ in 0..3 {
        for name in ["long.test", "short.test", "none.test"] {
            // A tunnel each time: a kept connection would need no name.
            let (_, answer) = egret.tunnel(&format!("{name}:{}", origin.address().port()));
            assert_eq!(answer.status(), if name == "none.test" { 502 } else { 200 });
        }
        std::thread::sleep(Duration::from_millis(1200));
    }
    assert_eq!(server.asked("long.test", A), 1);
    assert!(server.asked("short.test", A) >= 2);
    assert_eq!(server.asked("none.test", A), 1);
}

#[test]
fn the_second_address_is_tried_when_the_first_is_dead() {
    let origin = HttpOrigin::start();
    let server = DnsServer::start(|_, _, _| {
        // Nothing listens on the port at 127.0.0.9.
        let addresses = ["127.0.0.9", "127.0.0.1"].map(|a| a.parse().unwrap());
        DnsAnswer::Addresses(addresses.to_vec(), 60)
    });
    let egret = asking(&server);
    let authority = format!("two.test:{}", origin.address().port());
    let answer = egret.connect().exchange(get(&authority, "/echo"));
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json()["fields"].as_array().unwrap().iter().filter(|f| f[1] == authority.as_str()).count(),
        1
    );
    assert_eq!(egret.exactly(1)[0].text("dialled"), origin.address().to_string());
}

/// The name changes its address between the check and the dial, as in an attack: what is dialled is
/// what was checked, and a new answer is checked anew.
#[test]
fn rebinding_does_not_get_past_a_rule() {
    let origin = HttpOrigin::start();
    let port = origin.address().port();
    let server = DnsServer::start(|_, _, before| {
        let address = if before == 0 { "127.0.0.1" } else { "127.0.0.66" };
        DnsAnswer::Addresses(vec![address.parse().unwrap()], 0)
    });
    let egret = builder()
        .config("dns: {minTTL: 1s, search: []}\nrules: {deny: [{name: inner, cidrs: [127.0.0.66/32]}]}\n")
        .env("EGRET_WORKERS", "1")
        .dns(server.address())
        .start();
    let (_, answer) = egret.tunnel(&format!("rebind.test:{port}"));
    assert_eq!(answer.status(), 200);
    std::thread::sleep(Duration::from_millis(1500));
    let (_, answer) = egret.tunnel(&format!("rebind.test:{port}"));
    assert_eq!(answer.status(), 403);
    egret.exactly(2);
    let denied = egret.record(|r| r.status() == 403);
    assert_eq!((denied.reason().as_str(), denied.text("rule").as_str()), ("denied-by-rule", "inner"));
    assert_eq!(denied.text("dialled"), "");
}
