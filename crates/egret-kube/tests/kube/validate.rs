//! What the admission webhook says about objects.

use egret_kube::validate::{Report, validate, validate_in};
use serde_json::{Value, json};

fn policy(spec: Value) -> Report {
    validate("ClusterEgressPolicy", &object("ClusterEgressPolicy", spec))
}

fn proxy(spec: Value) -> Report {
    validate("EgressProxy", &object("EgressProxy", spec))
}

fn object(kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "egret.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": "a", "uid": "3e4bb153", "resourceVersion": "1", "generation": 1,
            "creationTimestamp": "2026-11-21T09:37:00Z", "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": spec,
        "status": {"conditions": []},
    })
}

fn paths(report: &Report) -> Vec<&str> {
    report.errors.iter().map(|error| error.path.as_str()).collect()
}

#[test]
fn takes_what_the_api_server_sends() {
    let report =
        policy(json!({"rules": [{"action": "Allow", "to": [{"hosts": ["a.example"], "ports": [443]}]}]}));
    assert_eq!(report, Report::default());
    let report = proxy(json!({"httpProxy": "http://egret.egret-system.svc:8888"}));
    assert_eq!(report, Report::default());
}

#[test]
fn says_all_errors_at_once_each_with_its_path() {
    let report = policy(json!({
        "mode": "Off",
        "rules": [
            {"action": "Alow", "to": [{"hosts": ["ok.example"]}, {"hosts": ["not a host"], "ports": [0]}]},
            {"action": "Deny", "too": [], "when": "identity.user == "},
            {"to": [{"cidrs": ["10.0.0.0/99"]}]},
        ],
    }));
    assert_eq!(
        paths(&report),
        [
            "spec.mode",
            "spec.rules[0].action",
            "spec.rules[0].to[1].hosts[0]",
            "spec.rules[0].to[1].ports[0]",
            "spec.rules[1].too",
            "spec.rules[2].to[0].cidrs[0]",
            "spec.rules[2].action",
            "spec.rules[1].when",
        ]
    );
    let text = report.one_line();
    assert!(text.contains("spec.rules[1].too: unknown field `too` (did you mean `to`?)"), "{text}");
}

#[test]
fn compiles_conditions() {
    let report = policy(json!({"rules": [{"action": "Deny", "when": "identity.usr == 'a'"}]}));
    assert_eq!(paths(&report), ["spec.rules[0].when"]);
    assert!(report.errors[0].message.contains("character"), "{report:?}");
}

#[test]
fn an_unknown_field_at_the_top_has_its_path() {
    let mut wrong = object("EgressPolicy", json!({"rules": [{"action": "Deny"}]}));
    wrong["specs"] = json!({});
    let report = validate_in("EgressPolicy", &wrong, Some("team-a"));
    assert_eq!(paths(&report), ["specs"]);
}

#[test]
fn names_places_by_fields_and_not_by_lines() {
    let report = policy(json!({"rules": [
        {"name": "a", "action": "Deny"}, {"name": "a", "action": "Deny"},
    ]}));
    assert_eq!(paths(&report), ["spec.rules[1].name"]);
    assert!(report.one_line().contains("the other is `spec.rules[0].name`"), "{report:?}");
}

#[test]
fn a_policy_of_a_namespace_takes_it_from_the_request() {
    let mut written = object("EgressPolicy", json!({"rules": [{"action": "Deny"}]}));
    assert_eq!(validate_in("EgressPolicy", &written, Some("team-a")).errors, []);
    assert_eq!(paths(&validate("EgressPolicy", &written)), ["metadata.name"]);
    written["spec"]["priority"] = json!(5);
    assert_eq!(paths(&validate_in("EgressPolicy", &written, Some("team-a"))), ["spec.priority"]);
}

#[test]
fn a_name_that_is_still_to_be_made_is_no_error() {
    let mut written = object("ClusterEgressPolicy", json!({"rules": [{"action": "Deny"}]}));
    written["metadata"] = json!({"generateName": "try-"});
    assert_eq!(validate("ClusterEgressPolicy", &written).errors, []);
}

