//! What `show` says about files.

use super::Place;

#[test]
fn says_what_is_in_a_combined_file_and_that_it_is_good() {
    let place = Place::with_init(&[]);
    let shown = place.egret(&["show", "server.pem", "--host", "localhost"]);
    for part in [
        "server.pem: PEM with a certificate and a private key\n",
        "IP 127.0.0.1, ::1\n",
        "which is trusted\n",
        "private key: ECDSA P-256, belongs to certificate 1\n",
        "accept certificate 1\n",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let json = place.json(&["show", "server.crt", "client.crt", "--ca", "ca.crt"]);
    assert_eq!(json["files"][0]["judgement"]["accepted"], true);
    assert_eq!(json["files"][1]["judgement"]["role"], "client");
    assert_eq!(json["files"][0]["certificates"][0]["signedBy"]["kind"], "trusted");
    assert_eq!(json["files"][0]["keys"][0]["belongsTo"], 1);
}

#[test]
fn reads_all_formats() {
    let place = Place::with_init(&[]);
    place.write("password", "changeit");
    place.openssl(&["x509", "-in", "server.crt", "-outform", "DER", "-out", "server.der"]);
    place.openssl(&[
        "pkcs12",
        "-export",
        "-in",
        "server.pem",
        "-passout",
        "pass:changeit",
        "-out",
        "server.p12",
    ]);
    place.openssl(&["req", "-new", "-key", "server.key", "-subj", "/CN=asked", "-out", "server.csr"]);
    for (file, format, part) in [
        ("server.der", "DER", "1. certificate: CN=egret"),
        ("server.p12", "PKCS#12", "belongs to certificate 1"),
        ("server.key", "PEM", "private key: ECDSA P-256, public key "),
        ("server.csr", "PEM", "a certificate signing request of CN=asked"),
        ("ca.crt", "PEM", "1. root CA: CN=Egret CA"),
    ] {
        let shown = place.egret(&["show", file, "--password-file", "password"]);
        assert!(shown.starts_with(&format!("{file}: {format} with ")) && shown.contains(part), "{shown}");
    }
    place.egret(&["bundle", "ca.crt", "--out", "bundle.pem"]);
    assert!(place.json(&["show", "bundle.pem"])["files"][0]["certificates"].as_array().unwrap().len() > 100);
}

#[test]
fn exits_with_1_when_the_key_is_anothers() {
    let place = Place::with_init(&[]);
    let json = place.json(&["show", "server.crt", "--key", "client.key"]);
    let problem = json["files"][0]["problems"][0].as_str().unwrap();
    assert!(problem.contains("belongs to none of the certificates"), "{problem}");
    let output = egret_testkit::tools::run(&mut place.certs(&["show", "server.crt", "--key", "client.key"]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn says_that_the_order_is_wrong_and_which_is_right() {
    let place = Place::new();
    place.egret(&["ca", "root", "--path-length", "1"]);
    place.egret(&["ca", "sub", "--parent", "root"]);
    place.egret(&["server", "sub"]);
    let right = place.read("sub/server.pem");
    let parts: Vec<&str> = right.split_inclusive("-----END CERTIFICATE-----\n").collect();
    place.write("wrong.pem", [parts[1], parts[0], parts[2]].concat());
    let json = place.json(&["show", "wrong.pem", "--ca", "root/ca.crt"]);
    assert_eq!(json["files"][0]["chain"]["path"], serde_json::json!([2, 1]));
    assert!(json["files"][0]["problems"][0].as_str().unwrap().contains("in the order 2, 1"));
    let json = place.json(&["show", "sub/server.pem", "--ca", "root/ca.crt"]);
    assert_eq!(json["files"][0]["problems"], serde_json::json!([]));
    assert_eq!(json["files"][0]["chain"]["whole"], true);
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_line() {
    let place = Place::with_init(&[]);
    place.write("empty.pem", "");
    place.write("cut.pem", &place.read("server.crt")[..100]);
    place.write("text.pem", "hello");
    for (file, part) in [
        ("empty.pem", "it is empty"),
        ("cut.pem", "damaged at line 1: the section \"CERTIFICATE\" that begins here has no END line"),
        ("text.pem", "text without a PEM section"),
        ("missing.pem", "No such file"),
        (".", "Is a directory"),
    ] {
        let output = egret_testkit::tools::run(&mut place.certs(&["show", file]));
        let said = super::said(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains(part) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn names_in_a_certificate_do_not_reach_the_terminal_as_they_are() {
    let place = Place::new();
    place.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "k.pem",
        "-out",
        "c.pem",
        "-days",
        "5",
        "-subj",
        "/CN=evil\u{1b}[2Jname",
        "-utf8",
    ]);
    let shown = super::said(&egret_testkit::tools::run(&mut place.certs(&["show", "c.pem"])));
    assert!(shown.contains("CN=evil\\u{1b}[2Jname") && !shown.contains('\u{1b}'), "{shown}");
    assert!(shown.contains("warning: certificate 1") && shown.contains("ends in 4 days"), "{shown}");
}

#[test]
fn warns_of_a_key_that_everybody_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::with_init(&[]);
    assert!(!place.egret(&["show", "server.crt"]).contains("warning"));
    std::fs::set_permissions(place.path("server.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let shown = place.egret(&["show", "server.crt"]);
    assert!(shown.contains("warning: everybody on this machine can read the key in server.key"), "{shown}");
}
