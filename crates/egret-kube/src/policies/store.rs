//! What is known of each policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egret_config::{CheckedObject, ClusterObject, ClusterPolicy, check_object};
use kube::core::ObjectMeta;

use super::PolicyCounts;
use crate::crd::PolicyObject;

/// Errors of an object that the log names.
const LOGGED: usize = 5;

/// Kind, namespace and name. The order of kinds and names is that of the policies that hold.
type Key = (&'static str, String, String);

#[derive(Debug, Default)]
pub(super) struct Store {
    entries: Mutex<BTreeMap<Key, Entry>>,
}

/// A policy.
#[derive(Debug)]
struct Entry {
    /// Which object of this name it is, and which version of its `spec`.
    seen: (Option<String>, Option<i64>),
    /// The last right version.
    holds: Option<Arc<ClusterPolicy>>,
    /// Whether the present version is wrong.
    is_wrong: bool,
}

/// The objects of a list that is being read.
#[derive(Debug, Default)]
pub(super) struct Round {
    seen: BTreeSet<Key>,
}

impl Round {
    pub(super) fn saw<P: PolicyObject>(&mut self, object: &P) {
        self.seen.insert(key(object));
    }
}

fn key<P: PolicyObject>(object: &P) -> Key {
    let ObjectMeta { namespace, name, .. } = object.meta();
    (P::POLICY_KIND.as_str(), namespace.clone().unwrap_or_default(), name.clone().unwrap_or_default())
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a version of an object. Whether anything that holds may have changed.
    pub(super) fn put<P: PolicyObject>(&self, object: &P) -> bool {
        let key = key(object);
        let meta = object.meta();
        let seen = (meta.uid.clone(), meta.generation);
        let before = self.lock().get(&key).map(|entry| (entry.seen.clone(), entry.holds.clone()));
        // A new status is no news.
        if before.as_ref().is_some_and(|(before, _)| *before == seen && seen.1.is_some()) {
            return false;
        }
        let value = serde_json::to_value(object).unwrap_or_default();
        let checked = check_object(P::POLICY_KIND.as_str(), &value, meta.namespace.as_deref());
        // An object of the same name that was made anew is another one.
        let last = before.filter(|((uid, _), _)| *uid == seen.0).and_then(|(_, holds)| holds);
        let entry = match checked {
            CheckedObject { object: Some(ClusterObject::Policy(policy)), .. } => {
                Entry { seen, holds: Some(Arc::new(*policy)), is_wrong: false }
            }
            CheckedObject { errors, .. } => {
                let (kind, namespace, name) = &key;
                let errors: Vec<String> = errors.iter().take(LOGGED).map(ToString::to_string).collect();
                let becomes = match &last {
                    Some(_) => "its last right version goes on to hold",
                    None => "it is left out",
                };
                tracing::error!(
                    kind,
                    namespace,
                    name,
                    errors = errors.join("; "),
                    "a policy is wrong; {becomes}"
                );
                Entry { seen, holds: last, is_wrong: true }
            }
        };
        self.lock().insert(key, entry);
        true
    }

    pub(super) fn remove<P: PolicyObject>(&self, object: &P) -> bool {
        self.lock().remove(&key(object)).is_some()
    }

    /// Removes what a list of this kind did not have. Whether there was anything.
    pub(super) fn retain<P: PolicyObject>(&self, round: &Round) -> bool {
        let kind = P::POLICY_KIND.as_str();
        let mut entries = self.lock();
        let before = entries.len();
        entries.retain(|key, _| key.0 != kind || round.seen.contains(key));
        entries.len() < before
    }

    pub(super) fn current(&self) -> Vec<Arc<ClusterPolicy>> {
        self.lock().values().filter_map(|entry| entry.holds.clone()).collect()
    }

    pub(super) fn counts(&self) -> PolicyCounts {
        let mut counts = PolicyCounts::default();
        for entry in self.lock().values() {
            match (entry.is_wrong, &entry.holds) {
                (false, _) => counts.accepted += 1,
                (true, Some(_)) => counts.kept += 1,
                (true, None) => counts.left_out += 1,
            }
        }
        counts
    }
}
