//! Certificates for the wildcard that the origin's own certificate has, where that is asked for.

use std::process::Stdio;

use egret_testkit::tools::{client, run, succeed};

use super::node_origin::Node;

const ASKED: &str = "interception: {everything: true, wildcards: true}\n";

/// The names in the certificate that a client is shown for this host.
fn names(it: &Node, host: &str) -> String {
    let authority = it.url_of(host, "").replace("https://", "");
    let mut command = client("openssl");
    command.args(["s_client", "-proxy", &it.egret.address().to_string(), "-connect", &authority]);
    let shown = run(command.args(["-servername", host]).stdin(Stdio::null())).stdout;
    let file = it.egret.directory().join("shown.pem");
    std::fs::write(&file, shown).unwrap();
    succeed(client("openssl").args(["x509", "-noout", "-ext", "subjectAltName", "-in"]).arg(&file))
}

#[test]
fn one_certificate_is_enough_for_all_hosts_of_the_origins_wildcard() {
    let it = Node::configured("h2,http/1.1", ASKED);
    for host in ["a.wild.test", "b.wild.test"] {
        assert!(succeed(it.curl().arg(it.url_of(host, "/"))).contains("version"));
        assert!(names(&it, host).contains("DNS:*.wild.test"));
    }
    assert_eq!(it.egret.metric("egret_interception_certificates_total{result=\"minted\"}"), 1.0);
    assert!(names(&it, "origin.test").contains("DNS:origin.test"), "the origin has no wildcard for it");
}

#[test]
fn a_certificate_has_the_name_alone_where_no_wildcard_is_asked_for() {
    let it = Node::speaking("h2,http/1.1");
    assert!(names(&it, "a.wild.test").contains("DNS:a.wild.test"));
}

#[test]
fn a_certificate_that_only_a_setting_accepts_lends_no_wildcard() {
    let accept = "upstream: {origins: [{hosts: ['*.wild.test'], accept: [unknown-issuer, unknown-root], onlyTrustedCA: true, trustedCA: OTHER}]}\n";
    let other = egret_testkit::TestCa::named("another CA");
    let it = Node::configured(
        "h2,http/1.1",
        &format!("{ASKED}{}", accept.replace("OTHER", &other.pem().display().to_string())),
    );
    assert!(succeed(it.curl().arg(it.url_of("a.wild.test", "/"))).contains("version"));
    assert!(names(&it, "a.wild.test").contains("DNS:a.wild.test"));
}
