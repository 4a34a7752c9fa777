//! `egret policy backtest`.

use serde_json::json;

use super::{Place, denied, record};

fn history() -> String {
    let mut lines = String::new();
    for _ in 0..3 {
        lines.push_str(&record("alice", "api.bank.example.com:443", json!({})));
    }
    lines.push_str(&record("alice", "other.example.org:443", json!({"time": "2026-11-19T10:00:00Z"})));
    lines.push_str(&record("alice", "third.example.org:443", json!({"interim": true})));
    lines.push_str(&record("alice", "vpn.example.org:443", json!({"dialled": "203.0.113.5:443"})));
    lines.push_str(&record("alice", "beta.bank.example.com:443", json!({})));
    lines.push_str(&denied("alice", "bank.example.com:443"));
    lines.push_str(&denied("mallory", "bank.example.com:443"));
    lines.push_str("garbage\n\n{\"method\":\"GET\"}\n");
    lines.push_str(&record("", "nowhere", json!({"method": "GET"})));
    lines
}

#[test]
fn says_what_would_be_denied_and_allowed_now() {
    let place = Place::with_policies();
    place.write("log", history());
    let ran = place.policy(&["backtest", "egret.yaml", "--against", "log"]).exits(1);
    ran.says(&[
        "Newly denied",
        "other.example.org:443",
        "default",
        "Newly allowed",
        "8 flows: 1 newly denied, 1 newly allowed, 5 still allowed, 1 still denied",
        "2 lines passed over: no record",
        "1 line passed over: without a destination",
        "above the threshold",
    ]);
    let json = place.json(&["backtest", "egret.yaml", "--against", "log"]);
    let changes = json["changes"].as_array().unwrap();
    let of = |change: &str| changes.iter().find(|one| one["change"] == change).unwrap();
    assert_eq!(of("newlyDenied")["identity"], "alice");
    assert_eq!(of("newlyDenied")["firstSeen"], "2026-11-19T10:00:00Z");
    assert_eq!(of("newlyAllowed")["rule"], "bank");
    assert_eq!(of("auditDenied")["policy"], "trial");
    assert_eq!(json["records"]["interim"], 1);
}

#[test]
fn bears_with_so_many_as_the_threshold_says() {
    let place = Place::with_policies();
    place.write("log", history());
    for (threshold, code) in [("0", 1), ("1", 0), ("20%", 0), ("1%", 1)] {
        place.policy(&["backtest", "egret.yaml", "--against", "log", "--threshold", threshold]).exits(code);
    }
    place.policy(&["backtest", "--threshold", "1", "--against", "log", "egret.yaml"]).exits(0);
    place.policy(&["backtest", "--against", "log"]).exits(2).says(&["say which policies"]);
    place.policy(&["backtest", "egret.yaml", "--against", "log", "--threshold", "many"]).exits(2);
    place
        .policy(&["backtest", "egret.yaml", "--against", "missing"])
        .exits(2)
        .says(&["missing cannot be read"]);
}

#[test]
fn reads_squid_logfmt_compressed_and_standard_input() {
    let place = Place::with_policies();
    let squid = "1795264591.870     17 10.0.0.9 TCP_TUNNEL/200 6 CONNECT evil.example.org:443 alice HIER_DIRECT/192.0.2.1 -\n";
    let logfmt = "time=2026-11-20T10:00:00Z client=10.0.0.9:1 user=alice method=CONNECT target=evil.example.org:443 treatment=tunnel status=200 route=direct dialled=192.0.2.1:443\n";
    let all = format!("{squid}{logfmt}{}", history());
    place.write("log", &all);
    let status = std::process::Command::new("gzip").arg(place.path("log")).status().unwrap();
    assert!(status.success());
    let compressed = place.json(&["backtest", "egret.yaml", "--against", "log.gz"]);
    assert_eq!(compressed["newlyDenied"], 3);
    let ran =
        place.policy_with(&["backtest", "egret.yaml", "--against", "-", "--format", "json"], all.as_bytes());
    let piped: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(piped, compressed);
}

#[test]
fn looks_groups_up_that_records_do_not_have() {
    let place = Place::new();
    let policies = "default: Deny\npolicies: [{name: p, from: [{groups: [staff]}], rules: [{name: a, action: Allow, to: [{hosts: [a.b.test]}]}]}]\n";
    place.write("log", record("alice", "a.b.test:443", json!({})));
    place.write("egret.yaml", policies);
    place.policy(&["backtest", "egret.yaml", "--against", "log"]).exits(1).says(&["users are in none here"]);
    // The file of users need not be there.
    place.write("groups", "staff: alice\n");
    let authentication = "authentication: {htpasswd: users, groupsFile: groups}\n";
    place.write("egret.yaml", format!("{policies}{authentication}"));
    place.policy(&["backtest", "egret.yaml", "--against", "log"]).exits(0).says(&["1 still allowed"]);
}
