//! Policies: tables, and the compiled form against the reader.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use proptest::prelude::*;

use egret_core::destination::Destination;
use egret_core::identity::{Identity, Proof, User, Workload};
use egret_core::pattern::{Glob, HostPattern, PortRange};
use egret_core::policy::model::{
    Action, HttpMatch, Mode, Policy, Rule, Source, Target, Tier, TlsDemand, TlsTreatment,
};
use egret_core::policy::{Ask, Headers, NameList, Policies, RequestFacts, Seen};

use crate::gate::{ip, to};
use crate::properties;

#[derive(Debug)]
struct NoHeaders;

impl Headers for NoHeaders {
    fn for_each(&self, _: &mut dyn FnMut(&str, &[u8])) {}
}

fn globs(texts: &[String]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(text).unwrap()).collect()
}

/// From words: hosts, networks with a slash, ports behind a colon, lists behind an at sign.
fn target(words: &str) -> Target {
    let mut target = Target::default();
    for word in words.split_whitespace() {
        if let Some(list) = word.strip_prefix('@') {
            let mut builder = NameList::builder("list", 4, 40);
            for entry in list.split(',') {
                match entry.parse() {
                    Ok(network) => builder.push_network(network),
                    Err(_) => builder.push(&HostPattern::parse(entry).unwrap()).unwrap(),
                }
            }
            target.lists.push(builder.finish());
        } else if word.contains('/') {
            target.networks.push(word.parse().unwrap());
        } else if let Some(ports) = word.strip_prefix(':') {
            target.ports.push(PortRange::parse(ports).unwrap());
        } else {
            target.hosts.push(HostPattern::parse(word).unwrap());
        }
    }
    target
}

fn rule(name: &str, action: Action, to: &[&str]) -> Rule {
    rule_to(name, action, to.iter().map(|words| target(words)).collect())
}

pub(crate) fn rule_to(name: &str, action: Action, to: Vec<Target>) -> Rule {
    Rule {
        name: name.into(),
        action,
        to,
        http: None,
        when: None,
        tls: TlsDemand::default(),
        rate_limit: None,
        capture: None,
        reason: None,
        contact: None,
    }
}

pub(crate) fn cluster(name: &str, priority: i32, rules: Vec<Rule>) -> Policy {
    Policy { name: name.into(), tier: Tier::Cluster { priority }, mode: Mode::Enforce, from: vec![], rules }
}

fn namespaced(name: &str, namespace: &str, rules: Vec<Rule>) -> Policy {
    let tier = Tier::Namespace { namespace: namespace.into() };
    Policy { name: name.into(), tier, mode: Mode::Enforce, from: vec![], rules }
}

fn client(user: &str, groups: &[&str], namespace: &str) -> Identity {
    let mut identity = Identity::from_address(SocketAddr::new(ip("10.0.0.7"), 40_000));
    let groups = groups.iter().map(|group| Arc::from(*group)).collect();
    if !user.is_empty() {
        identity.user = Some(User { name: user.into(), proof: Proof::Htpasswd, groups, workload: None });
    }
    if !namespace.is_empty() {
        identity.workload = Some(Arc::new(Workload { namespace: namespace.into(), ..Workload::default() }));
    }
    identity
}

/// The answer in short: "allow" or "deny", and the rule.
fn answer(policies: &Policies, identity: &Identity, destination: &Destination, seen: Seen<'_>) -> String {
    let ask = Ask { identity, destination, address: None, seen, now: SystemTime::UNIX_EPOCH };
    let verdict = policies.evaluate(&ask);
    let word = if verdict.allowed { "allow" } else { "deny" };
    let by =
        verdict.by.map_or_else(|| "default".to_owned(), |facts| format!("{}/{}", facts.policy, facts.rule));
    let audit =
        verdict.audit.map_or_else(String::new, |facts| format!(", audit {}/{}", facts.policy, facts.rule));
    format!("{word} by {by}{audit}")
}

