use std::path::Path;
use std::process::Command;

use super::*;
use crate::authority::{AuthorityError, CA_DAYS};
use crate::files::{Password, chain_pem, combined_pem, key_pem, pkcs12};

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(dir).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_new_ca_may_sign_leaves_alone_for_ten_years_under_a_name_of_its_own() {
    let (one, two) = (InterceptionCa::create(now()).unwrap(), InterceptionCa::create(now()).unwrap());
    let info = one.info();
    assert_ne!(info.subject, two.info().subject);
    assert!(info.ca);
    assert_eq!((info.path_length, info.key.as_str()), (Some(0), "ECDSA P-256"));
    assert_eq!(info.key_usage, ["keyCertSign", "cRLSign"]);
    assert!(info.not_before < now() - days(1), "clocks of clients may be slow");
    assert!(info.not_after > now() + days(i64::from(CA_DAYS) - 3));
    assert_eq!(one.anchor(), one.certificate());
    assert_eq!(one.warnings(), [] as [&str; 0]);
}

#[test]
fn takes_a_ca_in_every_form_that_users_have_it() {
    let root = Authority::create(&request("corp root"), now()).unwrap();
    let below = root.create_below(&request("corp interception"), now()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let identity = below.identity();
    let key = key_pem(&identity.key).unwrap();
    let chain = chain_pem(&identity.chain);
    let password = Password::new("open sesame".to_owned());
    std::fs::write(path("ca.crt"), &chain).unwrap();
    std::fs::write(path("ca.key"), &*key).unwrap();
    std::fs::write(path("combined.pem"), &*combined_pem(identity).unwrap()).unwrap();
    std::fs::write(path("key-first.pem"), format!("{}{chain}", &*key)).unwrap();
    std::fs::write(path("ca.p12"), pkcs12(identity, &[], "ca", &password).unwrap()).unwrap();
    let pass = "pass:open sesame";
    openssl(dir.path(), &["pkcs8", "-topk8", "-in", "ca.key", "-out", "sealed.key", "-passout", pass]);
    openssl(
        dir.path(),
        &["pkcs12", "-export", "-in", "combined.pem", "-out", "openssl.p12", "-passout", pass],
    );

    let table = [
        ("ca.crt", Some("ca.key"), None),
        ("ca.crt", Some("sealed.key"), Some(&password)),
        ("combined.pem", None, None),
        ("key-first.pem", None, None),
        ("ca.p12", None, Some(&password)),
        ("openssl.p12", None, Some(&password)),
    ];
    for (certificate, key, password) in table {
        let key = key.map(path);
        let ca = InterceptionCa::load(&path(certificate), key.as_deref(), password, now()).unwrap();
        assert_eq!(ca.chain(), below.chain(), "{certificate}");
        assert_eq!(ca.anchor(), &root.chain()[0], "{certificate}: clients trust the root");
    }
    let wrong = InterceptionCa::load(&path("ca.crt"), Some(&path("sealed.key")), None, now()).unwrap_err();
    assert!(wrong.to_string().contains("encrypted, and no password was given"), "{wrong}");
}

#[test]
fn refuses_what_must_not_sign() {
    let root = Authority::create(&request("root"), now()).unwrap();
    let leaf = crate::authority::LeafRequest {
        purpose: crate::authority::Purpose::Server,
        subject: Subject { common_name: "leaf".to_owned(), organization: None },
        names: vec!["a.example".parse().unwrap()],
        key_type: KeyType::EcdsaP256,
        days: 10,
    };
    let leaf = root.issue(&leaf, now()).unwrap();
    let error = InterceptionCa::from_identity(leaf.clone(), now()).unwrap_err();
    assert!(matches!(error, CaError::Authority(AuthorityError::NotCa { .. })), "{error}");

    let other = Authority::create(&request("other"), now()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("ca.crt"), dir.path().join("ca.key"));
    std::fs::write(&certificate, chain_pem(root.chain())).unwrap();
    std::fs::write(&key, &*key_pem(&other.identity().key).unwrap()).unwrap();
    let error = InterceptionCa::load(&certificate, Some(&key), None, now()).unwrap_err();
    assert!(matches!(error, CaError::File(_)), "{error}");
    assert!(error.to_string().contains("ca.key"), "{error}");

    let expired = InterceptionCa::from_identity(root.identity().clone(), now() + days(366)).unwrap_err();
    assert!(matches!(expired, CaError::Expired { .. }), "{expired}");
    let early = InterceptionCa::from_identity(root.identity().clone(), now() - days(2)).unwrap_err();
    assert!(matches!(early, CaError::NotYetValid { .. }), "{early}");
}

/// What openssl makes and rcgen does not: keys and uses that are wrong for a CA.
#[test]
fn refuses_weak_keys_wrong_uses_and_chains_that_are_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, key: &str, extensions: &[&str]| {
        let (key_file, file) = (format!("{name}.key"), format!("{name}.crt"));
        let mut arguments = vec![
            "req", "-x509", "-newkey", key, "-nodes", "-keyout", &key_file, "-out", &file, "-subj", "/CN=x",
        ];
        for extension in extensions {
            arguments.extend(["-addext", extension]);
        }
        openssl(dir.path(), &arguments);
        let path = |name: &str| dir.path().join(name);
        // A second early: a certificate may be dated this very second.
        InterceptionCa::load(&path(&file), Some(&path(&key_file)), None, now() + SignedDuration::from_secs(1))
    };
    let error = make("weak", "rsa:1024", &[]).unwrap_err().to_string();
    assert!(error.contains("RSA key (2048 to 8192 bits)"), "{error}");
    let usage = make("usage", "rsa:2048", &["keyUsage=critical,cRLSign"]).unwrap_err();
    assert!(matches!(usage, CaError::Authority(AuthorityError::CannotSign { .. })), "{usage}");
    let client = make("client", "rsa:2048", &["extendedKeyUsage=clientAuth"]).unwrap_err();
    assert!(matches!(client, CaError::NotForServers { .. }), "{client}");
    let good = make("good", "rsa:2048", &["keyUsage=critical,keyCertSign"]).unwrap();
    assert!(good.warnings().iter().any(|warning| warning.contains("milliseconds")), "{:?}", good.warnings());

    let root = Authority::create(&CaRequest { path_length: Some(1), ..request("root") }, now()).unwrap();
    let middle = root.create_below(&request("middle"), now()).unwrap();
    let mut chain = middle.identity().clone();
    interception(&middle);
    // A root that allows none below it, by the same name and key.
    let narrow = CaRequest { path_length: Some(0), ..request("root") };
    chain.chain.truncate(1);
    let narrow = Authority::create(&narrow, now()).unwrap();
    chain.chain.push(narrow.chain()[0].clone());
    let error = InterceptionCa::from_identity(chain, now()).unwrap_err();
    assert!(matches!(error, CaError::PathLength { allowed: 0, found: 1, .. }), "{error}");
}

