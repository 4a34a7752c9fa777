//! What the manifests allow is enough for what the programs do with the API server.

use std::process::{Child, Stdio};
use std::time::Duration;

use egret_testkit::api_server::Called;
use egret_testkit::wait::wait_until;
use egret_testkit::{ApiServer, Egret, HttpOrigin, RawClient};
use serde_json::{Value, json};

use super::*;
use crate::objects::items;

const PATIENCE: Duration = Duration::from_secs(60);

/// A request as the authorizer sees it.
#[derive(Debug)]
struct Attributes {
    verb: &'static str,
    group: String,
    resource: String,
    namespace: String,
    name: String,
}

/// What a request asks for; `None` for discovery, which everybody may.
fn attributes(call: &Called) -> Option<Attributes> {
    let parts: Vec<&str> = call.path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        [] => return None,
        ["namespaces", name] => return Some(with(call, group, "namespaces", "", name)),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        rest => ("", rest),
    };
    Some(match rest {
        [resource] => with(call, group, resource, namespace, ""),
        [resource, name] => with(call, group, resource, namespace, name),
        [resource, name, sub @ ..] => {
            with(call, group, &format!("{resource}/{}", sub.join("/")), namespace, name)
        }
        [] => return None,
    })
}

fn with(call: &Called, group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
    let has = |pair: &str| call.query.split('&').any(|found| found == pair);
    let verb = match call.method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ if has("watch=true") || has("watch=1") => "watch",
        _ if name.is_empty() => "list",
        _ => "get",
    };
    // A list of one by its name is authorized as that one.
    let selected = call.query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name="));
    let name = if name.is_empty() { selected.unwrap_or_default() } else { name };
    let texts = [group, resource, namespace, name].map(str::to_owned);
    let [group, resource, namespace, name] = texts;
    Attributes { verb, group, resource, namespace, name }
}

/// The rules of a service account, each with the namespace it holds in (empty: all).
fn rules(objects: &[Value], account: &str) -> Vec<(String, Value)> {
    let of = |binding: &&Value| items(&binding["subjects"]).any(|subject| subject["name"] == account);
    let bindings = objects.iter().filter(|o| o["kind"].as_str().unwrap().ends_with("RoleBinding")).filter(of);
    let mut found = Vec::new();
    for binding in bindings {
        let (kind, name) = (&binding["roleRef"]["kind"], binding["roleRef"]["name"].as_str().unwrap());
        let role = objects::find(objects, kind.as_str().unwrap(), name);
        let namespace = if kind == "Role" { role["metadata"]["namespace"].as_str().unwrap() } else { "" };
        found.extend(items(&role["rules"]).map(|rule| (namespace.to_owned(), rule.clone())));
    }
    assert!(!found.is_empty(), "{account} has no rights at all");
    found
}

fn allows((namespace, rule): &(String, Value), asked: &Attributes) -> bool {
    let has = |field: &str, value: &str| items(&rule[field]).any(|found| found == value);
    let named = rule.get("resourceNames").is_none() || has("resourceNames", &asked.name);
    (namespace.is_empty() || *namespace == asked.namespace)
        && has("apiGroups", &asked.group)
        && has("resources", &asked.resource)
        && has("verbs", asked.verb)
        && named
}

