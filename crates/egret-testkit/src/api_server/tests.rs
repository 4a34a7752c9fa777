//! The server against the recordings of a real one, and under the real kubectl.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::ApiServer;

fn recorded(text: &str, case: &str) -> Value {
    let cases: Value = serde_json::from_str(text).unwrap();
    cases
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["case"] == case)
        .unwrap_or_else(|| panic!("no case {case}"))
        .clone()
}

fn stale(case: &str) -> Value {
    recorded(include_str!("../../fixtures/k8s/stale-and-conflict.json"), case)
}

fn token(case: &str) -> Value {
    recorded(include_str!("../../fixtures/k8s/tokenreview.json"), case)
}

fn pod(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "team-a", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    })
}

fn get(server: &ApiServer, path: &str) -> (u16, Value) {
    let answer = server.call("GET", path, &[], &Value::Null);
    (answer.status, answer.body)
}

#[test]
fn answers_stale_versions_and_conflicts_as_recorded() {
    let server = ApiServer::start();
    server.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app-env", "namespace": "team-a"}}));
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "term"}}));
    server.terminate_namespace("term");
    let map = |name: &str, version: &str| {
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        if !version.is_empty() {
            map["metadata"]["resourceVersion"] = json!(version);
        }
        map
    };
    for (case, method, body) in [
        ("bad-selector", "GET", Value::Null),
        ("watch-bad-rv", "GET", Value::Null),
        ("put-conflict", "PUT", map("app-env", "1")),
        ("post-already-exists", "POST", map("app-env", "")),
        ("not-found", "GET", Value::Null),
        ("post-namespace-missing", "POST", map("x", "")),
        ("post-namespace-terminating", "POST", map("x", "")),
    ] {
        let wanted = stale(case);
        let answer = server.call(method, wanted["request"].as_str().unwrap(), &[], &body);
        assert_eq!(answer.status, wanted["httpStatus"], "{case}");
        assert_eq!(answer.body, wanted["response"], "{case}");
    }
    // Those that name the server's own version.
    let current = server.version();
    let answer = get(&server, stale("list-too-new")["request"].as_str().unwrap());
    let wanted = stale("list-too-new")["response"].to_string().replace("1067", &current.to_string());
    assert_eq!(answer, (504, serde_json::from_str(&wanted).unwrap()));
    server.compact();
    let floor = server.version();
    let (status, body) = get(&server, stale("watch-rv-1")["request"].as_str().unwrap());
    let wanted = stale("watch-rv-1")["response"].to_string().replace("1093", &floor.to_string());
    assert_eq!((status, body), (200, json!([serde_json::from_str::<Value>(&wanted).unwrap()])));
    let (status, body) =
        get(&server, "/api/v1/namespaces/team-a/pods?resourceVersion=300&resourceVersionMatch=Exact");
    assert_eq!((status, body), (410, stale("list-exact-compacted-rv")["response"].clone()));
}

