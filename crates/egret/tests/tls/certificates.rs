//! Client certificates that are wrong: which alert the client gets, and what the proxy says of it.

use std::path::Path;
use std::process::Command;

use egret_testkit::tools::{client, run, succeed};
use egret_testkit::{Egret, HttpOrigin, TestCa, TestLeaf};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType, SerialNumber, date_time_ymd};

use super::{configured, listener};

fn curl(egret: &Egret, ca: &Path, leaf: Option<&TestLeaf>) -> Command {
    let mut command = client("curl");
    command.args(["-sS", "--max-time", "30", "--proxy", &egret.tls_url(), "--proxy-cacert"]).arg(ca);
    if let Some(leaf) = leaf {
        command.arg("--proxy-cert").arg(&leaf.certificate).arg("--proxy-key").arg(&leaf.key);
    }
    command
}

fn client_auth(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

#[test]
fn each_wrong_certificate_gets_its_alert_its_reason_and_its_count() {
    let ca = TestCa::named("Clients CA");
    let crl = ca.crl("ca.crl", &[7], 2090);
    let server = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&listener(
        &server,
        &format!(
            "      clientAuth: required\n      clientCA: {}\n      crl: [{}]\n      allowedClients: [\"subject:CN=good*\"]\n",
            ca.pem().display(),
            crl.display()
        ),
    ));
    let origin = HttpOrigin::start();
    let other = TestCa::named("Other CA");
    let twin = TestCa::named("Clients CA");
    let leaves = [
        ("client-certificate-missing", "certificate required", None),
        ("client-certificate-unknown-ca", "unknown ca", Some(other.leaf("good", client_auth))),
        ("client-certificate-unknown-ca", "unknown ca", Some(twin.leaf("good", client_auth))),
        (
            "client-certificate-expired",
            "certificate expired",
            Some(ca.leaf("good-but-old", |params| params.not_after = date_time_ymd(2021, 2, 3))),
        ),
        (
            "client-certificate-not-yet-valid",
            "certificate expired", // RFC 8446 section 6.2: "expired or is not currently valid"
            Some(ca.leaf("good-later", |params| params.not_before = date_time_ymd(2090, 2, 3))),
        ),
        (
            "client-certificate-revoked",
            "certificate revoked",
            Some(ca.leaf("good-once", |params| params.serial_number = Some(SerialNumber::from(7)))),
        ),
        (
            "client-certificate-purpose",
            "unsupported certificate",
            Some(ca.leaf("good-server", |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })),
        ),
        ("client-certificate-name", "access denied", Some(ca.leaf("bad", client_auth))),
    ];
    for (index, (reason, alert, leaf)) in leaves.iter().enumerate() {
        let failures = format!("egret_client_handshake_failures_total{{reason=\"{reason}\"}}");
        let before = egret.metric(&failures);
        let output = run(curl(&egret, &ca.pem(), leaf.as_ref()).arg(origin.url("/")));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(alert), "{reason}: {text}");
        let record = egret.exactly(index + 1).pop().unwrap();
        assert_eq!(record.reason(), *reason, "{record:?}");
        assert_eq!((record.status(), record.text("downstream").as_str()), (0, "TLS"));
        assert_eq!(record.text("clientName"), "", "nobody is called by a name that was not proven");
        assert!((egret.metric(&failures) - before - 1.0).abs() < 0.1, "{reason} is counted");
        egret.wait_for_log(&record.text("detail").chars().take(40).collect::<String>());
    }
    assert_eq!(origin.accepted(), 0, "nothing was let through");
    let good = ca.leaf("good", client_auth);
    assert_eq!(succeed(curl(&egret, &ca.pem(), Some(&good)).arg(origin.url("/"))), "origin\n");
}

#[test]
fn names_of_every_kind_let_in_and_stand_for_the_client() {
    let ca = TestCa::new();
    let server = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&listener(
        &server,
        &format!(
            "      clientAuth: required\n      clientCA: {}\n      allowedClients:\n        - spiffe://cluster.local/ns/team-a/**\n        - dns:*.build.example\n        - email:*@example.org\n        - subject:CN=robot,O=Example\n",
            ca.pem().display(),
        ),
    ));
    let origin = HttpOrigin::start();
    let table: [(&str, Option<SanType>, bool); 7] = [
        (
            "spiffe://cluster.local/ns/team-a/sa/x",
            Some(SanType::URI("spiffe://cluster.local/ns/team-a/sa/x".try_into().unwrap())),
            true,
        ),
        (
            "spiffe://cluster.local/ns/team-b/sa/x",
            Some(SanType::URI("spiffe://cluster.local/ns/team-b/sa/x".try_into().unwrap())),
            false,
        ),
        ("one.build.example", Some(SanType::DnsName("one.build.example".try_into().unwrap())), true),
        ("one.two.build.example", Some(SanType::DnsName("one.two.build.example".try_into().unwrap())), false),
        ("someone@example.org", Some(SanType::Rfc822Name("someone@example.org".try_into().unwrap())), true),
        ("CN=robot,O=Example", None, true),
        ("CN=robot,O=Elsewhere", None, false),
    ];
    for (index, (name, san, allowed)) in table.into_iter().enumerate() {
        let leaf = ca.leaf(&format!("client{index}"), |params| {
            params.subject_alt_names.extend(san);
            if let Some(organisation) = name.strip_prefix("CN=robot,O=") {
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.distinguished_name.push(DnType::OrganizationName, organisation);
                params.distinguished_name.push(DnType::CommonName, "robot");
            }
        });
        let output = run(curl(&egret, &ca.pem(), Some(&leaf)).arg(origin.url("/")));
        assert_eq!(output.status.success(), allowed, "{name}");
        let record = egret.exactly(index + 1).pop().unwrap();
        if allowed {
            assert_eq!(record.text("clientName"), name);
            let workload = (record.text("namespace"), record.text("serviceAccount"));
            let expected = if name.starts_with("spiffe:") { ("team-a", "x") } else { ("", "") };
            assert_eq!((workload.0.as_str(), workload.1.as_str()), expected, "{name}");
        } else {
            assert_eq!(record.reason(), "client-certificate-name");
            assert!(record.text("detail").contains(name), "{record:?}");
        }
    }
}

