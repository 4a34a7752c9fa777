use std::collections::HashSet;

use rustls_pki_types::ServerName;

use super::*;
use crate::inspect::CertificateInfo;
use crate::verify::{self, Usage};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap()
}

fn mint(minter: &Minter, names: &LeafNames) -> Arc<Leaf> {
    runtime().block_on(minter.leaf(names, now())).unwrap()
}

#[test]
fn a_leaf_is_right_in_every_field_that_clients_look_at() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    for name in ["api.example.com", "192.0.2.7", "[2001:db8::1]", "_x.a-b.example", "xn--bcher-kva.example"] {
        let host = host(name);
        let leaf = mint(&minter, &LeafNames::of(&host));
        let (certificate, ca) = (leaf.certificate(), minter.ca());
        assert_eq!(leaf.certified.cert.len(), 1, "the root does not go along");
        let roots = ca.chain();
        for at in [
            now(),
            now() - days(1) + SignedDuration::from_mins(1),
            now() + days(7) - SignedDuration::from_mins(1),
        ] {
            verify::chain(certificate, &[], roots, Usage::Server, at).unwrap();
        }
        let asked = ServerName::try_from(name.trim_matches(['[', ']'])).unwrap();
        verify::host(certificate, &asked).unwrap();
        verify::host(certificate, &ServerName::try_from("other.example").unwrap()).unwrap_err();

        let info = CertificateInfo::parse(certificate).unwrap();
        assert_eq!(info.extended_key_usage, ["serverAuth"]);
        assert_eq!(info.key_usage, ["digitalSignature"]);
        assert_eq!(info.key, "ECDSA P-256");
        assert!(!info.ca);
        assert_eq!(info.authority_key_id, ca.info().subject_key_id);
        assert!(info.subject_key_id.is_some());
        assert_eq!((info.not_before, info.not_after), (leaf.not_before, leaf.not_after));
        assert!(leaf.use_until < leaf.not_after);
        leaf.certified.keys_match().unwrap();
    }
}

#[test]
fn a_long_name_has_its_place_beside_the_subject() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let long = [&"a".repeat(60), "example.com"].join(".");
    for name in [long.clone(), format!("{}.{long}", "b".repeat(63))] {
        let leaf = mint(&minter, &LeafNames::of(&host(&name)));
        verify::host(leaf.certificate(), &ServerName::try_from(name.as_str()).unwrap()).unwrap();
    }
}

#[test]
fn serial_numbers_are_unique() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let names = LeafNames::of(&host("a.example"));
    let serials: HashSet<String> = (0..200)
        .map(|_| {
            CertificateInfo::parse(minter.mint_now(&names, now()).unwrap().certificate()).unwrap().serial
        })
        .collect();
    assert_eq!(serials.len(), 200);
}

#[test]
fn takes_the_wildcard_that_the_origin_has_and_no_other() {
    let root = Authority::create(&request("origin's CA"), now()).unwrap();
    let origin = |names: &[&str]| {
        let request = crate::authority::LeafRequest {
            purpose: crate::authority::Purpose::Server,
            subject: Subject { common_name: "origin".to_owned(), organization: None },
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            key_type: KeyType::EcdsaP256,
            days: 10,
        };
        root.issue(&request, now()).unwrap().chain[0].clone()
    };
    let wild = origin(&["*.example.com", "example.com", "127.0.0.1"]);
    let (a, b) = (host("a.example.com"), host("b.example.com"));
    assert_eq!(LeafNames::like_origin(&a, &wild), LeafNames::like_origin(&b, &wild));
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let leaf = mint(&minter, &LeafNames::like_origin(&a, &wild));
    assert_eq!(CertificateInfo::parse(leaf.certificate()).unwrap().names, ["DNS:*.example.com"]);
    for (name, origin) in [
        ("example.com", &wild),
        ("a.b.example.com", &wild),
        ("127.0.0.1", &wild),
        ("a.other.example", &wild),
        ("a.example.com", &origin(&["a.example.com"])),
    ] {
        assert_eq!(LeafNames::like_origin(&host(name), origin), LeafNames::of(&host(name)), "{name}");
    }
}

#[test]
fn a_thousand_who_ask_at_once_get_one_leaf_that_was_made_once() {
    let minter = Arc::new(minter(InterceptionCa::create(now()).unwrap(), MintSettings::default()));
    let leaves: HashSet<Vec<u8>> = runtime().block_on(async {
        let ask = |_| {
            let minter = minter.clone();
            tokio::spawn(async move {
                let leaf = minter.leaf(&LeafNames::of(&host("busy.example")), now()).await.unwrap();
                leaf.certificate().to_vec()
            })
        };
        let tasks: Vec<_> = (0..1000).map(ask).collect();
        let mut leaves = HashSet::new();
        for task in tasks {
            leaves.insert(task.await.unwrap());
        }
        leaves
    });
    assert_eq!(leaves.len(), 1);
    let counts = minter.counts();
    assert_eq!((counts.minted, counts.hits, counts.kept), (1, 999, 1));
}