#[test]
fn pages_are_of_one_version_until_it_is_gone() {
    let server = ApiServer::start();
    for name in ["a", "b", "c", "d", "e"] {
        server.put(pod(name, json!({})));
    }
    let path = "/api/v1/namespaces/team-a/pods?limit=2";
    let (_, first) = get(&server, path);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.remove("v1", "pods", "team-a", "d");
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = get(&server, &format!("{path}&continue={token}"));
    let names: Vec<&Value> =
        second["items"].as_array().unwrap().iter().map(|p| &p["metadata"]["name"]).collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    server.compact();
    let (status, gone) = get(&server, &format!("{path}&continue={token}"));
    let wanted = stale("list-expired-continue")["response"].clone();
    assert_eq!((status, &gone["message"]), (410, &wanted["message"]));
    let token = gone["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = get(&server, &format!("{path}&continue={token}"));
    assert_eq!(rest["items"][1]["metadata"]["name"], "e");
}

/// Type, name, version and `w` of each event.
fn seen(body: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    body.as_array()
        .unwrap()
        .iter()
        .map(|e| (text(&e["type"]), text(&e["object"]["metadata"]["name"])))
        .collect()
}

#[test]
fn selector_watch_shows_a_removed_label_as_deleted() {
    let server = ApiServer::start();
    server.put(pod("other", json!({})));
    let from = server.version();
    server.put(pod("watched", json!({"w": "1"})));
    let label = |value: Value| {
        server.change("v1", "pods", "team-a", "watched", |p| p["metadata"]["labels"] = value);
    };
    label(json!({"w": "1", "x": "y"}));
    label(json!({"x": "y"}));
    let left = server.version();
    label(json!({"w": "1"}));
    server.remove("v1", "pods", "team-a", "watched");
    let path = format!("/api/v1/pods?watch=1&resourceVersion={from}&labelSelector=w%3D1&timeoutSeconds=1");
    let (_, body) = get(&server, &path);
    let kinds: Vec<String> = seen(&body).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
    // As it was when it last belonged, at the version of the change.
    assert_eq!(body[2]["object"]["metadata"]["labels"], json!({"w": "1", "x": "y"}));
    assert_eq!(body[2]["object"]["metadata"]["resourceVersion"], left.to_string());
}

#[test]
fn watch_list_ends_its_initial_events_with_a_bookmark_as_recorded() {
    let server = ApiServer::start();
    server.put(pod("b", json!({})));
    server.put(pod("a", json!({})));
    let path = "/api/v1/pods?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    let (_, body) = get(&server, path);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        seen(&body),
        [pair("ADDED", "a"), pair("ADDED", "b"), pair("BOOKMARK", "-"), pair("BOOKMARK", "-")]
    );
    let wanted = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "resourceVersion": server.version().to_string(), "annotations": {"k8s.io/initial-events-end": "true"},
        },
        "spec": {"containers": null}, "status": {},
    });
    assert_eq!(body[2]["object"], wanted);
}

#[test]
fn bookmarks_come_in_their_time() {
    let server = ApiServer::builder().bookmark_every(Duration::from_millis(300)).start();
    let (_, body) =
        get(&server, "/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds=1");
    assert!(body.as_array().unwrap().len() >= 3, "{body}");
}

#[test]
fn metadata_alone_is_had_by_accept() {
    let server = ApiServer::start();
    server.put(pod("a", json!({"x": "y"})));
    let accept = [("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")];
    let list = server.call("GET", "/api/v1/pods", &accept, &Value::Null).body;
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(list["items"][0]["metadata"]["labels"]["x"], "y");
    assert!(list["items"][0].get("spec").is_none());
}

#[test]
fn token_reviews_are_as_recorded() {
    let server = ApiServer::start();
    server.put(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": "team-a"}}));
    server.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}}));
    let mut idpod = pod("idpod", json!({}));
    idpod["spec"]["serviceAccountName"] = json!("builder");
    idpod["spec"]["nodeName"] = json!("node-a");
    server.put(idpod);
    let bound = server.issue_token("team-a", "builder", &["egress-proxy"], Some("idpod"));
    let review = |token: &str, audiences: Value| {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        });
        let answer = server.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", &[], &body);
        (answer.status, answer.body)
    };
    let blank = |mut status: Value| {
        // What differs from run to run.
        if let Some(user) = status.get_mut("user").filter(|u| u["uid"].is_string()) {
            user["uid"] = json!("");
            for (_, value) in user["extra"].as_object_mut().unwrap() {
                if value[0].as_str().is_some_and(|t| t.starts_with("JTI=") || t.len() == 36) {
                    *value = json!([""]);
                }
            }
        }
        status
    };
    for (case, token_text, audiences) in [
        ("tokenreview-ok", bound.as_str(), json!(["egress-proxy"])),
        ("tokenreview-ok-two-audiences", &bound, json!(["egress-proxy", "other"])),
        ("tokenreview-wrong-audience", &bound, json!(["other"])),
        ("tokenreview-no-audience-asked", &bound, Value::Null),
        ("tokenreview-garbage", "not-a-token", json!(["egress-proxy"])),
    ] {
        let wanted = token(case);
        let (status, body) = review(token_text, audiences);
        assert_eq!(status, wanted["httpStatus"], "{case}");
        assert_eq!(blank(body["status"].clone()), blank(wanted["response"]["status"].clone()), "{case}");
    }
    let (status, body) = review("", json!(["egress-proxy"]));
    assert_eq!((status, body), (400, token("tokenreview-empty")["response"].clone()));
    server.remove("v1", "pods", "team-a", "idpod");
    let (_, body) = review(&bound, json!(["egress-proxy"]));
    assert_eq!(body["status"], token("tokenreview-after-pod-deleted")["response"]["status"]);
    server.forbid("create", "authentication.k8s.io", "tokenreviews");
    let (status, body) = review(&bound, json!(["egress-proxy"]));
    let wanted =
        token("tokenreview-caller-without-rbac")["response"].to_string().replace("alice", "system:admin");
    assert_eq!((status, body), (403, serde_json::from_str(&wanted).unwrap()));
}

