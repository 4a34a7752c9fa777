use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use egret_core::destination::Destination;
use egret_core::gate::{Denial, Gate, Grant, Guard, Permit, grant_parent};
use egret_core::identity::Identity;
use egret_core::pattern::{HostPattern, PortRange};
use egret_core::policy::model::{Action, Rule, Target};
use egret_core::policy::{Ask, Policies};
use egret_core::reason::Reason;

use crate::policy;

pub(crate) fn to(authority: &str) -> Destination {
    Destination::parse_authority(authority).expect(authority)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

pub(crate) fn somebody() -> Identity {
    Identity::from_address(SocketAddr::new(ip("192.0.2.7"), 40_000))
}

/// A rule from words: patterns of hosts, networks (with a slash) and ports (with a colon in front). Hosts and
/// networks stand for each other.
fn rule(name: String, action: Action, words: &str) -> Rule {
    let (mut hosts, mut networks, mut ports) = (vec![], vec![], vec![]);
    for word in words.split_whitespace() {
        if word.contains('/') {
            networks.push(word.parse().expect(word));
        } else if let Some(port) = word.strip_prefix(':') {
            ports.push(PortRange::parse(port).expect(word));
        } else {
            hosts.push(HostPattern::parse(word).expect(word));
        }
    }
    let mut to = vec![Target { networks, ports: ports.clone(), ..Target::default() }];
    if to[0].networks.is_empty() || !hosts.is_empty() {
        to.insert(0, Target { hosts, ports, ..Target::default() });
    }
    to.retain(|target| !target.hosts.is_empty() || !target.networks.is_empty());
    if to.is_empty() {
        to.push(Target {
            ports: words.split_whitespace().map(|word| PortRange::parse(&word[1..]).expect(word)).collect(),
            ..Target::default()
        });
    }
    policy::rule_to(&name, action, to)
}

pub(crate) fn gate<S: AsRef<str>>(deny: &[S], allow: &[S], default_allow: bool) -> Gate {
    let rules = |prefix: &str, action, list: &[S]| -> Vec<Rule> {
        let numbered = list.iter().enumerate();
        numbered.map(|(i, words)| rule(format!("{prefix}-{i}"), action, words.as_ref())).collect()
    };
    let mut all = rules("deny", Action::Deny, deny);
    all.extend(rules("allow", Action::Allow, allow));
    let policies = Policies::compile(vec![policy::cluster("rules", 0, all)], default_allow);
    Gate { guard: Guard::default(), policies }
}

pub(crate) fn ask<'a>(identity: &'a Identity, destination: &'a Destination) -> Ask<'a> {
    Ask::for_tunnel(identity, destination, SystemTime::UNIX_EPOCH)
}

fn evaluate(gate: &Gate, destination: &Destination) -> Result<Permit, Denial> {
    gate.evaluate(&ask(&somebody(), destination))
}

/// Both questions, as a direct flow asks them.
fn decide(gate: &Gate, destination: &Destination, resolved: &[IpAddr]) -> Result<Grant, Denial> {
    let permit = evaluate(gate, destination)?;
    gate.grant(&ask(&somebody(), destination), &permit, resolved)
}

/// The outcome in short: "granted", "granted by RULE", or the reason's code with the rule.
fn outcome(result: Result<Grant, Denial>) -> String {
    let (word, rule) = match &result {
        Ok(grant) => ("granted", grant.basis().by.as_ref()),
        Err(denial) => (denial.reason.code(), denial.by.as_ref()),
    };
    match rule {
        Some(facts) => format!("{word} by {}", facts.rule),
        None => word.to_owned(),
    }
}

#[test]
fn rules_decide_in_their_order() {
    // deny, allow, default, destination, resolved, outcome
    type Case<'a> = (&'a [&'a str], &'a [&'a str], bool, &'a str, &'a [&'a str], &'a str);
    let table: &[Case<'_>] = &[
        (&[], &[], true, "a.test:443", &["192.0.2.1"], "granted"),
        (&[], &[], false, "a.test:443", &["192.0.2.1"], "denied-by-default"),
        // Deny beats allow, in whatever order and by whatever means.
        (&["a.test"], &["a.test"], true, "a.test:443", &["192.0.2.1"], "denied-by-rule by deny-0"),
        (&["**.test"], &["a.test"], false, "a.test:443", &["192.0.2.1"], "denied-by-rule by deny-0"),
        (&["192.0.2.0/24"], &["a.test"], false, "a.test:443", &["192.0.2.1"], "denied-by-rule by deny-0"),
        (&["a.test"], &["192.0.2.0/24"], false, "a.test:443", &["192.0.2.1"], "denied-by-rule by deny-0"),
        // The first of the rules that match is named.
        (&["b.test", "a.test", "*"], &[], true, "a.test:443", &["192.0.2.1"], "denied-by-rule by deny-1"),
        (&["*", "a.test"], &[], true, "a.test:443", &["192.0.2.1"], "denied-by-rule by deny-0"),
        (&[], &["**.test", "a.test"], false, "a.test:443", &["192.0.2.1"], "granted by allow-0"),
        (&[], &["a.test", "**.test"], false, "a.test:443", &["192.0.2.1"], "granted by allow-0"),
        // Ports.
        (&[":25"], &[], true, "a.test:25", &["192.0.2.1"], "denied-by-rule by deny-0"),
        (&[":25"], &[], true, "a.test:26", &["192.0.2.1"], "granted"),
        (&["a.test :1-1023"], &[], true, "a.test:80", &["192.0.2.1"], "denied-by-rule by deny-0"),
        (&["a.test :1-1023"], &[], true, "b.test:80", &["192.0.2.1"], "granted"),
        (&[], &["a.test :443", "a.test :80"], false, "a.test:80", &["192.0.2.1"], "granted by allow-1"),
        (&[], &["a.test :443"], false, "a.test:80", &["192.0.2.1"], "denied-by-default"),
        // Networks decide on the address that the name has.
        (&["10.0.0.0/8"], &[], true, "a.test:443", &["10.1.2.3"], "denied-by-rule by deny-0"),
        (&["10.0.0.0/8"], &[], true, "a.test:443", &["11.1.2.3"], "granted"),
        (&["10.0.0.0/8"], &[], true, "10.1.2.3:443", &["10.1.2.3"], "denied-by-rule by deny-0"),
        (&["10.0.0.0/8 :80"], &[], true, "10.1.2.3:443", &["10.1.2.3"], "granted"),
        (&["10.1.2.3"], &[], true, "a.test:443", &["10.1.2.3"], "denied-by-rule by deny-0"),
        (&["fd00::/8"], &[], true, "a.test:443", &["fd00::9"], "denied-by-rule by deny-0"),
        (&[], &["10.0.0.0/8"], false, "a.test:443", &["10.1.2.3"], "granted by allow-0"),
        (&[], &["10.0.0.0/8"], false, "a.test:443", &["11.1.2.3"], "denied-by-default"),
        (&[], &["10.0.0.0/8 :80"], false, "a.test:443", &["10.1.2.3"], "denied-by-default"),
        (&[], &["10.0.0.0/8"], false, "10.1.2.3:443", &["10.1.2.3"], "granted by allow-0"),
        (&[], &["b.test 10.0.0.0/8"], false, "b.test:443", &["192.0.2.1"], "granted by allow-0"),
        (&[], &["10.1.2.3"], false, "a.test:443", &["10.1.2.3"], "granted by allow-0"),
        // No translator leads around a deny rule, nor into an allow rule.
        (
            &["10.0.0.0/8"],
            &[],
            true,
            "[64:ff9b::a01:203]:443",
            &["64:ff9b::a01:203"],
            "denied-by-rule by deny-0",
        ),
        (&["10.0.0.0/8"], &[], true, "a.test:443", &["2002:a01:203::1"], "denied-by-rule by deny-0"),
        (&[], &["10.0.0.0/8"], false, "a.test:443", &["64:ff9b::a01:203"], "denied-by-default"),
    ];
    for (deny, allow, default_allow, destination, resolved, expected) in table {
        let gate = gate(deny, allow, *default_allow);
        let got = outcome(decide(&gate, &to(destination), &ips(resolved)));
        assert_eq!(
            got, *expected,
            "deny {deny:?} allow {allow:?} {default_allow} {destination} {resolved:?}"
        );
    }
}

#[test]
fn default_deny_resolves_only_where_a_network_could_allow() {
    let by_name = |allow: &[&str], destination| {
        evaluate(&gate(&[], allow, false), &to(destination)).map(|_| ()).map_err(|denial| denial.reason)
    };
    assert_eq!(by_name(&[], "a.test:443"), Err(Reason::DeniedByDefault));
    assert_eq!(by_name(&["b.test"], "a.test:443"), Err(Reason::DeniedByDefault));
    assert_eq!(by_name(&["10.0.0.0/8"], "a.test:443"), Ok(()));
    assert_eq!(by_name(&["10.0.0.0/8 :80"], "a.test:443"), Err(Reason::DeniedByDefault));
    assert_eq!(by_name(&["10.0.0.0/8"], "11.0.0.1:443"), Err(Reason::DeniedByDefault));
}

#[test]
fn guard_sees_through_every_spelling() {
    let gate = Gate::default();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "017700000001",
        "2130706433",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "168.63.129.16",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
    ] {
        let denial = evaluate(&gate, &to(&format!("{host}:80"))).expect_err(host);
        assert_eq!(denial.reason, Reason::DeniedByGuard, "{host}");
    }
    for address in ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0"] {
        let denial = decide(&gate, &to("rebound.test:80"), &[ip(address)]).expect_err(address);
        assert_eq!(denial.reason, Reason::DeniedByGuard, "{address}");
        assert!(denial.detail.starts_with("rebound.test: "), "{}", denial.detail);
    }
    for host in ["192.0.2.1", "10.0.0.1", "[2001:db8::1]", "[fd00::1]", "100.64.0.1"] {
        assert!(evaluate(&gate, &to(&format!("{host}:80"))).is_ok(), "{host}");
    }
}

