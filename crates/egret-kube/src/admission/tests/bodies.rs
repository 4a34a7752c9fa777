//! Bodies, good and hostile.

use base64::Engine as _;

use super::*;

#[tokio::test]
async fn every_recorded_review_is_answered_with_its_uid() {
    let running = start(Limits::default()).await;
    let directory = format!("{}/tests/fixtures/admission", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let body = std::fs::read(entry.unwrap().path()).unwrap();
        let sent: Value = serde_json::from_slice(&body).unwrap();
        for path in ["/mutate?timeout=5s", "/validate?timeout=5s"] {
            let response = response(&post(&running, path, body.clone()).await);
            assert_eq!((&response["uid"], &response["allowed"]), (&sent["request"]["uid"], &json!(true)));
        }
        count += 1;
    }
    assert!(count > 50);
    assert!(running.webhook.metrics().count("mutate", "injected") > 40);
    assert!(running.webhook.metrics().count("mutate", "unchanged") >= 3, "namespaces");
}

#[tokio::test]
async fn the_patch_fits_the_pod() {
    let running = start(Limits::default()).await;
    let body = recorded("01-bare-pod.1");
    let response = response(&post(&running, "/mutate", body.clone()).await);
    assert_eq!(response["patchType"], "JSONPatch");
    let patch =
        base64::engine::general_purpose::STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut pod = serde_json::from_slice::<Value>(&body).unwrap()["request"]["object"].clone();
    json_patch::patch(&mut pod, &patch).unwrap();
    assert_eq!(
        pod["spec"]["containers"][0]["env"][0],
        json!({"name": "HTTP_PROXY", "value": "http://egret:8888"})
    );
    assert_eq!(response["auditAnnotations"]["injected"], "default");
}

fn envelope(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&recorded("01-bare-pod.1")).unwrap();
    change(&mut review);
    review.to_string().into_bytes()
}

