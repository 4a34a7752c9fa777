use proptest::prelude::*;

use egret_core::destination::{Host, HostError};
use egret_core::pattern::{HostPattern, PatternError, PortRange, any_network_contains};

use crate::properties;

fn pattern(text: &str) -> HostPattern {
    HostPattern::parse(text).expect(text)
}

fn host(text: &str) -> Host {
    Host::parse(text).expect(text)
}

#[test]
fn patterns_name_what_they_say_and_nothing_else() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("*", &["a.test", "localhost", "127.0.0.1", "[::1]"], &[]),
        ("Example.COM.", &["example.com", "EXAMPLE.com."], &["www.example.com", "notexample.com", "com"]),
        (
            "*.example.com",
            &["www.example.com", "a_b.example.com"],
            &["example.com", "a.b.example.com", "wwwexample.com", "example.com.test"],
        ),
        (
            "**.example.com",
            &["www.example.com", "a.b.c.example.com"],
            &["example.com", "notexample.com", "example.com.test"],
        ),
        ("*.com", &["example.com"], &["www.example.com", "com"]),
        ("*.BÜCHER.test", &["www.xn--bcher-kva.test", "www.bücher.test"], &["bücher.test"]),
        ("127.1", &["127.0.0.1", "0x7f000001", "[::ffff:127.0.0.1]"], &["127.0.0.2", "[::1]"]),
        ("2001:db8::1", &["[2001:db8::1]", "[2001:DB8:0::1]"], &["[2001:db8::2]"]),
        ("[2001:db8::1]", &["[2001:db8::1]"], &[]),
    ];
    for (text, named, others) in table {
        let pattern = pattern(text);
        for name in *named {
            assert!(pattern.matches(&host(name)), "{text} should name {name}");
        }
        for name in *others {
            assert!(!pattern.matches(&host(name)), "{text} should not name {name}");
        }
        assert_eq!(HostPattern::parse(&pattern.to_string()), Ok(pattern));
    }
}

#[test]
fn refuses_stars_that_mean_nothing() {
    let table = [
        ("", PatternError::Empty),
        ("*.", PatternError::Empty),
        ("**.", PatternError::Empty),
        ("**", PatternError::Wildcard),
        ("***.a", PatternError::Wildcard),
        ("*foo", PatternError::Wildcard),
        ("*foo.test", PatternError::Wildcard),
        ("a.*.b", PatternError::Wildcard),
        ("a.*", PatternError::Wildcard),
        ("*.*.b", PatternError::Wildcard),
        ("*.10.0.0.1", PatternError::WildcardAddress),
        ("**.[::1]", PatternError::WildcardAddress),
        ("*..a", PatternError::Host(HostError::EmptyLabel)),
        (".a", PatternError::Host(HostError::EmptyLabel)),
        ("http://a", PatternError::Host(HostError::Character)),
        ("a:80", PatternError::Host(HostError::Character)),
        ("a b", PatternError::Host(HostError::Character)),
        ("10.0.0.0/8", PatternError::Host(HostError::Character)),
        ("*.1.2.3.4.5", PatternError::Host(HostError::Ipv4)),
    ];
    for (text, error) in table {
        assert_eq!(HostPattern::parse(text), Err(error), "{text}");
    }
}

#[test]
fn port_ranges_are_inclusive() {
    let range = PortRange::parse("8000-8999").expect("a range");
    assert_eq!(range, PortRange { first: 8000, last: 8999 });
    assert!(range.contains(8000) && range.contains(8999) && !range.contains(7999) && !range.contains(9000));
    assert_eq!(PortRange::parse("443"), Ok(PortRange { first: 443, last: 443 }));
    assert_eq!(PortRange::parse("1-65535").map(|range| range.to_string()), Ok("1-65535".to_owned()));
    for text in [
        "", "-", "0", "0-80", "80-", "-80", "90-80", "65536", "80-65536", "+80", "8 0", "80 - 90", "1-2-3",
        "http",
    ] {
        assert_eq!(PortRange::parse(text), Err(PatternError::Port), "{text}");
    }
}

#[test]
fn mapped_networks_and_addresses_are_ipv4() {
    let holds = |network: &str, address: &str| {
        any_network_contains(&[network.parse().expect("a network")], address.parse().expect("an address"))
    };
    assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert!(!holds("::ffff:10.0.0.0/104", "11.1.2.3"));
    assert!(!holds("::/0", "10.1.2.3"));
    assert!(!holds("0.0.0.0/0", "2001:db8::1"));
    assert!(holds("fd00::/8", "fd12::1"));
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn a_suffix_matches_by_whole_labels(
        front in proptest::collection::vec("[a-z]{1,3}", 0..4),
        suffix in proptest::collection::vec("[a-z]{1,3}", 1..4),
    ) {
        let suffix = suffix.join(".");
        let name = front.iter().map(String::as_str).chain([suffix.as_str()]).collect::<Vec<_>>().join(".");
        let host = host(&name);
        prop_assert_eq!(pattern(&format!("*.{suffix}")).matches(&host), front.len() == 1);
        prop_assert_eq!(pattern(&format!("**.{suffix}")).matches(&host), !front.is_empty());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[*.a:/\\[\\]0-9-]{0,12}") {
        let _ = (HostPattern::parse(&text), PortRange::parse(&text));
    }
}
