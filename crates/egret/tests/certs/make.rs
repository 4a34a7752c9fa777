//! What is made: files, modes, extensions, and what is refused.

use std::os::unix::fs::PermissionsExt as _;

use super::Place;

const FILES: [&str; 8] =
    ["ca.crt", "ca.key", "client.crt", "client.key", "client.pem", "server.crt", "server.key", "server.pem"];

fn mode(place: &Place, name: &str) -> u32 {
    std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

fn text(place: &Place, name: &str) -> String {
    place.openssl(&["x509", "-in", name, "-noout", "-text"])
}

#[test]
fn init_makes_eight_files_with_private_keys() {
    let place = Place::new();
    place.egret(&["init", "new"]);
    let mut found: Vec<String> = std::fs::read_dir(place.path("new"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
    assert_eq!(mode(&place, "new"), 0o700);
    for name in FILES {
        let private = !name.ends_with(".crt");
        assert_eq!(mode(&place, &format!("new/{name}")), if private { 0o600 } else { 0o644 }, "{name}");
    }
}

#[test]
fn init_keeps_what_is_there_and_completes_nothing() {
    let place = Place::new();
    let first = place.egret(&["init", "kept", "--keep"]);
    assert!(first.contains("kept/server.crt"), "made where there is nothing: {first}");
    let before = text(&place, "kept/server.crt");
    let again = place.egret(&["init", "kept", "--keep"]);
    assert!(again.contains("has certificates already"), "{again}");
    assert_eq!(text(&place, "kept/server.crt"), before);
    // A part that is missing would not belong to the rest.
    std::fs::remove_file(place.path("kept/client.key")).unwrap();
    place.refused(&["init", "kept", "--keep"]);
    assert_eq!(text(&place, "kept/server.crt"), before);
}

#[test]
fn openssl_verifies_every_kind_of_key_strictly() {
    for kind in ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa", "rsa-2048"] {
        let place = Place::with_init(&["--key-type", kind]);
        for (file, purpose) in [("server.crt", "sslserver"), ("client.crt", "sslclient")] {
            let arguments = ["verify", "-x509_strict", "-CAfile", "ca.crt", "-purpose", purpose, file];
            assert_eq!(place.openssl(&arguments), format!("{file}: OK\n"), "{kind}");
        }
        // The key can be read and is the certificate's.
        let of_key = place.openssl(&["pkey", "-in", "server.key", "-pubout"]);
        let of_certificate = place.openssl(&["x509", "-in", "server.crt", "-noout", "-pubkey"]);
        assert_eq!(of_key, of_certificate, "{kind}");
    }
}

#[test]
fn openssl_sees_the_extensions() {
    let place = Place::with_init(&["--spiffe", "spiffe://corp.example/ns/apps/sa/job", "--path-length", "2"]);
    let ca = text(&place, "ca.crt");
    for part in [
        "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:2",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(ca.contains(part), "{part}\n{ca}");
    }
    let server = text(&place, "server.crt");
    for part in [
        "DNS:localhost, DNS:egret, DNS:egret.egret, DNS:egret.egret.svc, DNS:egret.egret.svc.cluster.local, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                TLS Web Server Authentication\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(server.contains(part), "{part}\n{server}");
    }
    let client = text(&place, "client.crt");
    assert!(client.contains("URI:spiffe://corp.example/ns/apps/sa/job\n"), "{client}");
    assert!(client.contains("TLS Web Client Authentication\n"), "{client}");
}

#[test]
fn serves_the_names_that_are_asked_for() {
    let place = Place::with_init(&[]);
    let names = "proxy.corp.example,*.proxy.corp.example,10.1.2.3,default";
    place.egret(&["server", ".", "--out", "corp", "--san", names, "--service", "gate", "--namespace", "net"]);
    let text = text(&place, "corp.crt");
    let expected = "DNS:proxy.corp.example, DNS:*.proxy.corp.example, IP Address:10.1.2.3, DNS:localhost, \
                    DNS:gate, DNS:gate.net, DNS:gate.net.svc, DNS:gate.net.svc.cluster.local, \
                    IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n";
    assert!(text.contains(expected), "{text}");
    place.egret(&["client", ".", "--out", "ann", "--san", "ann@corp.example", "--common-name", "Ann"]);
    let text = super::make::text(&place, "ann.crt");
    assert!(text.contains("Subject: CN = Ann\n") && text.contains("email:ann@corp.example"), "{text}");
}

#[test]
fn never_overwrites_without_force() {
    let place = Place::with_init(&[]);
    let before = FILES.map(|name| place.read(name));
    for arguments in [&["init", "."][..], &["ca", "."], &["server", "."], &["client", "."]] {
        let said = place.refused(arguments);
        assert!(said.contains("is there already") && said.contains("--force"), "{said}");
    }
    // One file that is in the way keeps all the others from being written.
    std::fs::remove_file(place.path("server.crt")).unwrap();
    std::fs::remove_file(place.path("server.pem")).unwrap();
    place.refused(&["server", "."]);
    assert!(!place.path("server.crt").exists() && !place.path("server.pem").exists());
    assert_eq!(place.read("server.key"), before[6]);
    place.egret(&["init", ".", "--force"]);
    assert_ne!(place.read("ca.key"), before[1]);
    assert_eq!(place.openssl(&["verify", "-CAfile", "ca.crt", "server.crt"]), "server.crt: OK\n");
}

#[test]
fn name_constraints_hold_in_openssl_and_here() {
    let place = Place::with_init(&[
        "--permit",
        "corp.example,egret.svc",
        "--exclude",
        "10.0.0.0/8",
        "--san",
        "a.corp.example,192.0.2.1",
    ]);
    let ca = text(&place, "ca.crt");
    assert!(ca.contains("X509v3 Name Constraints: critical"), "{ca}");
    assert!(ca.contains("DNS:corp.example") && ca.contains("IP:10.0.0.0/255.0.0.0"), "{ca}");
    place.openssl(&["verify", "-x509_strict", "-CAfile", "ca.crt", "-purpose", "sslserver", "server.crt"]);
    place.openssl(&["verify", "-x509_strict", "-CAfile", "ca.crt", "-purpose", "sslclient", "client.crt"]);
    let said =
        place.refused(&["server", ".", "--out", "other", "--san", "other.example,10.1.2.3,b.corp.example"]);
    assert!(said.contains("DNS:other.example, IP:10.1.2.3:") && said.contains("name constraints"), "{said}");
    // Of the usual names, those that are permitted.
    place.egret(&["server", ".", "--out", "usual"]);
    let usual = text(&place, "usual.crt");
    assert!(usual.contains("DNS:egret.egret.svc, IP Address:127.0.0.1"), "{usual}");
}

#[test]
fn a_ca_below_a_ca_signs_and_its_chain_is_sent() {
    let place = Place::new();
    place.egret(&["ca", "root", "--path-length", "1", "--ca-name", "Root"]);
    place.egret(&["ca", "sub", "--parent", "root", "--ca-name", "Sub"]);
    place.egret(&["server", "sub", "--san", "localhost"]);
    assert_eq!(place.read("sub/server.crt").matches("BEGIN CERTIFICATE").count(), 2);
    let arguments = [
        "verify",
        "-x509_strict",
        "-CAfile",
        "root/ca.crt",
        "-untrusted",
        "sub/server.crt",
        "sub/server.crt",
    ];
    assert_eq!(place.openssl(&arguments), "sub/server.crt: OK\n");
    let said = place.refused(&["ca", "deeper", "--parent", "sub"]);
    assert!(said.contains("path length"), "{said}");
}

#[test]
fn signs_with_a_ca_that_openssl_made() {
    let place = Place::new();
    place.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "30",
        "-subj",
        "/C=DE/O=Corp/OU=Security/CN=Corp Root",
    ]);
    place.egret(&["server", ".", "--san", "localhost"]);
    let arguments = ["verify", "-CAfile", "ca.crt", "-purpose", "sslserver", "server.crt"];
    assert_eq!(place.openssl(&arguments), "server.crt: OK\n");
    // With its key encrypted, the password opens it.
    place.openssl(&["pkcs8", "-topk8", "-in", "ca.key", "-out", "locked.key", "-passout", "pass:geheim"]);
    let locked = ["client", ".", "--ca-key", "locked.key"];
    assert!(place.refused(&locked).contains("no password was given"));
    place.write("password", "geheim\n");
    place.egret(&[&locked[..], &["--password-file", "password"]].concat());
    assert_eq!(place.openssl(&["verify", "-CAfile", "ca.crt", "client.crt"]), "client.crt: OK\n");
}