#[test]
fn rules_cannot_open_what_the_guard_closes() {
    let gate = gate(&[], &["127.0.0.0/8", "evil.test", "169.254.169.254"], false);
    for (host, address) in
        [("127.0.0.1", "127.0.0.1"), ("evil.test", "127.0.0.1"), ("169.254.169.254", "169.254.169.254")]
    {
        let got = outcome(decide(&gate, &to(&format!("{host}:80")), &[ip(address)]));
        assert_eq!(got, "denied-by-guard", "{host}");
    }
}

#[test]
fn guard_lets_its_exemptions_through_as_written() {
    let guarded = |guard: Guard, address: &str| {
        outcome(decide(&Gate { guard, ..Gate::default() }, &to("a.test:80"), &[ip(address)]))
    };
    let exempt =
        || Guard { allow: vec!["169.254.169.254/32".parse().expect("a network")], ..Guard::default() };
    assert_eq!(guarded(exempt(), "169.254.169.254"), "granted");
    assert_eq!(guarded(exempt(), "::ffff:169.254.169.254"), "granted");
    assert_eq!(guarded(exempt(), "169.254.169.253"), "denied-by-guard");
    assert_eq!(guarded(exempt(), "64:ff9b::a9fe:a9fe"), "denied-by-guard");

    let loopback = || Guard { allow_loopback: true, ..Guard::default() };
    assert_eq!(guarded(loopback(), "127.0.0.1"), "granted");
    assert_eq!(guarded(loopback(), "::1"), "granted");
    assert_eq!(guarded(loopback(), "64:ff9b::7f00:1"), "denied-by-guard");
    assert_eq!(guarded(loopback(), "169.254.169.254"), "denied-by-guard");
    assert_eq!(guarded(loopback(), "0.0.0.0"), "denied-by-guard");

    let disabled = || Guard { disabled: true, ..Guard::default() };
    assert_eq!(guarded(disabled(), "127.0.0.1"), "granted");
    assert_eq!(guarded(disabled(), "169.254.169.254"), "granted");
}

