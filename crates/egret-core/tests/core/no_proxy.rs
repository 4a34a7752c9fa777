use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::Value;

use egret_core::destination::Destination;
use egret_core::pattern::{EntryError, NoProxy, PatternError};

use crate::properties;

fn list(text: &str) -> NoProxy {
    NoProxy::parse_list(text).expect(text)
}

fn names(list: &NoProxy, destination: &str) -> bool {
    list.matches(&Destination::parse_with_default(destination, Some(80)).expect(destination), &[])
}

#[test]
fn entries_name_what_clients_take_them_for() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("", &[], &["ex.com", "localhost", "127.0.0.1"]),
        ("*", &["ex.com", "10.0.0.1", "[::1]:8080"], &[]),
        ("a.test,*", &["ex.com"], &[]),
        ("*:8080", &["ex.com:8080", "10.0.0.1:8080"], &["ex.com"]),
        (
            "ex.com",
            &["ex.com", "www.ex.com", "a.b.ex.com", "ex.com:8443"],
            &["notex.com", "com", "ex.com.test"],
        ),
        ("EX.com.", &["ex.com", "WWW.ex.com."], &[]),
        (".ex.com", &["ex.com", "www.ex.com", "a.b.ex.com"], &["notex.com"]),
        ("*.ex.com", &["www.ex.com", "a.b.ex.com"], &["ex.com", "notex.com"]),
        (".svc,.cluster.local", &["api.ns.svc", "a.cluster.local"], &["my-svc"]),
        ("ex.com:8080", &["ex.com:8080", "www.ex.com:8080"], &["ex.com", "ex.com:8081"]),
        (".ex.com:80", &["ex.com:80", "www.ex.com"], &["www.ex.com:443"]),
        ("*.ex.com:80", &["www.ex.com"], &["ex.com", "www.ex.com:443"]),
        ("10.1.2.3", &["10.1.2.3", "[::ffff:10.1.2.3]", "0x0a010203"], &["10.1.2.4", "x10.1.2.3.test"]),
        ("10.1.2.3:80", &["10.1.2.3"], &["10.1.2.3:81"]),
        ("fd00::1", &["[fd00::1]", "[fd00:0::1]:99"], &["[fd00::2]"]),
        ("[fd00::1]", &["[fd00::1]"], &["[fd00::2]"]),
        ("[fd00::1]:443", &["[fd00::1]:443"], &["[fd00::1]"]),
        ("[::ffff:10.1.2.3]", &["10.1.2.3"], &[]),
        ("10.0.0.0/8", &["10.255.0.1", "[::ffff:10.0.0.1]"], &["11.0.0.1", "ex.com", "[fd00::1]"]),
        ("10.9.9.9/8", &["10.1.2.3"], &[]),
        ("0.0.0.0/0", &["1.2.3.4"], &["[fd00::1]", "ex.com"]),
        ("fd00::/8", &["[fdff::1]"], &["[fe00::1]", "10.0.0.1"]),
        ("a.test, ex.com", &["a.test", "ex.com"], &[]),
        ("a.test ex.com\tb.test\n", &["a.test", "ex.com", "b.test"], &["c.test"]),
        (",, a.test ,", &["a.test"], &["ex.com"]),
        ("bücher.test", &["xn--bcher-kva.test"], &[]),
    ];
    for (text, named, others) in table {
        let list = list(text);
        for destination in *named {
            assert!(names(&list, destination), "{text:?} should name {destination}");
        }
        for destination in *others {
            assert!(!names(&list, destination), "{text:?} should not name {destination}");
        }
    }
}

#[test]
fn networks_and_addresses_name_what_resolves_into_them() {
    let resolved: [IpAddr; 2] = ["192.0.2.1".parse().expect("v4"), "10.1.2.3".parse().expect("v4")];
    let destination = Destination::parse_authority("ex.com:443").expect("a destination");
    for text in ["10.0.0.0/8", "10.1.2.3", "10.1.2.3:443"] {
        assert!(list(text).matches(&destination, &resolved), "{text}");
        assert!(!list(text).matches(&destination, &resolved[..1]), "{text}");
        assert!(!list(text).matches(&destination, &[]), "{text}");
    }
    assert!(!list("10.1.2.3:80").matches(&destination, &resolved));
}

