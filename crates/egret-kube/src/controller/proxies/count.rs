//! How many pods carry which generation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use egret_config::file::{GenerationCount, PodCounts};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;

use super::InForce;
use crate::controller::pods::{INJECTED, NOT_INJECTED, generation};
use crate::controller::select::{is_for, selects};

/// Generations that a status lists; older ones are counted together with the oldest of them.
const LISTED: usize = 20;

/// A pod that does not carry what it should.
#[derive(Clone, Debug)]
pub(crate) struct Behind {
    /// Its metadata.
    pub(crate) pod: Arc<PartialObjectMeta<Pod>>,
}

/// What was counted for one EgressProxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// For the status.
    pub(crate) pods: PodCounts,
    /// Those to be made anew: of an older generation, or never seen by the webhook.
    pub(crate) behind: Vec<Behind>,
}

/// Counts all pods. `in_force` is in the order in which pods are asked.
pub(crate) fn count(
    pods: &[Arc<PartialObjectMeta<Pod>>],
    namespaces: &HashMap<String, Arc<Namespace>>,
    in_force: &[(String, InForce)],
    own: &str,
) -> HashMap<String, Counted> {
    let mut counted: HashMap<String, Counted> =
        in_force.iter().map(|(name, _)| (name.clone(), Counted::default())).collect();
    let mut by_generation: HashMap<String, BTreeMap<i64, i64>> = HashMap::new();
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let namespace = pod.namespace().unwrap_or_default();
        let Some(namespace) = namespaces.get(&namespace) else { continue };
        let selecting = in_force.iter().find(|(_, in_force)| {
            is_for(&in_force.spec, namespace, own)
                && selects(in_force.spec.pod_selector.as_ref(), pod.labels())
        });
        let carried = pod.annotations().get(INJECTED);
        if let Some((name, _)) = selecting
            && let Some(counted) = counted.get_mut(name)
        {
            counted.pods.selected += 1;
            if carried.is_none() {
                counted.pods.not_injected += 1;
                // Who was looked at and left out is left out again.
                if !pod.annotations().contains_key(NOT_INJECTED) && !opted_out(pod) {
                    counted.behind.push(Behind { pod: pod.clone() });
                }
            }
        }
        let Some(name) = carried else { continue };
        let Some(counted) = counted.get_mut(name) else { continue };
        let Some((_, present)) = in_force.iter().find(|(known, _)| known == name) else { continue };
        let carries = generation(&pod.metadata).unwrap_or_default();
        *by_generation.entry(name.clone()).or_default().entry(carries).or_default() += 1;
        if carries == present.generation {
            counted.pods.current += 1;
        } else {
            counted.pods.outdated += 1;
            counted.behind.push(Behind { pod: pod.clone() });
        }
    }
    for (name, generations) in by_generation {
        if let Some(counted) = counted.get_mut(&name) {
            counted.pods.generations = listed(&generations);
        }
    }
    counted
}

fn opted_out(pod: &PartialObjectMeta<Pod>) -> bool {
    let says = |key: &str, values: &[&str]| {
        let said = pod.annotations().get(key).or_else(|| pod.labels().get(key));
        said.is_some_and(|value| values.contains(&value.as_str()))
    };
    says(crate::controller::pods::INJECT, &["false", "disabled"])
        || says("kubernetes.azure.com/no-http-proxy-vars", &["true"])
        // Egret's own, and pods that show a file of their node.
        || pod.labels().get("app.kubernetes.io/name").is_some_and(|name| name == "egret")
        || pod.annotations().contains_key("kubernetes.io/config.mirror")
}

fn listed(generations: &BTreeMap<i64, i64>) -> Vec<GenerationCount> {
    let newest = generations.iter().rev();
    let mut listed: Vec<GenerationCount> =
        newest.map(|(generation, pods)| GenerationCount { generation: *generation, pods: *pods }).collect();
    let rest: i64 = listed.iter().skip(LISTED).map(|count| count.pods).sum();
    listed.truncate(LISTED);
    if let Some(last) = listed.last_mut() {
        last.pods += rest;
    }
    listed
}

#[cfg(test)]
mod tests {
    use egret_config::file::EgressProxySpec;
    use serde_json::{Value, json};

    use super::*;

    fn pod(namespace: &str, annotations: Value) -> Arc<PartialObjectMeta<Pod>> {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "p", "namespace": namespace, "annotations": annotations },
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn namespaces() -> HashMap<String, Arc<Namespace>> {
        let namespace = |name: &str| {
            let object: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
            (name.to_owned(), Arc::new(object))
        };
        HashMap::from([namespace("shop"), namespace("kube-system")])
    }

    #[test]
    fn counts_by_generation_and_finds_who_is_behind() {
        let carries = |generation: &str| json!({ INJECTED: "default", "egret.dev/generation": generation });
        let pods = [
            pod("shop", carries("3")),
            pod("shop", carries("3")),
            pod("shop", carries("2")),
            pod("shop", json!({})),
            pod("shop", json!({ "egret.dev/inject": "false" })),
            pod("shop", json!({ NOT_INJECTED: "hostNetwork" })),
            pod("kube-system", json!({})),
            pod("gone", carries("1")),
        ];
        let in_force = [("default".to_owned(), InForce { generation: 3, spec: EgressProxySpec::default() })];
        let counted = &count(&pods, &namespaces(), &in_force, "egret-system")["default"];
        let pods = &counted.pods;
        assert_eq!((pods.selected, pods.current, pods.outdated, pods.not_injected), (6, 2, 1, 3));
        let generations: Vec<_> =
            pods.generations.iter().map(|count| (count.generation, count.pods)).collect();
        assert_eq!(generations, [(3, 2), (2, 1)]);
        assert_eq!(counted.behind.len(), 2);
    }
}