#[test]
fn refuses_its_own_listeners_by_whatever_address() {
    let table: &[(&str, &[&str], &[&str])] = &[
        (
            "0.0.0.0:8888",
            &[
                "127.0.0.1",
                "127.0.0.2",
                "::1",
                "0.0.0.0",
                "::",
                "10.0.0.5",
                "fd00::5",
                "::ffff:10.0.0.5",
                "64:ff9b::a00:5",
            ],
            &["10.0.0.6", "192.0.2.1"],
        ),
        (
            "[::]:8888",
            &["127.0.0.1", "::1", "0.0.0.0", "::", "10.0.0.5", "fd00::5"],
            &["10.0.0.6", "fd00::6"],
        ),
        (
            "127.0.0.1:8888",
            &["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::", "64:ff9b::7f00:1"],
            &["127.0.0.2", "10.0.0.5"],
        ),
        ("10.0.0.5:8888", &["10.0.0.5", "::ffff:10.0.0.5"], &["127.0.0.1", "10.0.0.6"]),
        ("[::ffff:10.0.0.5]:8888", &["10.0.0.5"], &["10.0.0.6"]),
    ];
    for (listener, own, others) in table {
        let guard = Guard {
            // Not even a guard that is off lets a loop through.
            disabled: true,
            listeners: vec![listener.parse().expect(listener)],
            local_addresses: ips(&["10.0.0.5", "fd00::5"]),
            ..Guard::default()
        };
        let gate = Gate { guard, ..Gate::default() };
        for address in *own {
            let got = outcome(decide(&gate, &to("a.test:8888"), &[ip(address)]));
            assert_eq!(got, "loop-detected", "{listener} {address}");
            let parent = grant_parent(&gate, &to("a.test:8888"), &[ip(address)]);
            assert_eq!(outcome(parent), "loop-detected", "{listener} {address}");
            assert_eq!(
                outcome(decide(&gate, &to("a.test:8889"), &[ip(address)])),
                "granted",
                "{listener} {address}"
            );
        }
        for address in *others {
            let got = outcome(decide(&gate, &to("a.test:8888"), &[ip(address)]));
            assert_eq!(got, "granted", "{listener} {address}");
        }
    }
}