#[test]
fn who_has_no_token_is_turned_away() {
    let server = ApiServer::builder().token("good", "system:serviceaccount:egret-system:egret").start();
    assert_eq!(get(&server, "/api/v1/pods").0, 401);
    let answer = server.call("GET", "/api/v1/pods", &[("Authorization", "Bearer good")], &Value::Null);
    assert_eq!(answer.status, 200);
}

#[test]
fn apply_owns_fields_and_conflicts_as_recorded() {
    let server = ApiServer::start();
    server.put(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "egresspolicies.egress.toy.example"},
        "spec": {
            "group": "egress.toy.example", "scope": "Namespaced",
            "names": {"plural": "egresspolicies", "singular": "egresspolicy", "kind": "EgressPolicy"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "allow": {
                        "type": "array", "items": {"type": "object"},
                        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host"],
                    },
                }}}}},
            }],
        },
    }));
    let apply = |manager: &str, force: bool, spec: Value| {
        let path = format!(
            "/apis/egress.toy.example/v1alpha1/namespaces/default/egresspolicies/ssa?fieldManager={manager}&force={force}"
        );
        let body = json!({"apiVersion": "egress.toy.example/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": "ssa"}, "spec": spec});
        server.call("PATCH", &path, &[("Content-Type", "application/apply-patch+yaml")], &body)
    };
    assert_eq!(apply("team", false, json!({"allow": [{"host": "a"}], "defaultDeny": false})).status, 201);
    let refused = apply("operator", false, json!({"allow": [{"host": "z"}], "defaultDeny": true}));
    let wanted = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Apply failed with 1 conflict: conflict with \"team\": .spec.defaultDeny", "reason": "Conflict",
        "details": {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"team\"", "field": ".spec.defaultDeny"}]},
        "code": 409,
    });
    assert_eq!((refused.status, refused.body), (409, wanted));
    let forced = apply("operator", true, json!({"allow": [{"host": "z"}], "defaultDeny": true})).body;
    assert_eq!(forced["spec"], json!({"allow": [{"host": "a"}, {"host": "z"}], "defaultDeny": true}));
    assert_eq!(forced["metadata"]["generation"], 2);
    let managers = forced["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(
        managers[0]["fieldsV1"],
        json!({"f:spec": {"f:allow": {"k:{\"host\":\"z\"}": {".": {}, "f:host": {}}}, "f:defaultDeny": {}}})
    );
    assert_eq!(
        managers[1]["fieldsV1"],
        json!({"f:spec": {"f:allow": {"k:{\"host\":\"a\"}": {".": {}, "f:host": {}}}}})
    );
    // What its last owner applies no longer goes.
    let less = apply("operator", false, json!({"defaultDeny": true})).body;
    assert_eq!(less["spec"], json!({"allow": [{"host": "a"}], "defaultDeny": true}));
}