#[test]
fn every_bad_entry_is_reported_with_its_place() {
    let error = |index, entry: &str, error| EntryError { index, entry: entry.to_owned(), error };
    assert_eq!(
        NoProxy::new(["ok.test", "*foo", "10.", "10.0.0.0/33", "", "10.0.0.1-10.0.0.9", "a:0", "*.10.0.0.1"])
            .map(|_| ()),
        Err(vec![
            error(1, "*foo", PatternError::Wildcard),
            error(2, "10.", PatternError::PartialAddress),
            error(3, "10.0.0.0/33", PatternError::Network),
            error(4, "", PatternError::Empty),
            error(5, "10.0.0.1-10.0.0.9", PatternError::AddressRange),
            error(6, "a:0", PatternError::Port),
            error(7, "*.10.0.0.1", PatternError::WildcardAddress),
        ])
    );
    for text in [
        ".",
        "*.",
        "..a",
        "a..b",
        "a.*",
        "10.1.2.*",
        "**.a",
        "127.1",
        "1.2.3",
        "a:",
        "a:b",
        "a:80:80",
        "[::1",
        "::1]",
        "[::1%1]",
        "http://a",
        "http://a/",
        "user@a",
        "a/8",
        "10.0.0.0/8:80",
        "/8",
        ".10.0.0.1",
    ] {
        assert_eq!(NoProxy::parse_list(text).map_err(|errors| errors.len()).err(), Some(1), "{text}");
    }
}

/// Where Egret differs from most clients, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("10.0.0.0/8 / ip", "a CIDR can mean only one thing; half the clients lack it (8 to 7)"),
    ("[fd00::1] / [fd00::1]", "the address can mean only itself, with brackets as without"),
    ("example.test:80 / apex default port", "the port is the port, written or implied; five clients agree"),
    ("a.test example.test (space)", "a space cannot be part of a host; curl, git and Node split there too"),
];

/// Clients that go direct whatever the environment says: Java reads properties instead.
fn has_an_opinion(client: &str) -> bool {
    !client.starts_with("java")
}

/// How our matcher takes a list and a URL: "direct" or "proxy". A client has no way to refuse its
/// environment, so here an entry that is an error names nothing.
fn our_way(no_proxy: &str, url: &str) -> &'static str {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).expect("a URL");
    let list = NoProxy::parse_list(no_proxy).unwrap_or_default();
    if names(&list, authority) { "direct" } else { "proxy" }
}

#[test]
fn agrees_with_most_clients_as_recorded() {
    let recording: Value = serde_json::from_str(include_str!("../data/noproxy-clients.json")).expect("JSON");
    let mut used = Vec::new();
    let mut checked = 0;
    for case in recording["cases"].as_array().expect("cases") {
        let title = case["case"].as_str().expect("a title");
        // Cases about which variable wins, or about the proxy's URL, say nothing about matching.
        let (Some(lower), Some(upper)) = (case["env"]["no_proxy"].as_str(), case["env"]["NO_PROXY"].as_str())
        else {
            continue;
        };
        if lower != upper {
            continue;
        }
        let mut votes = BTreeMap::<&str, usize>::new();
        for (client, way) in case["seen"].as_object().expect("clients") {
            if has_an_opinion(client) {
                *votes.entry(way.as_str().expect("a way")).or_default() += 1;
            }
        }
        let (majority, _) = votes.iter().max_by_key(|(_, count)| **count).expect("votes");
        let ours = our_way(lower, case["url"].as_str().expect("a URL"));
        checked += 1;
        match EXCEPTIONS.iter().find(|(exception, _)| *exception == title) {
            Some((_, why)) => {
                assert_ne!(ours, *majority, "{title} is no exception any more ({why})");
                used.push(title);
            }
            None => assert_eq!(ours, *majority, "{title}: {votes:?}"),
        }
    }
    assert_eq!(used.len(), EXCEPTIONS.len(), "an exception is of no case: {used:?}");
    assert!(checked >= 29, "only {checked} cases were about matching");
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn no_list_makes_it_panic(text in "[*.ab:/,\\[\\]0-9 -]{0,24}") {
        if let Ok(list) = NoProxy::parse_list(&text) {
            let _ = names(&list, "a.b");
        }
    }

    #[test]
    fn a_list_names_what_one_of_its_entries_names(
        entries in proptest::collection::vec(
            "(\\*|\\.|\\*\\.)?[ab](\\.[ab]){0,2}(:8[01])?|10\\.0\\.0\\.[12]|10\\.0\\.0\\.0/3[01]", 0..6),
        destination in "[ab](\\.[ab]){0,3}:8[01]|10\\.0\\.0\\.[0-3]:80",
    ) {
        let entries: Vec<&str> =
            entries.iter().map(String::as_str).filter(|entry| NoProxy::parse_list(entry).is_ok()).collect();
        let alone = entries.iter().any(|entry| names(&list(entry), &destination));
        prop_assert_eq!(names(&list(&entries.join(",")), &destination), alone);
    }
}
