//! The webhook's certificate and registration, and what the API server gets by them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_testkit::ApiServer;
use serde_json::{Value, json};

use crate::harness::{NAMESPACE, Running, becomes, cluster, proxy, spec};

fn configuration(server: &ApiServer, plural: &str) -> Value {
    server.object("admissionregistration.k8s.io/v1", plural, "", "egret").unwrap_or_default()
}

fn secret(server: &ApiServer) -> Value {
    server.object("v1", "secrets", NAMESPACE, "egret-webhook-tls").unwrap_or_default()
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "shop" },
        "spec": { "containers": [{ "name": "app", "image": "app" }] },
    })
}

fn create(server: &ApiServer, name: &str) -> Value {
    server.call("POST", "/api/v1/namespaces/shop/pods", &[], &pod(name)).body
}

fn proxy_of(pod: &Value) -> Option<String> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    let found = env.iter().find(|one| one["name"] == "HTTP_PROXY")?;
    found["value"].as_str().map(str::to_owned)
}

#[test]
fn a_pod_that_is_made_is_given_the_proxy_by_whichever_replica() {
    let server = cluster();
    proxy(&server, "default", 3, spec());
    let one = Running::start(&server, "one");
    one.becomes_leader();
    one.becomes_ready();
    becomes("registered", || !configuration(&server, "mutatingwebhookconfigurations").is_null());
    let made = create(&server, "a");
    assert_eq!(
        proxy_of(&made).as_deref(),
        Some("http://egret.egret-system.svc.cluster.local:8888"),
        "{made:#}"
    );
    assert_eq!(made["metadata"]["annotations"]["egret.dev/generation"], json!("3"));
    // The second replica takes the place of the first at the Service's address.
    let two = Running::start(&server, "two");
    two.becomes_ready();
    assert!(proxy_of(&create(&server, "b")).is_some());
    drop(one);
    assert!(proxy_of(&create(&server, "c")).is_some());
}

#[test]
fn registers_what_never_stops_a_pod_and_repairs_what_is_changed() {
    let server = cluster();
    let one = Running::start(&server, "one");
    one.becomes_leader();
    for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        becomes(plural, || {
            configuration(&server, plural)["webhooks"][0]["clientConfig"]["caBundle"].is_string()
        });
    }
    let webhook = configuration(&server, "mutatingwebhookconfigurations")["webhooks"][0].clone();
    assert_eq!(webhook["failurePolicy"], "Ignore");
    assert_eq!(webhook["reinvocationPolicy"], "IfNeeded");
    assert_eq!(webhook["clientConfig"]["service"]["name"], "egret-controller");
    let trust = STANDARD.decode(webhook["clientConfig"]["caBundle"].as_str().unwrap()).unwrap();
    let kept = secret(&server)["data"]["ca.crt"].as_str().map(|text| STANDARD.decode(text).unwrap());
    assert_eq!(Some(trust), kept);
    server.change("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", "", "egret", |found| {
        found["webhooks"][0]["failurePolicy"] = "Fail".into();
        found["webhooks"][0]["clientConfig"]["caBundle"] = STANDARD.encode("garbage").into();
    });
    becomes("repaired", || {
        let now = configuration(&server, "mutatingwebhookconfigurations")["webhooks"][0].clone();
        now["failurePolicy"] == "Ignore"
            && now["clientConfig"]["caBundle"] == webhook["clientConfig"]["caBundle"]
    });
    server.remove("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", "", "egret");
    becomes("made again", || !configuration(&server, "mutatingwebhookconfigurations").is_null());
}

#[test]
fn a_secret_that_is_no_good_is_replaced_and_the_trust_with_it() {
    let server = cluster();
    server.put(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": "egret-webhook-tls", "namespace": NAMESPACE },
        "data": { "tls.crt": STANDARD.encode("no"), "tls.key": STANDARD.encode("no") },
    }));
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    one.becomes_ready();
    becomes("registered", || !configuration(&server, "mutatingwebhookconfigurations").is_null());
    assert!(proxy_of(&create(&server, "a")).is_some());
    let first = secret(&server)["data"]["tls.crt"].clone();
    server.remove("v1", "secrets", NAMESPACE, "egret-webhook-tls");
    becomes("another certificate", || {
        let now = secret(&server)["data"]["tls.crt"].clone();
        now.is_string() && now != first
    });
    becomes("a pod with it", || {
        let name = format!("pod-{}", server.version());
        proxy_of(&create(&server, &name)).is_some()
    });
    assert!(one.metric("egret_controller_webhook_certificate_not_after") > 1.7e9);
}

#[test]
fn a_wrong_object_is_refused_once_the_webhook_was_seen_to_answer() {
    let server = cluster();
    let one = Running::start(&server, "one");
    one.becomes_ready();
    becomes("strict", || {
        configuration(&server, "validatingwebhookconfigurations")["webhooks"][0]["failurePolicy"] == "Fail"
    });
    let wrong = json!({
        "apiVersion": "egret.dev/v1alpha1", "kind": "EgressProxy", "metadata": { "name": "wrong" },
        "spec": { "httpProxy": "http://proxy.test:1", "httpProxi": "x", "noProxy": ["*.x"] },
    });
    let refused = server.call("POST", "/apis/egret.dev/v1alpha1/egressproxies", &[], &wrong);
    let text = refused.body["message"].as_str().unwrap_or_default().to_owned();
    assert!(refused.status >= 400 && text.contains("httpProxi") && text.contains("noProxy[0]"), "{text}");
    drop(one);
}

#[test]
fn takes_a_certificate_from_files_and_leaves_secrets_alone() {
    let server = cluster();
    let dir = tempfile::tempdir().unwrap();
    let ca = egret_testkit::TestCa::new();
    proxy(&server, "default", 1, spec());
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["egret-controller.egret-system.svc".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(dir.path().join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.path().join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(dir.path().join("ca.crt"), certificate.pem()).unwrap();
    drop(ca);
    let path = dir.path().to_owned();
    let one = Running::with(&server, "one", move |settings| settings.webhook_cert = Some(path));
    one.becomes_ready();
    becomes("registered", || !configuration(&server, "mutatingwebhookconfigurations").is_null());
    assert!(proxy_of(&create(&server, "a")).is_some());
    assert_eq!(secret(&server), Value::Null);
}
