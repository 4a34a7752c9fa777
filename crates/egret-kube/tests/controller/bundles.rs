//! Bundles of CAs in namespaces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_testkit::ApiServer;
use serde_json::{Value, json};

use crate::harness::{
    NAMESPACE, Running, becomes, cluster, condition, message, namespace, object, proxy, spec,
};

fn bundle(server: &ApiServer, namespace: &str) -> Value {
    server.object("v1", "configmaps", namespace, "egret-ca").unwrap_or_default()
}

fn trusting(trusted: Value) -> Value {
    let mut spec = spec();
    spec["trustedCA"] = trusted;
    spec
}

fn ca(name: &str) -> String {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

fn config_map(server: &ApiServer, name: &str, text: &str) {
    server.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": NAMESPACE },
        "data": { "ca.crt": text },
    }));
}

fn base64_lines(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

/// Whether a text has this certificate.
fn has(text: &Value, pem: &str) -> bool {
    base64_lines(text.as_str().unwrap_or_default()).contains(&base64_lines(pem))
}

#[test]
fn every_selected_namespace_has_all_three_files() {
    let server = cluster();
    namespace(&server, "off", json!({ "egret.dev/inject": "disabled" }));
    let corp = ca("corp");
    config_map(&server, "corp", &corp);
    proxy(&server, "default", 1, trusting(json!({ "configMap": { "name": "corp" } })));
    let one = Running::start(&server, "one");
    becomes("published", || condition(&object(&server, "default"), "CATrusted").1 == "Published");
    let found = bundle(&server, "shop");
    assert!(has(&found["data"]["egret-ca.crt"], &corp));
    assert_eq!(found["data"]["egret-ca.crt"].as_str().unwrap().matches("BEGIN").count(), 1);
    assert!(found["data"]["ca-bundle.crt"].as_str().unwrap().matches("BEGIN").count() > 100);
    assert!(has(&found["data"]["ca-bundle.crt"], &corp));
    assert!(STANDARD.decode(found["binaryData"]["ca-bundle.p12"].as_str().unwrap()).unwrap().len() > 10_000);
    for name in ["off", NAMESPACE] {
        assert_eq!(bundle(&server, name), Value::Null, "{name}");
    }
    let status = &object(&server, "default")["status"]["trustedCA"][0];
    assert_eq!(status["source"], "configMap egret-system/corp");

    // A new namespace, and one that is no longer selected.
    namespace(&server, "later", json!({}));
    becomes("the new namespace", || !bundle(&server, "later").is_null());
    namespace(&server, "shop", json!({ "egret.dev/inject": "disabled" }));
    becomes("cleaned", || bundle(&server, "shop").is_null());
    // Another CA behind the same name.
    let next = ca("next");
    config_map(&server, "corp", &next);
    becomes("the new CA", || has(&bundle(&server, "later")["data"]["egret-ca.crt"], &next));
    drop(one);
}

#[test]
fn what_is_there_already_is_not_written_again() {
    let server = cluster();
    let corp = ca("corp");
    proxy(&server, "default", 1, trusting(json!(corp)));
    let one = Running::start(&server, "one");
    becomes("published", || !bundle(&server, "shop").is_null());
    becomes("told", || condition(&object(&server, "default"), "CATrusted").1 == "Published");
    one.end();
    let before = bundle(&server, "shop");
    let two = Running::start(&server, "two");
    two.becomes_leader();
    namespace(&server, "later", json!({}));
    becomes("the next leader at work", || !bundle(&server, "later").is_null());
    assert_eq!(bundle(&server, "shop")["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    // Somebody changes it: it is put right.
    server.change("v1", "configmaps", "shop", "egret-ca", |map| map["data"]["egret-ca.crt"] = "mine".into());
    becomes("put right", || has(&bundle(&server, "shop")["data"]["egret-ca.crt"], &corp));
    server.remove("v1", "configmaps", "shop", "egret-ca");
    becomes("made again", || !bundle(&server, "shop").is_null());
}

#[test]
fn a_ca_that_is_no_ca_is_told_and_not_published_and_what_was_stays() {
    let server = cluster();
    let corp = ca("corp");
    config_map(&server, "corp", &corp);
    proxy(&server, "default", 1, trusting(json!({ "configMap": { "name": "corp" } })));
    let one = Running::start(&server, "one");
    becomes("published", || has(&bundle(&server, "shop")["data"]["egret-ca.crt"], &corp));
    let leaf = rcgen::generate_simple_self_signed(vec!["leaf.test".to_owned()]).unwrap().cert.pem();
    config_map(&server, "corp", &leaf);
    becomes("told", || {
        condition(&object(&server, "default"), "CATrusted") == ("False".into(), "InvalidCA".into())
    });
    assert!(message(&object(&server, "default"), "CATrusted").contains("is no CA"));
    assert!(has(&bundle(&server, "shop")["data"]["egret-ca.crt"], &corp), "trust is not taken away");
    server.remove("v1", "configmaps", NAMESPACE, "corp");
    becomes("missing", || condition(&object(&server, "default"), "CATrusted").1 == "CAMissing");
    assert!(has(&bundle(&server, "shop")["data"]["egret-ca.crt"], &corp));
    drop(one);
}

#[test]
fn a_config_map_of_somebody_else_is_left_alone_and_told() {
    let server = cluster();
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "egret-ca", "namespace": "shop" },
        "data": { "ca-bundle.crt": "theirs" },
    });
    let made = server.call("POST", "/api/v1/namespaces/shop/configmaps?fieldManager=them", &[], &theirs);
    assert_eq!(made.status, 201);
    proxy(&server, "default", 1, trusting(json!(ca("corp"))));
    let one = Running::start(&server, "one");
    becomes("told", || condition(&object(&server, "default"), "CATrusted").1 == "BundleNotPublished");
    assert!(message(&object(&server, "default"), "CATrusted").contains("shop"));
    assert_eq!(bundle(&server, "shop")["data"]["ca-bundle.crt"], "theirs");
    becomes("the others have it", || !bundle(&server, "default").is_null());
    drop(one);
}