#[tokio::test]
async fn what_is_no_admission_review_of_v1_is_refused_and_says_why() {
    let running = start(Limits::default()).await;
    let cases: [(Vec<u8>, &str); 11] = [
        (b"".to_vec(), "AdmissionReview"),
        (b"not json".to_vec(), "AdmissionReview"),
        (b"[]".to_vec(), "AdmissionReview"),
        (b"{\"kind\": \"AdmissionReview\", \"kind\": \"x\"}".to_vec(), "duplicate"),
        (
            envelope(|review| review["apiVersion"] = json!("admission.k8s.io/v1beta1")),
            "admissionReviewVersions",
        ),
        (envelope(|review| review["kind"] = json!("Pod")), "\"Pod\""),
        (envelope(|review| drop(review.as_object_mut().unwrap().shift_remove("request"))), "no request"),
        (envelope(|review| review["request"]["uid"] = json!("")), "uid"),
        (envelope(|review| review["request"]["uid"] = json!("x".repeat(1000))), "uid"),
        (envelope(|review| review["request"]["operation"] = json!({"deep": 1})), "AdmissionReview"),
        (recorded("01-bare-pod.1")[..300].to_vec(), "AdmissionReview"),
    ];
    for (body, word) in cases {
        let (status, said) = post(&running, "/mutate", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        assert!(said.contains(word), "{word} in {said}");
    }
    assert_eq!(running.webhook.metrics().count("mutate", "malformed"), 11);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let running = start(Limits { body_bytes: 10_000, ..Limits::default() }).await;
    let (status, said) = post(&running, "/mutate", vec![b' '; 10_001]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(said.contains("body_bytes"), "{said}");
    assert_eq!(post(&running, "/mutate", recorded("01-bare-pod.1")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn bodies_of_all_requests_together_are_bounded() {
    let limits = Limits { bodies_bytes: 8 * 1024, body: Duration::from_millis(100), ..Limits::default() };
    let running = start(limits).await;
    let (status, said) = post(&running, "/mutate", vec![b' '; 9 * 1024]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said.contains("bodies_bytes"), "{said}");
    assert_eq!(running.webhook.metrics().limit_hits(Limit::BodiesBytes), 1);
    assert_eq!(post(&running, "/mutate", recorded("01-bare-pod.1")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn depth_breaks_nothing() {
    let running = start(Limits::default()).await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let (status, _) = post(&running, "/mutate", deep.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let pod = format!("{{\"spec\": {{\"containers\": [{{\"name\": \"a\"}}], \"odd\": {deep}}}}}");
    let body = String::from_utf8(envelope(|review| review["request"]["object"] = json!("OBJECT"))).unwrap();
    let answer = post(&running, "/mutate", body.replace("\"OBJECT\"", &pod)).await;
    assert_eq!(response(&answer)["allowed"], true);
    let object = format!("{{\"spec\": {deep}}}");
    let body = String::from_utf8(envelope(|review| {
        review["request"]["kind"] =
            json!({"group": "egret.dev", "version": "v1alpha1", "kind": "EgressProxy"});
        review["request"]["object"] = json!("OBJECT");
    }));
    let answer = post(&running, "/validate", body.unwrap().replace("\"OBJECT\"", &object)).await;
    assert_eq!(response(&answer)["allowed"], false);
}

#[tokio::test]
async fn odd_pods_are_let_through_as_they_are_with_a_warning() {
    let running = start(Limits::default()).await;
    for object in [
        json!({}),
        json!({"spec": {"containers": {}}}),
        json!("text"),
        json!({"spec": {"containers": [{"env": 7}]}}),
    ] {
        let response = response(
            &post(&running, "/mutate", envelope(|review| review["request"]["object"] = object)).await,
        );
        assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
        assert_eq!(response["warnings"].as_array().unwrap().len(), 1, "{response}");
    }
    let none = response(
        &post(&running, "/mutate", envelope(|review| review["request"]["object"] = Value::Null)).await,
    );
    assert_eq!(none["allowed"], true);
    for (operation, sub) in
        [("DELETE", ""), ("UPDATE", ""), ("UPDATE", "status"), ("CONNECT", "exec"), ("CREATE", "eviction")]
    {
        let body = envelope(|review| {
            review["request"]["operation"] = json!(operation);
            review["request"]["subResource"] = json!(sub);
        });
        let response = response(&post(&running, "/mutate", body).await);
        assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
    }
}

#[tokio::test]
async fn without_settings_pods_go_through_with_a_warning() {
    let running = start(Limits::default()).await;
    running.webhook.inner.snapshot.store(None);
    let answer = response(&post(&running, "/mutate", recorded("01-bare-pod.1")).await);
    assert_eq!((&answer["allowed"], &answer["patch"]), (&json!(true), &Value::Null));
    assert!(answer["warnings"][0].as_str().unwrap().contains("not read its settings"));
    let (status, why) = send(&running, request(Method::GET, "/readyz", None, Vec::new())).await;
    assert_eq!((status, why.trim()), (StatusCode::SERVICE_UNAVAILABLE, "no settings yet"));
}

#[tokio::test]
async fn objects_are_refused_with_all_that_is_wrong_unless_they_are_being_deleted() {
    let running = start(Limits::default()).await;
    let review = |spec: Value, metadata: Value, group: &str| {
        envelope(|review| {
            review["request"]["kind"] =
                json!({"group": group, "version": "v1alpha1", "kind": "EgressPolicy"});
            review["request"]["object"] = json!({"metadata": metadata, "spec": spec});
        })
    };
    let refused =
        response(&post(&running, "/validate", review(json!({"bad": "why"}), json!({}), "egret.dev")).await);
    assert_eq!(refused["allowed"], false);
    assert_eq!(refused["status"]["message"], "EgressPolicy in Some(\"team-a\"): why");
    assert_eq!(refused["warnings"], json!(["egret: look?closer"]));
    let good = response(&post(&running, "/validate", review(json!({}), json!({}), "egret.dev")).await);
    assert_eq!(good["allowed"], true);
    let ending = json!({"deletionTimestamp": "2026-11-21T00:00:00Z"});
    let ending =
        response(&post(&running, "/validate", review(json!({"bad": "why"}), ending, "egret.dev")).await);
    assert_eq!(ending["allowed"], true);
    let other =
        response(&post(&running, "/validate", review(json!({"bad": "why"}), json!({}), "other.dev")).await);
    assert_eq!(other["allowed"], true);
    let broken =
        response(&post(&running, "/validate", review(json!({"panic": 1}), json!({}), "egret.dev")).await);
    assert_eq!(broken["allowed"], true);
    assert!(broken["warnings"][0].as_str().unwrap().contains("not checked"));
}

#[tokio::test]
async fn labels_that_do_not_come_are_not_waited_for() {
    let look_up: LookUpNamespace = Box::new(|_| Box::pin(std::future::pending()));
    let limits = Limits { lookup: Duration::from_millis(20), ..Limits::default() };
    let running = start_with(Webhook::new(limits, check, Some(look_up))).await;
    assert_eq!(response(&post(&running, "/mutate", recorded("01-bare-pod.1")).await)["allowed"], true);
    assert_eq!(running.webhook.metrics().limit_hits(Limit::Lookup), 1);
}

#[tokio::test]
async fn the_labels_of_a_new_namespace_are_asked_for() {
    use egret_core::policy::{Operator, Requirement, Selector};
    let look_up: LookUpNamespace = Box::new(|name| {
        let labels = (name == "team-a").then(|| vec![("team".into(), "a".into())]);
        Box::pin(async move { labels })
    });
    let running = start_with(Webhook::new(Limits::default(), check, Some(look_up))).await;
    let requirement = Requirement { key: "team".into(), operator: Operator::In, values: vec!["a".into()] };
    let namespaces = Some(Selector { requirements: vec![requirement] });
    let proxy =
        CompiledProxy { namespaces, ..CompiledProxy::new("d", 1, "http://egret:1", Injected::default()) };
    running.webhook.set_snapshot(Snapshot::new(vec![Arc::new(proxy)], Arc::default(), String::new()));
    let known = response(&post(&running, "/mutate", recorded("01-bare-pod.1")).await);
    assert_eq!(known["auditAnnotations"]["injected"], "d");
    let unknown = envelope(|review| review["request"]["namespace"] = json!("other"));
    let unknown = response(&post(&running, "/mutate", unknown).await);
    assert!(unknown["warnings"][0].as_str().unwrap().contains("not known yet"), "{unknown}");
}
