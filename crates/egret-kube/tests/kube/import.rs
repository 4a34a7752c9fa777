//! `egret import`: what others call their proxy.

use egret_kube::import::{ImportError, Imported, MAX_BYTES, Origin, import};
use egret_kube::validate::validate;
use serde_json::{Value, json};

#[track_caller]
fn imported(origin: Origin, text: &str) -> Imported {
    let imported = import(origin, text.as_bytes(), "default").unwrap();
    assert_eq!(validate("EgressProxy", &imported.object).errors, []);
    let yaml: Value = serde_saphyr::from_str(&imported.to_yaml("aks FILE").unwrap()).unwrap();
    assert_eq!(yaml, imported.object);
    imported
}

#[track_caller]
fn refused(origin: Origin, text: &str) -> String {
    import(origin, text.as_bytes(), "default").unwrap_err().to_string()
}

fn ca() -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem)
}

#[test]
fn carries_aks_json_over_as_it_is() {
    let ca = ca();
    let aks = json!({
        "httpProxy": "http://myproxy.server.com:8080/",
        "httpsProxy": "http://myproxy.server.com:8080/",
        "noProxy": ["localhost", "127.0.0.1", ".corp.example"],
        "trustedCa": ca,
    });
    let imported = imported(Origin::Aks, &aks.to_string());
    assert_eq!(
        imported.object,
        json!({
            "apiVersion": "egret.dev/v1alpha1", "kind": "EgressProxy", "metadata": {"name": "default"},
            "spec": {
                "httpProxy": "http://myproxy.server.com:8080/",
                "httpsProxy": "http://myproxy.server.com:8080/",
                "noProxy": ["localhost", "127.0.0.1", ".corp.example"],
                "trustedCA": ca,
            },
        })
    );
    assert_eq!(imported.notes.len(), 1, "{:?}", imported.notes);
}

