//! Who makes pods: the Deployment, StatefulSet or DaemonSet behind them.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use serde_json::Value;

use super::count::Behind;
use crate::controller::api::{Failure, within};
use crate::controller::events::Object;
use crate::controller::pods::controller;

/// ReplicaSets whose owners are remembered.
const REMEMBERED: usize = 20_000;

/// A kind that makes its pods anew when its template changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            Self::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        }
    }

    /// Those of all namespaces.
    pub(crate) fn everywhere(self, client: &Client) -> Api<DynamicObject> {
        Api::all_with(client.clone(), &self.resource())
    }
}

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Owner {
    pub(crate) fn api(&self, client: &Client) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), &self.namespace, &self.kind.resource())
    }

    pub(crate) fn object(&self, uid: Option<String>) -> Object {
        Object::new("apps/v1", self.kind.as_str(), Some(&self.namespace), &self.name, uid)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// Finds owners, and remembers which ReplicaSet is whose.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    replica_sets: HashMap<String, Option<Owner>>,
}

impl Owners {
    /// The owners of these pods, each once. Pods of Jobs and bare pods have none that could make them anew.
    pub(crate) async fn of(
        &mut self,
        client: &Client,
        behind: &[Behind],
    ) -> Result<BTreeSet<Owner>, Failure> {
        let mut all = BTreeSet::new();
        for Behind { pod } in behind {
            let (Some(owner), Some(namespace)) = (controller(&pod.metadata), &pod.metadata.namespace) else {
                continue;
            };
            let of_kind = |kind| Some(Owner { kind, namespace: namespace.clone(), name: owner.name.clone() });
            let found = match owner.kind.as_str() {
                "StatefulSet" => of_kind(Kind::StatefulSet),
                "DaemonSet" => of_kind(Kind::DaemonSet),
                "ReplicaSet" => self.of_replica_set(client, namespace, &owner.name, &owner.uid).await?,
                _ => None,
            };
            all.extend(found);
        }
        Ok(all)
    }

    async fn of_replica_set(
        &mut self,
        client: &Client,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<Option<Owner>, Failure> {
        if let Some(known) = self.replica_sets.get(uid) {
            return Ok(known.clone());
        }
        let api: Api<PartialObjectMeta<ReplicaSet>> = Api::namespaced(client.clone(), namespace);
        let found = within(api.get_opt(name)).await?;
        let owner = found.as_ref().and_then(|set| controller(&set.metadata)).and_then(|owner| {
            let deployment = owner.kind == "Deployment";
            deployment.then(|| Owner {
                kind: Kind::Deployment,
                namespace: namespace.to_owned(),
                name: owner.name.clone(),
            })
        });
        if self.replica_sets.len() >= REMEMBERED {
            self.replica_sets.clear();
        }
        self.replica_sets.insert(uid.to_owned(), owner.clone());
        Ok(owner)
    }
}

/// Where an owner stands, as its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All of its pods are of the present template, and available.
    Settled,
    /// All are of the present template, and none is available: a restart takes nothing away.
    Down,
    /// Some are not.
    Moving,
}

/// Where an owner stands.
pub(crate) fn standing(kind: Kind, object: &DynamicObject) -> Standing {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let replicas = spec["replicas"].as_i64().unwrap_or(1);
    let (wanted, updated, available) = match kind {
        Kind::Deployment => (replicas, "updatedReplicas", "availableReplicas"),
        Kind::StatefulSet => (replicas, "updatedReplicas", "readyReplicas"),
        Kind::DaemonSet => {
            (number(&status["desiredNumberScheduled"]), "updatedNumberScheduled", "numberAvailable")
        }
    };
    let (updated, available) = (number(&status[updated]), number(&status[available]));
    // Below the partition, pods of the template before stay.
    let kept = match kind {
        Kind::StatefulSet => number(&spec["updateStrategy"]["rollingUpdate"]["partition"]),
        _ => 0,
    };
    let seen = number(&status["observedGeneration"]) >= object.metadata.generation.unwrap_or(0);
    let surplus = kind == Kind::Deployment && number(&status["replicas"]) != wanted;
    match (seen && updated >= (wanted - kept).max(0), available) {
        (true, available) if available == wanted && !surplus => Standing::Settled,
        (true, 0) => Standing::Down,
        _ => Standing::Moving,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: Value, status: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": { "name": "web", "generation": 2 }, "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_deployment_is_settled_when_all_pods_are_new_and_available() {
        let status = |updated: i64, available: i64, observed: i64| {
            json!({ "replicas": 3, "updatedReplicas": updated, "availableReplicas": available,
                "observedGeneration": observed })
        };
        let of = |status| standing(Kind::Deployment, &object(json!({ "replicas": 3 }), status));
        assert_eq!(of(status(3, 3, 2)), Standing::Settled);
        for moving in [status(2, 3, 2), status(3, 2, 2), status(3, 3, 1), json!({})] {
            assert_eq!(of(moving.clone()), Standing::Moving, "{moving}");
        }
        assert_eq!(of(status(3, 0, 2)), Standing::Down);
        assert_eq!(of(status(2, 0, 2)), Standing::Moving);
    }

    #[test]
    fn a_daemon_set_and_a_stateful_set_too() {
        let daemon = json!({ "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2,
            "observedGeneration": 2 });
        assert_eq!(standing(Kind::DaemonSet, &object(json!({}), daemon)), Standing::Settled);
        let set = json!({ "updatedReplicas": 1, "readyReplicas": 2, "observedGeneration": 2 });
        let spec = |partition: i64| json!({ "replicas": 2, "updateStrategy": { "rollingUpdate": { "partition": partition } } });
        assert_eq!(standing(Kind::StatefulSet, &object(spec(1), set.clone())), Standing::Settled);
        assert_eq!(standing(Kind::StatefulSet, &object(spec(0), set)), Standing::Moving);
    }
}