/// Every request that came was allowed.
fn assert_allowed(api: &ApiServer, account: &str, agent: &str) -> Vec<String> {
    let rules = rules(&kustomized("cluster"), account);
    let calls: Vec<Called> = api.calls().into_iter().filter(|call| call.user_agent.contains(agent)).collect();
    let asked: Vec<Attributes> = calls.iter().filter_map(attributes).collect();
    let refused = asked.iter().filter(|asked| !rules.iter().any(|rule| allows(rule, asked)));
    let refused: Vec<String> = refused.map(|asked| format!("{asked:?}")).collect();
    assert!(refused.is_empty(), "{account} may not: {refused:#?}");
    asked.iter().map(|asked| format!("{} {}", asked.verb, asked.resource)).collect()
}

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cluster() -> ApiServer {
    let api = ApiServer::start();
    api.serve_resource("egret.dev", "v1alpha1", "egressproxies", "EgressProxy", false);
    api.serve_resource("egret.dev", "v1alpha1", "clusteregresspolicies", "ClusterEgressPolicy", false);
    api.serve_resource("egret.dev", "v1alpha1", "egresspolicies", "EgressPolicy", true);
    for name in ["egret-system", "shop"] {
        let labels = json!({ "kubernetes.io/metadata.name": name });
        api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }));
    }
    for file in ["egressproxy.yaml", "policies.yaml"] {
        let text = std::fs::read_to_string(root().join("deploy/cluster/examples").join(file)).unwrap();
        for mut object in objects_of(&text) {
            object["metadata"]["generation"] = 1.into();
            if object["kind"] == "EgressProxy" {
                object["spec"]["rollout"] = "Restart".into();
            }
            api.put(object);
        }
    }
    // A pod that was made before, and whom it belongs to.
    let template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    api.put(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop", "generation": 1 },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "web" } }, "template": template },
        "status": { "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1 } }));
    api.put(json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "web-1", "namespace": "shop",
        "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u1", "controller": true }] },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": template } }));
    api.put(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web-1-a", "namespace": "shop", "labels": { "app": "web" },
        "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u2", "controller": true }] },
        "spec": { "nodeName": "node-a", "serviceAccountName": "default", "containers": [{ "name": "c", "image": "i" }] },
        "status": { "phase": "Running", "podIP": "127.0.9.1", "podIPs": [{ "ip": "127.0.9.1" }], "hostIP": "127.0.9.250" } }));
    api
}

#[test]
fn the_controller_asks_for_nothing_that_its_role_does_not_allow() {
    let api = cluster();
    let mut command = client(env!("CARGO_BIN_EXE_egret"));
    command.args(["controller", "--namespace", "egret-system", "--listen", "127.0.0.1:0", "--admin", "off"]);
    command.arg("--kubeconfig").arg(api.kubeconfig()).stdout(Stdio::null()).stderr(Stdio::null());
    let _controller = Running(command.spawn().unwrap());
    let there = |version: &str, plural: &str, namespace: &str, name: &str| {
        api.object(version, plural, namespace, name).is_some()
    };
    wait_until("the bundle in the namespace", PATIENCE, || there("v1", "configmaps", "shop", "egret-ca"));
    wait_until("the webhook", PATIENCE, || {
        there("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", "", "egret")
    });
    let has_status = |plural: &str, name: &str| {
        let object = api.object("egret.dev/v1alpha1", plural, "", name).unwrap();
        object["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
    };
    wait_until("the status of the EgressProxy", PATIENCE, || has_status("egressproxies", "default"));
    wait_until("the status of the policy", PATIENCE, || has_status("clusteregresspolicies", "packages"));
    wait_until("a look at the owner of the pod", PATIENCE, || {
        api.calls().iter().any(|call| call.path.ends_with("/replicasets/web-1"))
    });
    let done = assert_allowed(&api, "egret-controller", "");
    for expected in
        ["create leases", "create secrets", "patch configmaps", "patch egressproxies/status", "watch pods"]
    {
        assert!(done.iter().any(|found| found == expected), "no {expected} among {done:?}");
    }
}

#[test]
fn the_proxy_asks_for_nothing_that_its_role_does_not_allow() {
    let api = cluster();
    let origin = HttpOrigin::start();
    let config = format!("default: Deny\nkubernetes:\n  kubeconfig: {}\n", api.kubeconfig().display());
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret")).config(&config).start();
    let ask = |fields: &str| {
        let request =
            format!("GET {} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", origin.url("/"), origin.address());
        RawClient::connect_from([127, 0, 9, 1].into(), egret.address()).exchange(request).status()
    };
    assert_eq!(ask(""), 403);
    api.put(json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": "shop" } }));
    let token = api.issue_token("shop", "default", &["egret"], Some("web-1-a"));
    let _ = ask(&format!("Proxy-Authorization: Bearer {token}\r\n"));
    wait_until("an Event", PATIENCE, || api.calls().iter().any(|call| call.path.ends_with("/events")));
    let done = assert_allowed(&api, "egret", "");
    for expected in [
        "watch pods",
        "watch clusteregresspolicies",
        "watch namespaces",
        "create tokenreviews",
        "create events",
    ] {
        assert!(done.iter().any(|found| found == expected), "no {expected} among {done:?}");
    }
}
