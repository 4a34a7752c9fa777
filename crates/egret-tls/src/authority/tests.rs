use std::time::Duration;

use rustls_pki_types::ServerName;

use super::*;
use crate::inspect::CertificateInfo;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ca_request(key_type: KeyType) -> CaRequest {
    CaRequest {
        subject: Subject { common_name: "Test CA".to_owned(), organization: Some("Egret".to_owned()) },
        key_type,
        days: CA_DAYS,
        path_length: Some(0),
        constraints: Constraints::default(),
    }
}

fn leaf_request(purpose: Purpose, names: &[&str]) -> LeafRequest {
    LeafRequest {
        purpose,
        subject: Subject { common_name: "leaf".to_owned(), organization: None },
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        key_type: KeyType::EcdsaP256,
        days: LEAF_DAYS,
    }
}

fn info(identity: &Identity) -> CertificateInfo {
    CertificateInfo::parse(&identity.chain[0]).unwrap()
}

#[test]
fn makes_a_ca_with_the_extensions_that_verifiers_want() {
    let ca = Authority::create(&ca_request(KeyType::EcdsaP256), now()).unwrap();
    let info = info(ca.identity());
    assert_eq!(info.subject, "O=Egret, CN=Test CA");
    assert!(info.ca);
    assert_eq!(info.path_length, Some(0));
    assert_eq!(info.key_usage, ["keyCertSign", "cRLSign"]);
    assert!(info.extended_key_usage.is_empty());
    assert_eq!(info.subject_key_id, info.authority_key_id);
    assert_eq!(info.serial.len(), 32);
    assert_eq!(info.not_after.to_string(), "2036-11-20T12:00:00Z");
    assert!(info.name_constraints.is_none());
}

#[test]
fn makes_leaves_of_every_kind_of_key_that_rustls_accepts() {
    for ca_key in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519, KeyType::Rsa2048] {
        let ca = Authority::create(&ca_request(ca_key), now()).unwrap();
        for key_type in [KeyType::EcdsaP256, KeyType::Ed25519, KeyType::Rsa2048] {
            let request = LeafRequest { key_type, ..leaf_request(Purpose::Server, &["localhost", "::1"]) };
            let identity = ca.issue(&request, now()).unwrap();
            let host = ServerName::try_from("localhost").unwrap();
            crate::verify::host(&identity.chain[0], &host).unwrap();
            let info = info(&identity);
            assert_eq!(info.names, ["DNS:localhost", "IP:::1"]);
            assert!(!info.ca);
            assert_eq!(info.extended_key_usage, ["serverAuth"]);
            assert!(info.subject_key_id.is_some());
            assert_eq!(identity.chain.len(), 1, "a root is not sent along");
        }
    }
}

#[test]
fn a_leaf_lasts_no_longer_than_its_ca_and_never_over_the_limit() {
    let ca = Authority::create(&CaRequest { days: 10, ..ca_request(KeyType::EcdsaP256) }, now()).unwrap();
    let leaf = info(&ca.issue(&leaf_request(Purpose::Client, &[]), now()).unwrap());
    assert_eq!(leaf.not_after, info(ca.identity()).not_after);
    assert_eq!(leaf.not_before.to_string(), "2026-11-21T11:00:00Z");
    let long = LeafRequest { days: 398, ..leaf_request(Purpose::Client, &[]) };
    let error = ca.issue(&long, now()).unwrap_err();
    assert_eq!(error, AuthorityError::Days { days: 398, limit: 397 });
    let later = now() + Duration::from_secs(11 * 86_400);
    assert!(matches!(
        ca.issue(&leaf_request(Purpose::Client, &[]), later),
        Err(AuthorityError::CaExpired { .. })
    ));
}

#[test]
fn serial_numbers_are_random_and_positive() {
    let ca = Authority::create(&ca_request(KeyType::EcdsaP256), now()).unwrap();
    let serial = || info(&ca.issue(&leaf_request(Purpose::Client, &[]), now()).unwrap()).serial;
    let (one, two) = (serial(), serial());
    assert_ne!(one, two);
    for serial in [one, two] {
        assert_eq!(serial.len(), 32);
        assert!((0x40..0x80).contains(&u8::from_str_radix(&serial[..2], 16).unwrap()));
    }
}

#[test]
fn refuses_names_outside_the_constraints_and_says_which() {
    let constraints = Constraints {
        permitted: vec!["corp.example".parse().unwrap()],
        excluded: vec!["10.0.0.0/8".parse().unwrap()],
    };
    let request = CaRequest { constraints: constraints.clone(), ..ca_request(KeyType::EcdsaP256) };
    let ca = Authority::create(&request, now()).unwrap();
    // Read back from the certificate, for a CA that was made elsewhere has nothing else.
    assert_eq!(*ca.constraints(), constraints);
    ca.issue(&leaf_request(Purpose::Server, &["a.corp.example", "127.0.0.1"]), now()).unwrap();
    let error = ca.issue(&leaf_request(Purpose::Server, &["localhost", "10.1.1.1", "corp.example"]), now());
    let forbidden = ["localhost", "10.1.1.1"].map(|name| name.parse().unwrap()).to_vec();
    assert_eq!(error.unwrap_err(), AuthorityError::NotPermitted { names: forbidden });
}

