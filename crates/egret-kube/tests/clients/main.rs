//! What is injected, given to real clients in a network of their own: none of them fails for it, names and addresses of
//! the cluster go direct, everything else goes to the proxy, and the right CAs are trusted. A client that is not installed
//! is a failure: `./test --deps` installs them all.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod lab;
mod no_proxy;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

use egret_kube::inject::{CompiledProxy, Request, Snapshot, Trust, inject};
use egret_kube::no_proxy::{ClusterFacts, Injected, Wanted, compute};
use serde_json::json;

/// The variables of a container after injection.
fn variables(facts: &ClusterFacts, wanted: &Wanted, trust: Option<Trust>) -> BTreeMap<String, String> {
    let no_proxy = Injected::new(&compute(facts, wanted));
    let proxy = CompiledProxy {
        java: true,
        trust,
        ..CompiledProxy::new("default", 1, "http://127.0.0.1:8888", no_proxy)
    };
    let snapshot = Snapshot::new(vec![Arc::new(proxy)], Arc::default(), "egret-system".to_owned());
    let object = json!({"spec": {"containers": [{"name": "app"}]}}).to_string();
    let request = Request {
        namespace: "a",
        namespace_labels: None,
        ephemeral: false,
        object: &object,
        old_object: None,
    };
    let injection = inject(&request, &snapshot);
    let env = injection.patch.iter().find(|operation| operation.path.ends_with("/env")).unwrap();
    let pairs = env.value.as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    pairs.map(|one| (text(&one["name"]), text(&one["value"]))).collect()
}
