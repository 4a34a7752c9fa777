use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use egret_core::address::AddressClass;
use egret_core::destination::Destination;
use egret_core::policy::model::{Action, Rule, Target};

use crate::gate::{ask, gate, ip, somebody, to};
use crate::properties;

/// Words for rules and destinations, from an alphabet so small that they meet often.
fn host_word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab](\\.[ab]){0,2}",
        "\\*{1,2}\\.[ab](\\.[ab]){0,1}",
        Just("*".to_owned()),
        "10\\.0\\.0\\.[0-3]",
        "10\\.0\\.0\\.0/(8|3[01])",
        Just("::/0".to_owned()),
        Just("0.0.0.0/0".to_owned()),
    ]
}

fn rule_words() -> impl Strategy<Value = String> {
    (proptest::collection::vec(host_word(), 0..3), prop_oneof![Just(""), Just(" :80"), Just(" :1-79")])
        .prop_map(|(hosts, port)| hosts.join(" ") + port)
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4).prop_map(|last| IpAddr::from([10, 0, 0, last])),
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        (0_u8..4).prop_map(|last| ip(&format!("64:ff9b::10.0.0.{last}"))),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([127, a, b, c])),
        Just(ip("::ffff:169.254.169.254")),
    ]
}

/// What the index answers faster.
fn first_naming(rules: &[Rule], action: Action, destination: &Destination) -> Option<String> {
    let names = |target: &Target| {
        (target.ports.is_empty() || target.ports.iter().any(|range| range.contains(destination.port)))
            && (target.hosts.is_empty() && target.networks.is_empty()
                || target.hosts.iter().any(|host| host.matches(&destination.host)))
    };
    let mut rules = rules.iter().filter(|rule| rule.action == action);
    rules.find(|rule| rule.to.iter().any(names)).map(|rule| rule.name.to_string())
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn a_grant_holds_only_addresses_that_pass(
        deny in proptest::collection::vec(rule_words(), 0..3),
        allow in proptest::collection::vec(rule_words(), 0..3),
        default_allow in any::<bool>(),
        allow_loopback in any::<bool>(),
        destination in "[ab](\\.[ab]){0,2}:(80|9)",
        resolved in proptest::collection::vec(any_address(), 0..6),
    ) {
        let mut gate = gate(&deny, &allow, default_allow);
        gate.guard.allow_loopback = allow_loopback;
        let destination = to(&destination);
        let rules = gate.policies.policies()[0].rules.clone();
        let somebody = somebody();
        let ask = ask(&somebody, &destination);
        let denied = first_naming(&rules, Action::Deny, &destination);
        match gate.evaluate(&ask) {
            Err(denial) => prop_assert_eq!(denial.by.map(|facts| facts.rule.to_string()), denied),
            Ok(permit) => {
                prop_assert_eq!(denied, None);
                if let Ok(grant) = gate.grant(&ask, &permit, &resolved) {
                    prop_assert!(!grant.addresses().is_empty());
                    for address in grant.addresses() {
                        prop_assert!(gate.check_address(&ask, &permit, address.ip()).is_ok());
                        prop_assert!(resolved.iter().any(|one| one.to_canonical() == address.ip()));
                        prop_assert_eq!(address.port(), destination.port);
                        let class = AddressClass::of(address.ip());
                        prop_assert!(
                            class == AddressClass::Ordinary || allow_loopback && class == AddressClass::Loopback
                        );
                    }
                    // A rule that comes before may have found the address.
                    if first_naming(&rules, Action::Allow, &destination).is_some() {
                        prop_assert!(grant.basis().by.is_some());
                    }
                }
                let _ = gate.grant_unresolved(&ask, &permit);
            }
        }
    }
}