#[test]
fn a_namespace_that_terminates_is_passed_over() {
    let server = cluster();
    namespace(&server, "ending", json!({}));
    server.terminate_namespace("ending");
    proxy(&server, "default", 1, trusting(json!(ca("corp"))));
    let one = Running::start(&server, "one");
    becomes("published", || condition(&object(&server, "default"), "CATrusted").1 == "Published");
    assert_eq!(bundle(&server, "ending"), Value::Null);
    drop(one);
}

#[test]
fn fills_config_maps_with_openshifts_label() {
    let server = cluster();
    let corp = ca("corp");
    server.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "trusted", "namespace": "shop",
            "labels": { "config.openshift.io/inject-trusted-cabundle": "true" } },
        "data": { "other": "kept" },
    }));
    proxy(&server, "default", 1, trusting(json!(corp)));
    // OpenShift's own group is in the recordings' discovery only where OpenShift is.
    let one = Running::start(&server, "one");
    let filled = || server.object("v1", "configmaps", "shop", "trusted").unwrap_or_default();
    becomes("filled", || has(&filled()["data"]["ca-bundle.crt"], &corp));
    assert_eq!(filled()["data"]["other"], "kept");
    drop(one);
}

#[test]
fn egrets_own_ca_is_made_and_changed_only_when_the_next_is_trusted_everywhere() {
    let server = cluster();
    proxy(&server, "default", 1, trusting(json!({ "egret": true })));
    let one = Running::start(&server, "one");
    let secret = || server.object("v1", "secrets", NAMESPACE, "egret-ca").unwrap_or_default();
    let in_secret = |key: &str| {
        let text = secret()["data"][key].as_str().map(|text| STANDARD.decode(text).unwrap());
        text.map(|text| String::from_utf8(text).unwrap())
    };
    becomes("published", || !bundle(&server, "shop").is_null());
    let old = in_secret("tls.crt").unwrap();
    assert!(has(&bundle(&server, "shop")["data"]["egret-ca.crt"], &old));
    let ask = |step: &str| {
        server.change("v1", "secrets", NAMESPACE, "egret-ca", |secret| {
            secret["metadata"]["annotations"] = json!({ "egret.dev/rotate": step });
        });
    };
    ask("begin");
    becomes("a next CA", || in_secret("next.crt").is_some());
    assert_eq!(in_secret("tls.crt").unwrap(), old);
    let next = in_secret("next.crt").unwrap();
    ask("activate");
    becomes("it signs", || in_secret("tls.crt").as_ref() == Some(&next));
    for pem in [&old, &next] {
        assert!(has(&bundle(&server, "shop")["data"]["egret-ca.crt"], pem), "both are trusted");
    }
    ask("retire");
    becomes("the old one is gone", || !has(&bundle(&server, "shop")["data"]["egret-ca.crt"], &old));
    drop(one);
}