#[test]
fn refuses_what_is_no_object_of_ours() {
    for (kind, object) in [
        ("Pod", json!({"kind": "Pod"})),
        ("EgressProxy", json!(null)),
        ("EgressProxy", json!([])),
        ("EgressProxy", json!({})),
        ("EgressProxy", json!({"kind": "EgressPolicy", "spec": {}})),
        ("ClusterEgressPolicy", json!({"metadata": 5, "spec": "x"})),
        ("ClusterEgressPolicy", json!({"metadata": {"name": {}}, "spec": {"rules": {}}})),
    ] {
        assert!(!validate(kind, &object).errors.is_empty(), "{kind} {object}");
    }
}

#[test]
fn bounds_what_it_says_about_a_hostile_object() {
    let hosts: Vec<Value> = (0..200_000).map(|_| json!("not a host")).collect();
    let report = policy(json!({"rules": [{"action": "Deny", "to": [{"hosts": hosts}]}]}));
    assert_eq!(report.errors.len(), 100);
}

#[test]
fn refuses_urls_that_are_no_proxy_for_pods() {
    for (url, part) in [
        ("proxy.corp:3128", "no scheme"),
        ("socks5://proxy.corp:1080", "SOCKS"),
        ("ftp://proxy.corp:21", "neither http nor https"),
        ("http://proxy.corp:3128/path", "ends after the port"),
        ("http://proxy corp:3128", "in the URL"),
        ("http://:3128", "in the URL"),
        ("http://a:b c@proxy.corp:3128", "escaped"),
    ] {
        let report = proxy(json!({"httpProxy": url}));
        assert_eq!(paths(&report), ["spec.httpProxy"], "{url}");
        assert!(report.one_line().contains(part), "{url}: {}", report.one_line());
        assert!(!report.one_line().contains("b c"), "{}", report.one_line());
    }
}

#[test]
fn warns_of_urls_that_some_clients_misread() {
    for (url, part) in [
        ("https://proxy.corp:3129", "aiohttp goes around it"),
        ("http://user:secret@proxy.corp:3128", "sees the credentials"),
        ("http://127.0.0.1:3128", "the pod itself"),
        ("http://proxy.corp", "no port"),
    ] {
        let report = proxy(json!({"httpProxy": url}));
        assert_eq!(report.errors, [], "{url}");
        let [warning] = report.warnings.as_slice() else { panic!("{url}: {:?}", report.warnings) };
        assert!(warning.to_string().contains(part), "{url}: {warning}");
        assert!(!warning.to_string().contains("secret"), "{warning}");
    }
}

#[test]
fn refuses_terms_of_no_proxy_that_clients_do_not_understand_and_says_what_to_write() {
    for (entry, fix) in [
        ("*.corp.example", "write .corp.example"),
        ("proxy.corp:8080", "write proxy.corp alone"),
        ("[::1]", "write the address bare: ::1"),
        ("[::1]:80", "write the address bare: ::1"),
        ("a.example,b.example", "make each an item"),
        ("a.example b.example", "make each an item"),
        ("http://a.example", "write the host alone"),
        ("10.", "write the network: 10.0.0.0/8"),
        ("10.1.2.*", "write the network: 10.1.2.0/24"),
        ("10.0.0.0/33", "write a domain"),
        ("10.0.0.1-10.0.0.9", "write a domain"),
        ("fe80::1%eth0", "write fe80::1"),
        ("0.0.0.0/0", "write `*`"),
        ("::/0", "write `*`"),
        ("", "write a domain"),
    ] {
        let report = proxy(json!({"httpProxy": "http://p:1", "noProxy": ["ok.example", entry]}));
        assert_eq!(paths(&report), ["spec.noProxy[1]"], "{entry}");
        assert!(report.one_line().contains(fix), "{entry}: {}", report.one_line());
    }
}

#[test]
fn takes_terms_of_no_proxy_that_openshift_and_aks_take() {
    let entries = [
        "localhost",
        "127.0.0.1",
        ".svc",
        "svc.",
        ".Corp.Example",
        "corp.example",
        "10.0.0.0/8",
        "10.1.2.3/8",
        "fd00::1",
        "my-svc",
        "konnectivity",
        "168.63.129.16",
    ];
    let report = proxy(json!({"httpProxy": "http://p:1", "noProxy": entries}));
    assert_eq!(report, Report { errors: vec![], warnings: report.warnings.clone() });
    let warned: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("twice"), "{warned:?}");
}

