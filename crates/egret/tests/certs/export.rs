//! Other formats, as their own programs read them.

use egret_testkit::tools::succeed;

use super::Place;

fn with_password() -> Place {
    let place = Place::with_init(&[]);
    place.write("password", "changeit\n");
    place
}

const OUT: [&str; 2] = ["--out-password-file", "password"];
const IN: [&str; 2] = ["--password-file", "password"];

fn keytool(place: &Place, arguments: &[&str]) -> String {
    succeed(&mut place.command("keytool", &[arguments, &["-storepass", "changeit"]].concat()))
}

#[test]
fn keytool_and_openssl_open_the_keystore() {
    let place = with_password();
    place.egret(
        &[&["export", "server.crt", "--to", "pkcs12", "--out", "server.p12", "--alias", "proxy"][..], &OUT]
            .concat(),
    );
    let listed = keytool(&place, &["-list", "-v", "-keystore", "server.p12"]);
    assert!(listed.contains("Alias name: proxy\n"), "{listed}");
    assert!(listed.contains("Entry type: PrivateKeyEntry\nCertificate chain length: 2\n"), "{listed}");
    let key =
        place.openssl(&["pkcs12", "-in", "server.p12", "-passin", "pass:changeit", "-nocerts", "-nodes"]);
    place.write("again.key", key);
    let of = |file: &str| place.openssl(&["pkey", "-in", file, "-pubout"]);
    assert_eq!(of("again.key"), of("server.key"));
    let own =
        place.openssl(&["pkcs12", "-in", "server.p12", "-passin", "pass:changeit", "-clcerts", "-nokeys"]);
    assert_eq!(own.matches("BEGIN CERTIFICATE").count(), 1, "the key is tied to its certificate");
}

#[test]
fn keytool_trusts_the_truststore() {
    let place = with_password();
    place.egret(
        &[&["export", "ca.crt", "--no-key", "--to", "pkcs12", "--out", "trust.p12"][..], &OUT].concat(),
    );
    let listed = keytool(&place, &["-list", "-keystore", "trust.p12"]);
    assert!(listed.contains("egret, ") && listed.contains("trustedCertEntry"), "{listed}");
}

#[test]
fn reads_what_openssl_and_keytool_write() {
    let place = with_password();
    let export = ["pkcs12", "-export", "-in", "server.crt", "-inkey", "server.key", "-certfile", "ca.crt"];
    place.openssl(&[&export[..], &["-passout", "pass:changeit", "-out", "modern.p12"]].concat());
    place.openssl(&[&export[..], &["-passout", "pass:changeit", "-out", "legacy.p12", "-legacy"]].concat());
    place.openssl(&[&export[..], &["-passout", "pass:changeit", "-out", "macless.p12", "-nomac"]].concat());
    let import = [
        "-importkeystore",
        "-srckeystore",
        "modern.p12",
        "-srcstorepass",
        "changeit",
        "-destkeystore",
        "java.p12",
    ];
    succeed(&mut place.command("keytool", &[&import[..], &["-deststorepass", "changeit"]].concat()));
    for name in ["modern.p12", "legacy.p12", "macless.p12", "java.p12"] {
        let combined = place.egret(&[&["export", name, "--to", "combined"][..], &IN].concat());
        assert_eq!(combined, place.read("server.pem"), "{name}");
    }
    let said = place.refused(&["export", "modern.p12", "--to", "combined"]);
    assert!(said.contains("no password was given"), "{said}");
    place.write("wrong", "wrong");
    let said = place.refused(&["export", "modern.p12", "--to", "combined", "--password-file", "wrong"]);
    assert!(said.contains("the password does not open the PKCS#12 file"), "{said}");
}

#[test]
fn the_password_may_come_from_the_environment() {
    let place = with_password();
    let mut export = place.certs(&["export", "client.pem", "--to", "pkcs12", "--out", "client.p12"]);
    succeed(export.env("EGRET_CERTS_OUT_PASSWORD", "changeit"));
    let mut show = place.certs(&["show", "client.p12"]);
    let shown = succeed(show.env("EGRET_CERTS_PASSWORD", "changeit"));
    assert!(shown.contains("belongs to certificate 1"), "{shown}");
}

