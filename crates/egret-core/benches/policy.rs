//! What a decision costs: over a thousand policies and a million host names, beside a scan that reads them
//! one after the other.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::SystemTime;

use egret_core::destination::Destination;
use egret_core::identity::{Groups, Identity, Proof, User};
use egret_core::pattern::{Glob, HostPattern, PortRange};
use egret_core::policy::model::{Action, Mode, Policy, Rule, Source, Target, Tier, TlsDemand};
use egret_core::policy::{Ask, NameList, Policies};

const POLICIES: usize = 1000;
const NAMES: usize = 1000;

fn main() {
    divan::main();
}

fn rule(action: Action, to: Target) -> Rule {
    Rule {
        name: "r".into(),
        action,
        to: vec![to],
        http: None,
        when: None,
        tls: TlsDemand::default(),
        rate_limit: None,
        capture: None,
        reason: None,
        contact: None,
    }
}

fn name(policy: usize, number: usize) -> String {
    format!("host-{number}.team-{policy}.example.com")
}

/// A thousand names for each policy, on port 443.
fn target(policy: usize) -> Target {
    let hosts = (0..NAMES).filter_map(|number| HostPattern::parse(&name(policy, number)).ok());
    Target { hosts: hosts.collect(), ports: vec![PortRange { first: 443, last: 443 }], ..Target::default() }
}

fn policy(number: usize, from: Vec<Source>, rules: Vec<Rule>) -> Policy {
    let priority = i32::try_from(number).unwrap_or(0);
    Policy {
        name: format!("p{number}").into(),
        tier: Tier::Cluster { priority },
        mode: Mode::Enforce,
        from,
        rules,
    }
}

fn for_user(number: usize) -> Vec<Source> {
    let users = Glob::new(&format!("user-{number}")).into_iter().collect();
    vec![Source { users, ..Source::default() }]
}

/// Each of a thousand users has a thousand names of its own.
static OF_USERS: LazyLock<Policies> = LazyLock::new(|| {
    let policies = (0..POLICIES).map(|n| policy(n, for_user(n), vec![rule(Action::Allow, target(n))]));
    Policies::compile(policies.collect(), false)
});

/// A thousand policies are for everybody.
static OF_ALL: LazyLock<Policies> = LazyLock::new(|| {
    let policies = (0..POLICIES).map(|n| policy(n, vec![], vec![rule(Action::Allow, target(n))]));
    Policies::compile(policies.collect(), false)
});

/// A list of a million names is denied to everybody, before a thousand policies of users.
static WITH_LIST: LazyLock<Policies> = LazyLock::new(|| {
    let mut list = NameList::builder("malware", POLICIES * NAMES, POLICIES * NAMES * 32);
    for number in 0..POLICIES * NAMES {
        let _ = list.push_domain(&name(number / NAMES, number % NAMES).replace("example", "malware"));
    }
    let denied = Target { lists: vec![list.finish()], ..Target::default() };
    let first = policy(0, vec![], vec![rule(Action::Deny, denied)]);
    let others = (1..POLICIES).map(|n| policy(n, for_user(n), vec![rule(Action::Allow, target(n))]));
    Policies::compile(std::iter::once(first).chain(others).collect(), false)
});

fn user(number: usize) -> Identity {
    let mut identity = Identity::from_address(SocketAddr::from(([10, 1, 2, 3], 40_000)));
    let name = format!("user-{number}").into();
    identity.user = Some(User { name, proof: Proof::Jwt, groups: Groups::default(), workload: None });
    identity
}

fn decide(bencher: divan::Bencher<'_, '_>, policies: &Policies, host: &str, allowed: bool) {
    let identity = user(700);
    let destination = Destination::parse_authority(host).unwrap_or_else(|error| panic!("{error}"));
    let ask = Ask::for_tunnel(&identity, &destination, SystemTime::UNIX_EPOCH);
    assert_eq!(policies.evaluate(&ask).allowed, allowed);
    bencher.bench_local(|| policies.evaluate(black_box(&ask)).allowed);
}

#[divan::bench]
fn one_of_a_thousand_allowed(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &OF_USERS, &format!("{}:443", name(700, 500)), true);
}

#[divan::bench]
fn one_of_a_thousand_denied(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &OF_USERS, &format!("{}:443", name(701, 500)), false);
}

#[divan::bench]
fn all_of_a_thousand_allowed(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &OF_ALL, &format!("{}:443", name(900, 500)), true);
}

#[divan::bench]
fn all_of_a_thousand_denied(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &OF_ALL, "www.example.org:443", false);
}

#[divan::bench]
fn list_of_a_million_allowed(bencher: divan::Bencher<'_, '_>) {
    decide(bencher, &WITH_LIST, &format!("{}:443", name(700, 500)), true);
}

#[divan::bench]
fn list_of_a_million_denied(bencher: divan::Bencher<'_, '_>) {
    let host = format!("www.{}:443", name(700, 500).replace("example", "malware"));
    decide(bencher, &WITH_LIST, &host, false);
}

/// Names from all over, so that no cache holds what is looked up.
#[divan::bench]
fn list_of_a_million_spread(bencher: divan::Bencher<'_, '_>) {
    let identity = user(700);
    let hosts: Vec<_> = (0..100_000)
        .map(|n| name(n * 7919 % POLICIES, n * 104_729 % NAMES).replace("example", "malware"))
        .filter_map(|host| Destination::parse_authority(&format!("{host}:443")).ok())
        .collect();
    let mut next = hosts.iter().cycle();
    bencher.bench_local(|| {
        let destination = next.next()?;
        let ask = Ask::for_tunnel(&identity, destination, SystemTime::UNIX_EPOCH);
        Some(WITH_LIST.evaluate(black_box(&ask)).allowed)
    });
}

/// The same question, answered by reading the policies one after the other.
#[divan::bench]
fn scan_of_a_thousand(bencher: divan::Bencher<'_, '_>) {
    let identity = user(700);
    let destination = Destination::parse_authority(&format!("{}:443", name(700, 500)))
        .unwrap_or_else(|error| panic!("{error}"));
    let policies = OF_USERS.policies();
    bencher.bench_local(|| {
        let mut mine = policies
            .iter()
            .filter(|policy| policy.from.iter().any(|from| from.matches(black_box(&identity))));
        mine.any(|policy| {
            policy.rules.iter().any(|rule| {
                rule.to
                    .iter()
                    .any(|to| to.hosts.iter().any(|host| host.matches(black_box(&destination.host))))
            })
        })
    });
}

/// The same, where all of them are for everybody.
#[divan::bench]
fn scan_of_all(bencher: divan::Bencher<'_, '_>) {
    let destination = Destination::parse_authority(&format!("{}:443", name(900, 500)))
        .unwrap_or_else(|error| panic!("{error}"));
    let policies = OF_ALL.policies();
    bencher.bench_local(|| {
        policies
            .iter()
            .flat_map(|policy| &policy.rules)
            .flat_map(|rule| &rule.to)
            .any(|to| to.hosts.iter().any(|host| host.matches(black_box(&destination.host))))
    });
}
