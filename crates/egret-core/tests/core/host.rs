use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use egret_core::destination::{Destination, Host, HostError};

use crate::properties;

fn v4(text: &str) -> Result<Host, HostError> {
    Ok(Host::Address(IpAddr::V4(text.parse().expect("an IPv4 address"))))
}

fn v6(text: &str) -> Result<Host, HostError> {
    Ok(Host::Address(IpAddr::V6(text.parse().expect("an IPv6 address"))))
}

fn name(text: &str) -> Result<Host, HostError> {
    Ok(Host::Name(text.into()))
}

#[test]
fn names_have_one_normal_form() {
    let table = [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("_acme-challenge.example.com", "_acme-challenge.example.com"),
        ("my_bucket.s3.test", "my_bucket.s3.test"),
        ("r3---sn-4g5e6n.test", "r3---sn-4g5e6n.test"),
        ("-leading.test-", "-leading.test-"),
        ("1.example.com", "1.example.com"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
        ("127.0.0.1x", "127.0.0.1x"),
        ("3com", "3com"),
        ("0xyz", "0xyz"),
        ("a.0xg", "a.0xg"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("日本語。ＪＰ", "xn--wgv71a119e.jp"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("exa\u{ad}mple.com", "example.com"),
    ];
    for (text, normal) in table {
        assert_eq!(Host::parse(text), name(normal), "{text}");
    }
}

#[test]
fn ipv4_is_seen_through_every_spelling() {
    let loopback = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.1.",
        "0x7f.1",
        "0x7f.0.0.1",
        "0X7F000001",
        "0177.0.0.1",
        "017700000001",
        "0000017700000001",
        "2130706433",
        "127.0x0.0.01",
        "１２７.０.０.１",
        "127。0。0。1",
        "0x7Ｆ.1",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
    ];
    for text in loopback {
        assert_eq!(Host::parse(text), v4("127.0.0.1"), "{text}");
    }
    let others = [
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("0.0x", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        ("1.16777215", "1.255.255.255"),
        ("1.2.65535", "1.2.255.255"),
        ("10.", "0.0.0.10"),
    ];
    for (text, address) in others {
        assert_eq!(Host::parse(text), v4(address), "{text}");
    }
}

#[test]
fn refuses_what_looks_like_ipv4_and_is_none() {
    let table = [
        "256.0.0.1",
        "1.2.3.256",
        "1.2.3.4.5",
        "4294967296",
        "99999999999999999999",
        "0x100000000",
        "1.16777216",
        "1.2.65536",
        "08",
        "0189.0.0.1",
        "example.1",
        "example.com.127",
        "example.0x7f",
        "example.0x",
        "1.2.3.08",
        "a.1.",
        "１.２.３.２５６",
    ];
    for text in table {
        assert_eq!(Host::parse(text), Err(HostError::Ipv4), "{text}");
    }
}

#[test]
fn ipv6_stands_in_brackets() {
    assert_eq!(Host::parse("[::1]"), v6("::1"));
    assert_eq!(Host::parse("[2001:DB8::A]"), v6("2001:db8::a"));
    assert_eq!(Host::parse("[64:ff9b::127.0.0.1]"), v6("64:ff9b::7f00:1"));
    for text in
        ["[]", "[", "[::1", "[::1].", "[::1]x", "[1.2.3.4]", "[::g]", "[v1.a]", "[[::1]]", "[é]", "[ ::1]"]
    {
        assert_eq!(Host::parse(text), Err(HostError::Ipv6), "{text}");
    }
    for text in ["[fe80::1%eth0]", "[fe80::1%25eth0]", "[::1%1]"] {
        assert_eq!(Host::parse(text), Err(HostError::Zone), "{text}");
    }
    assert_eq!(Host::parse("::1"), Err(HostError::Character));
    assert_eq!(Host::parse("::1]"), Err(HostError::Character));
}

#[test]
fn refuses_what_no_host_may_be() {
    for byte in (0..=0x7f_u8).filter(|byte| !byte.is_ascii_alphanumeric() && !b"-_.@".contains(byte)) {
        let text = format!("a{}b.test", char::from(byte));
        assert_eq!(Host::parse(&text), Err(HostError::Character), "{text:?}");
    }
    let table = [
        ("", HostError::Empty),
        (".", HostError::Empty),
        ("\u{ad}", HostError::Empty),
        ("..", HostError::EmptyLabel),
        ("a..b", HostError::EmptyLabel),
        (".a", HostError::EmptyLabel),
        ("a..", HostError::EmptyLabel),
        ("127.0.0.1..", HostError::EmptyLabel),
        ("a。。b", HostError::EmptyLabel),
        ("user@example.com", HostError::UserInfo),
        ("%31%32%37.0.0.1", HostError::Character),
        ("exa％6dple.com", HostError::Character),
        ("a／b.test", HostError::Character),
        ("a＠b.test", HostError::UserInfo),
        ("a\u{2028}b.test", HostError::Idna),
        ("xn--\u{fc}.test", HostError::Idna),
    ];
    for (text, error) in table {
        assert_eq!(Host::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(Host::from_bytes(b"a\xff.test"), Err(HostError::Idna));
}

#[test]
fn refuses_what_is_too_long_for_dns() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(Host::parse(&longest), name(&longest));
    assert_eq!(Host::parse(&format!("{longest}.")), name(&longest));
    assert_eq!(Host::parse(&longest.to_uppercase()), name(&longest));
    assert_eq!(Host::parse(&format!("{longest}a")), Err(HostError::TooLong));
    assert_eq!(Host::parse(&format!("A{longest}")), Err(HostError::TooLong));
    assert_eq!(Host::parse(&format!("{label}a.test")), Err(HostError::TooLong));
    assert_eq!(Host::parse(&"ü".repeat(600)), Err(HostError::TooLong));
    assert_eq!(Host::parse(&format!("{}.test", "ü".repeat(64))), Err(HostError::TooLong));
}

#[test]
fn authorities_are_read_strictly() {
    let table = [
        ("example.com:443", "example.com:443"),
        ("Example.COM.:00443", "example.com:443"),
        ("127.1:65535", "127.0.0.1:65535"),
        ("[::1]:1", "[::1]:1"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
    ];
    for (text, normal) in table {
        assert_eq!(
            Destination::parse_authority(text).map(|d| d.to_string()),
            Ok(normal.to_owned()),
            "{text}"
        );
        assert_eq!(
            Destination::parse_authority_bytes(text.as_bytes()),
            Destination::parse_authority(text),
            "{text}"
        );
    }
    let refused = [
        ("example.com", HostError::Port),
        ("example.com:", HostError::Port),
        ("example.com:0", HostError::Port),
        ("example.com:65536", HostError::Port),
        ("example.com:4294967376", HostError::Port),
        ("example.com:+80", HostError::Port),
        ("example.com:-80", HostError::Port),
        ("example.com: 80", HostError::Port),
        ("example.com:80 ", HostError::Port),
        ("example.com:0x50", HostError::Port),
        ("example.com:８０", HostError::Port),
        ("example.com:80/", HostError::Port),
        ("example.com:000000080", HostError::Port),
        ("example.com/:80", HostError::Character),
        ("example.com :80", HostError::Character),
        ("http://example.com:80", HostError::Unbracketed),
        ("::1:443", HostError::Unbracketed),
        ("fe80::1:443", HostError::Unbracketed),
        ("", HostError::Empty),
        (":80", HostError::Empty),
        (":", HostError::Empty),
        ("[::1]", HostError::Port),
        ("[::1]443", HostError::Ipv6),
        ("[::1:443", HostError::Ipv6),
        ("user@example.com:443", HostError::UserInfo),
        ("user:password@example.com:443", HostError::UserInfo),
        ("example.com:80@evil.test:443", HostError::UserInfo),
    ];
    for (text, error) in refused {
        assert_eq!(Destination::parse_authority(text), Err(error), "{text}");
    }
}

#[test]
fn an_absent_or_empty_port_is_the_default() {
    for text in ["example.com", "example.com:", "example.com:80", "EXAMPLE.com.:80"] {
        let got = Destination::parse_with_default(text, Some(80)).map(|d| d.to_string());
        assert_eq!(got, Ok("example.com:80".to_owned()), "{text}");
    }
    let got = Destination::parse_with_default("[::1]", Some(443)).map(|d| d.to_string());
    assert_eq!(got, Ok("[::1]:443".to_owned()));
    assert_eq!(Destination::parse_with_default("example.com", None), Err(HostError::Port));
    assert_eq!(Destination::parse_with_default("example.com:x", Some(80)), Err(HostError::Port));
}

fn is_normal(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
        && name.parse::<Ipv4Addr>().is_err()
}

/// Text made of the pieces that parsers disagree about.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9_-]{1,8}",
        "[.:@%/\\\\\\[\\] ]",
        "(0x|0X|0)?[0-9a-fA-F]{1,10}",
        "[。．ü／０-９ßİ\u{200d}]",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn what_is_accepted_is_normal_and_is_read_back(text in hostile_text()) {
        if let Ok(host) = Host::parse(&text) {
            if let Host::Name(name) = &host {
                prop_assert!(is_normal(name), "{name}");
            }
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
        if let Ok(destination) = Destination::parse_with_default(&text, Some(80)) {
            prop_assert_ne!(destination.port, 0);
            prop_assert_eq!(Destination::parse_authority(&destination.to_string()), Ok(destination));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(host) = Host::from_bytes(&bytes) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
        let _ = Destination::parse_bytes(&bytes, Some(80));
    }

    #[test]
    fn every_spelling_of_every_ipv4_address_is_that_address(
        bits in any::<u32>(),
        parts in 1_usize..=4,
        radixes in proptest::array::uniform4(0..3),
        dot in any::<bool>(),
    ) {
        let spell = |number: u32, radix: i32| match radix {
            0 => format!("{number}"),
            1 => format!("0{number:o}"),
            _ => format!("0x{number:X}"),
        };
        let mut pieces: Vec<String> =
            (0..parts - 1).map(|i| spell(bits >> (24 - 8 * i) & 255, radixes[i])).collect();
        let rest = u64::from(bits) & ((1 << (40 - 8 * parts)) - 1);
        pieces.push(spell(rest as u32, radixes[parts - 1]));
        let text = pieces.join(".") + if dot { "." } else { "" };
        prop_assert_eq!(Host::parse(&text), Ok(Host::Address(Ipv4Addr::from_bits(bits).into())), "{}", text);
    }
}
