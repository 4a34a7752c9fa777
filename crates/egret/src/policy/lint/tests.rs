use std::net::SocketAddr;
use std::time::SystemTime;

use egret_core::destination::{Destination, Host};
use egret_core::identity::{Identity, Proof, User};
use egret_core::policy::{Ask, RequestFacts, Seen};
use proptest::prelude::*;

use super::super::target::Fields;
use super::*;

/// A rule in one line of YAML, from few enough words that one often covers another.
fn rule() -> impl Strategy<Value = String> {
    let to = prop_oneof![
        Just(""),
        Just("hosts: [a.x.test]"),
        Just("hosts: [\"*.x.test\"]"),
        Just("hosts: [\"**.x.test\", x.test]"),
        Just("hosts: [x.test], ports: [1]"),
        Just("hosts: [\"*.x.test\"], ports: [1-3]"),
        Just("ports: [2, 1]"),
        Just("cidrs: [192.0.2.0/24]"),
        Just("cidrs: [192.0.2.0/25], ports: [1]"),
        Just("hosts: [a.x.test], cidrs: [192.0.2.0/24]"),
    ];
    let more = prop_oneof![
        4 => Just(""),
        1 => Just(", http: {methods: [GET]}"),
        1 => Just(", http: {methods: [GET]}, tls: Intercept"),
        1 => Just(", tls: Intercept"),
    ];
    (prop_oneof!["Allow", "Deny", "Pass"], to, more).prop_map(|(action, to, more)| {
        let to = if to.is_empty() { String::new() } else { format!(", to: [{{{to}}}]") };
        format!("action: {action}{to}{more}")
    })
}

fn policies() -> impl Strategy<Value = String> {
    let from = prop_oneof![
        Just(""),
        Just("from: [{users: [alice]}], "),
        Just("from: [{users: [\"*\"]}], "),
        Just("from: [{cidrs: [10.0.0.0/8]}], "),
        Just("from: [{users: [alice], cidrs: [10.1.0.0/16]}, {users: [bob]}], "),
    ];
    let policy = (
        from,
        prop_oneof![3 => Just("Enforce"), 1 => Just("Audit")],
        proptest::collection::vec(rule(), 1..5),
    );
    (proptest::collection::vec(policy, 1..4), any::<bool>()).prop_map(|(policies, deny)| {
        let mut number = 0;
        let mut text = format!("default: {}\npolicies:\n", if deny { "Deny" } else { "Allow" });
        for (index, (from, mode, rules)) in policies.iter().enumerate() {
            let rules: Vec<_> = rules
                .iter()
                .map(|rule| {
                    number += 1;
                    format!("{{name: r{number}, {rule}}}")
                })
                .collect();
            text.push_str(&format!(
                "  - {{name: p{index}, priority: {index}, mode: {mode}, {from}rules: [{}]}}\n",
                rules.join(", ")
            ));
        }
        text
    })
}

/// The names of the rules that are said to be never asked.
fn shadowed(book: &PolicyBook) -> Vec<String> {
    let mut findings = Findings::default();
    shadow::look(book, &mut findings);
    let name = |finding: &Finding| finding.problem.message.split('`').nth(1).map(str::to_owned);
    findings.list.iter().filter_map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_rule_that_is_said_to_be_never_asked_never_decides(text in policies()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("egret.yaml");
        std::fs::write(&path, &text).unwrap();
        let book = PolicyBook::read(&[path]).unwrap_or_else(|problems| {
            panic!("{}\n{text}", egret_config::render(&problems, false));
        });
        let shadowed = shadowed(&book);
        if shadowed.is_empty() {
            return Ok(());
        }
        let fields = Fields::default();
        let request = |method| RequestFacts {
            method, scheme: "http", path: "/", query: None, headers: &fields, body_length: Some(0),
        };
        let seen = [Seen::Tunnel, Seen::TunnelToOpen, Seen::Request(request("GET")), Seen::Request(request("PUT"))];
        for user in [None, Some("alice"), Some("bob"), Some("carl")] {
            for client in ["10.1.2.3:1", "10.2.2.3:1", "172.16.0.1:1"] {
                let mut identity = Identity::from_address(client.parse::<SocketAddr>().unwrap());
                identity.user = user.map(|name| User {
                    name: name.into(),
                    proof: Proof::Htpasswd,
                    groups: Vec::new().into(), workload: None });
                for host in ["a.x.test", "b.a.x.test", "x.test", "y.test", "192.0.2.1", "192.0.2.200"] {
                    for port in 1..5 {
                        let destination = Destination::new(Host::parse(host).unwrap(), port);
                        for address in [None, Some([192, 0, 2, 1].into()), Some([198, 51, 100, 1].into())] {
                            for seen in seen {
                                let ask = Ask { identity: &identity, destination: &destination, address, seen, now: SystemTime::UNIX_EPOCH };
                                let verdict = book.gate.policies.evaluate(&ask);
                                for by in [verdict.by, verdict.audit].into_iter().flatten() {
                                    prop_assert!(
                                        !shadowed.contains(&by.rule.to_string()),
                                        "{} decides {:?}\n{}", by.rule, ask, text
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
