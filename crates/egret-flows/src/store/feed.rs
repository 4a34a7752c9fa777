//! What changes, for live views.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use egret_core::flow_id::FlowId;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use crate::capture::Counters;

/// A change of the store. The flow itself is asked for by whoever wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The flow's number; 0 for [`ChangeKind::Cleared`].
    pub seq: u64,
    /// The flow's id; `None` for [`ChangeKind::Cleared`].
    pub id: Option<FlowId>,
    /// The revision of the store after it. Later changes have higher ones.
    pub revision: u64,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// There is a new flow.
    Added,
    /// A flow is another.
    Updated,
    /// A flow is no longer there.
    Removed,
    /// No flow is there any more.
    Cleared,
}

/// What a subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// Something changed.
    Change(Change),
    /// The subscriber was too slow: so many changes are lost to it, and it has to list anew.
    Lost(u64),
}

#[derive(Debug)]
pub(super) struct Feed {
    sender: broadcast::Sender<Change>,
}

impl Feed {
    pub(super) fn new(changes: usize) -> Self {
        Self { sender: broadcast::Sender::new(changes.max(1)) }
    }

    pub(super) fn send(&self, change: Change) {
        if self.sender.receiver_count() > 0 {
            let _ = self.sender.send(change);
        }
    }

    pub(super) fn subscribe(&self, counters: Arc<Counters>) -> Subscription {
        Subscription { receiver: self.sender.subscribe(), counters }
    }
}

/// Tells of changes, in order.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Change>,
    counters: Arc<Counters>,
}

impl Subscription {
    /// Waits for what comes next; `None` when the store is gone. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<FeedEvent> {
        match self.receiver.recv().await {
            Ok(change) => Some(FeedEvent::Change(change)),
            Err(RecvError::Lagged(lost)) => Some(self.lost(lost)),
            Err(RecvError::Closed) => None,
        }
    }

    /// What is there already.
    pub fn try_next(&mut self) -> Option<FeedEvent> {
        match self.receiver.try_recv() {
            Ok(change) => Some(FeedEvent::Change(change)),
            Err(TryRecvError::Lagged(lost)) => Some(self.lost(lost)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    fn lost(&self, changes: u64) -> FeedEvent {
        self.counters.subscribers_lagged.fetch_add(1, Relaxed);
        FeedEvent::Lost(changes)
    }
}
