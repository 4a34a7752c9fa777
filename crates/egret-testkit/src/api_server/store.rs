//! Objects in memory, with one resource version for all of them and the log that watches read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::Failure;
use super::resources::{self, Resource};

/// Where a real server that was just started would be; versions below are gone.
const FIRST_VERSION: u64 = 1000;

/// Group, plural, namespace (empty for a cluster's own), name.
pub(crate) type Key = (String, String, String, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) kind: ChangeKind,
    /// As it is now, or as it was at its end.
    pub(crate) object: Arc<Value>,
    pub(crate) previous: Option<Arc<Value>>,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) resources: Vec<Resource>,
    pub(crate) objects: BTreeMap<Key, Arc<Value>>,
    pub(crate) log: Vec<Change>,
    /// The version of the last change.
    pub(crate) version: u64,
    /// The oldest version that a watch can begin at.
    pub(crate) floor: u64,
    serial: u64,
}

impl Store {
    pub(crate) fn new() -> Self {
        let mut store = Self {
            resources: resources::built_in(),
            objects: BTreeMap::new(),
            log: Vec::new(),
            version: FIRST_VERSION,
            floor: FIRST_VERSION,
            serial: 0,
        };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            store.add_namespace(name);
        }
        store
    }

    pub(crate) fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// The resource of an object, by its `apiVersion` and `kind`.
    pub(crate) fn resource_of(&self, object: &Value) -> Option<&Resource> {
        let api_version = object["apiVersion"].as_str()?;
        self.resources.iter().find(|r| r.api_version() == api_version && object["kind"] == r.kind.as_str())
    }

    /// Events of both groups are the same objects.
    pub(crate) fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
        let group = if resource.group == "events.k8s.io" { "" } else { &resource.group };
        (group.to_owned(), resource.plural.clone(), namespace.to_owned(), name.to_owned())
    }

    pub(crate) fn add_namespace(&mut self, name: &str) {
        let resource = self.resource("", "v1", "namespaces").unwrap().clone();
        let key = Self::key(&resource, "", name);
        if self.objects.contains_key(&key) {
            return;
        }
        let namespace = json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        self.insert(&resource, key, namespace);
        let accounts = self.resource("", "v1", "serviceaccounts").unwrap().clone();
        let account = json!({
            "kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": name},
        });
        self.insert(&accounts, Self::key(&accounts, name, "default"), account);
    }

    /// Adds or replaces an object and fills in what the server owns. Nothing happens when nothing changed.
    pub(crate) fn insert(&mut self, resource: &Resource, key: Key, mut object: Value) -> Arc<Value> {
        let previous = self.objects.get(&key).cloned();
        let metadata = &mut object["metadata"];
        if let Some(old) = &previous {
            for name in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
                metadata[name] = old["metadata"][name].clone();
            }
            if metadata["generation"].is_null() {
                metadata.as_object_mut().unwrap().remove("generation");
            }
            if object == **old {
                return old.clone();
            }
            if resource.has_generation() && object.get("spec") != old.get("spec") {
                let generation = old["metadata"]["generation"].as_u64().unwrap_or(1) + 1;
                object["metadata"]["generation"] = json!(generation);
            }
        } else {
            if metadata["uid"].is_null() {
                metadata["uid"] = json!(self.uid());
            }
            if resource.has_generation() {
                metadata["generation"] = json!(1);
            }
            metadata["creationTimestamp"] = json!(now());
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        self.objects.insert(key.clone(), object.clone());
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.log.push(Change { version: self.version, key, kind, object: object.clone(), previous });
        self.definition_changed(resource, &object);
        object
    }

    /// Removes an object; the last state carries the version of its end.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let previous = self.objects.remove(key)?;
        self.version += 1;
        let mut last = (*previous).clone();
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let last = Arc::new(last);
        self.log.push(Change {
            version: self.version,
            key: key.clone(),
            kind: ChangeKind::Deleted,
            object: last.clone(),
            previous: Some(previous),
        });
        if key.1 == "customresourcedefinitions" {
            let (group, plural) = (last["spec"]["group"].clone(), last["spec"]["names"]["plural"].clone());
            self.resources
                .retain(|r| !(r.custom && group == r.group.as_str() && plural == r.plural.as_str()));
            self.objects.retain(|k, _| !(group == k.0.as_str() && plural == k.1.as_str()));
        }
        Some(last)
    }

    /// Serves what a definition defines, and says so in its status.
    fn definition_changed(&mut self, resource: &Resource, object: &Value) {
        if resource.plural != "customresourcedefinitions" {
            return;
        }
        let (group, plural) = (&object["spec"]["group"], &object["spec"]["names"]["plural"]);
        self.resources.retain(|r| !(r.custom && *group == r.group.as_str() && *plural == r.plural.as_str()));
        self.resources.extend(resources::of_definition(object));
        let established = object["status"]["conditions"].as_array().is_some_and(|c| !c.is_empty());
        if !established {
            let mut object = object.clone();
            let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message});
            object["status"] = json!({
                "conditions": [
                    condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                    condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
                ],
                "acceptedNames": object["spec"]["names"], "storedVersions": [object["spec"]["versions"][0]["name"]],
            });
            let key = Self::key(resource, "", object["metadata"]["name"].as_str().unwrap_or_default());
            self.insert(resource, key, object);
        }
    }

    /// All objects of a resource, in the order of their keys, as they were at `version`.
    pub(crate) fn list(&self, resource: &Resource, namespace: &str, version: u64) -> Vec<Arc<Value>> {
        let first = Self::key(resource, namespace, "");
        let within =
            |key: &Key| key.0 == first.0 && key.1 == first.1 && (namespace.is_empty() || key.2 == namespace);
        let mut found: BTreeMap<&Key, Arc<Value>> = self
            .objects
            .range(first.clone()..)
            .take_while(|(key, _)| key.0 == first.0 && key.1 == first.1)
            .filter(|(key, _)| within(key))
            .map(|(key, object)| (key, object.clone()))
            .collect();
        for change in self.log.iter().rev().take_while(|c| c.version > version) {
            if !within(&change.key) {
                continue;
            }
            match &change.previous {
                Some(previous) => found.insert(&change.key, previous.clone()),
                None => found.remove(&change.key),
            };
        }
        found.into_values().collect()
    }

    /// Checks that a namespace is there and takes new objects.
    pub(crate) fn check_namespace(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), Failure> {
        if !resource.namespaced {
            return Ok(());
        }
        let namespaces = self.resource("", "v1", "namespaces").unwrap();
        match self.objects.get(&Self::key(namespaces, "", namespace)) {
            None => Err(Failure::not_found(namespaces, namespace)),
            Some(object) if object["status"]["phase"] == "Terminating" => {
                Err(Failure::terminating(resource, name, namespace))
            }
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn uid(&mut self) -> String {
        self.serial += 1;
        format!("5ec0ffee-0000-4000-8000-{:012x}", self.serial)
    }

    /// The end of a generated name.
    pub(crate) fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        self.serial += 1;
        let mut rest = self.serial * 7919 + 104_729;
        (0..5)
            .map(|_| {
                let letter = LETTERS[(rest % 27) as usize] as char;
                rest = rest / 27 + self.serial;
                letter
            })
            .collect()
    }
}

/// The time in seconds, as `metav1.Time` writes it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