#[test]
fn an_optional_certificate_names_the_client_where_there_is_one() {
    let ca = TestCa::new();
    let server = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&listener(
        &server,
        &format!("      clientAuth: optional\n      clientCA: {}\n", ca.pem().display()),
    ));
    let origin = HttpOrigin::start();
    let named = ca.leaf("named", client_auth);
    assert_eq!(succeed(curl(&egret, &ca.pem(), None).arg(origin.url("/"))), "origin\n");
    assert_eq!(succeed(curl(&egret, &ca.pem(), Some(&named)).arg(origin.url("/"))), "origin\n");
    let records = egret.exactly(2);
    let names: Vec<String> = records.iter().map(|record| record.text("clientName")).collect();
    assert_eq!(names, ["", "CN=named"]);
    let stranger = TestCa::named("elsewhere").leaf("stranger", client_auth);
    assert!(!run(curl(&egret, &ca.pem(), Some(&stranger)).arg(origin.url("/"))).status.success());
}

#[test]
fn intermediate_certificates_are_followed() {
    // The chain that openssl makes: root, intermediate, leaf.
    let directory = tempfile::tempdir().unwrap();
    let text = "\
        set -e; cd \"$0\"; key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n\
        key root; openssl req -x509 -new -key root.key -subj /CN=Root -days 30 -out root.crt\n\
        issue() { key $1; openssl req -new -key $1.key -subj /CN=$1 -out $1.csr; printf \"$3\" > $1.ext\n\
        openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -days 30 -extfile $1.ext -out $1.crt; }\n\
        issue middle root 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign\\n'\n\
        issue leaf middle 'subjectAltName=DNS:leaf.example\\n'\n\
        cat leaf.crt middle.crt > chain.crt\n";
    succeed(client("bash").args(["-c", text]).arg(directory.path()));
    let path = |name: &str| directory.path().join(name);
    let ca = TestCa::new();
    let egret = configured(&listener(
        &ca.server_leaf("server", &["localhost"]),
        &format!("      clientAuth: required\n      clientCA: {}\n", path("root.crt").display()),
    ));
    let origin = HttpOrigin::start();
    let with = |certificate: &str| TestLeaf {
        certificate: path(certificate),
        key: path("leaf.key"),
        combined: path("unused"),
    };
    assert_eq!(succeed(curl(&egret, &ca.pem(), Some(&with("chain.crt"))).arg(origin.url("/"))), "origin\n");
    assert!(!run(curl(&egret, &ca.pem(), Some(&with("leaf.crt"))).arg(origin.url("/"))).status.success());
    let records = egret.exactly(2);
    assert_eq!(records[0].text("clientName"), "leaf.example");
    assert_eq!(records[1].reason(), "client-certificate-unknown-ca");
}

#[test]
fn a_policy_is_for_the_workloads_of_a_namespace_by_their_certificates() {
    let ca = TestCa::new();
    let tls = listener(
        &ca.server_leaf("server", &["localhost"]),
        &format!("      clientAuth: required\n      clientCA: {}\n", ca.pem().display()),
    );
    let policy =
        "policies: [{name: shop, from: [{namespaces: [shop]}], rules: [{action: Allow}]}]\ndefault: Deny\n";
    let (egret, origin) = (configured(&format!("{tls}{policy}")), HttpOrigin::start());
    let table: [(&[&str], u16, &str); 5] = [
        (&["spiffe://td/ns/shop/sa/cart"], 200, "shop"),
        (&["spiffe://td/ns/bank/sa/cart"], 403, "bank"),
        (&["spiffe://td/ns/shop/sa/cart", "spiffe://td/ns/bank/sa/x"], 403, ""),
        (&["spiffe://td/cluster/c/ns/shop/sa/cart"], 403, ""),
        (&[], 403, ""),
    ];
    for (index, (ids, status, namespace)) in table.into_iter().enumerate() {
        let leaf = ca.leaf(&format!("client{index}"), |params| {
            let ids = ids.iter().map(|id| SanType::URI((*id).try_into().unwrap()));
            params.subject_alt_names.extend(ids);
        });
        run(curl(&egret, &ca.pem(), Some(&leaf)).arg(origin.url("/")));
        let record = egret.exactly(index + 1).pop().unwrap();
        assert_eq!((record.status(), record.text("namespace").as_str()), (status, namespace), "{ids:?}");
    }
}