fn for_users(mut policy: Policy, users: &[&str]) -> Policy {
    let users = users.iter().map(|user| Glob::new(user).unwrap()).collect();
    policy.from.push(Source { users, ..Source::default() });
    policy
}

#[test]
fn asks_policies_in_order_of_priority_then_the_namespace_then_the_default() {
    use Action::*;
    let policies = Policies::compile(
        vec![
            cluster("late", 20, vec![rule("all", Deny, &["bad.test"])]),
            for_users(
                cluster(
                    "early",
                    10,
                    vec![rule("a", Allow, &["bad.test"]), rule("b", Pass, &["**.team.test"])],
                ),
                &["alice"],
            ),
            cluster("last", 30, vec![rule("team", Deny, &["**.team.test"])]),
            namespaced("one", "web", vec![rule("allow", Allow, &["**.team.test"])]),
            namespaced("two", "web", vec![rule("deny", Deny, &["x.team.test"])]),
        ],
        false,
    );
    let table = [
        (client("alice", &[], ""), "bad.test:443", "allow by early/a"),
        (client("bob", &[], ""), "bad.test:443", "deny by late/all"),
        (client("bob", &[], "web"), "x.team.test:443", "deny by last/team"),
        (client("alice", &[], "web"), "y.team.test:443", "allow by web/one/allow"),
        (client("alice", &[], "web"), "x.team.test:443", "deny by web/two/deny"),
        (client("alice", &[], "other"), "y.team.test:443", "deny by default"),
        (client("alice", &[], ""), "else.test:443", "deny by default"),
    ];
    for (identity, destination, expected) in table {
        assert_eq!(answer(&policies, &identity, &to(destination), Seen::Tunnel), expected, "{destination}");
    }
}

#[test]
fn only_watches_policies_in_audit_mode() {
    use Action::*;
    let mut watched =
        cluster("watched", 1, vec![rule("mail", Deny, &[":25"]), rule("ok", Allow, &["good.test"])]);
    watched.mode = Mode::Audit;
    let policies =
        Policies::compile(vec![watched, cluster("real", 2, vec![rule("no", Deny, &["good.test"])])], true);
    let ask = |destination| answer(&policies, &client("", &[], ""), &to(destination), Seen::Tunnel);
    assert_eq!(ask("a.test:25"), "allow by default, audit watched/mail");
    assert_eq!(ask("good.test:443"), "deny by real/no", "what is only watched allows nothing");
    assert_eq!(ask("good.test:25"), "deny by real/no, audit watched/mail");
}

#[test]
fn never_lets_a_tunnel_through_that_a_rule_on_requests_would_have_to_see() {
    use Action::*;
    let asking = |name: &str, action, treatment| {
        let mut rule = rule(name, action, &["a.test"]);
        rule.http = Some(HttpMatch { methods: vec!["POST".into()], ..HttpMatch::default() });
        rule.tls.treatment = treatment;
        rule
    };
    let post = RequestFacts {
        method: "POST",
        scheme: "http",
        path: "/",
        query: None,
        headers: &NoHeaders,
        body_length: None,
    };
    let get = RequestFacts { method: "GET", ..post };
    let mut open = rule("open", Allow, &["a.test"]);
    let answers = |rules: Vec<Rule>| {
        let policies = Policies::compile(vec![cluster("p", 1, rules)], false);
        [Seen::Tunnel, Seen::TunnelToOpen, Seen::Request(post), Seen::Request(get)]
            .map(|seen| answer(&policies, &client("", &[], ""), &to("a.test:443"), seen))
    };
    assert_eq!(
        answers(vec![asking("no-post", Deny, None), open.clone()]),
        ["deny by p/no-post", "deny by p/no-post", "deny by p/no-post", "allow by p/open"]
    );
    assert_eq!(
        answers(vec![asking("post", Allow, None)]),
        ["deny by default", "deny by default", "allow by p/post", "deny by default"]
    );
    assert_eq!(
        answers(vec![asking("post", Allow, Some(TlsTreatment::Intercept))]),
        ["deny by default", "allow by p/post", "allow by p/post", "deny by default"]
    );
    open.tls.treatment = Some(TlsTreatment::Intercept);
    assert_eq!(
        answers(vec![asking("no-post", Deny, None), open]),
        ["deny by p/no-post", "allow by p/open", "deny by p/no-post", "allow by p/open"]
    );
}

