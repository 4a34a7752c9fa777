//! What injection promises, on pods as a real API server sent them, and on pods made to be difficult.
//! A patch is always judged by what it makes of the pod.

mod properties;
mod recorded;
mod trust;
mod values;

use serde_json::{Value, json};

use super::*;
use crate::no_proxy::Injected;

pub(super) const PROXY: &str = "http://egret.egret-system.svc:8888";
pub(super) const NO_PROXY: &str = ".svc,10.96.0.0/16,localhost,svc";

pub(super) fn proxy(name: &str) -> CompiledProxy {
    let no_proxy = Injected::from_entries(NO_PROXY.split(',').map(str::to_owned));
    CompiledProxy {
        trust: Some(Trust::from_config_map("egret-ca")),
        ..CompiledProxy::new(name, 3, PROXY, no_proxy)
    }
}

pub(super) fn snapshot(proxies: Vec<CompiledProxy>) -> Snapshot {
    let team_a: Labels = vec![("kubernetes.io/metadata.name".into(), "team-a".into())];
    let off: Labels = vec![("egret.dev/inject".into(), "disabled".into())];
    let namespaces = [("team-a".to_owned(), team_a), ("off".to_owned(), off)].into_iter().collect();
    Snapshot::new(
        proxies.into_iter().map(Into::into).collect(),
        std::sync::Arc::new(namespaces),
        "egret-system".to_owned(),
    )
}

pub(super) fn default_snapshot() -> Snapshot {
    snapshot(vec![proxy("default")])
}

/// The pod after the patch, and what was said.
pub(super) struct After {
    pub(super) pod: Value,
    pub(super) said: Injection,
}

pub(super) fn run_in(namespace: &str, pod: &Value, snapshot: &Snapshot) -> After {
    let object = pod.to_string();
    let request =
        Request { namespace, namespace_labels: None, ephemeral: false, object: &object, old_object: None };
    after(pod, inject(&request, snapshot))
}

pub(super) fn run(pod: &Value, snapshot: &Snapshot) -> After {
    run_in("team-a", pod, snapshot)
}

pub(super) fn after(pod: &Value, said: Injection) -> After {
    let patch: json_patch::Patch = serde_json::from_value(json!(said.patch)).unwrap();
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).unwrap_or_else(|error| panic!("{error}: {}", json!(said.patch)));
    let all: usize = said.warnings.iter().map(|warning| warning.chars().count()).sum();
    assert!(all <= 4096 && said.warnings.len() <= MAX_WARNINGS);
    assert!(said.warnings.iter().all(|w| w.chars().count() <= 256 && !w.contains(char::is_control)));
    After { pod: patched, said }
}

/// The value of a variable, which must not stand there twice.
pub(super) fn env<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    let all = container["env"].as_array().into_iter().flatten();
    let mut found = all.filter(|variable| variable["name"] == name);
    let value = found.next().map(|variable| variable["value"].as_str().unwrap_or("(from elsewhere)"));
    assert!(found.next().is_none(), "{name} stands there twice");
    value
}

pub(super) fn pod(containers: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
}

pub(super) fn one(container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("app");
    pod(json!([container]))
}
