//! The words that `show` ascribes to curl, openssl and Go, against what these really say.

use std::time::{Duration, SystemTime};

use egret_testkit::tools::run;
use egret_tls::authority::{Authority, CaRequest, Constraints, KeyType, LeafRequest, Purpose, Subject};
use egret_tls::files::{combined_pem, load_identity};
use serde_json::Value;

use super::{Go, Place, said};

/// Serves the file, asks each client, and compares. The order is curl, openssl, Go.
fn compare(place: &Place, go: &Go, file: &str, ca: &str, host: &str) -> Value {
    let shown = place.json(&["show", file, "--ca", ca, "--host", host, "--as", "server"]);
    let refusals = &shown["files"][0]["judgement"]["refusals"];
    let first = &refusals[0];
    assert!(first.is_object(), "{file}: {shown:#}");
    let words = |client: &str| {
        let sayings = first["sayings"].as_array().unwrap();
        let saying = sayings.iter().find(|saying| saying["client"] == client).unwrap();
        saying["words"].as_str().map(str::to_owned)
    };
    let server = go.serve(place, &[file, file]);
    let port = server.port.to_string();
    let url = format!("https://{host}:{port}/");
    let resolve = format!("{host}:{port}:127.0.0.1");
    let connect_to = format!("::127.0.0.1:{port}");
    let curl = place.command(
        "curl",
        &[
            "-sS",
            "--max-time",
            "60",
            "--cacert",
            ca,
            "--resolve",
            &resolve,
            "--connect-to",
            &connect_to,
            &url,
        ],
    );
    agree("curl", file, words("curl"), curl);
    let address = format!("127.0.0.1:{port}");
    let check = if host.parse::<std::net::IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
    let openssl = place.command(
        "openssl",
        &["s_client", "-connect", &address, "-CAfile", ca, "-verify_return_error", check, host],
    );
    agree("openssl", file, words("openssl"), openssl);
    // The current time is not the same twice.
    let go_words = words("go").map(|words| match words.split_once(": current time ") {
        Some((before, _)) => before.to_owned(),
        None => words,
    });
    agree("Go", file, go_words, place.command(&go.program, &["verify", file, ca, host]));
    refusals.clone()
}

fn agree(client: &str, file: &str, words: Option<String>, mut command: std::process::Command) {
    let output = run(&mut command);
    match words {
        Some(words) => {
            assert!(!output.status.success(), "{client} accepts {file}, and show says: {words}");
            assert!(
                said(&output).contains(&words),
                "{client}, {file}\nsays    {}\nand not {words}",
                said(&output)
            );
        }
        None => assert!(output.status.success(), "{client} refuses {file}: {}", said(&output)),
    }
}

fn days_ago(days: i64) -> jiff::Timestamp {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap();
    let span = Duration::from_secs(86_400 * days.unsigned_abs());
    if days > 0 { now - span } else { now + span }
}

fn request(purpose: Purpose, days: u32) -> LeafRequest {
    LeafRequest {
        purpose,
        subject: Subject { common_name: "egret".to_owned(), organization: None },
        names: vec!["localhost".parse().unwrap()],
        key_type: KeyType::EcdsaP256,
        days,
    }
}

fn ca_request(name: &str) -> CaRequest {
    CaRequest {
        subject: Subject { common_name: name.to_owned(), organization: None },
        key_type: KeyType::EcdsaP256,
        days: 1000,
        path_length: None,
        constraints: Constraints::default(),
    }
}

/// A certificate that was made at another time.
fn made_then(place: &Place, ca: &Authority, name: &str, then: jiff::Timestamp) {
    let identity = ca.issue(&request(Purpose::Server, 10), then).unwrap();
    place.write(name, combined_pem(&identity).unwrap().as_bytes());
}

fn reason(refusals: &Value) -> &str {
    refusals[0]["reason"].as_str().unwrap()
}