#[test]
fn asks_for_the_address_only_where_it_could_open_something() {
    use Action::*;
    let open_to_address = |rules: Vec<Rule>, destination: &str| {
        let policies = Policies::compile(vec![cluster("p", 1, rules)], false);
        let identity = client("", &[], "");
        let destination = to(destination);
        let now = SystemTime::UNIX_EPOCH;
        let ask =
            Ask { identity: &identity, destination: &destination, address: None, seen: Seen::Tunnel, now };
        let verdict = policies.evaluate(&ask);
        (verdict.allowed, verdict.open_to_address)
    };
    let inside = || rule("inside", Allow, &["10.0.0.0/8 :443"]);
    let named = || rule("named", Deny, &["a.test"]);
    assert_eq!(open_to_address(vec![inside()], "a.test:443"), (false, true));
    assert_eq!(open_to_address(vec![inside()], "a.test:80"), (false, false));
    assert_eq!(open_to_address(vec![named(), inside()], "a.test:443"), (false, false));
    assert_eq!(open_to_address(vec![inside(), named()], "a.test:443"), (false, true));
    assert_eq!(open_to_address(vec![inside()], "10.1.1.1:443"), (true, false));
}

/// Words from an alphabet so small that they meet often.
fn host_word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab](\\.[ab]){0,2}",
        2 => "\\*{1,2}\\.[ab](\\.[ab]){0,1}",
        1 => Just("*".to_owned()),
        1 => "10\\.0\\.0\\.[0-3]",
        1 => "10\\.0\\.0\\.0/(8|3[01])",
        2 => "@[ab](\\.[ab]){0,1},(\\*{1,2}\\.[ab]|10\\.0\\.0\\.[0-3]|10\\.0\\.0\\.2/31)",
        1 => Just(":80".to_owned()),
        1 => Just(":1-79".to_owned()),
    ]
}

fn any_source() -> impl Strategy<Value = Source> {
    let names = |texts: &'static [&'static str]| {
        proptest::collection::vec(proptest::sample::select(texts).prop_map(ToOwned::to_owned), 0..2)
    };
    let networks = proptest::sample::select(&["10.0.0.7/32", "10.0.0.0/8", "0.0.0.0/0", "192.0.2.0/24"][..]);
    (
        names(&["a", "b", "a*", "*"]),
        names(&["g", "h*", "*"]),
        proptest::collection::vec(networks, 0..2),
        names(&["n", "m", "*"]),
    )
        .prop_map(|(users, groups, networks, namespaces)| Source {
            users: globs(&users),
            groups: globs(&groups),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            namespaces: globs(&namespaces),
            ..Source::default()
        })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let words = proptest::collection::vec(host_word(), 0..4).prop_map(|words| words.join(" "));
    (
        proptest::sample::select(&[Action::Allow, Action::Deny, Action::Pass][..]),
        proptest::collection::vec(words, 0..3),
        proptest::option::weighted(0.3, proptest::sample::select(&["GET", "POST"][..])),
        proptest::option::weighted(0.3, Just(TlsTreatment::Intercept)),
    )
        .prop_map(|(action, to, method, treatment)| {
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            let mut rule = rule("", action, &to);
            rule.http =
                method.map(|method| HttpMatch { methods: vec![method.into()], ..HttpMatch::default() });
            rule.tls.treatment = treatment;
            rule
        })
}