#[test]
fn refuses_what_cannot_be_with_a_reason() {
    let place = Place::with_init(&[]);
    for (arguments, part) in [
        (&["server", ".", "--out", "x", "--days", "398"][..], "1 to 397 days"),
        (&["server", ".", "--out", "../x"], "without a directory"),
        (&["server", ".", "--out", "ca"], "not ca"),
        (&["server", "nowhere"], "egret certs init"),
        (&["server", ".", "--out", "x", "--ca", "server.crt"], "not a CA"),
        (&["server", ".", "--out", "x", "--ca-key", "client.key"], "does not belong to the certificate"),
        (&["client", ".", "--out", "x", "--common-name", ""], "it is empty"),
        (&["ca", "x", "--ca-days", "99999"], "1 to 36525 days"),
    ] {
        let said = place.refused(arguments);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    for name in ["https://proxy.example", "proxy.example:8443", "*", "spiffe://UPPER/x"] {
        let output =
            egret_testkit::tools::run(&mut place.certs(&["server", ".", "--out", "x", "--san", name]));
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
    assert!(!place.path("x.crt").exists());
}

#[test]
fn json_says_what_was_made_and_what_went_wrong() {
    let place = Place::new();
    let made = place.json(&["init", "."]);
    assert_eq!(made["files"].as_array().unwrap().len(), 8);
    assert_eq!(made["server"]["names"][0], "DNS:localhost");
    assert_eq!(made["ca"]["pathLength"], 0);
    let private = made["files"].as_array().unwrap().iter().filter(|file| file["private"] == true).count();
    assert_eq!(private, 5);
    let refused = place.json(&["init", "."]);
    assert!(refused["error"].as_str().unwrap().contains("is there already"));
    // No key is ever in the output.
    assert!(!made.to_string().contains("PRIVATE"));
}
