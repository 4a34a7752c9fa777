//! openssl s_client: versions, names, resumption, OCSP, ALPN, and the alerts of TLS 1.2.

use std::net::SocketAddr;
use std::path::Path;

use egret_testkit::tools::{client, run, succeed};
use egret_testkit::{TestCa, TestLeaf};

use super::{configured, listener};

/// Shakes hands, asks the proxy for its health, and returns all that s_client says.
fn s_client(address: SocketAddr, ca: &Path, further: &[&str]) -> String {
    let text = "printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | \
                timeout 30 openssl s_client -ign_eof -connect \"$0\" -CAfile \"$1\" -verify_return_error \"${@:2}\" 2>&1";
    let mut command = client("bash");
    command.args(["-c", text, &address.to_string()]).arg(ca).args(further);
    String::from_utf8_lossy(&run(&mut command).stdout).into_owned()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let ca = TestCa::new();
    let egret = configured(&listener(&ca.server_leaf("server", &["localhost"]), ""));
    for (flag, version) in [("-tls1_2", "1.2"), ("-tls1_3", "1.3")] {
        let text = s_client(egret.address(), &ca.pem(), &[flag]);
        assert!(text.contains(&format!("New, TLSv{version}, Cipher is")), "{text}");
        assert!(text.contains("HTTP/1.1 200 OK"), "{text}");
        assert!(egret.records_where(|record| record.text("tlsVersion") == version).len() == 1);
    }
    let text = s_client(egret.address(), &ca.pem(), &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert!(text.contains("alert protocol version"), "{text}");
    let record = egret.record(|record| record.reason() == "client-tls-failed");
    assert!(record.text("detail").contains("TLS 1.2 and 1.3 are served"), "{record:?}");
}

#[test]
fn only_tls_1_3_where_that_is_configured() {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&listener(&leaf, "      minVersion: TLSv1.3\n"));
    assert!(s_client(egret.address(), &ca.pem(), &["-tls1_2"]).contains("alert protocol version"));
    assert!(s_client(egret.address(), &ca.pem(), &["-tls1_3"]).contains("HTTP/1.1 200 OK"));
}

#[test]
fn the_name_chooses_the_certificate() {
    let ca = TestCa::new();
    let entry = |leaf: &TestLeaf| {
        format!(
            "        - certificate: {}\n          key: {}\n",
            leaf.certificate.display(),
            leaf.key.display()
        )
    };
    let (second, third) =
        (ca.server_leaf("second", &["second.test"]), ca.server_leaf("third", &["*.third.test"]));
    let yaml = listener(&ca.server_leaf("first", &["localhost"]), &(entry(&second) + &entry(&third)));
    let egret = configured(&yaml);
    for (arguments, subject) in [
        (vec!["-servername", "second.test"], "CN = second"),
        (vec!["-servername", "a.third.test"], "CN = third"),
        (vec!["-servername", "localhost"], "CN = first"),
        (vec!["-servername", "elsewhere.test"], "CN = first"),
        (vec!["-noservername"], "CN = first"),
    ] {
        let text = s_client(egret.address(), &ca.pem(), &arguments);
        assert!(text.contains(&format!("subject={subject}")), "{arguments:?}: {text}");
    }
    for name in ["localhost", "second.test", "*.third.test"] {
        let series = "egret_listener_certificate_not_after_timestamp_seconds";
        let value = egret.metric(&format!("{series}{{listener=\"127.0.0.1:0\",certificate=\"{name}\"}}"));
        assert!(value > 1.7e9, "{name}: {value}");
    }
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    let ca = TestCa::new();
    let named = ca.leaf("named", |_| {});
    let yaml = listener(
        &ca.server_leaf("server", &["localhost"]),
        &format!("      clientAuth: required\n      clientCA: {}\n", ca.pem().display()),
    );
    let egret = configured(&format!("workers: 2\n{yaml}"));
    let (certificate, key) = (named.certificate.to_string_lossy(), named.key.to_string_lossy());
    for flag in ["-tls1_2", "-tls1_3"] {
        let file = ca.directory().join(format!("session{flag}"));
        let file = file.to_string_lossy();
        let own = [flag, "-cert", &certificate, "-key", &key];
        let text = s_client(egret.address(), &ca.pem(), &[&own[..], &["-sess_out", &file]].concat());
        assert!(text.contains("New, TLSv1"), "{text}");
        // More often than there are workers: tickets are good with all of them.
        for _ in 0..6 {
            let text = s_client(egret.address(), &ca.pem(), &[&own[..], &["-sess_in", &file]].concat());
            assert!(text.contains("Reused, TLSv1") && text.contains("HTTP/1.1 200 OK"), "{text}");
        }
    }
    let records = egret.exactly(14);
    assert_eq!(records.iter().filter(|record| record.text("tlsResumed") == "true").count(), 12);
    assert!(records.iter().all(|record| record.text("clientName") == "CN=named"), "{records:#?}");
    for version in ["1.2", "1.3"] {
        let count = |session: &str| {
            egret.metric(&format!(
                "egret_client_handshakes_total{{version=\"{version}\",session=\"{session}\"}}"
            ))
        };
        assert!((count("new") - 1.0).abs() < 0.1 && (count("resumed") - 6.0).abs() < 0.1);
    }
}

