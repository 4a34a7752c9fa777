//! `rateLimit`.

use egret_testkit::http_origin::pattern;
use egret_testkit::raw::RawClient;
use egret_testkit::scripted::{Step, send};
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, HttpOrigin, ScriptedOrigin};
use rustix::process::Signal;

use super::{get, policy, replace, ruled};

fn limited(limit: &str) -> String {
    format!(
        "      - {{name: some, action: Allow, to: [{{cidrs: [127.0.0.0/8]}}], rateLimit: {{{limit}}}, reason: be gentle}}\n"
    )
}

const REFUSED: &str = "egret_policy_refusals_total{policy=\"web\",rule=\"some\",reason=\"rate-limited\"}";

fn ask(egret: &Egret, origin: &HttpOrigin, path: &str) -> u16 {
    egret.connect().exchange(get(origin.address(), path)).status()
}

#[test]
fn requests_over_the_rate_are_told_when_to_come_again() {
    let egret = ruled(&limited("requests: 3/hour")).start();
    let origin = HttpOrigin::start();
    let mut kept: RawClient = egret.connect();
    for _ in 0..2 {
        assert_eq!(kept.exchange(get(origin.address(), "/echo")).status(), 200);
    }
    let (_tunnel, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 200, "a tunnel counts as one");
    let answer = kept.exchange(get(origin.address(), "/echo"));
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.fields.first("retry-after").unwrap().parse().unwrap();
    assert!((1..=1200).contains(&wait), "{wait}");
    assert!(answer.text().contains("be gentle") && answer.text().contains("127.0.0.1"), "{}", answer.text());
    let (_refused, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 429);
    assert!(answer.start_line.contains("rate-limited"), "{}", answer.start_line);
    let mut socks = egret.connect();
    socks.send([5, 1, 0]);
    assert_eq!(socks.take(2), [5, 0]);
    let port = origin.address().port().to_be_bytes();
    socks.send([&[5, 1, 0, 1, 127, 0, 0, 1][..], &port].concat());
    assert_eq!(socks.take(2), [5, 2], "not allowed by the rules");
    wait_until("records", PATIENCE, || egret.metric(REFUSED) == 3.0);
    let refused = egret.records_where(|record| record.reason() == "rate-limited");
    assert!(refused.iter().all(|record| record.text("rule") == "some" && record.text("blame") == "policy"));
}

#[test]
fn a_reload_gives_nobody_a_fresh_allowance() {
    let egret = ruled(&limited("requests: 2/hour")).start();
    let origin = HttpOrigin::start();
    assert_eq!((ask(&egret, &origin, "/"), ask(&egret, &origin, "/")), (200, 200));
    replace(&egret, &format!("{}timeouts: {{keepAlive: 60s}}\n", policy(&limited("requests: 2/hour"))));
    egret.signal(Signal::HUP);
    wait_until("the reload", PATIENCE, || egret.metric("egret_config_generation") == 2.0);
    assert_eq!(ask(&egret, &origin, "/"), 429);
}

#[test]
fn users_are_counted_each_for_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    let hash = egret_testkit::tools::client("openssl").args(["passwd", "-apr1", "p"]).output().unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    std::fs::write(&file, format!("alice:{0}\nbob:{0}\n", hash.trim())).unwrap();
    let config =
        format!("authentication:\n  htpasswd: {}\n{}", file.display(), policy(&limited("requests: 1/hour")));
    let egret = super::builder().config(&config).start();
    let origin = HttpOrigin::start();
    let ask = |credentials: &str| {
        let authority = origin.address();
        egret.connect().exchange(format!(
            "GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n"
        ))
    };
    assert_eq!(ask("YWxpY2U6cA==").status(), 200);
    let refused = ask("YWxpY2U6cA==");
    assert_eq!(refused.status(), 429);
    assert!(refused.text().contains("alice"));
    assert_eq!(ask("Ym9iOnA=").status(), 200);
}

#[test]
fn connections_count_while_they_are_open() {
    let egret = ruled(&limited("connections: 1")).start();
    let origin = HttpOrigin::start();
    let held = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let (mut tunnel, answer) = egret.tunnel(&held.address().to_string());
    assert_eq!(answer.status(), 200);
    assert_eq!(ask(&egret, &origin, "/"), 429);
    tunnel.finish();
    assert_eq!(tunnel.read_to_end(PATIENCE).1, egret_testkit::Ended::Eof);
    wait_until("room", PATIENCE, || ask(&egret, &origin, "/") == 200);
}

#[test]
fn who_is_in_debt_for_bytes_makes_no_new_requests() {
    let egret = ruled(&limited("bytes: 50KiB/hour")).start();
    let origin = HttpOrigin::start();
    assert_eq!(ask(&egret, &origin, "/bytes/51200"), 200, "all of it may come at once");
    assert_eq!(ask(&egret, &origin, "/bytes/2000"), 200, "not in debt yet");
    let answer = egret.connect().exchange(get(origin.address(), "/bytes/1"));
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.fields.first("retry-after").unwrap().parse().unwrap();
    assert!((60..=141).contains(&wait), "{wait}");
    let (_tunnel, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 429);
}

#[test]
fn transfers_over_the_rate_are_paced_and_come_through_whole() {
    let egret = ruled(&limited("bytes: 200KiB/s")).start();
    let origin = HttpOrigin::start();
    let answer = egret.connect().exchange(get(origin.address(), "/bytes/600000"));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body, pattern(600_000));

    let bytes = pattern(600_000);
    let sink = ScriptedOrigin::start(vec![vec![Step::ReadTotal(bytes.len()), send("got it")]]);
    let mut opened = None;
    wait_until("the debt to be paid", PATIENCE, || {
        let (client, answer) = egret.tunnel(&sink.address().to_string());
        opened = (answer.status() == 200).then_some(client);
        opened.is_some()
    });
    let mut tunnel = opened.unwrap();
    tunnel.send(&bytes);
    assert_eq!(tunnel.take(6), b"got it");
    assert_eq!(sink.received()[0].bytes, bytes);
}

#[test]
fn a_tunnel_that_is_held_up_can_still_be_ended() {
    let egret = ruled(&limited("bytes: 10KiB/hour")).start();
    let sink = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let (mut tunnel, answer) = egret.tunnel(&sink.address().to_string());
    assert_eq!(answer.status(), 200);
    tunnel.send(pattern(400_000)).send("more");
    wait_until("the first bytes", PATIENCE, || {
        !sink.received().is_empty() && !sink.received()[0].bytes.is_empty()
    });
    assert!(tunnel.is_quiet_for(std::time::Duration::from_millis(300)));
    assert!(sink.received()[0].bytes.len() < 400_004, "it is held up");
    replace(&egret, &policy("      - {name: shut, action: Deny}\n"));
    egret.signal(Signal::HUP);
    let record = egret.record(|record| record.reason() == "policy-changed");
    assert_eq!(record.text("rule"), "shut");
}
