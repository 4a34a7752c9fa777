//! Programs that support TLS to a proxy: Go, Python (urllib3, requests, httpx), Node (undici, https, http2).

use std::process::Command;

use egret_testkit::tools::{client, dependencies, of_python, python, run, succeed};

use super::{Mutual, script};

/// The arguments that every script takes.
fn arguments(it: &Mutual, command: &mut Command) {
    command
        .args([it.egret.tls_url(), it.http.url(""), it.https.url_by_name("")])
        .arg(it.certs.path("ca.crt"))
        .arg(it.certs.path("client.pem"))
        .arg(it.origin_ca.pem());
}

fn check_records(it: &Mutual) {
    let records = it.egret.records_where(|record| record.reason().is_empty());
    assert!(records.iter().all(|record| record.text("clientName") == "egret-client"), "{records:#?}");
}

#[test]
fn go_with_proxy_url_and_client_certificate() {
    let it = Mutual::start();
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("proxied");
    let cache = std::env::temp_dir().join("egret-test-go-cache");
    succeed(
        client(of_python("go"))
            .env("GOCACHE", cache)
            .env("GOTOOLCHAIN", "local")
            .env("GO111MODULE", "off")
            .args(["build", "-o"])
            .arg(&program)
            .arg(script("proxied.go")),
    );
    let go = |certificate: &str, key: &str| {
        let path = |name: &str| if name.is_empty() { "".into() } else { it.certs.path(name) };
        let mut command = client(&program);
        command
            .args([it.egret.tls_url(), it.http.url(""), it.https.url_by_name("")])
            .arg(it.certs.path("ca.crt"))
            .arg(path(certificate))
            .arg(path(key))
            .arg(it.origin_ca.pem());
        command
    };
    assert_eq!(succeed(&mut go("client.crt", "client.key")), "good\n");
    check_records(&it);
    assert_eq!(succeed(&mut go("client.pem", "client.pem")), "good\n", "the combined file");
    let output = run(&mut go("", ""));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && text.contains("certificate required"), "{text}");
}

#[test]
fn python_with_urllib3_requests_and_httpx() {
    let it = Mutual::start();
    let mut command = client(python());
    command.arg(script("with_python.py"));
    arguments(&it, &mut command);
    let output = succeed(&mut command);
    assert!(output.ends_with("good\n"), "{output}");
    check_records(&it);
}

#[test]
fn node_with_undici_https_and_http2() {
    let it = Mutual::start();
    let modules = dependencies().join("node_modules");
    assert!(modules.exists(), "{} is missing: run ./test --deps", modules.display());
    let mut command = client("node");
    command.env("NODE_PATH", modules.canonicalize().unwrap()).arg(script("with_node.cjs"));
    arguments(&it, &mut command);
    let output = succeed(&mut command);
    assert!(output.ends_with("good\n"), "{output}");
    check_records(&it);
}
