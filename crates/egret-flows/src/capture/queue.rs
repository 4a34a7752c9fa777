//! The queue of one worker.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use egret_core::flow_id::FlowId;
use egret_core::record::FlowRecord;

use super::{Begin, Facts, Plan};
use crate::flow::Side;

/// A piece of a flow, on its way to the store.
#[derive(Debug)]
pub(crate) enum Piece {
    Begin(Box<(Begin, Plan)>, Box<[u8]>),
    ResponseHead(Box<[u8]>),
    /// With when it came, where that is of interest.
    Body(Side, u64, Box<[u8]>),
    Trailers(Side, Box<[u8]>),
    Frames(Side, u64, Box<[u8]>),
    Facts(Box<Facts>),
    Record {
        record: Box<FlowRecord>,
        facts: Option<Box<Facts>>,
        seen: [u64; 2],
        lost: u32,
    },
    Gone(u32),
}

/// What is counted, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) pieces_dropped: AtomicU64,
    pub(crate) flows_lost: AtomicU64,
    pub(crate) flows_stored: AtomicU64,
    pub(crate) flows_evicted: AtomicU64,
    pub(crate) bodies_truncated: AtomicU64,
    pub(crate) bodies_evicted: AtomicU64,
    pub(crate) bodies_unreadable: AtomicU64,
    pub(crate) storage_errors: AtomicU64,
    pub(crate) subscribers_lagged: AtomicU64,
}

/// Wakes the store's thread.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    pub(crate) changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct SignalState {
    /// There is something in a queue.
    pub(crate) pending: bool,
    pub(crate) stop: bool,
    /// How often somebody asked to have all that is queued stored, and how often that was done.
    pub(crate) asked: u64,
    pub(crate) answered: u64,
}

impl Signal {
    pub(crate) fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: Vec<(FlowId, Piece)>,
    bytes: usize,
    announced: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    max_bytes: usize,
    max_pieces: usize,
    signal: Arc<Signal>,
    counters: Arc<Counters>,
}

impl Queue {
    pub(crate) fn new(
        max_bytes: usize,
        max_pieces: usize,
        signal: Arc<Signal>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { waiting: Mutex::default(), max_bytes, max_pieces, signal, counters }
    }

    /// Queues a piece. Says whether there was room.
    pub(crate) fn push(&self, id: FlowId, piece: Piece, cost: usize) -> bool {
        let queued = self.try_push(id, piece, cost, 1);
        if !queued {
            self.counters.pieces_dropped.fetch_add(1, Relaxed);
        }
        queued
    }

    /// Queues the last piece of a flow, for which there is twice the room: without it, the flow would seem
    /// to go on.
    pub(crate) fn push_last(&self, id: FlowId, piece: Piece, cost: usize) {
        if !self.try_push(id, piece, cost, 2) {
            self.counters.flows_lost.fetch_add(1, Relaxed);
        }
    }

    fn try_push(&self, id: FlowId, piece: Piece, cost: usize, room: usize) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes + cost > self.max_bytes * room || waiting.pieces.len() >= self.max_pieces * room {
            return false;
        }
        waiting.pieces.push((id, piece));
        waiting.bytes += cost;
        let announce = !std::mem::replace(&mut waiting.announced, true);
        drop(waiting);
        // Once for each time that the queue is emptied, so that a busy worker is not held up by wake-ups.
        if announce {
            self.signal.lock().pending = true;
            self.signal.changed.notify_all();
        }
        true
    }

    /// Takes all that waits, in exchange for an empty list.
    pub(crate) fn take(&self, empty: &mut Vec<(FlowId, Piece)>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.pieces, empty);
        waiting.bytes = 0;
        waiting.announced = false;
    }
}
