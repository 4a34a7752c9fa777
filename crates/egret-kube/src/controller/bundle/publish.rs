//! The ConfigMap with the bundles, in each namespace.
//!
//! By server-side apply: what is there already costs no write, and what others add to the object stays. Only metadata
//! is watched, for a thousand copies of all bundles would fill the memory; a changed `resourceVersion` tells that
//! somebody touched one, and it is then applied again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::built::{ALL_KEY, Built, JAVA_KEY, OWN_KEY};
use crate::controller::api::{Failure, explain, within};
use crate::controller::labels;
use crate::controller::settings::{CA_NAME, MANAGER};

/// Which CAs are in a bundle; for people who compare namespaces.
const HASH: &str = "egret.dev/bundle";
/// In what is remembered of a ConfigMap, in place of its annotations: nobody else has changed it since it was applied
/// with these CAs.
const INTACT: &str = "intact";

/// What became of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has the bundles.
    Current,
    /// It is gone or going: nothing is owed to it.
    Gone,
    /// A ConfigMap of this name is somebody else's.
    Foreign,
    /// It could not be written; why.
    Failed(String),
}

/// Knows what was applied where.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    applied: HashMap<String, Applied>,
    /// PKCS#12 that were read and found to be right, with the set that they are of.
    verified: HashSet<(String, [u8; 32])>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    hash: String,
    version: Option<String>,
}

/// What is to be done in a namespace.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) namespace: String,
    pub(crate) built: Arc<Built>,
    /// The ConfigMap as it is now.
    pub(crate) live: Option<Arc<ObjectMeta>>,
}

impl Publisher {
    /// Whether a namespace has these bundles already, as far as is known without asking.
    pub(crate) fn is_current(&mut self, task: &Task) -> bool {
        // What a leader before this one has applied.
        if let Some(live) = &task.live
            && !self.applied.contains_key(&task.namespace)
            && live.annotations.as_ref().and_then(|all| all.get(INTACT)) == Some(&task.built.hash)
        {
            let applied = Applied { hash: task.built.hash.clone(), version: live.resource_version.clone() };
            self.applied.insert(task.namespace.clone(), applied);
        }
        let live = task.live.as_ref().and_then(|live| live.resource_version.as_ref());
        self.applied.get(&task.namespace).is_some_and(|applied| {
            applied.hash == task.built.hash && applied.version.is_some() && applied.version.as_ref() == live
        })
    }

    /// Forgets namespaces that are looked after no more.
    pub(crate) fn keep_only(&mut self, wanted: &HashSet<&str>) {
        self.applied.retain(|namespace, _| wanted.contains(namespace.as_str()));
    }

    /// Publishes into one namespace.
    pub(crate) async fn publish(&mut self, client: &Client, task: &Task) -> State {
        let result = self.apply(client, task).await;
        match result {
            Ok(State::Current) => State::Current,
            Ok(other) => {
                self.applied.remove(&task.namespace);
                other
            }
            Err(failure) => {
                self.applied.remove(&task.namespace);
                if failure.is_gone() { State::Gone } else { State::Failed(explain(&failure)) }
            }
        }
    }

    async fn apply(&mut self, client: &Client, task: &Task) -> Result<State, Failure> {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), &task.namespace);
        let mut built = task.built.clone();
        if task.live.is_some()
            && let Some(found) = within(api.get_opt(CA_NAME)).await?
            && let Some(java) = java_of(&found).filter(|java| **java != built.java)
            && self.is_same(&built, java)
        {
            built = Arc::new(built.with_java(java.clone()));
        }
        let object = object(&built);
        let parameters = PatchParams::apply(MANAGER);
        let mut applied = within(api.patch(CA_NAME, &parameters, &Patch::Apply(&object))).await;
        if let Err(failure) = &applied
            && failure.has_status(409)
        {
            // Somebody changed what is ours, and it is put right; but what never was ours is left alone.
            let found = within(api.get_opt(CA_NAME)).await?;
            if found.is_some_and(|found| !is_ours(&found.metadata)) {
                return Ok(State::Foreign);
            }
            applied = within(api.patch(CA_NAME, &parameters.force(), &Patch::Apply(&object))).await;
        }
        let version = applied?.metadata.resource_version;
        let hash = built.hash.clone();
        self.applied.insert(task.namespace.clone(), Applied { hash, version });
        Ok(State::Current)
    }

    fn is_same(&mut self, built: &Built, java: &[u8]) -> bool {
        let key = (built.hash.clone(), Sha256::digest(java).into());
        if self.verified.contains(&key) {
            return true;
        }
        let same = built.is_same_java(java);
        if same {
            self.verified.insert(key);
        }
        same
    }
}

