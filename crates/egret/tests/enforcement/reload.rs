//! Policies that change while there is work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use egret_testkit::scripted::{Step, send};
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended, HttpOrigin, ScriptedOrigin};
use rustix::process::Signal;

use super::{get, names, policy, replace, ruled};

const RELOADS: usize = 12;
const CLIENTS: usize = 12;
const TUNNELS: usize = 30;

const BOTH: &str = "      - {name: first, action: Allow, to: [{hosts: [stay.test, leave.test]}]}\n";
const ONE: &str = "      - {name: gone, action: Deny, to: [{hosts: [leave.test]}], reason: moved away}\n      - {name: second, action: Allow, to: [{hosts: [stay.test]}]}\n";

/// Puts a configuration into force.
fn reload(egret: &Egret, text: &str) {
    let before = egret.metric("egret_config_generation");
    replace(egret, text);
    egret.signal(Signal::HUP);
    wait_until("the reload", PATIENCE, || egret.metric("egret_config_generation") > before);
}

#[test]
fn a_reload_at_full_load_loses_nothing_that_both_versions_allow() {
    let dns = names();
    let egret = ruled(BOTH).dns(dns.address()).start();
    let origin = HttpOrigin::start();
    let echo = ScriptedOrigin::start(vec![vec![Step::ReadTotal(2), send("ok"), Step::ReadToEnd]]);
    let authority = format!("stay.test:{}", origin.address().port());
    let through = |name: &str| {
        let (client, answer) = egret.tunnel(&format!("{name}:{}", echo.address().port()));
        assert_eq!(answer.status(), 200, "{name}");
        client
    };
    let mut staying: Vec<_> = (0..TUNNELS).map(|_| through("stay.test")).collect();
    let mut leaving: Vec<_> = (0..TUNNELS).map(|_| through("leave.test")).collect();
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (egret, authority, over, done) = (&egret, &authority, &over, &done);
                scope.spawn(move || {
                    let mut kept = egret.connect();
                    while !over.load(Ordering::Relaxed) {
                        if number % 3 == 0 {
                            kept = egret.connect();
                        }
                        let answer = kept.exchange(get(authority, "/bytes/1000"));
                        assert_eq!((answer.status(), answer.body.len()), (200, 1000));
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for number in 0..RELOADS {
            let before = done.load(Ordering::Relaxed);
            reload(&egret, &policy(if number % 2 == 0 { ONE } else { BOTH }));
            wait_until("requests after the reload", PATIENCE, || {
                done.load(Ordering::Relaxed) > before + CLIENTS
            });
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
    for tunnel in &mut leaving {
        assert_eq!(tunnel.read_to_end(PATIENCE).1, Ended::Reset);
    }
    for tunnel in &mut staying {
        tunnel.send("hi");
        assert_eq!(tunnel.take(2), b"ok", "an open tunnel goes on");
        tunnel.finish();
        assert_eq!(tunnel.read_to_end(PATIENCE).1, Ended::Eof);
    }
    let records = egret.exactly(2 * TUNNELS + done.load(Ordering::Relaxed));
    for record in &records {
        if record.target().starts_with("leave.test") {
            assert_eq!((record.reason().as_str(), record.text("rule").as_str()), ("policy-changed", "gone"));
            assert!(record.text("detail").contains("moved away"), "{record:?}");
        } else {
            assert_eq!(record.reason(), "", "{record:?}");
        }
    }
}

#[test]
fn the_record_names_the_rule_that_decided_last() {
    let dns = names();
    let egret = ruled(BOTH).dns(dns.address()).start();
    let echo = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let (mut tunnel, answer) = egret.tunnel(&format!("stay.test:{}", echo.address().port()));
    assert_eq!(answer.status(), 200);
    let watched = "  - {name: soon, priority: 1, mode: Audit, rules: [{name: nobody, action: Deny}]}\n";
    reload(&egret, &format!("{}{watched}", policy(ONE)));
    // The tunnel is looked at by its worker, in its own time.
    std::thread::sleep(Duration::from_millis(300));
    tunnel.finish();
    let record = &egret.exactly(1)[0];
    assert_eq!(record.text("rule"), "second");
    assert_eq!((record.text("auditPolicy").as_str(), record.text("auditRule").as_str()), ("soon", "nobody"));
}

#[test]
fn a_kept_connection_is_decided_by_what_is_in_force() {
    let dns = names();
    let egret = ruled(BOTH).dns(dns.address()).start();
    let origin = HttpOrigin::start();
    let authority = format!("leave.test:{}", origin.address().port());
    let mut kept = egret.connect();
    assert_eq!(kept.exchange(get(&authority, "/echo")).status(), 200);
    reload(&egret, &policy(ONE));
    let answer = kept.exchange(get(&authority, "/echo"));
    assert_eq!(answer.status(), 403);
    assert!(answer.text().contains("moved away"));
    reload(&egret, &policy(BOTH));
    assert_eq!(kept.exchange(get(&authority, "/echo")).status(), 200);
}

const READS: &str = "      - {name: reads, action: Allow, to: [{hosts: [stay.test]}], http: {methods: [GET], paths: [/reads/**], headers: [{name: x-kind, values: [plain]}]}}\n";
const READS_BY_ANOTHER: &str = "      - {name: others, action: Deny, http: {paths: [/writes/**]}}\n      - {name: still, action: Allow, to: [{hosts: [stay.test]}], http: {headers: [{name: x-kind, values: [plain]}]}}\n";
const WRITES: &str = "      - {name: no-reads, action: Deny, http: {paths: [/reads/**]}, reason: read elsewhere}\n      - {name: rest, action: Allow}\n";

fn read_request(authority: &str, more: &str) -> String {
    format!("GET http://{authority}/reads/1 HTTP/1.1\r\nHost: {authority}\r\nX-Kind: plain\r\n{more}\r\n")
}

#[test]
fn a_response_under_way_is_decided_again_by_its_request() {
    let dns = names();
    let egret = ruled(READS).dns(dns.address()).start();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst";
    let waits = || vec![Step::ReadHead, send(head), Step::Hold];
    let goes_on =
        || vec![Step::ReadHead, send(head), Step::Pause(Duration::from_secs(2)), send(" last"), Step::Hold];
    let origin = ScriptedOrigin::start(vec![goes_on(), waits()]);
    let authority = format!("stay.test:{}", origin.address().port());
    let mut whole = egret.connect();
    whole.send(read_request(&authority, ""));
    let _ = whole.read_until(PATIENCE, |bytes| bytes.ends_with(b"first"));
    let mut cut = egret.connect();
    cut.send(read_request(&authority, ""));
    let _ = cut.read_until(PATIENCE, |bytes| bytes.ends_with(b"first"));

    reload(&egret, &policy(READS_BY_ANOTHER));
    assert_eq!(whole.response("GET").text(), "first last", "both versions allow it");
    let record = &egret.exactly(1)[0];
    assert_eq!((record.reason(), record.text("rule")), (String::new(), "still".to_owned()));

    reload(&egret, &policy(WRITES));
    assert_eq!(cut.read_to_end(PATIENCE).1, Ended::Reset, "nobody takes it for the whole");
    let record = egret.record(|record| record.reason() == "policy-changed");
    assert_eq!(record.text("rule"), "no-reads");
    assert!(record.text("detail").contains("read elsewhere"), "{record:?}");
}

#[test]
fn a_request_that_waits_for_its_response_is_refused_when_it_is_not_allowed_any_more() {
    let dns = names();
    let egret = ruled(READS).dns(dns.address()).start();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadHead, Step::Hold]]);
    let authority = format!("stay.test:{}", origin.address().port());
    let mut client = egret.connect();
    client.send(read_request(&authority, ""));
    wait_until("the request", PATIENCE, || {
        !origin.received().is_empty() && !origin.received()[0].bytes.is_empty()
    });
    reload(&egret, &policy(READS_BY_ANOTHER));
    assert!(client.is_quiet_for(Duration::from_millis(200)));
    reload(&egret, &policy(WRITES));
    let answer = client.response("GET");
    assert_eq!(answer.status(), 403);
    assert!(answer.start_line.contains("policy-changed") && answer.text().contains("no-reads"));
}

#[test]
fn what_an_upgrade_led_to_is_decided_again_by_its_request() {
    let dns = names();
    let egret = ruled(READS).dns(dns.address()).start();
    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let origin = ScriptedOrigin::start(vec![vec![
        Step::ReadHead,
        send(switched),
        Step::Pause(Duration::from_millis(1)),
        Step::Hold,
    ]]);
    let authority = format!("stay.test:{}", origin.address().port());
    let mut client = egret.connect();
    client.send(read_request(&authority, "Connection: Upgrade\r\nUpgrade: echo\r\n"));
    assert_eq!(client.response("GET").status(), 101);
    reload(&egret, &policy(READS_BY_ANOTHER));
    assert!(client.is_quiet_for(Duration::from_millis(200)), "both versions allow it");
    // It is no tunnel that was asked for by CONNECT: what goes through it is not looked at.
    client.send(super::hello::hello(Some("hidden.test"), false));
    assert!(client.is_quiet_for(Duration::from_millis(200)));
    reload(&egret, &policy(WRITES));
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Reset);
    let record = egret.record(|record| record.reason() == "policy-changed");
    assert_eq!(record.text("rule"), "no-reads");
}
