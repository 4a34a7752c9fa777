use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use egret_core::address::AddressClass;
use egret_core::destination::Destination;
use egret_core::gate::Rule;

use crate::gate::{gate, ip, somebody, to};
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
fn first_naming(rules: &[Rule], destination: &Destination) -> Option<String> {
    rules
        .iter()
        .find(|rule| {
            (rule.ports.is_empty() || rule.ports.iter().any(|range| range.contains(destination.port)))
                && (rule.hosts.is_empty() && rule.networks.is_empty()
                    || rule.hosts.iter().any(|host| host.matches(&destination.host)))
        })
        .map(|rule| rule.name.to_string())
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
        let denied = first_naming(&gate.deny, &destination);
        match gate.evaluate(&somebody(), &destination) {
            Err(denial) => prop_assert_eq!(denial.rule.map(|rule| rule.to_string()), denied),
            Ok(permit) => {
                prop_assert_eq!(denied, None);
                if let Ok(grant) = gate.grant(&permit, &destination, &resolved) {
                    prop_assert!(!grant.addresses().is_empty());
                    for address in grant.addresses() {
                        prop_assert!(gate.check_address(&permit, &destination, address.ip()).is_ok());
                        prop_assert!(resolved.iter().any(|one| one.to_canonical() == address.ip()));
                        prop_assert_eq!(address.port(), destination.port);
                        let class = AddressClass::of(address.ip());
                        prop_assert!(
                            class == AddressClass::Ordinary || allow_loopback && class == AddressClass::Loopback
                        );
                    }
                    let named = first_naming(&gate.allow, &destination);
                    if named.is_some() {
                        prop_assert_eq!(grant.rule().map(|rule| rule.to_string()), named);
                    }
                }
                let _ = gate.grant_unresolved(&permit, &destination);
            }
        }
    }
}