fn any_policies() -> impl Strategy<Value = Vec<Policy>> {
    let policy = (
        proptest::option::of(0..4_i32),
        any::<bool>(),
        proptest::collection::vec(any_source(), 0..3),
        proptest::collection::vec(any_rule(), 0..4),
        prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Audit)],
    );
    proptest::collection::vec(policy, 0..6).prop_map(|parts| {
        let policies = parts.into_iter().enumerate().map(|(number, (priority, n, from, mut rules, mode))| {
            for (place, rule) in rules.iter_mut().enumerate() {
                rule.name = place.to_string().into();
                if priority.is_none() && rule.action == Action::Pass {
                    rule.action = Action::Allow;
                }
            }
            let tier = match priority {
                Some(priority) => Tier::Cluster { priority },
                None => Tier::Namespace { namespace: if n { "n".into() } else { "m".into() } },
            };
            Policy { name: number.to_string().into(), tier, mode, from, rules }
        });
        policies.collect()
    })
}

fn any_client() -> impl Strategy<Value = Identity> {
    (
        proptest::sample::select(&["", "a", "b", "ab"][..]),
        proptest::sample::subsequence(vec!["g", "h", "hh"], 0..3),
        proptest::sample::select(&["", "n", "m"][..]),
    )
        .prop_map(|(user, groups, namespace)| client(user, &groups, namespace))
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn the_compiled_form_agrees_with_the_reader(
        policies in any_policies(),
        default_allow in any::<bool>(),
        identity in any_client(),
        destination in prop_oneof!["[ab](\\.[ab]){0,2}:(80|9)", "10\\.0\\.0\\.[0-3]:80", "\\[64:ff9b::10\\.0\\.0\\.[0-3]\\]:80"],
        address in proptest::option::of(prop_oneof![
            (0_u8..4).prop_map(|last| ip(&format!("10.0.0.{last}"))),
            (0_u8..4).prop_map(|last| ip(&format!("64:ff9b::10.0.0.{last}"))),
            Just(ip("192.0.2.1")),
        ]),
        seen in 0..4,
    ) {
        let destination = to(&destination);
        let request = RequestFacts {
            method: if seen == 3 { "GET" } else { "POST" },
            scheme: "http", path: "/", query: None, headers: &NoHeaders, body_length: None,
        };
        let seen = match seen {
            0 => Seen::Tunnel,
            1 => Seen::TunnelToOpen,
            _ => Seen::Request(request),
        };
        let ask = Ask {
            identity: &identity, destination: &destination, address, seen, now: SystemTime::UNIX_EPOCH,
        };
        let policies = Policies::compile(policies, default_allow);
        let verdict = policies.evaluate(&ask);
        let reader = policies.explain(&ask);
        let decided_by = reader.decided_by.map(|step| {
            let step = &reader.steps[step];
            (step.policy.to_string(), step.rule.as_ref().map(ToString::to_string))
        });
        let by = verdict.by.as_ref().map(|facts| (facts.policy.to_string(), Some(facts.rule.to_string())));
        prop_assert_eq!((verdict.allowed, by, verdict.look_inside), (reader.allowed, decided_by, reader.look_inside));

        let trial = policies.explain_audit(&ask);
        let watched = trial.decided_by.map(|step| &trial.steps[step]);
        let watched = watched.filter(|step| !trial.allowed && step.mode == Mode::Audit);
        prop_assert_eq!(
            verdict.audit.map(|facts| (facts.policy.clone(), facts.rule.clone())),
            watched.map(|step| (step.policy.clone(), step.rule.clone().unwrap()))
        );
        // Whoever is refused for good before the name is resolved would be refused with any address.
        if address.is_none() && !verdict.allowed && !verdict.open_to_address {
            for last in 0..4_u8 {
                let with = Ask { address: Some(ip(&format!("10.0.0.{last}"))), ..ask };
                prop_assert!(!policies.evaluate(&with).allowed);
            }
        }
        // The same question has the same answer.
        prop_assert_eq!(policies.evaluate(&ask).allowed, verdict.allowed);
    }
}
