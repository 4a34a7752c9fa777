use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use egret_core::address::{AddressClass, address_of_well_known_name, embedded_ipv4, is_private};

use crate::properties;

fn class(text: &str) -> AddressClass {
    AddressClass::of(text.parse().expect("an address"))
}

#[test]
fn every_address_has_its_class() {
    use AddressClass::{LinkLocal, Loopback, Metadata, Multicast, Ordinary, Reserved, Unspecified};
    let table: &[(AddressClass, &[&str])] = &[
        (Loopback, &["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1"]),
        (Unspecified, &["0.0.0.0", "0.0.0.1", "0.255.255.255", "::"]),
        (LinkLocal, &["169.254.0.1", "169.254.169.253", "169.254.255.255", "fe80::1", "febf:ffff::"]),
        (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ffff::"]),
        (Reserved, &["240.0.0.0", "255.255.255.254", "255.255.255.255", "fec0::1", "feff::1"]),
        (
            Metadata,
            &[
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "168.63.129.16",
                "100.100.100.200",
                "192.0.0.192",
                "fd00:ec2::254",
                "fd20:ce::254",
                "fd00:c1::a9fe:a9fe",
                "fe80::a9fe:a9fe",
            ],
        ),
        (
            Ordinary,
            &[
                "1.0.0.0",
                "10.0.0.1",
                "100.100.100.201",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.16.0.1",
                "192.168.1.1",
                "223.255.255.255",
                "2001:db8::1",
                "fd00::1",
                "fd00:ec2::1",
                "fe7f::1",
                "2001:1::7f00:1",
            ],
        ),
    ];
    for (expected, addresses) in table {
        for address in *addresses {
            assert_eq!(class(address), *expected, "{address}");
        }
    }
}

#[test]
fn ipv4_is_seen_through_every_ipv6_format() {
    let loopback = [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::127.0.0.1",
        "64:ff9b:1:ffff:1:2:127.0.0.1",
        "2002:7f00:1::",
        "2002:7f00:1:1::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:db8::5efe:127.0.0.1",
        "2001:db8::200:5efe:127.0.0.1",
    ];
    for address in loopback {
        assert_eq!(class(address), AddressClass::Loopback, "{address}");
    }
}

#[test]
fn local_nat64_is_seen_through_at_every_length_of_prefix() {
    // RFC 6052 section 2.4, with 169.254.169.254. Which of the readings is right cannot be told, so the
    // class may be that of another one; what counts is that it is refused.
    let table = [
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1::a9:fea9:fe00:0",
        "64:ff9b:1::a9fe:a9fe",
    ];
    for address in table {
        assert!(matches!(class(address), AddressClass::Metadata | AddressClass::LinkLocal), "{address}");
    }
    // 192.0.2.33 at every length is an ordinary address, whatever the other readings are.
    for address in
        ["64:ff9b:1:c000:2:2100::", "64:ff9b:1:c0:0:221::", "64:ff9b:1::c0:2:2100:0", "64:ff9b:1::c000:221"]
    {
        assert_eq!(class(address), AddressClass::Ordinary, "{address}");
    }
}

#[test]
fn private_networks_are_known() {
    for address in [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "fd00::1",
        "fc00::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(is_private(address.parse().expect("an address")), "{address}");
    }
    for address in [
        "11.0.0.1",
        "172.32.0.1",
        "192.169.0.1",
        "100.63.255.255",
        "100.128.0.0",
        "fe80::1",
        "2001:db8::1",
        "127.0.0.1",
    ] {
        assert!(!is_private(address.parse().expect("an address")), "{address}");
    }
}

#[test]
fn names_that_mean_the_machine_itself_are_known() {
    let class = |name| address_of_well_known_name(name).map(AddressClass::of);
    for name in ["localhost", "foo.localhost", "a.b.localhost", "localhost.localdomain", "ip6-localhost"] {
        assert_eq!(class(name), Some(AddressClass::Loopback), "{name}");
    }
    for name in
        ["metadata.google.internal", "metadata", "instance-data.ec2.internal", "metadata.tencentyun.com"]
    {
        assert_eq!(class(name), Some(AddressClass::Metadata), "{name}");
    }
    for name in ["notlocalhost", "localhost.example.com", "metadata.example.com", "google.internal"] {
        assert_eq!(class(name), None, "{name}");
    }
}

/// The IPv6 addresses that lead to an IPv4 one, with the bits that are free filled from `noise`.
fn spellings(v4: Ipv4Addr, noise: u128) -> Vec<Ipv6Addr> {
    let low = u128::from(v4.to_bits());
    let high = |prefix: &str| prefix.parse::<Ipv6Addr>().expect("an IPv6 address").to_bits();
    [
        high("::ffff:0:0") | low,
        high("::ffff:0:0:0") | low,
        high("64:ff9b::") | low,
        high("2002::") | low << 80 | noise >> 48,
        high("2001::") | (noise >> 32 & ((1 << 64) - 1)) << 32 | (low ^ 0xffff_ffff),
        high("2001:db8::5efe:0:0") | (noise & 0xffff_ffff) << 64 | low,
        high("2001:db8::200:5efe:0:0") | low,
    ]
    .map(Ipv6Addr::from_bits)
    .to_vec()
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn hiding_an_ipv4_address_does_not_change_its_class(
        v4 in prop_oneof![
            any::<u32>(),
            (0_u32..1 << 24).prop_map(|host| 127 << 24 | host),
            (0_u32..1 << 16).prop_map(|host| 0xa9fe << 16 | host),
            Just(0xa9fe_a9fe_u32), Just(0xa83f_8110), Just(0x6464_64c8),
        ].prop_map(Ipv4Addr::from_bits),
        noise in any::<u128>(),
    ) {
        for address in spellings(v4, noise) {
            let found = embedded_ipv4(address);
            prop_assert_eq!(found.first().map(|embedded| embedded.address), Some(v4), "{}", address);
            prop_assert_eq!(AddressClass::of(address.into()), AddressClass::of(v4.into()), "{}", address);
        }
        let compatible = Ipv6Addr::from_bits(v4.to_bits().into());
        if v4.to_bits() > 1 {
            prop_assert_eq!(AddressClass::of(compatible.into()), AddressClass::of(v4.into()));
        }
    }

    #[test]
    fn dangerous_addresses_are_seen_through_local_nat64(
        host in 0_u32..1 << 24, noise in any::<u128>(), length in 0..4,
    ) {
        let v4 = u128::from(127 << 24 | host);
        let prefix = 0x0064_ff9b_0001_u128 << 80;
        let embedded = match length {
            0 => (v4 >> 16) << 64 | (v4 & 0xffff) << 40,
            1 => (v4 >> 24) << 64 | (v4 & 0xff_ffff) << 32,
            2 => v4 << 24,
            _ => v4,
        };
        // The suffix is free.
        let free = match length { 0 => (1 << 40) - 1, 1 => (1 << 32) - 1, 2 => (1 << 24) - 1, _ => 0 };
        let address = Ipv6Addr::from_bits(prefix | embedded | noise & free);
        prop_assert_ne!(AddressClass::of(IpAddr::V6(address)), AddressClass::Ordinary, "{}", address);
    }

    #[test]
    fn every_address_has_a_class(bits in any::<u128>()) {
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
        prop_assert!(!AddressClass::of(address).describe().is_empty());
    }
}
