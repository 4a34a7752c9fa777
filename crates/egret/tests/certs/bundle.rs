//! Bundles of CAs.

use super::Place;

#[test]
fn merges_with_the_public_roots_and_has_each_once() {
    let place = Place::with_init(&[]);
    place.write(
        "twice.pem",
        place.read("ca.crt") + "\n# again\n" + &place.read("ca.crt") + &place.read("ca.key"),
    );
    let result = place.json(&["bundle", "ca.crt", "twice.pem", "--out", "bundle.pem"]);
    let bundle = place.read("bundle.pem");
    assert_eq!(result["certificates"], bundle.matches("BEGIN CERTIFICATE").count());
    assert_eq!(result["duplicates"], 2);
    assert!(result["certificates"].as_u64().unwrap() > 100);
    assert!(!bundle.contains("PRIVATE"), "no key is ever in a bundle");
    // openssl reads it, and trusts ours through it.
    assert_eq!(place.openssl(&["verify", "-CAfile", "bundle.pem", "server.crt"]), "server.crt: OK\n");
    let said = place.refused(&["bundle", "ca.crt", "--out", "bundle.pem"]);
    assert!(said.contains("is there already"), "{said}");
}

#[test]
fn goes_to_standard_output_without_roots_when_told_to() {
    let place = Place::with_init(&[]);
    let bundle = place.egret(&["bundle", "ca.crt", "--roots", "none"]);
    assert!(bundle.starts_with("# CN=Egret CA "), "{bundle}");
    assert!(bundle.ends_with(&place.read("ca.crt")));
    assert!(place.refused(&["bundle", "--roots", "none"]).contains("nothing to merge"));
    assert!(place.refused(&["bundle", "ca.key"]).contains("it holds a private key, and no certificate"));
}
