//! `egret certs secrets`, against an API server.

use std::path::PathBuf;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_testkit::{ApiServer, Egret, HttpOrigin, TestCa};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn secrets(api: &ApiServer, arguments: &[&str]) -> Output {
    let mut command = client(env!("CARGO_BIN_EXE_egret"));
    command.args(["certs", "secrets", "--namespace", "egret-system", "--kubeconfig"]).arg(api.kubeconfig());
    run(command.args(arguments))
}

fn ok(api: &ApiServer, arguments: &[&str]) -> String {
    let output = secrets(api, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn server() -> ApiServer {
    let api = ApiServer::start();
    api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "egret-system" } }));
    api
}

fn secret(api: &ApiServer, name: &str) -> Value {
    api.object("v1", "secrets", "egret-system", name).unwrap_or_else(|| panic!("no Secret {name}"))
}

fn data(secret: &Value, key: &str) -> Vec<u8> {
    STANDARD.decode(secret["data"][key].as_str().unwrap_or_else(|| panic!("no {key}"))).unwrap()
}

/// The files of a Secret, under other names.
fn mounted(folder: &TempDir, secret: &Value, names: &[(&str, &str)]) -> PathBuf {
    for (key, file) in names {
        std::fs::write(folder.path().join(file), data(secret, key)).unwrap();
    }
    folder.path().to_owned()
}

#[test]
fn a_client_with_its_secret_passes_a_proxy_with_its_own() {
    let api = server();
    let said = ok(&api, &["--mtls"]);
    assert_eq!(said.matches(" made: ").count(), 3, "{said}");
    for name in ["egret-mtls-ca", "egret-mtls", "egret-mtls-client"] {
        assert_eq!(secret(&api, name)["type"], "kubernetes.io/tls");
    }
    let (server_files, client_files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = [("ca.crt", "ca.crt"), ("tls.crt", "server.crt"), ("tls.key", "server.key")];
    let server_files = mounted(&server_files, &secret(&api, "egret-mtls"), &names);
    let names = ["ca.crt", "tls.crt", "tls.key"].map(|name| (name, name));
    let client_files = mounted(&client_files, &secret(&api, "egret-mtls-client"), &names);
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret")).arg("--mtls").arg(&server_files).start();
    let origin = HttpOrigin::start();
    let port = egret.address().port();
    let mut curl = client("curl");
    curl.args(["-sS", "--fail", "--proxy", &format!("https://egret.egret-system:{port}")]);
    // The name of the Service, as pods reach it.
    curl.args(["--resolve", &format!("egret.egret-system:{port}:127.0.0.1")]);
    for (flag, file) in
        [("--proxy-cacert", "ca.crt"), ("--proxy-cert", "tls.crt"), ("--proxy-key", "tls.key")]
    {
        curl.arg(flag).arg(client_files.join(file));
    }
    succeed(curl.arg(origin.url("/")));
}

#[test]
fn what_is_good_is_left_as_it_is() {
    let api = server();
    ok(&api, &["--mtls", "--interception"]);
    let before = api.objects("v1", "secrets", "egret-system");
    let said = ok(&api, &["--mtls", "--interception"]);
    assert_eq!(said.matches(" is good: ").count(), 4, "{said}");
    assert_eq!(api.objects("v1", "secrets", "egret-system"), before);
}

#[test]
fn renews_what_ends_soon_and_what_has_not_the_names_by_the_same_ca() {
    let api = server();
    ok(&api, &["--mtls", "--days", "1"]);
    let (ca, before) = (secret(&api, "egret-mtls-ca"), secret(&api, "egret-mtls"));
    let said = ok(&api, &["--mtls", "--san", "proxy.corp.example"]);
    assert!(said.contains("egret-mtls         renewed") && said.contains("proxy.corp.example"), "{said}");
    assert!(said.contains("egret-mtls-client  is good"), "{said}");
    assert_eq!(secret(&api, "egret-mtls-ca"), ca);
    assert_ne!(data(&secret(&api, "egret-mtls"), "tls.key"), data(&before, "tls.key"));
    // Without its CA everything is made anew.
    api.remove("v1", "secrets", "egret-system", "egret-mtls-ca");
    let said = ok(&api, &["--mtls"]);
    assert_eq!((said.matches(" made: ").count(), said.matches(" renewed: ").count()), (1, 2), "{said}");
}

#[test]
fn never_touches_what_somebody_else_made() {
    let api = server();
    ok(&api, &["--mtls"]);
    api.change("v1", "secrets", "egret-system", "egret-mtls", |secret| {
        secret["metadata"].as_object_mut().unwrap().remove("labels");
    });
    let before = secret(&api, "egret-mtls");
    let said = ok(&api, &["--mtls", "--san", "other.example"]);
    assert!(said.contains("egret-mtls         is somebody else's, and left alone"), "{said}");
    assert_eq!(secret(&api, "egret-mtls"), before);
}

#[test]
fn the_proxy_signs_with_the_ca_of_the_secret() {
    let api = server();
    ok(&api, &["--interception"]);
    let folder = tempfile::tempdir().unwrap();
    let files =
        mounted(&folder, &secret(&api, "egret-ca"), &[("tls.crt", "tls.crt"), ("tls.key", "tls.key")]);
    let text = succeed(
        client(env!("CARGO_BIN_EXE_egret"))
            .args(["ca", "show", "--ca"])
            .arg(files.join("tls.crt"))
            .arg("--ca-key")
            .arg(files.join("tls.key")),
    );
    assert!(text.contains("signs: "), "{text}");
}

#[test]
fn says_what_it_may_not_and_what_is_no_certificate() {
    let api = server();
    api.forbid("create", "", "secrets");
    let output = secrets(&api, &["--mtls"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("cannot make the Secret egret-mtls-ca"), "{error}");
    api.permit_all();
    let bad = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "egret-ca", "namespace": "egret-system" },
        "type": "kubernetes.io/tls", "data": { "tls.crt": "bm8=", "tls.key": "bm8=" } });
    api.put(bad);
    let output = secrets(&api, &["--interception"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("the Secret egret-ca cannot be used") && error.contains("delete it"), "{error}");
    assert_eq!(secrets(&api, &[]).status.code(), Some(2), "it has to be told what to make");
}

#[test]
fn two_at_once_make_one_ca() {
    let api = server();
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..2).map(|_| scope.spawn(|| secrets(&api, &["--mtls"]))).collect();
        all.into_iter().map(|each| each.join().unwrap()).collect()
    });
    for output in outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let trust = data(&secret(&api, "egret-mtls-ca"), "tls.crt");
    for name in ["egret-mtls", "egret-mtls-client"] {
        assert_eq!(data(&secret(&api, name), "ca.crt"), trust, "{name}");
    }
}

#[test]
fn the_api_server_is_checked_by_its_certificate() {
    let ca = TestCa::new();
    let api = ApiServer::builder().tls(&ca).token("secret-token", "system:admin").start();
    api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "egret-system" } }));
    let said = ok(&api, &["--interception"]);
    assert!(said.contains(" made: ") && !said.contains("secret-token"), "{said}");
}
