//! `egret certs init`, `egret proxy --mtls`, and curl: every way that must work, and those that must fail.

use egret_testkit::tools::{client, run, succeed};

use super::Mutual;

fn message(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn with_separate_files_it_works() {
    let it = Mutual::start();
    for url in [it.https.url_by_name("/"), it.http.url("/")] {
        let text = succeed(
            it.curl()
                .arg("--proxy-cert")
                .arg(it.certs.path("client.crt"))
                .arg("--proxy-key")
                .arg(it.certs.path("client.key"))
                .arg(&url),
        );
        assert_eq!(text, "origin\n", "{url}");
    }
    let records = it.egret.exactly(2);
    assert!(records.iter().all(|record| record.text("clientName") == "egret-client"), "{records:#?}");
    assert!(records.iter().all(|record| record.text("tlsVersion") == "1.3"), "{records:#?}");
    assert!(records.iter().all(|record| record.text("sni") == "localhost"), "{records:#?}");
    // A tunnel's record comes when both sides have closed it, so the order is open.
    for method in ["CONNECT", "GET"] {
        assert!(records.iter().any(|record| record.method() == method), "{records:#?}");
    }
    for (series, count) in [
        ("egret_client_handshakes_total{version=\"1.3\",session=\"new\"}", 2.0),
        ("egret_client_requests_total{client=\"egret-client\",blame=\"none\"}", 2.0),
        ("egret_client_handshakes_open", 0.0),
    ] {
        assert!((it.egret.metric(series) - count).abs() < 0.1, "{series}: {}", it.egret.metric(series));
    }
}

#[test]
fn with_the_combined_pem_it_works() {
    let it = Mutual::start();
    for url in [it.https.url_by_name("/"), it.http.url("/")] {
        let text = succeed(it.curl().arg("--proxy-cert").arg(it.certs.path("client.pem")).arg(&url));
        assert_eq!(text, "origin\n", "{url}");
    }
}

#[test]
fn without_a_certificate_it_fails() {
    let it = Mutual::start();
    for url in [it.https.url_by_name("/"), it.http.url("/")] {
        let output = run(it.curl().arg(&url));
        assert!(!output.status.success());
        assert!(message(&output).contains("alert certificate required"), "{}", message(&output));
    }
    let records = it.egret.exactly(2);
    assert!(records.iter().all(|record| record.reason() == "client-certificate-missing"), "{records:#?}");
    let failures = "egret_client_handshake_failures_total{reason=\"client-certificate-missing\"}";
    assert!((it.egret.metric(failures) - 2.0).abs() < 0.1);
    it.egret.wait_for_log("client-certificate-missing");
}

#[test]
fn with_a_certificate_and_no_key_it_fails() {
    let it = Mutual::start();
    let output = run(it.curl().arg("--proxy-cert").arg(it.certs.path("client.crt")).arg(it.http.url("/")));
    assert!(!output.status.success());
    // curl itself has nothing to prove its certificate with, and does not get as far as the proxy.
    assert!(message(&output).contains("unable to set private key"), "{}", message(&output));
    assert!(it.http.accepted() == 0 && it.egret.records().is_empty());
}

#[test]
fn without_the_ca_the_client_refuses_the_proxy() {
    let it = Mutual::start();
    let output = run(client("curl")
        .args(["-sS", "--max-time", "30", "--proxy", &it.egret.tls_url(), "--proxy-cert"])
        .arg(it.certs.path("client.pem"))
        .arg(it.http.url("/")));
    assert!(!output.status.success());
    let record = it.egret.record(|_| true);
    assert_eq!(record.reason(), "proxy-certificate-rejected");
    assert!(record.text("detail").contains("does not trust"), "{record:?}");
}

#[test]
fn the_command_in_the_banner_works_as_it_stands() {
    let it = Mutual::start();
    it.egret.wait_for_log("  try ");
    let log = it.egret.log();
    let command = log.lines().find_map(|line| line.trim().strip_prefix("try ")).unwrap().trim();
    let origin = format!("--cacert {} {}", it.origin_ca.pem().display(), it.https.url_by_name("/"));
    let command = command.replace("https://example.com/", &origin);
    assert!(command.starts_with("curl --proxy https://localhost:"), "{command}");
    assert_eq!(succeed(client("sh").args(["-c", &command])), "origin\n");
}

#[test]
fn the_files_missing_the_command_that_makes_them_is_named() {
    let (status, text) = super::builder().arg("--mtls").arg("/nowhere/at/all").run_to_end();
    assert!(!status.success());
    assert!(text.contains("--mtls") && text.contains("egret certs init"), "{text}");
}

#[test]
fn the_proxys_own_page_is_there_over_tls() {
    let it = Mutual::start();
    let page = succeed(
        client("curl")
            .args(["-sS", "--max-time", "30", "--cacert"])
            .arg(it.certs.path("ca.crt"))
            .arg("--cert")
            .arg(it.certs.path("client.pem"))
            .arg(format!("{}/", it.egret.tls_url())),
    );
    // By the name that it was called by.
    assert!(page.contains(&format!("curl -x {}", it.egret.tls_url())), "{page}");
}