#[test]
fn of_times() {
    let place = Place::new();
    let ca = Authority::create(&ca_request("Old CA"), days_ago(100)).unwrap();
    place.write("ca.crt", egret_tls::files::chain_pem(ca.chain()));
    made_then(&place, &ca, "expired.pem", days_ago(50));
    made_then(&place, &ca, "future.pem", days_ago(-50));
    let go = Go::build(&place);
    assert_eq!(reason(&compare(&place, &go, "expired.pem", "ca.crt", "localhost")), "expired");
    // Only the CA is past its end, which rustls alone would not mind.
    let short = CaRequest { days: 20, ..ca_request("Past CA") };
    let past = Authority::create(&short, days_ago(100)).unwrap();
    place.write("past.crt", egret_tls::files::chain_pem(past.chain()));
    place.write("past.key", egret_tls::files::key_pem(&past.identity().key).unwrap().as_bytes());
    signed_by_openssl(&place, "orphan", "past.crt", "past.key", NAME);
    let refusals = compare(&place, &go, "orphan.pem", "past.crt", "localhost");
    assert_eq!((reason(&refusals), refusals[0]["subject"].as_str()), ("expired", Some("CN=Past CA")));
    assert_eq!(reason(&compare(&place, &go, "future.pem", "ca.crt", "localhost")), "notYetValid");
}

#[test]
fn of_issuers() {
    let place = Place::with_init(&[]);
    place.egret(&["init", "other"]);
    let go = Go::build(&place);
    let refusals = compare(&place, &go, "server.pem", "other/ca.crt", "localhost");
    assert_eq!(reason(&refusals), "missingIssuer");

    place
        .write("with-root.pem", place.read("server.crt") + &place.read("ca.crt") + &place.read("server.key"));
    let refusals = compare(&place, &go, "with-root.pem", "other/ca.crt", "localhost");
    assert_eq!(reason(&refusals), "untrustedRoot");

    place.egret(&["init", "one", "--ca-name", "Same Name"]);
    place.egret(&["init", "two", "--ca-name", "Same Name"]);
    let refusals = compare(&place, &go, "one/server.pem", "two/ca.crt", "localhost");
    assert_eq!(reason(&refusals), "namesake");

    self_signed(&place, "CA:FALSE");
    assert_eq!(reason(&compare(&place, &go, "self.pem", "other/ca.crt", "localhost")), "selfSigned");
}

/// A certificate as many instructions on the web make it.
fn self_signed(place: &Place, basic: &str) {
    place.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "self.key",
        "-out",
        "self.crt",
        "-days",
        "100",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        &format!("basicConstraints=critical,{basic}"),
    ]);
    place.write("self.pem", place.read("self.crt") + &place.read("self.key"));
}

#[test]
fn of_a_ca_as_a_server_which_only_some_refuse() {
    let place = Place::new();
    self_signed(&place, "CA:TRUE");
    let go = Go::build(&place);
    let refusals = compare(&place, &go, "self.pem", "self.crt", "localhost");
    assert_eq!(reason(&refusals), "isCa");
}

#[test]
fn of_names() {
    let place = Place::with_init(&[]);
    let go = Go::build(&place);
    for host in ["other.test", "10.0.0.1"] {
        assert_eq!(reason(&compare(&place, &go, "server.pem", "ca.crt", host)), "otherName");
    }
    place.egret(&["server", ".", "--out", "hosts", "--san", "only.test"]);
    compare(&place, &go, "hosts.pem", "ca.crt", "10.0.0.1");
    place.egret(&["server", ".", "--out", "address", "--san", "127.0.0.1"]);
    compare(&place, &go, "address.pem", "ca.crt", "only.test");
}

#[test]
fn of_names_that_are_in_the_subject_alone() {
    let place = Place::with_init(&[]);
    signed_by_openssl(&place, "plain", "ca.crt", "ca.key", "basicConstraints=CA:FALSE\n");
    let go = Go::build(&place);
    let refusals = compare(&place, &go, "plain.pem", "ca.crt", "localhost");
    assert_eq!(reason(&refusals), "otherName");
}