#[test]
fn finds_it_in_what_az_prints_and_names_what_was_left_behind() {
    let shown = json!({"name": "cluster", "httpProxyConfig": {
        "enabled": false, "httpProxy": "http://p:8080", "httpsProxy": null, "noProxy": ["10.1.2.3/8"],
        "effectiveNoProxy": ["168.63.129.16"], "trustedCa": "", "somethingNew": 1,
    }});
    let imported = imported(Origin::Aks, &shown.to_string());
    assert_eq!(
        imported.object["spec"],
        json!({"enabled": false, "httpProxy": "http://p:8080", "noProxy": ["10.0.0.0/8"]})
    );
    let notes = imported.notes.join("\n");
    for part in [
        "`10.1.2.3/8` in noProxy became `10.0.0.0/8`",
        "`effectiveNoProxy` was not",
        "`somethingNew` was not",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
}

#[test]
fn carries_openshifts_proxy_over() {
    let text = "
apiVersion: config.openshift.io/v1
kind: Proxy
metadata: {name: cluster}
spec:
  httpProxy: http://user:pw@proxy.corp:3128
  httpsProxy: https://proxy.corp:3129
  noProxy: .corp.example,10.0.0.0/16, api.corp.example,.corp.example,fd00::/8
  readinessEndpoints: [https://www.google.com]
  trustedCA: {name: user-ca-bundle}
status:
  noProxy: .cluster.local,.svc
";
    let imported = imported(Origin::OpenShift, text);
    assert_eq!(
        imported.object["spec"],
        json!({
            "httpProxy": "http://user:pw@proxy.corp:3128",
            "httpsProxy": "https://proxy.corp:3129",
            "noProxy": [".corp.example", "10.0.0.0/16", "api.corp.example", "fd00::/8"],
            "trustedCA": {
                "configMap": {"namespace": "openshift-config", "name": "user-ca-bundle", "key": "ca-bundle.crt"},
            },
            "readinessEndpoints": ["https://www.google.com"],
        })
    );
    let notes = imported.notes.join("\n");
    for part in ["twice", "status.noProxy", "sees the credentials", "aiohttp goes around it", "httpx fails"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    assert!(!notes.contains("user:pw"), "{notes}");
}

#[test]
fn carries_an_empty_ca_and_a_star_of_openshift_over() {
    let text = r#"{"spec": {"httpProxy": "http://p:1", "noProxy": "*", "trustedCA": {"name": ""}}}"#;
    let imported = imported(Origin::OpenShift, text);
    assert_eq!(imported.object["spec"], json!({"httpProxy": "http://p:1", "noProxy": ["*"]}));
}

#[test]
fn carries_httpproxyenvs_over_from_the_mesh_and_alone() {
    let envs = "httpProxy: proxy.corp:3128\nhttpsProxy: http://proxy.corp:3128\nnoProxy: \"*.corp.example,registry:5000,[::1]\"\n";
    let mesh = format!(
        "kind: Istio\nspec:\n  version: 1.1.0\n  httpProxyEnvs:\n{}",
        envs.lines().map(|line| format!("    {line}\n")).collect::<String>()
    );
    for text in [envs, &mesh] {
        let imported = imported(Origin::Istio, text);
        assert_eq!(
            imported.object["spec"],
            json!({
                "httpProxy": "http://proxy.corp:3128",
                "httpsProxy": "http://proxy.corp:3128",
                "noProxy": [".corp.example", "registry", "::1"],
            })
        );
        assert!(imported.notes.iter().any(|note| note.contains("no scheme")), "{:?}", imported.notes);
    }
}

#[test]
fn finds_it_in_a_list_and_behind_other_documents() {
    let list = r#"{"kind": "List", "items": [{"kind": "Node"}, {"spec": {"httpProxyEnvs": {"httpProxy": "http://p:1"}}}]}"#;
    assert_eq!(imported(Origin::Istio, list).object["spec"], json!({"httpProxy": "http://p:1"}));
    let documents = "kind: ConfigMap\n---\nspec: {httpProxy: 'http://p:1'}\n";
    assert_eq!(imported(Origin::OpenShift, documents).object["spec"], json!({"httpProxy": "http://p:1"}));
}

#[test]
fn says_what_is_wrong_with_a_file() {
    for (origin, text, part) in [
        (Origin::Aks, "{", "cannot be read as YAML or JSON"),
        (Origin::Aks, "", "there is no proxy in the file; give the file of --http-proxy-config"),
        (Origin::Aks, "[1]", "holds a list"),
        (Origin::Aks, "{\"noProxy\": []}", "neither `httpProxy` nor `httpsProxy` is set in the file"),
        (Origin::Aks, "{\"httpProxy\": 5}", "`httpProxy` is a number, and should be text"),
        (Origin::Aks, "{\"httpProxy\": \"http://p:1\", \"noProxy\": {}}", "`noProxy` is a mapping of fields"),
        (Origin::Aks, "{\"httpProxy\": \"http://p:1\", \"noProxy\": [5]}", "`noProxy[0]` is a number"),
        (
            Origin::Aks,
            "{\"httpProxy\": \"ftp://p:1\"}",
            "spec.httpProxy: the scheme is neither http nor https",
        ),
        (
            Origin::Aks,
            "{\"httpProxy\": \"http://p:1\", \"trustedCa\": \"aGVsbG8=\"}",
            "there is no certificate in it",
        ),
        (Origin::Aks, "{\"httpProxy\": \"http://p:1\", \"enabled\": \"yes\"}", "`enabled` is text"),
        (Origin::OpenShift, "kind: Proxy\nspec: {}", "oc get proxy/cluster -o yaml"),
        (Origin::Istio, "kind: Istio\nspec: {version: 1}", "httpProxyEnvs"),
        (Origin::Istio, "httpProxy: http://p:1\nreadinessEndpoints: x", "should be a list"),
    ] {
        let said = refused(origin, text);
        assert!(said.contains(part), "{text}: {said}");
    }
    let large = vec![b' '; MAX_BYTES + 1];
    assert_eq!(import(Origin::Aks, &large, "a").unwrap_err(), ImportError::TooLarge);
    assert!(matches!(import(Origin::Aks, &[0xff, 0xfe], "a"), Err(ImportError::Unreadable(_))));
}

#[test]
fn does_not_unfold_what_a_small_file_can_make_large() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", "));
    }
    refused(Origin::Aks, &bomb);
}
