//! Renewal.

use super::Place;

fn serial(place: &Place, name: &str) -> String {
    place.openssl(&["x509", "-in", name, "-noout", "-serial"])
}

#[test]
fn renews_in_place_and_keeps_names_and_key() {
    let place = Place::with_init(&["--san", "proxy.corp.example", "--days", "30"]);
    let (old, key) = (serial(&place, "server.crt"), place.read("server.key"));
    let said = place.egret(&["renew", "server.crt"]);
    assert!(said.contains("renewed server.crt  server.pem"), "{said}");
    assert_ne!(serial(&place, "server.crt"), old);
    assert_eq!(place.read("server.key"), key);
    assert_eq!(
        place.read("server.pem"),
        place.read("server.crt") + &key,
        "the combined file is kept in step"
    );
    let text = place.openssl(&["x509", "-in", "server.crt", "-noout", "-text"]);
    assert!(text.contains("DNS:proxy.corp.example\n"), "{text}");
    assert_eq!(place.openssl(&["verify", "-CAfile", "ca.crt", "server.crt"]), "server.crt: OK\n");
}

#[test]
fn makes_a_new_key_when_told_to() {
    let place = Place::with_init(&[]);
    let key = place.read("client.key");
    let renewed = place.json(&["renew", "client.pem", "--new-key", "--key-type", "rsa-2048", "--days", "10"]);
    assert_eq!(renewed["renewed"][0]["is"]["key"], "RSA 2048");
    assert_ne!(place.read("client.key"), key);
    assert_eq!(place.read("client.pem"), place.read("client.crt") + &place.read("client.key"));
    place.egret(&["show", "client.pem"]);
}

#[test]
fn a_renewed_ca_still_vouches_for_its_certificates() {
    let place = Place::with_init(&["--permit", "corp.example", "--san", "a.corp.example"]);
    let old = serial(&place, "ca.crt");
    place.egret(&["renew", "ca.crt", "--days", "1000"]);
    assert_ne!(serial(&place, "ca.crt"), old);
    assert_eq!(
        place.openssl(&["verify", "-x509_strict", "-CAfile", "ca.crt", "server.crt"]),
        "server.crt: OK\n"
    );
    let text = place.openssl(&["x509", "-in", "ca.crt", "-noout", "-text"]);
    assert!(text.contains("DNS:corp.example"), "{text}");
    assert!(place.refused(&["renew", "ca.crt", "--new-key"]).contains("is a new CA"));
}

#[test]
fn refuses_what_another_ca_signed_and_leaves_the_files_alone() {
    let place = Place::with_init(&[]);
    place.egret(&["init", "other"]);
    let before = place.read("server.crt");
    let said = place.refused(&["renew", "server.crt", "--ca", "other/ca.crt"]);
    assert!(said.starts_with("egret: server.crt: the certificate was signed by CN=Egret CA"), "{said}");
    assert_eq!(place.read("server.crt"), before);
}

#[test]
fn never_decrypts_a_key_onto_the_disk() {
    let place = Place::with_init(&[]);
    place.openssl(&["pkcs8", "-topk8", "-in", "server.key", "-out", "locked.key", "-passout", "pass:geheim"]);
    let locked = place.read("locked.key");
    place.write("password", "geheim");
    place.write("one.pem", place.read("server.crt") + &locked);
    // The CA's key is open; the password is for the server's.
    let said = place.refused(&["renew", "one.pem", "--password-file", "password"]);
    assert!(said.contains("a file of its own"), "{said}");
    place.write("server.key", &locked);
    std::fs::remove_file(place.path("server.pem")).unwrap();
    place.egret(&["renew", "server.crt", "--password-file", "password"]);
    assert_eq!(place.read("server.key"), locked);
}