#[test]
fn warns_of_an_end_that_is_near_and_of_constraints() {
    let soon = Authority::create(&CaRequest { days: 20, ..request("soon") }, now()).unwrap();
    let warnings = interception(&soon).warnings().to_vec();
    assert!(warnings.iter().any(|warning| warning.contains("19 days")), "{warnings:?}");

    let constraints = Constraints { permitted: vec!["corp.example".parse().unwrap()], excluded: Vec::new() };
    let narrow = Authority::create(&CaRequest { constraints, ..request("narrow") }, now()).unwrap();
    let warnings = interception(&narrow).warnings().to_vec();
    assert!(warnings.iter().any(|warning| warning.contains("only for DNS:corp.example;")), "{warnings:?}");
}

#[test]
fn prints_nothing_of_the_key() {
    let ca = InterceptionCa::create(now()).unwrap();
    let key = ca.identity().key.secret_der().to_vec();
    let shown = format!("{ca:?}");
    let listed = format!("{:?}", &key[key.len() - 16..]);
    assert!(!shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
}

#[test]
fn what_a_ca_above_allows_counts_too() {
    let constraints = Constraints { permitted: vec!["corp.example".parse().unwrap()], excluded: Vec::new() };
    let root = CaRequest { constraints, days: 100, ..request("narrow root") };
    let root = Authority::create(&root, now()).unwrap();
    let below = root.create_below(&request("below"), now()).unwrap();
    let ca = interception(&below);
    assert_eq!(ca.not_after(), root.validity().not_after);
    let minter = minter(ca, MintSettings::default());
    minter.mint_now(&LeafNames::of(&host("a.corp.example")), now()).unwrap();
    let refused = minter.mint_now(&LeafNames::of(&host("a.example")), now()).unwrap_err();
    assert!(matches!(refused, MintError::NotPermitted { .. }), "{refused}");
}
