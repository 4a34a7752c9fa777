//! Watches against the replaying API server: what breaks, goes stale or comes late.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egret_kube::client::{self, Access};
use egret_kube::watch::{Change, Health, Scope, watch};
use egret_testkit::{ApiServer, TestCa, wait::wait_until};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _};
use serde_json::json;

/// The names that a watch knows of, as they change.
#[derive(Clone)]
struct Known {
    names: Arc<Mutex<BTreeSet<String>>>,
    health: Arc<Health>,
}

impl Known {
    fn is(&self, names: &[&str]) -> bool {
        self.names.lock().unwrap().iter().map(String::as_str).eq(names.iter().copied())
    }

    fn becomes(&self, names: &[&str]) {
        wait_until(&format!("the pods {names:?}"), Duration::from_secs(20), || self.is(names));
    }
}

fn watching(server: &ApiServer, scope: Scope) -> Known {
    let known = Known { names: Arc::default(), health: Arc::new(Health::new("pods")) };
    let access = Access { kubeconfig: Some(server.kubeconfig()), part: "test" };
    let inside = known.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let api: Api<Pod> = Api::all(client::connect(&access).await.unwrap());
            let mut listed = BTreeSet::new();
            watch(api, scope, &inside.health, |change| {
                let mut names = inside.names.lock().unwrap();
                match change {
                    Change::Begin => listed.clear(),
                    Change::Listed(pod) => drop(listed.insert(pod.name_any())),
                    Change::Complete => names.clone_from(&listed),
                    Change::Applied(pod) => drop(names.insert(pod.name_any())),
                    Change::Deleted(pod) => drop(names.remove(&pod.name_any())),
                }
            })
            .await;
        });
    });
    known
}

fn put(server: &ApiServer, name: &str) {
    server.put(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a"},
        "spec": {"nodeName": "node-a", "containers": [{"name": "app"}]},
    }));
}

#[test]
fn goes_on_where_a_watch_broke() {
    let server = ApiServer::start();
    put(&server, "one");
    let known = watching(&server, Scope::default());
    known.becomes(&["one"]);
    put(&server, "two");
    known.becomes(&["one", "two"]);
    let lists = server.calls().iter().filter(|c| !c.query.contains("watch")).count();
    server.drop_watches();
    server.remove("v1", "pods", "a", "one");
    known.becomes(&["two"]);
    wait_until("it to be current", Duration::from_secs(20), || known.health.behind_for().is_none());
    assert_eq!(server.calls().iter().filter(|c| !c.query.contains("watch")).count(), lists, "no new list");
}

#[test]
fn lists_anew_when_its_version_is_gone() {
    let server = ApiServer::start();
    put(&server, "one");
    let known = watching(&server, Scope::default());
    known.becomes(&["one"]);
    server.set_away(true);
    put(&server, "two");
    server.remove("v1", "pods", "a", "one");
    server.compact();
    server.set_away(false);
    known.becomes(&["two"]);
}

#[test]
fn keeps_what_it_knows_while_the_api_server_is_away() {
    let server = ApiServer::start();
    put(&server, "one");
    let known = watching(&server, Scope::default());
    known.becomes(&["one"]);
    server.set_away(true);
    wait_until("it to be behind", Duration::from_secs(20), || known.health.behind_for().is_some());
    assert!(known.is(&["one"]) && known.health.is_read());
    server.set_away(false);
    put(&server, "two");
    known.becomes(&["one", "two"]);
}

#[test]
fn reads_long_lists_page_by_page_over_tls_with_a_token() {
    let ca = TestCa::new();
    let server =
        ApiServer::builder().tls(&ca).token("secret", "system:serviceaccount:egret-system:egret").start();
    for number in 0..1201 {
        put(&server, &format!("pod-{number}"));
    }
    let known = watching(&server, Scope { fields: "spec.nodeName=node-a".into(), ..Scope::default() });
    wait_until("all pods", Duration::from_secs(20), || known.names.lock().unwrap().len() == 1201);
    let calls = server.calls();
    assert!(calls.iter().any(|c| c.query.contains("continue=")));
    assert!(calls.iter().all(|c| c.query.contains("fieldSelector=spec.nodeName=node-a")));
    assert!(calls.iter().all(|c| c.user_agent.starts_with("egret-test/")), "{:?}", calls[0]);
}

#[test]
fn says_which_kubeconfig_cannot_be_used() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let access = Access { kubeconfig: Some("/nonexistent/config".into()), part: "test" };
    let error = runtime.block_on(client::connect(&access)).err().unwrap().to_string();
    assert!(error.contains("/nonexistent/config") && error.contains("kubernetes.kubeconfig"), "{error}");
}
