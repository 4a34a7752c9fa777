//! Whom clients trust: with the variables and files that a pod is given, origins of our CA; and where a variable
//! replaces what they trusted before, origins of the public CAs still.

use egret_kube::inject::{Trust, TrustedFile, WELL_KNOWN_PATHS};
use egret_kube::no_proxy::{ClusterFacts, Wanted};
use egret_testkit::TestCa;
use egret_tls::files::{Password, cas_from_bytes, pkcs12_truststore};

use crate::lab::{Lab, command};
use crate::variables;

const OURS: &str = "https://ours.example";
const PUBLIC: &str = "https://public.example";

fn check(name: &str, urls: &[&str]) {
    let (ours, public) = (TestCa::named("ours"), TestCa::named("public"));
    let place = tempfile::tempdir().unwrap();
    let bundle = place.path().join("bundle");
    let pems = [std::fs::read(public.pem()).unwrap(), std::fs::read(ours.pem()).unwrap()].concat();
    std::fs::write(&bundle, &pems).unwrap();
    let store = place.path().join("store");
    let certificates = cas_from_bytes(&bundle, &pems).unwrap();
    let password = Password::new("changeit".to_owned());
    std::fs::write(&store, pkcs12_truststore(&certificates, "egret", &password).unwrap()).unwrap();

    let trust = Trust::from_config_map("egret-ca");
    let wanted = Wanted { user: vec!["example".to_owned()], ..Wanted::default() };
    let mut files = vec![
        (TrustedFile::Bundle.path(), bundle.clone()),
        (TrustedFile::Own.path(), ours.pem()),
        (TrustedFile::Store.path(), store),
    ];
    if name == "wget" {
        // As `wellKnownPaths` does it: wget reads no variable.
        files.push((WELL_KNOWN_PATHS[0].to_owned(), bundle));
    }
    let lab = Lab {
        environment: variables(&ClusterFacts::default(), &wanted, Some(trust)),
        urls: urls.iter().map(ToString::to_string).collect(),
        addresses: vec!["10.1.2.3", "10.1.2.4"],
        names: vec![("ours.example".to_owned(), "10.1.2.3"), ("public.example".to_owned(), "10.1.2.4")],
        files,
        tls: [("10.1.2.3", ours.files(&["ours.example"])), ("10.1.2.4", public.files(&["public.example"]))]
            .into(),
    };
    let command = command(name, place.path());
    let ways = lab.run(name, &command.iter().map(String::as_str).collect::<Vec<_>>());
    for url in urls {
        assert_eq!(ways[*url], "direct", "{name}: {url}");
    }
}

#[test]
fn curl_trusts_ours_and_the_public_ones() {
    check("curl", &[OURS, PUBLIC]);
}

#[test]
fn git_trusts_ours_and_the_public_ones() {
    check("git", &[OURS, PUBLIC]);
}

#[test]
fn go_trusts_ours_and_the_public_ones() {
    check("go", &[OURS, PUBLIC]);
}

#[test]
fn urllib_trusts_ours_and_the_public_ones() {
    check("urllib", &[OURS, PUBLIC]);
}

#[test]
fn requests_trusts_ours_and_the_public_ones() {
    check("requests", &[OURS, PUBLIC]);
}

#[test]
fn httpx_trusts_ours_and_the_public_ones() {
    check("httpx", &[OURS, PUBLIC]);
}

#[test]
fn aiohttp_trusts_ours_and_the_public_ones() {
    check("aiohttp", &[OURS, PUBLIC]);
}

#[test]
fn node_trusts_ours_beside_what_is_built_in() {
    check("undici", &[OURS]);
    check("axios", &[OURS]);
}

#[test]
fn java_trusts_ours_and_the_public_ones() {
    check("java-url", &[OURS, PUBLIC]);
    check("java-client", &[OURS, PUBLIC]);
}

#[test]
fn wget_trusts_what_is_mounted_over_the_well_known_path() {
    check("wget", &[OURS, PUBLIC]);
}