#[test]
fn warns_of_networks_that_not_every_client_takes() {
    for (entry, part) in
        [("fd00::/8", "httpx"), ("128.0.0.0/1", "a good part"), ("*", "nothing goes through")]
    {
        let report = proxy(json!({"httpProxy": "http://p:1", "noProxy": [entry]}));
        assert_eq!(report.errors, [], "{entry}");
        assert!(report.warnings[0].to_string().contains(part), "{entry}: {:?}", report.warnings);
    }
}

#[test]
fn refuses_a_proxy_that_gives_pods_nothing() {
    assert_eq!(paths(&proxy(json!({}))), ["spec"]);
    let report = proxy(json!({"trustedCA": {"egret": true}, "readinessEndpoints": ["https://a.example/"]}));
    assert_eq!(paths(&report), ["spec.readinessEndpoints"]);
}

fn certificate(ca: bool, days: i64) -> String {
    let mut params = rcgen::CertificateParams::new(vec!["ca.example".to_owned()]).unwrap();
    if ca {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    params.not_before = (now - day * 400).into();
    params.not_after = match u32::try_from(days) {
        Ok(days) => (now + day * days).into(),
        Err(_) => (now - day * 10).into(),
    };
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn takes_cas_in_pem_in_base64_and_by_reference() {
    let pem = certificate(true, 365);
    let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &pem);
    for trusted in [
        json!(pem),
        json!(packed),
        json!({"inline": pem}),
        json!({"egret": true, "configMap": {"name": "corp-ca"}}),
        json!({"secret": {"namespace": "team", "name": "corp-ca", "key": "ca.crt"}}),
        json!({"clusterTrustBundle": {"name": "corp-roots"}}),
        json!({"clusterTrustBundle": {"signerName": "corp.example/roots", "labelSelector": {"matchLabels": {"a": "b"}}}}),
    ] {
        assert_eq!(proxy(json!({"trustedCA": trusted})), Report::default(), "{trusted}");
    }
    assert_eq!(proxy(json!({"trustedCa": packed})), Report::default());
}

#[test]
fn refuses_a_ca_that_is_not_a_ca() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let many = certificate(true, 365).repeat(21);
    for (trusted, part) in [
        (json!("hello"), "neither PEM nor base64"),
        (json!("aGVsbG8="), "no certificate"),
        (json!(""), "no certificate"),
        (json!(5), "it is no CA"),
        (json!(certificate(false, 365)), "is no CA"),
        (json!(certificate(true, -1)), "ended at"),
        (json!(format!("{}{key}", certificate(true, 365))), "private key"),
        (json!(many), "21 certificates"),
        (json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read"),
        (json!({}), "names no CA"),
        (json!({"configmap": {"name": "a"}}), "did you mean `configMap`"),
        (json!({"configMap": {"name": "Not_A_Name"}}), "no name of an object"),
        (json!({"clusterTrustBundle": {}}), "either by `name` or by `signerName`"),
        (json!({"clusterTrustBundle": {"name": "a", "signerName": "b.example/c"}}), "give one of the two"),
    ] {
        let report = proxy(json!({"httpProxy": "http://p:1", "trustedCA": trusted}));
        assert!(!report.is_valid(), "{part}");
        let text = report.one_line();
        assert!(text.contains(part), "{part}: {text}");
        assert!(text.starts_with("spec.trustedCA"), "{text}");
        assert!(!text.contains("PRIVATE KEY-----"), "{text}");
    }
}

#[test]
fn refuses_both_spellings_of_the_ca() {
    let report = proxy(json!({"trustedCA": {"egret": true}, "trustedCa": {"egret": true}}));
    assert_eq!(paths(&report), ["spec.trustedCa"]);
}

#[test]
fn warns_of_a_ca_that_ends_soon() {
    let report = proxy(json!({"trustedCA": certificate(true, 10)}));
    assert_eq!(report.errors, []);
    assert!(report.warnings[0].message.contains("ends at"), "{report:?}");
}