/// A client that goes away while its certificate is made leaves it to the others.
#[test]
fn whoever_gives_up_does_not_take_the_others_along() {
    let root =
        Authority::create(&CaRequest { key_type: KeyType::Rsa2048, ..request("slow") }, now()).unwrap();
    let minter = Arc::new(minter(interception(&root), MintSettings::default()));
    runtime().block_on(async {
        let names = LeafNames::of(&host("slow.example"));
        let ask = || {
            let (minter, names) = (minter.clone(), names.clone());
            tokio::spawn(async move { minter.leaf(&names, now()).await.map(drop) })
        };
        let (first, second) = (ask(), ask());
        first.abort();
        second.await.unwrap().unwrap();
    });
    assert_eq!(minter.counts().kept, 1);
}

#[test]
fn keeps_so_many_and_counts_what_gives_way() {
    let settings = MintSettings { leaves: 64, ..MintSettings::default() };
    let minter = minter(InterceptionCa::create(now()).unwrap(), settings);
    runtime().block_on(async {
        for index in 0..300 {
            minter.leaf(&LeafNames::of(&host(&format!("n{index}.example"))), now()).await.unwrap();
        }
    });
    let counts = minter.counts();
    assert_eq!(counts.minted, 300);
    assert!(counts.kept <= 64 && counts.kept >= 32, "{counts:?}");
    assert_eq!(counts.kept + counts.evicted, 300, "{counts:?}");
}

#[test]
fn gives_no_leaf_out_that_is_about_to_end() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let names = LeafNames::of(&host("a.example"));
    runtime().block_on(async {
        let first = minter.leaf(&names, now()).await.unwrap();
        let before = minter.leaf(&names, first.use_until - SignedDuration::from_secs(1)).await.unwrap();
        assert_eq!(first.certificate(), before.certificate());
        let after = minter.leaf(&names, first.use_until).await.unwrap();
        assert_ne!(first.certificate(), after.certificate());
        assert!(after.not_after > first.not_after);
    });
}

#[test]
fn a_leaf_ends_with_its_ca_and_none_is_made_after() {
    let short = Authority::create(&CaRequest { days: 2, ..request("short") }, now()).unwrap();
    let minter = minter(interception(&short), MintSettings::default());
    let names = LeafNames::of(&host("a.example"));
    let leaf = mint(&minter, &names);
    assert_eq!(leaf.not_after, short.validity().not_after);
    assert!(leaf.not_before >= short.validity().not_before);
    let late = runtime().block_on(minter.leaf(&names, now() + days(3))).unwrap_err();
    assert!(matches!(late, MintError::CaExpired { .. }), "{late}");
    // Within the margin each connection has one of its own, until the very end.
    let end = runtime().block_on(minter.leaf(&names, leaf.not_after)).unwrap();
    verify::chain(end.certificate(), &[], short.chain(), Usage::Server, leaf.not_after).unwrap();
}

#[test]
fn another_ca_signs_at_once_and_nothing_of_the_old_one_is_given_out() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let names = LeafNames::of(&host("a.example"));
    let (old, before) = (minter.ca(), mint(&minter, &names));
    minter.change_ca(old.clone()).unwrap();
    assert_eq!(mint(&minter, &names).certificate(), before.certificate(), "the same CA changes nothing");
    minter.change_ca(Arc::new(InterceptionCa::create(now()).unwrap())).unwrap();
    let after = mint(&minter, &names);
    verify::chain(after.certificate(), &[], minter.ca().chain(), Usage::Server, now()).unwrap();
    verify::chain(after.certificate(), &[], old.chain(), Usage::Server, now()).unwrap_err();
}

#[test]
fn an_intermediate_goes_along_and_the_root_does_not() {
    let root = Authority::create(&request("root"), now()).unwrap();
    let below = root.create_below(&request("below"), now()).unwrap();
    let minter = minter(interception(&below), MintSettings::default());
    let leaf = mint(&minter, &LeafNames::of(&host("a.example")));
    assert_eq!(leaf.certified.cert[1..], below.chain()[..1]);
    verify::chain(leaf.certificate(), &leaf.certified.cert[1..], root.chain(), Usage::Server, now()).unwrap();
}

#[test]
fn refuses_names_that_the_ca_may_not_sign_for() {
    let constraints = Constraints { permitted: vec!["corp.example".parse().unwrap()], excluded: Vec::new() };
    let narrow = Authority::create(&CaRequest { constraints, ..request("narrow") }, now()).unwrap();
    let minter = minter(interception(&narrow), MintSettings::default());
    mint(&minter, &LeafNames::of(&host("a.corp.example")));
    let refused = runtime().block_on(minter.leaf(&LeafNames::of(&host("a.example")), now())).unwrap_err();
    assert_eq!(refused, MintError::NotPermitted { host: host("a.example") });
    assert_eq!(minter.counts().failed, 1);
}

#[test]
fn a_wildcard_below_a_public_suffix_is_not_made_though_the_origin_has_it() {
    let origin = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    };
    for (name, wildcard) in [("shop.co.uk", "*.co.uk"), ("me.github.io", "*.github.io")] {
        let (name, origin) = (host(name), origin(wildcard));
        assert_eq!(LeafNames::like_origin(&name, &origin), LeafNames::of(&name), "{wildcard}");
    }
    let (name, origin) = (host("www.shop.co.uk"), origin("*.shop.co.uk"));
    assert_ne!(LeafNames::like_origin(&name, &origin), LeafNames::of(&name));
}
