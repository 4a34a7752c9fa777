//! Events on objects, for `kubectl describe`: each once until it changes, and never too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::api::{explain, within};
use super::metrics::Metrics;

/// The same is told again after so long: Events are kept for an hour.
const AGAIN: Duration = Duration::from_secs(1800);
/// How many different ones are remembered.
const REMEMBERED: usize = 2000;
/// How many may be written in a minute.
const A_MINUTE: u32 = 60;
/// The longest text that the API server takes.
const LONGEST: usize = 1000;

/// What an Event is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object(pub(crate) ObjectReference);

impl Object {
    pub(crate) fn new(
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        uid: Option<String>,
    ) -> Self {
        Self(ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            namespace: namespace.map(str::to_owned),
            name: Some(name.to_owned()),
            uid,
            ..ObjectReference::default()
        })
    }

    pub(crate) fn namespace(name: &str) -> Self {
        // Shown by `kubectl describe namespace` when it names the namespace as its object; kept in it as well.
        let mut object = Self::new("v1", "Namespace", Some(name), name, None);
        object.0.uid = Some(String::new());
        object
    }

    pub(crate) fn secret(namespace: &str, name: &str) -> Self {
        Self::new("v1", "Secret", Some(namespace), name, None)
    }

    pub(crate) fn config_map(namespace: &str, name: &str, uid: Option<String>) -> Self {
        Self::new("v1", "ConfigMap", Some(namespace), name, uid)
    }
}

/// Writes Events.
#[derive(Clone)]
pub(crate) struct Events {
    recorder: Recorder,
    metrics: Arc<Metrics>,
    told: Arc<Mutex<Told>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Events").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Told {
    /// By object and reason: the text, and when.
    last: HashMap<(String, String), (String, Instant)>,
    minute: Option<Instant>,
    in_minute: u32,
}

impl Events {
    /// As this replica.
    pub(crate) fn new(client: &Client, identity: &str, metrics: Arc<Metrics>) -> Self {
        let reporter =
            Reporter { controller: "egret.dev/controller".to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client.clone(), reporter), metrics, told: Arc::default() }
    }

    /// Something is wrong.
    pub(crate) async fn warn(&self, object: &Object, reason: &str, note: &str) {
        if self.is_new(object, reason, note) {
            let name = object.0.name.as_deref().unwrap_or_default();
            tracing::warn!(kind = object.0.kind, name, reason, note, "told in an Event");
            self.write(object, EventType::Warning, reason, note).await;
        }
    }

    /// Something was done.
    pub(crate) async fn tell(&self, object: &Object, reason: &str, note: &str) {
        if self.is_new(object, reason, note) {
            self.write(object, EventType::Normal, reason, note).await;
        }
    }

    async fn write(&self, object: &Object, kind: EventType, reason: &str, note: &str) {
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note.chars().take(LONGEST).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(failure) = within(self.recorder.publish(&event, &object.0)).await
            && !failure.is_gone()
        {
            tracing::debug!(why = explain(&failure), reason, "an Event could not be written");
        }
    }

    fn is_new(&self, object: &Object, reason: &str, note: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = told.is_new(&object.0, reason, note, Instant::now());
        if is_new == Some(false) {
            self.metrics.events_dropped.inc();
        }
        is_new.unwrap_or(false)
    }
}

impl Told {
    /// `None` when it was told already, `false` when there were too many.
    fn is_new(&mut self, object: &ObjectReference, reason: &str, note: &str, now: Instant) -> Option<bool> {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let name = [part(&object.kind), part(&object.namespace), part(&object.name)].join("/");
        let key = (name, reason.to_owned());
        if let Some((text, at)) = self.last.get(&key)
            && text == note
            && now.duration_since(*at) < AGAIN
        {
            return None;
        }
        if self.minute.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(60)) {
            (self.minute, self.in_minute) = (Some(now), 0);
        }
        if self.in_minute >= A_MINUTE {
            return Some(false);
        }
        self.in_minute += 1;
        if self.last.len() >= REMEMBERED {
            self.last.retain(|_, (_, at)| now.duration_since(*at) < AGAIN / 2);
            if self.last.len() >= REMEMBERED {
                self.last.clear();
            }
        }
        self.last.insert(key, (note.to_owned(), now));
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_same_once_and_never_too_much() {
        let mut told = Told::default();
        let now = Instant::now();
        let object = Object::namespace("shop").0;
        assert_eq!(told.is_new(&object, "A", "text", now), Some(true));
        assert_eq!(told.is_new(&object, "A", "text", now), None);
        assert_eq!(told.is_new(&object, "A", "another", now), Some(true));
        assert_eq!(told.is_new(&object, "A", "another", now + AGAIN), Some(true));
        let later = now + AGAIN + Duration::from_secs(120);
        let told_all =
            (0..200).filter(|n| told.is_new(&object, &n.to_string(), "t", later) == Some(true)).count();
        assert_eq!(told_all, A_MINUTE as usize);
    }
}