/// What Egret itself does not make. The subject is `CN=localhost`.
fn signed_by_openssl(place: &Place, name: &str, ca: &str, ca_key: &str, extensions: &str) {
    let file = |extension: &str| format!("{name}.{extension}");
    let (key, csr, crt, ext) = (file("key"), file("csr"), file("crt"), file("ext"));
    place.write(&ext, extensions);
    place.openssl(&[
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        &key,
        "-out",
        &csr,
        "-subj",
        "/CN=localhost",
    ]);
    place.openssl(&[
        "x509",
        "-req",
        "-in",
        &csr,
        "-CA",
        ca,
        "-CAkey",
        ca_key,
        "-CAcreateserial",
        "-days",
        "100",
        "-out",
        &crt,
        "-extfile",
        &ext,
    ]);
    place.write(&file("pem"), place.read(&crt) + &place.read(&key));
}

#[test]
fn of_uses() {
    let place = Place::with_init(&[]);
    place.egret(&["client", ".", "--out", "wrong", "--san", "localhost"]);
    let go = Go::build(&place);
    assert_eq!(reason(&compare(&place, &go, "wrong.pem", "ca.crt", "localhost")), "wrongUse");
}

const NAME: &str = "subjectAltName=DNS:localhost\n";

#[test]
fn of_name_constraints() {
    let place = Place::with_init(&["--permit", "corp.example", "--san", "a.corp.example"]);
    signed_by_openssl(&place, "outside", "ca.crt", "ca.key", NAME);
    let go = Go::build(&place);
    let refusals = compare(&place, &go, "outside.pem", "ca.crt", "localhost");
    assert_eq!(reason(&refusals), "nameConstraint");
    assert_eq!(refusals[0]["names"], serde_json::json!(["DNS:localhost"]));
}

#[test]
fn of_chains_of_cas() {
    let place = Place::with_init(&[]);
    let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectKeyIdentifier=hash\n";
    signed_by_openssl(&place, "middle", "ca.crt", "ca.key", ca);
    signed_by_openssl(&place, "deep", "middle.crt", "middle.key", NAME);
    place.write("deep.pem", place.read("deep.crt") + &place.read("middle.crt") + &place.read("deep.key"));
    let go = Go::build(&place);
    assert_eq!(reason(&compare(&place, &go, "deep.pem", "ca.crt", "localhost")), "pathLength");

    signed_by_openssl(&place, "below", "server.crt", "server.key", NAME);
    place.write("below.pem", place.read("below.crt") + &place.read("server.crt") + &place.read("below.key"));
    assert_eq!(reason(&compare(&place, &go, "below.pem", "ca.crt", "localhost")), "notCa");
}

#[test]
fn of_critical_extensions() {
    let place = Place::with_init(&[]);
    signed_by_openssl(&place, "odd", "ca.crt", "ca.key", &format!("{NAME}1.2.3.4=critical,ASN1:NULL\n"));
    let go = Go::build(&place);
    assert_eq!(reason(&compare(&place, &go, "odd.pem", "ca.crt", "localhost")), "criticalExtension");
}

#[test]
fn to_a_client_whose_certificate_a_server_refuses() {
    let place = Place::with_init(&[]);
    place.egret(&["init", "other"]);
    let go = Go::build(&place);
    let server = go.serve(&place, &["server.pem", "server.pem", "ca.crt"]);
    let url = format!("https://localhost:{}/", server.port);
    let output =
        run(&mut place.command("curl", &["-sS", "--cacert", "ca.crt", "--cert", "server.pem", &url]));
    // Go's server sends one alert for all; that of rustls is compared where Egret itself serves.
    assert!(said(&output).contains("alert"), "{}", said(&output));
    let shown = place.json(&["show", "other/client.pem", "--ca", "ca.crt"]);
    let refusal = &shown["files"][0]["judgement"]["refusals"][0];
    assert_eq!(refusal["reason"], "missingIssuer");
    assert_eq!(refusal["sayings"][2]["words"], "remote error: tls: unknown certificate authority");
    assert!(load_identity(&place.path("other/client.pem"), None, None).is_ok());
}