#[test]
fn status_is_written_through_its_own_endpoint() {
    let server = ApiServer::start();
    server.put(pod("a", json!({})));
    let merge = [("Content-Type", "application/merge-patch+json")];
    let change = json!({"status": {"phase": "Running"}});
    let path = "/api/v1/namespaces/team-a/pods/a";
    let _ = server.call("PATCH", path, &merge, &change);
    assert!(server.object("v1", "pods", "team-a", "a").unwrap().get("status").is_none());
    let answer = server.call("PATCH", &format!("{path}/status"), &merge, &change);
    assert_eq!(answer.body["status"]["phase"], "Running");
}

#[test]
fn discovery_is_as_recorded() {
    let server = ApiServer::start();
    let without_hashes = |text: &str| {
        let mut list: Value = serde_json::from_str(text).unwrap();
        for resource in list["resources"].as_array_mut().unwrap() {
            resource.as_object_mut().unwrap().shift_remove("storageVersionHash");
        }
        list
    };
    for (path, text) in [
        ("/api/v1", include_str!("../../fixtures/k8s/api_v1.json")),
        ("/apis/apps/v1", include_str!("../../fixtures/k8s/apis_apps_v1.json")),
        ("/apis/networking.k8s.io/v1", include_str!("../../fixtures/k8s/apis_networking.k8s.io_v1.json")),
    ] {
        assert_eq!(get(&server, path), (200, without_hashes(text)), "{path}");
    }
    assert_eq!(get(&server, "/apis/none.example/v1").0, 404);
}

/// Runs kubectl: stdout, or stderr of what failed.
fn kubectl(server: &ApiServer, arguments: &[&str], input: &Value) -> Result<String, String> {
    use std::io::Write;
    let home = server.kubeconfig().parent().unwrap().to_owned();
    let mut child = Command::new(crate::tools::kubectl())
        .arg("--kubeconfig")
        .arg(server.kubeconfig())
        .arg("--cache-dir")
        .arg(home.join("cache"))
        .args(arguments)
        .env("HOME", &home)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("kubectl is installed: ./test --deps");
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn kubectl_gets_applies_deletes_and_watches() {
    let server = ApiServer::start();
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}));
    let deployment = |replicas: u32| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "team-a"},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "app", "image": "app:1"}]},
                },
            },
        })
    };
    let apply = ["apply", "--validate=false", "-f", "-"];
    assert_eq!(kubectl(&server, &apply, &deployment(1)).unwrap(), "deployment.apps/web created");
    assert_eq!(kubectl(&server, &apply, &deployment(1)).unwrap(), "deployment.apps/web unchanged");
    assert_eq!(kubectl(&server, &apply, &deployment(2)).unwrap(), "deployment.apps/web configured");
    let server_side = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-"];
    assert_eq!(
        kubectl(&server, &server_side, &deployment(3)).unwrap(),
        "deployment.apps/web serverside-applied"
    );
    let get = ["-n", "team-a", "get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"];
    assert_eq!(kubectl(&server, &get, &Value::Null).unwrap(), "3");
    let label = ["-n", "team-a", "label", "deployment", "web", "tier=front"];
    assert_eq!(kubectl(&server, &label, &Value::Null).unwrap(), "deployment.apps/web labeled");
    server.put(pod("bare", json!({})));
    let wait =
        ["-n", "team-a", "wait", "--for=jsonpath={.status.phase}=Running", "pod/bare", "--timeout=20s"];
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| kubectl(&server, &wait, &Value::Null));
        crate::wait_for("kubectl to watch", Duration::from_secs(20), || {
            (server.watches("pods") > 0).then_some(())
        });
        server.change("v1", "pods", "team-a", "bare", |p| p["status"]["phase"] = json!("Running"));
        assert_eq!(waiting.join().unwrap().unwrap(), "pod/bare condition met");
    });
    let delete = ["-n", "team-a", "delete", "deployment", "web"];
    assert!(kubectl(&server, &delete, &Value::Null).unwrap().starts_with("deployment.apps \"web\" deleted"));
    assert_eq!(
        kubectl(&server, &["-n", "team-a", "get", "deployment", "web"], &Value::Null).unwrap_err(),
        "Error from server (NotFound): deployments.apps \"web\" not found"
    );
}