#[test]
fn a_ca_below_a_ca_is_held_to_its_path_length() {
    let root = CaRequest { path_length: Some(1), ..ca_request(KeyType::EcdsaP256) };
    let root = Authority::create(&root, now()).unwrap();
    let below = CaRequest {
        subject: Subject { common_name: "Below".to_owned(), organization: None },
        path_length: None,
        ..ca_request(KeyType::EcdsaP384)
    };
    let middle = root.create_below(&below, now()).unwrap();
    assert_eq!(info(middle.identity()).path_length, Some(0));
    let leaf = middle.issue(&leaf_request(Purpose::Server, &["a.test"]), now()).unwrap();
    assert_eq!(leaf.chain[1..], middle.chain()[..1], "the intermediate is sent along, the root is not");
    crate::verify::chain(&leaf.chain[0], &leaf.chain[1..], root.chain(), Usage::Server, now()).unwrap();
    assert!(matches!(middle.create_below(&below, now()), Err(AuthorityError::PathLength { .. })));
}

#[test]
fn refuses_to_sign_with_what_is_no_ca() {
    let ca = Authority::create(&ca_request(KeyType::EcdsaP256), now()).unwrap();
    let leaf = ca.issue(&leaf_request(Purpose::Server, &["a.test"]), now()).unwrap();
    assert!(matches!(Authority::from_identity(leaf), Err(AuthorityError::NotCa { .. })));
}

#[test]
fn refuses_a_server_without_names_and_subjects_that_do_not_fit() {
    let ca = Authority::create(&ca_request(KeyType::EcdsaP256), now()).unwrap();
    assert_eq!(ca.issue(&leaf_request(Purpose::Server, &[]), now()).unwrap_err(), AuthorityError::NoName);
    for name in ["", " ", &"x".repeat(65), "a\nb"] {
        let subject = Subject { common_name: name.to_owned(), organization: None };
        let request = LeafRequest { subject, ..leaf_request(Purpose::Client, &[]) };
        assert!(matches!(ca.issue(&request, now()), Err(AuthorityError::Subject { .. })), "{name:?}");
    }
    let names: Vec<String> = (0..=NAMES).map(|index| format!("n{index}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(matches!(
        ca.issue(&leaf_request(Purpose::Server, &names), now()),
        Err(AuthorityError::TooManyNames { count: 101, limit: 100 })
    ));
}

#[test]
fn renews_with_the_same_names_and_key() {
    let ca = Authority::create(&ca_request(KeyType::EcdsaP256), now()).unwrap();
    let names = ["a.test", "10.0.0.1", "spiffe://corp.example/ns/x", "ops@corp.example"];
    let old = ca.issue(&LeafRequest { days: 90, ..leaf_request(Purpose::Client, &names) }, now()).unwrap();
    let later = now() + Duration::from_secs(80 * 86_400);
    let renewal = Renewal { certificate: &old.chain[0], key: old.key.clone_key(), days: None };
    let new = ca.renew(renewal, later).unwrap();
    let (was, is) = (info(&old), info(&new));
    assert_eq!((was.names, was.subject, was.key_usage), (is.names, is.subject, is.key_usage));
    assert_eq!(was.extended_key_usage, is.extended_key_usage);
    assert_eq!(was.public_key_sha256, is.public_key_sha256);
    assert_ne!(was.serial, is.serial);
    assert_eq!(is.not_after, later + Duration::from_secs(90 * 86_400));
}

#[test]
fn a_renewed_root_still_vouches_for_what_the_old_one_signed() {
    let request = CaRequest {
        constraints: Constraints { permitted: vec!["test".parse().unwrap()], excluded: Vec::new() },
        ..ca_request(KeyType::EcdsaP256)
    };
    let old = Authority::create(&request, now()).unwrap();
    let leaf = old.issue(&leaf_request(Purpose::Server, &["a.test"]), now()).unwrap();
    let later = now() + Duration::from_secs(300 * 86_400);
    let new = old.renew_root(None, later).unwrap();
    assert_ne!(new.chain(), old.chain());
    assert_eq!(new.constraints(), old.constraints());
    crate::verify::chain(&leaf.chain[0], &[], new.chain(), Usage::Server, later).unwrap();
}

#[test]
fn refuses_to_renew_what_another_ca_signed_or_what_would_lose_something() {
    let ca = Authority::create(&ca_request(KeyType::EcdsaP256), now()).unwrap();
    let other = CaRequest {
        subject: Subject { common_name: "Other CA".to_owned(), organization: None },
        ..ca_request(KeyType::EcdsaP256)
    };
    let other = Authority::create(&other, now()).unwrap();
    let leaf = other.issue(&leaf_request(Purpose::Server, &["a.test"]), now()).unwrap();
    let renewal = Renewal { certificate: &leaf.chain[0], key: leaf.key.clone_key(), days: None };
    assert!(matches!(ca.renew(renewal, now()), Err(AuthorityError::OtherCa { .. })));

    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0])];
    let key = KeyType::EcdsaP256.generate().unwrap();
    let odd = params.signed_by(&KeyPair::try_from(&key).unwrap(), &ca.issuer).unwrap();
    let renewal = Renewal { certificate: odd.der(), key, days: None };
    let error = ca.renew(renewal, now()).unwrap_err();
    assert!(error.to_string().contains("1.2.3.4"), "{error}");
}

#[test]
fn names_itself_and_its_service() {
    let names = default_server_names("egret", "proxies");
    let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "DNS:localhost",
            "DNS:egret",
            "DNS:egret.proxies",
            "DNS:egret.proxies.svc",
            "DNS:egret.proxies.svc.cluster.local",
            "IP:127.0.0.1",
            "IP:::1",
        ]
    );
}