#[test]
fn alpn_offers_http2_and_http1() {
    let ca = TestCa::new();
    let egret = configured(&listener(&ca.server_leaf("server", &["localhost"]), ""));
    for (offer, expected) in [
        ("h2,http/1.1", "ALPN protocol: h2"),
        ("http/1.1,h2", "ALPN protocol: h2"),
        ("http/1.1", "ALPN protocol: http/1.1"),
    ] {
        let text = s_client(egret.address(), &ca.pem(), &["-alpn", offer]);
        assert!(text.contains(expected), "{text}");
    }
    assert!(s_client(egret.address(), &ca.pem(), &[]).contains("No ALPN negotiated"));
    let text = s_client(egret.address(), &ca.pem(), &["-alpn", "spdy/3"]);
    assert!(text.contains("alert no application protocol"), "{text}");
    let record = egret.record(|record| record.reason() == "client-tls-failed");
    assert!(record.text("detail").contains("neither h2 nor http/1.1"), "{record:?}");
}

/// An OCSP response as a CA makes it.
fn ocsp_response(ca: &TestCa, leaf: &TestLeaf, status: &str, days: &str) -> std::path::PathBuf {
    let directory = ca.directory();
    let serial = succeed(client("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(&leaf.certificate));
    let serial = serial.trim().strip_prefix("serial=").unwrap();
    let revoked = if status == "R" { "240101000000Z" } else { "" };
    std::fs::write(
        directory.join("index.txt"),
        format!("{status}\t490101000000Z\t{revoked}\t{serial}\tunknown\t/CN=server\n"),
    )
    .unwrap();
    let (request, response) = (directory.join("request.der"), directory.join(format!("{status}{days}.ocsp")));
    let ca_pem = ca.pem();
    let openssl = || {
        let mut command = client("openssl");
        command.current_dir(directory).arg("ocsp");
        command
    };
    succeed(
        openssl()
            .arg("-issuer")
            .arg(&ca_pem)
            .arg("-cert")
            .arg(&leaf.certificate)
            .arg("-reqout")
            .arg(&request),
    );
    succeed(
        openssl()
            .args(["-index", "index.txt", "-rsigner"])
            .arg(&ca_pem)
            .arg("-rkey")
            .arg(ca.key())
            .arg("-CA")
            .arg(&ca_pem)
            .arg("-reqin")
            .arg(&request)
            .arg("-respout")
            .arg(&response)
            .args(["-ndays", days]),
    );
    response
}

#[test]
fn an_ocsp_response_is_stapled() {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let response = ocsp_response(&ca, &leaf, "V", "3");
    let yaml = listener(&leaf, &format!("          ocspResponse: {}\n", response.display()));
    let egret = configured(&yaml);
    for flag in ["-tls1_2", "-tls1_3"] {
        let text = s_client(egret.address(), &ca.pem(), &["-status", flag]);
        assert!(text.contains("OCSP Response Status: successful"), "{text}");
        assert!(text.contains("Cert Status: good"), "{text}");
    }
}

#[test]
fn an_ocsp_response_that_is_no_good_is_refused() {
    let ca = TestCa::new();
    let (leaf, other) = (ca.server_leaf("server", &["localhost"]), ca.server_leaf("other", &["other.test"]));
    let refused = |response: &Path| {
        let yaml = listener(&leaf, &format!("          ocspResponse: {}\n", response.display()));
        let (status, text) = super::builder().listen_as_configured().config(&yaml).run_to_end();
        assert!(!status.success() && text.contains("ocspResponse"), "{text}");
        text
    };
    assert!(refused(&ocsp_response(&ca, &leaf, "R", "3")).contains("was revoked"));
    assert!(refused(&ocsp_response(&ca, &other, "V", "4")).contains("another certificate"));
    assert!(refused(&leaf.certificate).contains("no OCSP response"));
}

#[test]
fn pkcs12_and_combined_pem_and_encrypted_keys_are_read() {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let path = |name: &str| ca.directory().join(name);
    std::fs::write(path("password"), "a secret\n").unwrap();
    succeed(
        client("openssl")
            .args(["pkcs12", "-export", "-passout", "pass:a secret", "-out"])
            .arg(path("server.p12"))
            .arg("-in")
            .arg(&leaf.combined),
    );
    succeed(
        client("openssl")
            .args(["pkcs8", "-topk8", "-passout", "pass:a secret", "-in"])
            .arg(&leaf.key)
            .arg("-out")
            .arg(path("encrypted.key")),
    );
    let with = |certificate: &Path, further: String| {
        format!(
            "listeners:\n  - address: 127.0.0.1:0\n    tls:\n      certificates:\n        - certificate: {}\n{further}",
            certificate.display()
        )
    };
    let password = format!("          passwordFile: {}\n", path("password").display());
    for yaml in [
        with(&leaf.combined, String::new()),
        with(&path("server.p12"), password.clone()),
        with(&leaf.certificate, format!("          key: {}\n{password}", path("encrypted.key").display())),
    ] {
        let egret = configured(&yaml);
        let text = s_client(egret.address(), &ca.pem(), &[]);
        assert!(text.contains("HTTP/1.1 200 OK"), "{yaml}\n{text}");
    }
    let yaml = with(&path("server.p12"), String::new());
    let (status, text) = super::builder().listen_as_configured().config(&yaml).run_to_end();
    assert!(!status.success() && text.contains("password"), "{text}");
    assert!(!text.contains("a secret"), "{text}");
}