#[test]
fn puts_a_chain_in_order_and_leaves_strays_out() {
    let place = Place::new();
    place.egret(&["ca", "root", "--path-length", "1"]);
    place.egret(&["ca", "sub", "--parent", "root"]);
    place.egret(&["server", "sub"]);
    place.egret(&["init", "stray"]);
    let (right, root, stray) =
        (place.read("sub/server.pem"), place.read("root/ca.crt"), place.read("stray/server.crt"));
    let parts: Vec<String> =
        right.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect();
    place.write("muddle.pem", [&stray, &root, &parts[1], &parts[2], &parts[0]].map(String::as_str).concat());
    assert_eq!(place.egret(&["export", "muddle.pem", "--to", "combined"]), right);
    place.egret(&["export", "muddle.pem", "--to", "pem", "--out", "apart/server"]);
    assert_eq!(place.read("apart/server.crt"), place.read("sub/server.crt"));
    assert_eq!(place.read("apart/server.key"), place.read("sub/server.key"));
    assert_eq!(place.read("apart/server.ca.crt"), root);
}

#[test]
fn base64_is_one_line_of_the_combined_file() {
    let place = with_password();
    let line = place.egret(&["export", "client.crt", "--to", "base64"]);
    assert_eq!(line.lines().count(), 1);
    place.write("line", &line);
    assert_eq!(place.openssl(&["base64", "-d", "-A", "-in", "line"]), place.read("client.pem"));
    let without = place.egret(&["export", "client.pem", "--to", "base64", "--no-key"]);
    place.write("line", &without);
    assert_eq!(place.openssl(&["base64", "-d", "-A", "-in", "line"]), place.read("client.crt"));
}

#[test]
fn reads_der_and_keys_in_older_encodings() {
    let place = with_password();
    place.openssl(&["x509", "-in", "server.crt", "-outform", "DER", "-out", "server.der"]);
    place.openssl(&["ec", "-in", "server.key", "-out", "sec1.key"]);
    let combined = place.egret(&["export", "server.der", "--key", "sec1.key", "--to", "combined"]);
    assert_eq!(combined.matches("-----BEGIN PRIVATE KEY-----").count(), 1);
    place.write("again.pem", combined);
    let of = |file: &str| place.openssl(&["pkey", "-in", file, "-pubout"]);
    assert_eq!(of("again.pem"), of("server.key"));

    let rsa = Place::with_init(&["--key-type", "rsa-2048"]);
    rsa.openssl(&["rsa", "-in", "client.key", "-traditional", "-out", "pkcs1.key"]);
    assert!(rsa.read("pkcs1.key").contains("BEGIN RSA PRIVATE KEY"));
    let combined = rsa.egret(&["export", "client.crt", "--key", "pkcs1.key", "--to", "combined"]);
    rsa.write("again.pem", combined);
    assert_eq!(
        rsa.openssl(&["pkey", "-in", "again.pem", "-pubout"]),
        rsa.openssl(&["pkey", "-in", "client.key", "-pubout"])
    );
}

#[test]
fn refuses_to_overwrite_and_to_guess() {
    let place = with_password();
    let said = place.refused(&["export", "client.pem", "--to", "pem", "--out", "client"]);
    assert!(said.contains("is there already"), "{said}");
    let said = place.refused(&["export", "client.crt", "--key", "server.key", "--to", "combined"]);
    assert!(said.contains("belongs to none of the certificates"), "{said}");
    let said = place.refused(&["export", "client.pem", "--to", "pkcs12", "--out", "x.p12"]);
    assert!(said.contains("--out-password-file"), "{said}");
    place.write("two.crt", place.read("server.crt") + &place.read("client.crt"));
    let said = place.refused(&["export", "two.crt", "--to", "combined"]);
    assert!(said.contains("no key says which is meant"), "{said}");
}
