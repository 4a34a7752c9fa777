//! Refusals as Events on the pods that were refused, so that `kubectl describe pod` shows them.
//!
//! One Event for each pod and reason. What follows it is counted in its series, written at most once in ten
//! seconds. A cluster that is refused all day costs the API server a few writes a second and no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use egret_core::identity::Workload;
use egret_core::reason::{Blame, Reason};
use egret_core::record::FlowRecord;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use crate::client::{REQUEST, explain};

/// Refusals that may wait to be written.
const QUEUE: usize = 1024;
/// Between two writes about one pod and reason.
const EVERY: Duration = Duration::from_secs(10);
/// After so long without a refusal the next one is a new Event.
const SERIES: Duration = Duration::from_secs(360);
/// Pods and reasons that are told apart at once.
const TOLD_APART: usize = 4096;
/// Writes in a second, all pods together.
const PER_SECOND: u32 = 10;
/// The longest note that the API server takes, in bytes.
const NOTE: usize = 1024;

/// What is to be written.
struct Refused {
    workload: Arc<Workload>,
    reason: Reason,
    note: String,
}

/// What became of refusals.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) written: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) limited: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// Takes refusals. Never waits.
pub(crate) struct Events {
    queue: mpsc::Sender<Refused>,
    pub(crate) counts: Arc<Counts>,
}

impl Events {
    /// Starts writing, within a runtime.
    pub(crate) fn start(client: Client) -> Self {
        let (queue, incoming) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let writer = Writer { client, counts: counts.clone(), series: HashMap::new(), instance: instance() };
        tokio::spawn(writer.run(incoming));
        Self { queue, counts }
    }

    /// Takes a finished flow; what was no refusal of a known pod is left alone.
    pub(crate) fn record(&self, record: &FlowRecord) {
        let (Some(reason), Some(workload)) = (record.reason, &record.workload) else { return };
        let is_refusal = reason.blame() == Blame::Policy || reason == Reason::ClusterServiceName;
        if !is_refusal || workload.pod.is_none() || record.interim {
            return;
        }
        let refused = Refused { workload: workload.clone(), reason, note: note(record, reason) };
        if self.queue.try_send(refused).is_err() {
            self.counts.limited.fetch_add(1, Relaxed);
        }
    }
}

/// What happened, in one line. A query may hold secrets: it is left out.
fn note(record: &FlowRecord, reason: Reason) -> String {
    let target = record.target.split(['?', '#']).next().unwrap_or_default();
    let mut note = format!("{} {target} was refused: {}", record.method.as_str(), reason.code());
    if let Some(detail) = &record.detail {
        note.push_str(": ");
        note.push_str(detail.split('?').next().unwrap_or_default());
    }
    note.push_str(&format!(". {} (flow {})", reason.facts().advice, record.id));
    let mut end = note.len().min(NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The name of this replica.
fn instance() -> String {
    let name = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "egret".to_owned())
}

/// `denied-by-rule` as Events name reasons: `EgressDeniedByRule`.
fn reason_name(reason: Reason) -> String {
    let words = reason.code().split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    format!("Egress{}", words.collect::<String>())
}

type Key = (Arc<str>, Reason);

/// One Event and what came after it.
struct Series {
    namespace: Arc<str>,
    /// The Event's name; `None` when it could not be written.
    name: Option<String>,
    count: i32,
    last: Timestamp,
    note: String,
    written: Instant,
    is_behind: bool,
}

struct Writer {
    client: Client,
    counts: Arc<Counts>,
    series: HashMap<Key, Series>,
    instance: String,
}

impl Writer {
    async fn run(mut self, mut incoming: mpsc::Receiver<Refused>) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut left = PER_SECOND;
        loop {
            tokio::select! {
                refused = incoming.recv() => match refused {
                    Some(refused) => self.take(refused, &mut left).await,
                    None => return,
                },
                _ = second.tick() => {
                    left = PER_SECOND;
                    self.catch_up(&mut left).await;
                }
            }
        }
    }

    async fn take(&mut self, refused: Refused, left: &mut u32) {
        let Refused { workload, reason, note } = refused;
        let uid = workload.pod_uid.clone().or_else(|| workload.pod.clone()).unwrap_or_default();
        let key = (uid, reason);
        if let Some(series) = self.series.get_mut(&key) {
            series.count = series.count.saturating_add(1);
            series.last = Timestamp::now();
            series.note = note;
            series.is_behind = true;
            self.counts.joined.fetch_add(1, Relaxed);
            return;
        }
        if *left == 0 || self.series.len() >= TOLD_APART {
            self.counts.limited.fetch_add(1, Relaxed);
            return;
        }
        *left -= 1;
        let name = self.write(&workload, reason, &note).await;
        let series = Series {
            namespace: workload.namespace.clone(),
            name,
            count: 1,
            last: Timestamp::now(),
            note,
            written: Instant::now(),
            is_behind: false,
        };
        self.series.insert(key, series);
    }

    async fn write(&self, workload: &Workload, reason: Reason, note: &str) -> Option<String> {
        let pod = workload.pod.as_deref().unwrap_or_default();
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{pod}.")),
                namespace: Some(workload.namespace.to_string()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some("egret.dev/proxy".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            action: Some("Refuse".to_owned()),
            reason: Some(reason_name(reason)),
            type_: Some("Warning".to_owned()),
            note: Some(note.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                namespace: Some(workload.namespace.to_string()),
                name: text(&workload.pod),
                uid: text(&workload.pod_uid),
                ..ObjectReference::default()
            }),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &workload.namespace);
        let written = tokio::time::timeout(REQUEST, api.create(&PostParams::default(), &event)).await;
        match written {
            Ok(Ok(event)) => {
                self.counts.written.fetch_add(1, Relaxed);
                event.metadata.name
            }
            Ok(Err(error)) => self.failed(&explain(&error)),
            Err(_) => self.failed("the API server did not answer"),
        }
    }

    fn failed(&self, why: &str) -> Option<String> {
        if self.counts.failed.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(
                why,
                "an Event about a refusal could not be written; others that cannot are only counted"
            );
        }
        None
    }

    /// Writes how often it happened again, and forgets what has ended.
    async fn catch_up(&mut self, left: &mut u32) {
        let now = Instant::now();
        self.series.retain(|_, series| series.is_behind || now.duration_since(series.written) < SERIES);
        let is_due = |series: &&mut Series| series.is_behind && series.written.elapsed() >= EVERY;
        let mut due: Vec<&mut Series> = self.series.values_mut().filter(is_due).collect();
        due.truncate(*left as usize);
        for series in due {
            *left -= 1;
            series.is_behind = false;
            series.written = now;
            let Some(name) = &series.name else { continue };
            let patch = json!({
                "note": series.note,
                "series": {"count": series.count, "lastObservedTime": MicroTime(series.last)},
            });
            let api: Api<Event> = Api::namespaced(self.client.clone(), &series.namespace);
            let params = PatchParams::default();
            let patched =
                tokio::time::timeout(REQUEST, api.patch(name, &params, &Patch::Merge(&patch))).await;
            match patched {
                Ok(Ok(_)) => drop(self.counts.written.fetch_add(1, Relaxed)),
                // Events are kept for an hour and no longer.
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => series.name = None,
                _ => drop(self.counts.failed.fetch_add(1, Relaxed)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_as_events_name_them() {
        assert_eq!(reason_name(Reason::DeniedByRule), "EgressDeniedByRule");
        assert_eq!(reason_name(Reason::ClusterServiceName), "EgressClusterServiceName");
    }
}