#[test]
fn kubectl_describes_events_of_either_group() {
    let server = ApiServer::start();
    let stored = server.put(pod("bare", json!({})));
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"generateName": "bare.", "namespace": "team-a"},
        "eventTime": "2026-11-21T09:00:00.000000Z", "reportingController": "egret.dev/proxy",
        "reportingInstance": "p-1", "action": "Refuse", "reason": "EgressDenied", "type": "Warning",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "team-a", "name": "bare", "uid": stored["metadata"]["uid"]},
        "note": "not allowed",
    });
    let answer = server.call("POST", "/apis/events.k8s.io/v1/namespaces/team-a/events", &[], &event);
    assert_eq!((answer.status, &answer.body["note"]), (201, &json!("not allowed")));
    assert_eq!(answer.body["deprecatedSource"], json!({}));
    let text = kubectl(&server, &["-n", "team-a", "describe", "pod", "bare"], &Value::Null).unwrap();
    assert!(text.contains("EgressDenied") && text.contains("not allowed"), "{text}");
}

#[test]
fn registered_webhooks_are_called_and_their_faults_judged_as_recorded() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::io::{Read, Write};
    let hook = crate::Server::start(|mut connection| {
        let mut text = Vec::new();
        let mut buffer = [0; 65536];
        let review: Value = loop {
            let count = connection.read(&mut buffer).unwrap_or(0);
            text.extend_from_slice(&buffer[..count]);
            let body = text.windows(4).position(|w| w == b"\r\n\r\n").map(|at| &text[at + 4..]);
            if let Some(review) = body.and_then(|body| serde_json::from_slice(body).ok()) {
                break review;
            }
            assert!(count > 0);
        };
        let asked = &review["request"];
        let mode = asked["object"]["metadata"]["labels"]["mode"].as_str().unwrap_or("good").to_owned();
        let patch = match mode.as_str() {
            "badpath" => json!([{"op": "add", "path": "/spec/nope/deeper", "value": 1}]),
            _ => json!([{"op": "add", "path": "/metadata/annotations", "value": {"seen": "yes"}}]),
        };
        let mut response = json!({
            "uid": asked["uid"], "allowed": mode != "deny", "patchType": "JSONPatch",
            "patch": STANDARD.encode(patch.to_string()), "warnings": ["look"],
        });
        match mode.as_str() {
            "wronguid" => response["uid"] = json!("other"),
            "deny" => {
                response =
                    json!({"uid": asked["uid"], "allowed": false, "status": {"code": 403, "message": "no"}})
            }
            _ => {}
        }
        let body =
            json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response})
                .to_string();
        let _ = write!(connection.stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    });
    for (policy, mode, status) in [
        ("Fail", "good", 201),
        ("Fail", "badpath", 500),
        ("Ignore", "badpath", 500),
        ("Fail", "wronguid", 500),
        ("Ignore", "wronguid", 201),
        ("Ignore", "deny", 403),
    ] {
        let server = ApiServer::start();
        server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}));
        server.put(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "hook"},
            "webhooks": [{
                "name": "hook.example", "failurePolicy": policy, "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": format!("http://{}/mutate", hook.address())},
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "namespaceSelector": {"matchExpressions": [{"key": "out", "operator": "DoesNotExist"}]},
            }],
        }));
        let body = pod("p", json!({"mode": mode}));
        let answer = server.call("POST", "/api/v1/namespaces/team-a/pods", &[], &body);
        assert_eq!(answer.status, status, "{policy} {mode}: {}", answer.body);
        if mode == "good" {
            assert_eq!(answer.body["metadata"]["annotations"]["seen"], "yes");
            assert!(answer.fields.contains(&("warning".to_owned(), "299 - \"look\"".to_owned())));
        }
    }
}
