//! What changes in the store, kept for a while, so that streams can fall behind and come back; and the
//! figures of each second.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egret_core::flow_id::FlowId;
use egret_flows::flow::Flow;
use egret_flows::store::{Change, ChangeKind, FeedEvent, FlowStore};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::shape::{lean, ms};

/// How many changes a stream may be behind.
const MAX_CHANGES: usize = 16_384;
/// Durations that the percentiles of a second are made of.
const MAX_SAMPLES: usize = 4096;

/// What streams wait for, and read.
#[derive(Debug)]
pub(crate) struct Hub {
    log: Mutex<Log>,
    revision: watch::Sender<u64>,
    second: watch::Sender<Value>,
}

#[derive(Debug, Default)]
struct Log {
    changes: VecDeque<Change>,
    /// Changes up to this revision are kept no more.
    forgotten: u64,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            log: Mutex::default(),
            revision: watch::Sender::new(0),
            second: watch::Sender::new(Value::Null),
        }
    }

    /// The revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(crate) fn seconds(&self) -> watch::Receiver<Value> {
        self.second.subscribe()
    }

    /// The changes after this revision; `None` when some of them are kept no more.
    pub(crate) fn since(&self, revision: u64) -> Option<Vec<Change>> {
        let log = self.lock();
        if revision < log.forgotten {
            return None;
        }
        let start = log.changes.partition_point(|change| change.revision <= revision);
        Some(log.changes.range(start..).copied().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, change: Change) {
        let mut log = self.lock();
        log.changes.push_back(change);
        if log.forgotten == u64::MAX || change.kind == ChangeKind::Cleared {
            log.forgotten = change.revision - 1;
        }
        if log.changes.len() > MAX_CHANGES
            && let Some(oldest) = log.changes.pop_front()
        {
            log.forgotten = log.forgotten.max(oldest.revision);
        }
        drop(log);
        self.revision.send_replace(change.revision);
    }

    /// Whoever has not been told everything has to begin anew.
    fn forget(&self) {
        let mut log = self.lock();
        log.changes.clear();
        // Until the next change nobody knows which were lost.
        log.forgotten = u64::MAX;
    }

    /// Follows the store until it is gone.
    pub(crate) async fn follow(&self, store: &FlowStore) {
        let mut feed = store.subscribe();
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut second = Second::default();
        loop {
            tokio::select! {
                event = feed.next() => match event {
                    Some(FeedEvent::Change(change)) => {
                        second.take(change, store);
                        self.push(change);
                    }
                    Some(FeedEvent::Lost(_)) => {
                        self.forget();
                    }
                    None => return,
                },
                _ = ticks.tick() => {
                    self.second.send_replace(second.point());
                }
            }
        }
    }
}

/// What ended within a second.
#[derive(Debug, Default)]
struct Second {
    open: HashSet<FlowId>,
    flows: u64,
    errors: u64,
    refusals: u64,
    up: u64,
    down: u64,
    totals: Vec<u64>,
}

impl Second {
    fn take(&mut self, change: Change, store: &FlowStore) {
        let Some(id) = change.id else {
            self.open.clear();
            return;
        };
        if change.kind == ChangeKind::Removed {
            self.open.remove(&id);
            return;
        }
        let Some(flow) = store.flow_by_seq(change.seq) else { return };
        if flow.active {
            self.open.insert(id);
            return;
        }
        // A mark that is set later is a change, and no second end.
        if change.kind == ChangeKind::Added || self.open.remove(&id) {
            self.count(&flow);
        }
    }

    fn count(&mut self, flow: &Flow) {
        self.flows += 1;
        match &flow.failure {
            Some(failure) if failure.blame == "policy" => self.refusals += 1,
            Some(_) => self.errors += 1,
            None => {}
        }
        self.up += flow.bytes_up;
        self.down += flow.bytes_down;
        if self.totals.len() < MAX_SAMPLES {
            self.totals.extend(flow.timings.total);
        }
    }

    /// The point of the second that ends now.
    fn point(&mut self) -> Value {
        self.totals.sort_unstable();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let percentile = |share| percentile(&self.totals, share).map(ms);
        let point = lean(json!({
            "t": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            "flows": self.flows,
            "errors": self.errors,
            "refusals": self.refusals,
            "bytesUp": self.up,
            "bytesDown": self.down,
            "p50": percentile(50), "p90": percentile(90), "p99": percentile(99),
            "open": self.open.len(),
        }));
        *self = Self { open: std::mem::take(&mut self.open), ..Self::default() };
        point
    }
}

/// The value that so many percent of the sorted values do not exceed.
pub(crate) fn percentile(sorted: &[u64], share: usize) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1).min(last)).copied()
}