#[test]
fn keeps_only_the_good_addresses_of_a_mixed_set() {
    let gate = gate(&["10.0.0.0/8"], &[], true);
    let resolved = ips(&["127.0.0.1", "192.0.2.1", "10.0.0.1", "::ffff:192.0.2.2", "2001:db8::1", "::1"]);
    let grant = decide(&gate, &to("a.test:443"), &resolved).expect("some are good");
    let good = ["192.0.2.1:443", "192.0.2.2:443", "[2001:db8::1]:443"].map(|text| text.parse().expect(text));
    assert_eq!(grant.addresses(), good);
    assert_eq!(grant.destination(), &to("a.test:443"));

    let denial =
        decide(&gate, &to("a.test:443"), &ips(&["10.0.0.1", "127.0.0.1"])).expect_err("none is good");
    assert_eq!(denial.reason, Reason::DeniedByRule, "the first address is reported");
}

#[test]
fn no_addresses_are_no_grant() {
    let gate = Gate::default();
    assert_eq!(outcome(decide(&gate, &to("a.test:443"), &[])), "dns-not-found");
    assert_eq!(outcome(grant_parent(&gate, &to("a.test:443"), &[])), "dns-not-found");
}

#[test]
fn a_parent_may_resolve_what_is_allowed_by_name() {
    let unresolved = |gate: &Gate, destination: &str| {
        let destination = to(destination);
        outcome(
            evaluate(gate, &destination)
                .and_then(|permit| gate.grant_unresolved(&ask(&somebody(), &destination), &permit)),
        )
    };
    let open = Gate::default();
    assert_eq!(unresolved(&open, "a.test:443"), "granted");
    assert_eq!(unresolved(&open, "192.0.2.1:443"), "granted");
    for host in [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
        "127.1",
    ] {
        assert_eq!(unresolved(&open, &format!("{host}:80")), "denied-by-guard", "{host}");
    }
    assert_eq!(unresolved(&gate(&[], &["a.test"], false), "a.test:443"), "granted by allow-0");
    assert_eq!(unresolved(&gate(&[], &["192.0.2.0/24"], false), "a.test:443"), "denied-by-default");
    assert_eq!(unresolved(&gate(&[], &["192.0.2.0/24"], false), "192.0.2.1:443"), "granted by allow-0");
    assert_eq!(unresolved(&gate(&["127.0.0.0/8"], &[], true), "localhost:443"), "denied-by-guard");

    let developer = Guard {
        allow_loopback: true,
        listeners: vec!["127.0.0.1:8888".parse().expect("a listener")],
        ..Guard::default()
    };
    let developer = Gate { guard: developer, ..Gate::default() };
    assert_eq!(unresolved(&developer, "localhost:3000"), "granted");
    assert_eq!(unresolved(&developer, "localhost:8888"), "loop-detected");
    assert_eq!(unresolved(&developer, "metadata.google.internal:80"), "denied-by-guard");
}

#[test]
fn parents_pass_the_guard() {
    let gate = gate(&["*"], &[], false);
    let grant =
        grant_parent(&gate, &to("proxy.corp:3128"), &ips(&["127.0.0.1", "10.0.0.1"])).expect("a parent");
    assert_eq!(grant.addresses().len(), 2);
}
