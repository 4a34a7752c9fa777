//! `egret ca`, measured by the programs that its output is for: openssl and Java's keytool.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods)] // and has no flows to stop by waiting

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use egret_testkit::tools::{client, run, succeed};
use serde_json::Value;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = client(program);
        command.current_dir(self.0.path()).args(arguments).env_remove("EGRET_STATE_DIR");
        command
    }

    fn ca(&self, arguments: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_egret"), &[&["ca"], arguments].concat())
    }

    /// A command that must succeed, on the CA in `state`.
    fn state(&self, arguments: &[&str]) -> String {
        succeed(&mut self.ca(&[arguments, &["--state-dir", "state"]].concat()))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.state(&[arguments, &["--format", "json"]].concat())).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let Output { status, stderr, .. } =
            run(&mut self.ca(&[arguments, &["--state-dir", "state"]].concat()));
        assert!(!status.success(), "{arguments:?}");
        String::from_utf8(stderr).unwrap()
    }
}

fn count(pem: &str) -> usize {
    pem.matches("BEGIN CERTIFICATE").count()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn export_prints_the_pem_and_makes_the_ca_that_it_prints() {
    let place = Place::new();
    assert!(place.refused(&["show"]).contains("there is no interception CA in state"));
    assert!(!place.path("state").exists(), "looking makes nothing");
    let pem = place.state(&["export"]);
    assert_eq!(count(&pem), 1);
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"), "{pem}");
    assert_eq!(place.state(&["export"]), pem, "it stays the same");
    assert_eq!((mode(&place.path("state")), mode(&place.path("state/interception-ca.pem"))), (0o700, 0o600));

    std::fs::write(place.path("ca.pem"), &pem).unwrap();
    let shown = succeed(&mut place.command("openssl", &["x509", "-in", "ca.pem", "-noout", "-text"]));
    for part in
        ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "NIST CURVE: P-256", "Egret interception CA"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn all_who_export_at_once_print_the_same_ca() {
    let place = Place::new();
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = place.ca(&["export", "--state-dir", "state"]);
            std::thread::spawn(move || succeed(&mut command))
        })
        .collect();
    let printed: Vec<String> = children.into_iter().map(|child| child.join().unwrap()).collect();
    assert!(printed.iter().all(|pem| *pem == printed[0]), "{printed:?}");
}

#[test]
fn exports_what_openssl_java_and_bundles_take() {
    let place = Place::new();
    let pem = place.state(&["export"]);
    place.state(&["export", "--to", "der", "--out", "ca.der"]);
    let back = succeed(&mut place.command("openssl", &["x509", "-inform", "DER", "-in", "ca.der"]));
    assert_eq!(back, pem);
    assert!(place.refused(&["export", "--to", "der", "--out", "ca.der"]).contains("it is there already"));
    place.state(&["export", "--to", "der", "--out", "ca.der", "--force"]);

    let exported = place.json(&["export"]);
    assert_eq!(
        (exported["pem"].as_str(), exported["certificates"][0]["ca"].as_bool()),
        (Some(&*pem), Some(true))
    );

    place.state(&["export", "--format", "pkcs12", "--out", "trust.p12"]);
    let list = ["-list", "-keystore", "trust.p12", "-storepass", "changeit"];
    let listed = succeed(&mut place.command("keytool", &list));
    assert!(listed.contains("egret") && listed.contains("trustedCertEntry"), "{listed}");

    place.state(&["export", "--to", "bundle", "--out", "bundle.pem"]);
    let bundle = std::fs::read_to_string(place.path("bundle.pem")).unwrap();
    assert!(count(&bundle) > 100 && bundle.contains(pem.trim()));
    std::fs::write(place.path("ca.pem"), &pem).unwrap();
    succeed(&mut place.command("openssl", &["verify", "-CAfile", "bundle.pem", "ca.pem"]));
}

#[test]
fn a_change_has_a_time_in_which_clients_are_given_both() {
    let place = Place::new();
    let old = place.state(&["export"]);
    assert!(place.refused(&["rotate", "--activate"]).contains("there is no next CA"));
    let begun = place.json(&["rotate"]);
    let both = place.state(&["export"]);
    assert_eq!(count(&both), 2);
    assert!(both.starts_with(&old), "the one that signs is the first");
    let new = place.state(&["export", "--next"]);
    assert_eq!(both, format!("{old}{new}"));
    assert!(place.refused(&["rotate"]).contains("egret ca rotate --activate"));

    let active = place.json(&["rotate", "--activate"]);
    assert_eq!(active["current"], begun["next"]);
    assert_eq!(active["previous"][0], begun["current"]);
    assert_eq!(place.state(&["export"]), format!("{new}{old}"));
    place.state(&["rotate", "--retire"]);
    assert_eq!(place.state(&["export"]), new);
    place.state(&["rotate", "--now"]);
    assert!(!place.state(&["export"]).starts_with(&new));
}

#[test]
fn shows_a_ca_for_people_and_for_programs() {
    let place = Place::new();
    place.state(&["export"]);
    let text = place.state(&["show"]);
    assert!(text.contains("signs: ") && text.contains("ECDSA P-256") && text.contains("days left"), "{text}");
    let shown = place.json(&["show"]);
    assert_eq!(shown["current"]["pathLength"], 0);
    assert!(shown["current"]["daysLeft"].as_i64().unwrap() > 3600);
    assert_eq!((shown["next"].is_null(), shown["warnings"].as_array().unwrap().len()), (true, 0));
    std::fs::write(place.path("state/interception-ca.pem"), "garbage").unwrap();
    for arguments in [&["show"][..], &["export"], &["show", "--format", "json"]] {
        assert!(place.refused(arguments).contains("state/interception-ca.pem"));
    }
}

#[test]
fn shows_and_exports_a_ca_of_ones_own() {
    let place = Place::new();
    let subject = |name: &str| format!("/O=Corp/CN={name}");
    let openssl = |arguments: &[&str]| succeed(&mut place.command("openssl", arguments));
    let root = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-keyout", "root.key", "-out",
        "root.crt",
    ];
    openssl(&[&root[..], &["-subj", &subject("root")]].concat());
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.csr",
        "-subj",
        &subject("interception"),
    ]);
    std::fs::write(place.path("ext"), "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nnameConstraints=permitted;DNS:corp.example\n").unwrap();
    openssl(&[
        "x509", "-req", "-in", "ca.csr", "-CA", "root.crt", "-CAkey", "root.key", "-days", "20", "-extfile",
        "ext", "-out", "ca.crt",
    ]);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    std::fs::write(place.path("chain.pem"), format!("{}{}", read("ca.crt"), read("root.crt"))).unwrap();
    let own = ["--ca", "chain.pem", "--ca-key", "ca.key"];
    // A certificate may be dated this very second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(
        succeed(&mut place.ca(&[&["export"], &own[..]].concat())),
        read("root.crt"),
        "clients trust the root"
    );
    let shown = succeed(&mut place.ca(&[&["show"], &own[..]].concat()));
    for part in [
        "signs: O=Corp, CN=interception",
        "signed by: O=Corp, CN=root",
        "DNS:corp.example",
        "only",
        "19 days",
        "egret ca rotate",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let other = ["genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "other.key"];
    openssl(&other);
    let refused = run(&mut place.ca(&["show", "--ca", "chain.pem", "--ca-key", "other.key"]));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && message.contains("other.key"), "{message}");
}
