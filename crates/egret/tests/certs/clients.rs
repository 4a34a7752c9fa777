//! The files in the hands of curl and Go, on both sides of mutual TLS.

use egret_testkit::tools::run;

use super::{Go, Place, said};

fn curl(place: &Place, port: u16, further: &[&str]) -> (bool, String) {
    let url = format!("https://localhost:{port}/");
    let arguments =
        [&["--silent", "--show-error", "--max-time", "60", "--cacert", "ca.crt"], further, &[&url]];
    let output = run(&mut place.command("curl", &arguments.concat()));
    (output.status.success(), said(&output))
}

#[test]
fn curl_and_go_take_files_apart_and_combined() {
    let place = Place::with_init(&[]);
    let go = Go::build(&place);
    // The server takes its certificate and its key from one file.
    let server = go.serve(&place, &["server.pem", "server.pem", "ca.crt"]);
    let hello = (true, "hello egret-client\n".to_owned());
    let apart = ["--cert", "client.crt", "--key", "client.key"];
    assert_eq!(curl(&place, server.port, &apart), hello);
    assert_eq!(curl(&place, server.port, &["--cert", "client.pem"]), hello);
    let url = format!("https://localhost:{}/", server.port);
    for files in [["client.crt", "client.key"], ["client.pem", "client.pem"]] {
        let output = go.run(&place, &["get", &url, "ca.crt", files[0], files[1]]);
        assert_eq!(said(&output), hello.1);
    }
    // Without a certificate, and with a certificate but no key.
    let (good, words) = curl(&place, server.port, &[]);
    assert!(!good && words.contains("alert"), "{words}");
    let (good, words) = curl(&place, server.port, &["--cert", "client.crt"]);
    assert!(!good && words.contains("unable to set private key file"), "{words}");
}

#[test]
fn a_chain_with_an_intermediate_works_combined() {
    let place = Place::new();
    place.egret(&["ca", "root", "--path-length", "1"]);
    place.egret(&["ca", ".", "--parent", "root"]);
    place.egret(&["server", "."]);
    place.egret(&["client", "."]);
    std::fs::copy(place.path("root/ca.crt"), place.path("ca.crt")).unwrap();
    let go = Go::build(&place);
    let server = go.serve(&place, &["server.pem", "server.pem", "ca.crt"]);
    assert_eq!(
        curl(&place, server.port, &["--cert", "client.pem"]),
        (true, "hello egret-client\n".to_owned())
    );
}

#[test]
fn curl_takes_pkcs12_and_other_kinds_of_keys() {
    for kind in ["rsa", "ed25519", "ecdsa-p384"] {
        let place = Place::with_init(&["--key-type", kind]);
        place.write("password", "changeit");
        let password = ["--out-password-file", "password"];
        let export = ["export", "client.pem", "--to", "pkcs12", "--out", "client.p12"];
        place.egret(&[&export[..], &password].concat());
        let go = Go::build(&place);
        let server = go.serve(&place, &["server.crt", "server.key", "ca.crt"]);
        let p12 = ["--cert-type", "P12", "--cert", "client.p12:changeit"];
        assert_eq!(curl(&place, server.port, &p12), (true, "hello egret-client\n".to_owned()), "{kind}");
    }
}