/// Takes out of the metadata of a ConfigMap what is not looked at, and notes whether it is [`INTACT`]: the API server
/// keeps account of who set which field, so that its content need not be read for it.
pub(crate) fn trim(metadata: &mut ObjectMeta) {
    let hash = metadata.annotations.take().and_then(|mut all| all.remove(HASH));
    let fields = metadata.managed_fields.take().unwrap_or_default();
    let (ours, others): (Vec<_>, Vec<_>) = fields.into_iter().partition(|entry| {
        entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply")
    });
    let set = |entry: &ManagedFieldsEntry, place: &[&str]| {
        let mut at = entry.fields_v1.as_ref().map(|fields| &fields.0);
        for part in place {
            at = at.and_then(|value| value.get(format!("f:{part}")));
        }
        at.is_some()
    };
    let places: [&[&str]; 4] = [
        &["data", ALL_KEY],
        &["data", OWN_KEY],
        &["binaryData", JAVA_KEY],
        &["metadata", "annotations", HASH],
    ];
    let intact = places.iter().all(|place| {
        ours.iter().any(|entry| set(entry, place)) && !others.iter().any(|entry| set(entry, place))
    });
    metadata.annotations = hash.filter(|_| intact).map(|hash| BTreeMap::from([(INTACT.to_owned(), hash)]));
}

/// Deletes the ConfigMap of a namespace that is no longer selected.
pub(crate) async fn remove(client: &Client, namespace: &str, live: &ObjectMeta) -> Result<(), Failure> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    // The one that was seen, and no other that somebody made in its place.
    let preconditions = Preconditions { uid: live.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match within(api.delete(CA_NAME, &parameters)).await {
        Err(failure) if failure.is_gone() || failure.has_status(409) => Ok(()),
        result => result.map(drop),
    }
}

fn object(built: &Built) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CA_NAME,
            "labels": labels(),
            "annotations": { HASH: built.hash },
        },
        "data": { ALL_KEY: built.all, OWN_KEY: built.own },
        "binaryData": { JAVA_KEY: STANDARD.encode(&built.java) },
    })
}

fn java_of(found: &ConfigMap) -> Option<&Vec<u8>> {
    found.binary_data.as_ref()?.get(JAVA_KEY).map(|bytes| &bytes.0)
}

/// Whether it was made by server-side apply of ours.
fn is_ours(metadata: &ObjectMeta) -> bool {
    let entries = metadata.managed_fields.iter().flatten();
    let mut applied = entries.filter(|entry| entry.operation.as_deref() == Some("Apply"));
    applied.any(|entry| entry.manager.as_deref() == Some(MANAGER))
}

/// States by namespace, counted.
pub(crate) fn count(states: &BTreeMap<String, State>) -> [(&'static str, usize); 3] {
    let of = |wanted: fn(&State) -> bool| states.values().filter(|state| wanted(state)).count();
    [
        ("current", of(|state| *state == State::Current)),
        ("foreign", of(|state| *state == State::Foreign)),
        ("failed", of(|state| matches!(state, State::Failed(_)))),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn metadata(fields: Value) -> ObjectMeta {
        serde_json::from_value(json!({
            "name": CA_NAME, "annotations": { HASH: "abc", "other": "x" }, "managedFields": fields,
        }))
        .unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": fields })
    }

    fn ours() -> Value {
        entry(
            "egret",
            "Apply",
            json!({
                "f:metadata": { "f:annotations": { "f:egret.dev/bundle": {} }, "f:labels": {} },
                "f:data": { "f:ca-bundle.crt": {}, "f:egret-ca.crt": {} },
                "f:binaryData": { "f:ca-bundle.p12": {} },
            }),
        )
    }

    fn is_intact(fields: Value) -> bool {
        let mut metadata = metadata(fields);
        trim(&mut metadata);
        assert!(metadata.managed_fields.is_none());
        metadata.annotations == Some(BTreeMap::from([(INTACT.to_owned(), "abc".to_owned())]))
    }

    #[test]
    fn what_nobody_else_has_touched_need_not_be_read() {
        assert!(is_intact(json!([ours()])));
        let label = entry("kubectl", "Update", json!({ "f:metadata": { "f:labels": { "f:team": {} } } }));
        assert!(is_intact(json!([ours(), label])), "somebody else's label");
        assert!(is_intact(json!([
            ours(),
            entry("kubectl", "Update", json!({ "f:data": { "f:mine": {} } }))
        ])));
        let change = entry("kubectl", "Update", json!({ "f:data": { "f:egret-ca.crt": {} } }));
        assert!(!is_intact(json!([ours(), change])));
        let mut lost = ours();
        lost["fieldsV1"]["f:data"] = json!({ "f:ca-bundle.crt": {} });
        assert!(!is_intact(json!([lost])));
        assert!(!is_intact(json!([])));
    }
}
