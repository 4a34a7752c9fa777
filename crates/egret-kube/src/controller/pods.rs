//! Which pods carry what: their metadata alone, in all namespaces. The leader alone keeps it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Config;
use kube::{Client, ResourceExt as _};
use tokio::task::JoinSet;

use super::watch::{Changes, Watched, keep};

/// On a pod: which EgressProxy it was given.
pub(crate) const INJECTED: &str = "egret.dev/injected";
/// On a pod: which generation of it.
pub(crate) const GENERATION: &str = "egret.dev/generation";
/// On a pod: why it was given none.
pub(crate) const NOT_INJECTED: &str = "egret.dev/not-injected";
/// On a pod: it is to be given none, if it says `false`.
pub(crate) const INJECT: &str = "egret.dev/inject";

/// The metadata of all pods that have not ended.
#[derive(Clone, Debug)]
pub(crate) struct Pods {
    watched: Watched<PartialObjectMeta<Pod>>,
    pub(crate) changes: Changes,
}

impl Pods {
    /// Begins to watch.
    pub(crate) fn watch(tasks: &mut JoinSet<()>, client: &Client) -> Self {
        let changes = Changes::new();
        // Those of finished Jobs are of no interest, and there may be many.
        let running = Config::default().fields("status.phase!=Succeeded,status.phase!=Failed");
        let watched = keep(tasks, Api::all(client.clone()), running, "Pod", trim, &changes);
        Self { watched, changes }
    }

    /// Whether all are known.
    pub(crate) fn are_read(&self) -> bool {
        self.watched.health.is_read()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<PartialObjectMeta<Pod>>> {
        self.watched.store.state()
    }

    /// Whether it is known that no pod of a namespace carries anything.
    pub(crate) fn none_injected_in(&self, namespace: &str) -> bool {
        self.are_read()
            && !self.all().iter().any(|pod| {
                pod.metadata.namespace.as_deref() == Some(namespace)
                    && pod.annotations().contains_key(INJECTED)
            })
    }
}

/// The owner that controls a pod.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The generation that a pod carries.
pub(crate) fn generation(metadata: &ObjectMeta) -> Option<i64> {
    metadata.annotations.as_ref()?.get(GENERATION)?.parse().ok()
}

fn trim(pod: &mut PartialObjectMeta<Pod>) {
    let metadata = &mut pod.metadata;
    metadata.managed_fields = None;
    metadata.finalizers = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations
            .retain(|key, _| key.starts_with("egret.dev/") || key.starts_with("kubernetes.azure.com/"));
    }
}
