//! The thread that stores.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Inner;
use super::assemble::{Assembler, SHOW_EVERY};
use super::feed::Change;
use crate::capture::Queue;
use crate::flow::{Body, BodyNote, Content, Flow, Side};

/// How long pieces gather before they are looked at: nobody sees it, and it spares workers wake-ups.
const GATHER: Duration = Duration::from_millis(20);
/// How often the database is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often old flows are looked for.
const AGE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Worker {
    inner: Arc<Inner>,
    assembler: Assembler,
    written: Instant,
}

impl Worker {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let assembler = Assembler::new(inner.settings.clone(), inner.counters.clone());
        Self { inner, assembler, written: Instant::now() }
    }

    pub(super) fn run(mut self) {
        loop {
            let (stop, asked, forced) = self.wait();
            self.drain();
            self.evict_old();
            self.write(forced);
            let mut state = self.inner.signal.lock();
            state.answered = state.answered.max(asked);
            drop(state);
            self.inner.signal.changed.notify_all();
            if stop {
                return;
            }
        }
    }

    /// Waits until there is something to do: whether to stop, who waits for an answer, and whether everything
    /// is to be written now.
    fn wait(&self) -> (bool, u64, bool) {
        let signal = &self.inner.signal;
        let unwritten = self.inner.database().as_ref().is_some_and(super::Database::has_changes);
        let timeout = match (self.assembler.has_changes(), unwritten, self.inner.settings.age) {
            (true, _, _) => SHOW_EVERY,
            (_, true, _) => WRITE_EVERY,
            (_, _, Some(_)) => AGE_EVERY,
            _ => Duration::from_secs(3600),
        };
        let mut state = signal.lock();
        if !state.pending && !state.stop && state.asked == state.answered {
            let waited = signal.changed.wait_timeout_while(state, timeout, |state| {
                !state.pending && !state.stop && state.asked == state.answered
            });
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.stop && state.asked == state.answered {
            let waited = signal
                .changed
                .wait_timeout_while(state, GATHER, |state| !state.stop && state.asked == state.answered);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.pending = false;
        (state.stop, state.asked, state.stop || state.asked > state.answered)
    }

    fn drain(&mut self) {
        let redactor = self.inner.redactor.load_full();
        let queues: Vec<Arc<Queue>> = {
            let mut queues = self.inner.queues.lock().unwrap_or_else(PoisonError::into_inner);
            // One that no handle is left of is emptied now for the last time.
            let all = queues.clone();
            queues.retain(|queue| Arc::strong_count(queue) > 2);
            all
        };
        for queue in queues {
            let mut pieces = Vec::new();
            queue.take(&mut pieces);
            for (id, piece) in pieces {
                self.assembler.piece(id, piece, &redactor);
            }
        }
        let inner = &self.inner;
        let ready = self.assembler.ready(
            &redactor,
            |id| inner.ring().by_id(id).filter(|f| f.active).map(|f| f.seq),
            || inner.ring_mut().reserve(),
        );
        let mut changes = Vec::with_capacity(ready.len());
        for ready in ready {
            let finished = !ready.flow.active;
            let mut ready = ready;
            // Its beginning and its end may be in one batch: then there is one by now.
            if ready.new
                && let Some(before) = inner.ring().by_id(ready.flow.id).filter(|before| before.active)
            {
                ready.flow.seq = before.seq;
                ready.new = false;
            }
            let (flow, gone) = inner.spill(ready.flow);
            let put = {
                let mut ring = inner.ring_mut();
                if ready.new { Some(ring.add(flow)) } else { ring.replace(flow) }
            };
            if let Some((flow, change)) = put {
                changes.push(change);
                if finished {
                    inner.counters.flows_stored.fetch_add(1, Relaxed);
                    if let Some(database) = &mut *inner.database() {
                        database.changed(flow);
                    }
                }
            }
            for seq in gone {
                changes.extend(inner.body_evicted(seq));
            }
        }
        changes.into_iter().for_each(|change| inner.feed.send(change));
        self.evict(0);
    }

    fn evict(&self, oldest: u64) {
        let evicted = self.inner.ring_mut().evict(oldest);
        if evicted.is_empty() {
            return;
        }
        self.inner.counters.flows_evicted.fetch_add(evicted.len() as u64, Relaxed);
        let (flows, changes): (Vec<_>, Vec<_>) = evicted.into_iter().unzip();
        self.inner.forget(&flows);
        changes.into_iter().for_each(|change| self.inner.feed.send(change));
    }

    fn evict_old(&self) {
        if let Some(age) = self.inner.settings.age {
            let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            self.evict(Inner::now().saturating_sub(age));
        }
    }

    fn write(&mut self, now: bool) {
        if !now && self.written.elapsed() < WRITE_EVERY {
            return;
        }
        self.written = Instant::now();
        if let Some(database) = &mut *self.inner.database()
            && let Err(error) = database.write()
        {
            database.give_up(2 * self.inner.settings.flows);
            let before = self.inner.counters.storage_errors.fetch_add(1, Relaxed);
            // Once: a full disk would fill the log as well.
            if before == 0 {
                tracing::warn!(
                    "flows cannot be written to the database, and will not survive a restart: {error}; look at the space on its disk"
                );
            }
        }
    }
}

impl Inner {
    /// Writes the large bodies of a flow that is over to files. Gives the numbers of flows whose files had to
    /// go for them.
    fn spill(&self, mut flow: Flow) -> (Flow, Vec<u64>) {
        let mut gone = Vec::new();
        let Some(spill) = self.spill.as_ref().filter(|_| !flow.active) else { return (flow, gone) };
        let seq = flow.seq;
        let sides = [
            (Side::Request, Some(&mut flow.request.body)),
            (Side::Response, flow.response.as_mut().map(|r| &mut r.body)),
        ];
        for (side, body) in sides {
            let Some(body) = body else { continue };
            let Some(bytes) = body.in_memory().filter(|bytes| bytes.len() > self.settings.spill_bytes) else {
                continue;
            };
            match spill.write(seq, side, bytes) {
                Ok((file, evicted)) => {
                    body.content = Content::File(file);
                    gone.extend(evicted);
                }
                Err(error) => {
                    if self.counters.storage_errors.fetch_add(1, Relaxed) == 0 {
                        tracing::warn!(
                            "a captured body cannot be written to disk and is dropped: {error}; look at the space on the disk of the state directory"
                        );
                    }
                    *body = Body {
                        captured: 0,
                        note: Some(BodyNote::NotStored),
                        content: Content::None,
                        ..body.clone()
                    };
                }
            }
        }
        (flow, gone)
    }

    /// Notes that a file of a flow is gone.
    fn body_evicted(&self, seq: u64) -> Option<Change> {
        self.counters.bodies_evicted.fetch_add(1, Relaxed);
        let mut flow = Flow::clone(&*self.ring().by_seq(seq)?);
        let response = flow.response.as_mut().map(|response| &mut response.body);
        for body in [Some(&mut flow.request.body), response].into_iter().flatten() {
            if matches!(&body.content, Content::File(file) if !file.path.exists()) {
                *body = Body {
                    captured: 0,
                    note: Some(BodyNote::Evicted),
                    content: Content::None,
                    ..body.clone()
                };
            }
        }
        let (flow, change) = self.ring_mut().replace(flow)?;
        if let Some(database) = &mut *self.database() {
            database.changed(flow);
        }
        Some(change)
    }
}
