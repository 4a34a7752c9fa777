//! Where flows are kept: a ring in memory, large bodies in files, and, where it is asked for, a database that
//! survives a restart.
//!
//! One thread takes what the workers captured, redacts it and stores it. Whoever reads takes flows out of the
//! ring as they are at that moment; a flow that was handed out never changes.

mod assemble;
mod bodies;
mod database;
mod feed;
mod list;
mod ring;
mod settings;
mod thread;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bytes::Bytes;
use egret_core::flow_id::FlowId;

use crate::capture::{CaptureHandle, Counters, Queue, Signal, micros};
use crate::flow::{Body, Content, Flow, Side};
use crate::redact::{BadPath, RedactionSettings, Redactor};
use crate::view::decode::{self, DecodeLimits, Decoded};

use bodies::Spill;
use database::Database;
use ring::Ring;

pub use feed::{Change, ChangeKind, FeedEvent, Subscription};
pub use list::{BadCursor, Cursor, FILTER_BODY_BYTES, MAX_PAGE, Page, Query, Sort, SortKey};
pub use settings::StoreSettings;

/// The store of a process. Clones are the same store. It ends, and writes what it has to, when
/// [`FlowStore::close`] is called or the last clone is dropped.
#[derive(Clone, Debug)]
pub struct FlowStore {
    inner: Arc<Inner>,
    _guard: Arc<Guard>,
}

/// What is counted, for metrics. Each counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Pieces of flows that were dropped because a queue was full (`queueBytes`, `queuePieces`).
    pub pieces_dropped: u64,
    /// Flows whose end was lost because a queue was full twice over.
    pub flows_lost: u64,
    /// Flows that were stored.
    pub flows_stored: u64,
    /// Flows removed because there were too many, too large or too old ones (`flows`, `memoryBytes`, `age`).
    pub flows_evicted: u64,
    /// Bodies that were cut off (the capture's size limit, `assemblingBytes`).
    pub bodies_truncated: u64,
    /// Bodies removed from disk (`bodyBytes`).
    pub bodies_evicted: u64,
    /// Bodies dropped because redaction applied and they could not be read.
    pub bodies_unreadable: u64,
    /// Files or the database could not be written.
    pub storage_errors: u64,
    /// Subscribers that were too slow and lost changes.
    pub subscribers_lagged: u64,
    /// Flows in the store now.
    pub flows: u64,
    /// Bytes of memory that they take now, about.
    pub memory: u64,
    /// Bytes of bodies on disk now.
    pub disk: u64,
}

/// What somebody says about a flow. `None` leaves it as it is; an empty text takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    /// The mark.
    pub mark: Option<String>,
    /// The comment.
    pub comment: Option<String>,
    /// All tags.
    pub tags: Option<Vec<String>>,
}

/// The database's file.
pub const DATABASE: &str = "flows.db";
/// The most flows that [`FlowStore::read`] takes.
const READ_FLOWS: usize = 1_000_000;

/// The longest mark, tag and comment in bytes; what is longer is cut off.
pub const MAX_ANNOTATION_BYTES: usize = 4096;
/// The most tags of a flow.
pub const MAX_TAGS: usize = 32;

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state directory cannot be used.
    #[error(
        "the flow store cannot use {path}: {error}; make it writable for this user, or choose another directory"
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no database, or it cannot be read.
    #[error(
        "the flows in {path} cannot be read: {error}; a store is there when `flows: {{persistent: true}}` is set"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A JSON path for redaction is wrong.
    #[error(transparent)]
    Redaction(#[from] BadPath),
    /// There is no thread for it.
    #[error("the thread of the flow store cannot be started: {0}; raise the limit of threads")]
    Thread(io::Error),
}

#[derive(Debug)]
struct Inner {
    settings: StoreSettings,
    redactor: ArcSwap<Redactor>,
    ring: RwLock<Ring>,
    feed: feed::Feed,
    counters: Arc<Counters>,
    queues: Mutex<Vec<Arc<Queue>>>,
    signal: Arc<Signal>,
    spill: Option<Spill>,
    database: Mutex<Option<Database>>,
    /// What could not be read when the store was opened, for people.
    warning: Option<String>,
}

/// Ends the thread.
#[derive(Debug)]
struct Guard {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}

impl Guard {
    fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.inner.signal.lock().stop = true;
        self.inner.signal.changed.notify_all();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl FlowStore {
    /// Opens the store and starts its thread. A database that cannot be read is moved aside, and
    /// [`FlowStore::warning`] says so.
    ///
    /// # Errors
    /// The directory cannot be used, a JSON path is wrong, or there is no thread.
    pub fn open(settings: StoreSettings, redaction: &RedactionSettings) -> Result<Self, StoreError> {
        let redactor = ArcSwap::from_pointee(Redactor::new(redaction)?);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Directory { path, error }
        };
        let mut ring = Ring::new(&settings);
        let (mut spill, mut database, mut warning) = (None, None, None);
        if let Some(directory) = &settings.directory {
            let opened = Spill::open(&directory.join("bodies"), settings.body_bytes);
            let spilled = opened.map_err(failed(directory))?;
            if settings.persistent {
                let path = directory.join(DATABASE);
                let (opened, flows, problem) =
                    Database::open(&path, settings.flows, &spilled).map_err(failed(directory))?;
                flows.into_iter().for_each(|flow| ring.restore(flow));
                database = Some(opened);
                warning = problem;
            }
            spilled.remove_orphans(&ring.spilled()).map_err(failed(directory))?;
            spill = Some(spilled);
        }
        if let Some(warning) = &warning {
            tracing::warn!("{warning}");
        }
        let inner = Arc::new(Inner {
            feed: feed::Feed::new(settings.feed_changes),
            settings,
            redactor,
            ring: RwLock::new(ring),
            counters: Arc::default(),
            queues: Mutex::default(),
            signal: Arc::default(),
            spill,
            database: Mutex::new(database),
            warning,
        });
        let worker = thread::Worker::new(inner.clone());
        let thread = std::thread::Builder::new().name("flows".into()).spawn(move || worker.run());
        let thread = thread.map_err(StoreError::Thread)?;
        let guard = Arc::new(Guard { inner: inner.clone(), thread: Mutex::new(Some(thread)) });
        Ok(Self { inner, _guard: guard })
    }

    /// Reads the flows of a store that another process may have open, and changes nothing there. `directory` is
    /// the store's ([`StoreSettings::directory`]). What is captured from now on is not seen.
    ///
    /// # Errors
    /// There is no database in the directory, or it cannot be read.
    pub fn read(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE);
        let bodies = Spill::of_another(&directory.join("bodies"));
        let flows = Database::read(&path, READ_FLOWS, &bodies)
            .map_err(|error| StoreError::Unreadable { path, error: error.to_string() })?;
        let settings =
            StoreSettings { flows: READ_FLOWS, memory_bytes: usize::MAX, ..StoreSettings::default() };
        let store = Self::open(settings, &RedactionSettings::none())?;
        let mut ring = store.inner.ring_mut();
        flows.into_iter().for_each(|flow| ring.restore(flow));
        drop(ring);
        Ok(store)
    }

    /// A handle for one worker, with a queue of its own.
    #[must_use]
    pub fn handle(&self) -> CaptureHandle {
        let inner = &self.inner;
        let settings = &inner.settings;
        let queue = Queue::new(
            settings.queue_bytes,
            settings.queue_pieces,
            inner.signal.clone(),
            inner.counters.clone(),
        );
        let queue = Arc::new(queue);
        let mut queues = inner.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(queue.clone());
        CaptureHandle { queue }
    }

    /// Redacts by other settings from now on. What is stored stays as it is.
    ///
    /// # Errors
    /// A JSON path is wrong; then nothing changes.
    pub fn redact_by(&self, settings: &RedactionSettings) -> Result<(), BadPath> {
        self.inner.redactor.store(Arc::new(Redactor::new(settings)?));
        Ok(())
    }

    /// What takes out of flows what settings name, as it is now.
    #[must_use]
    pub fn redactor(&self) -> Arc<Redactor> {
        self.inner.redactor.load_full()
    }

    /// What could not be read when the store was opened.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.inner.warning.as_deref()
    }

    /// The flow of this id; the latest, should two have it.
    #[must_use]
    pub fn flow(&self, id: FlowId) -> Option<Arc<Flow>> {
        self.inner.ring().by_id(id)
    }

    /// The flow of this number.
    #[must_use]
    pub fn flow_by_seq(&self, seq: u64) -> Option<Arc<Flow>> {
        self.inner.ring().by_seq(seq)
    }

    /// The oldest flow.
    #[must_use]
    pub fn oldest(&self) -> Option<Arc<Flow>> {
        self.inner.ring().after(0, 1).into_iter().next()
    }

    /// What the store was opened with.
    #[must_use]
    pub fn settings(&self) -> &StoreSettings {
        &self.inner.settings
    }

    /// A page of flows. Reads bodies from disk when the filter asks for them, so it may take a while: not for
    /// a thread that must not block.
    #[must_use]
    pub fn list(&self, query: &Query) -> Page {
        list::list(&self.inner, query)
    }

    /// The bytes of a body as they were captured; `None` if there are none. Reads a file where they are in
    /// one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn body(&self, body: &Body) -> io::Result<Option<Bytes>> {
        match &body.content {
            Content::None => Ok(None),
            Content::Memory(bytes) => Ok(Some(bytes.clone())),
            Content::File(file) => bodies::read(file),
        }
    }

    /// The body of one side, decoded for viewing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn decoded(&self, flow: &Flow, side: Side, limits: &DecodeLimits) -> io::Result<Option<Decoded>> {
        let Some(body) = flow.body(side) else { return Ok(None) };
        let Some(bytes) = self.body(body)? else { return Ok(None) };
        let encodings = match (body.decoded, flow.headers(side)) {
            (false, Some(headers)) => {
                headers.all(b"content-encoding").map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
            }
            _ => String::new(),
        };
        Ok(Some(decode::decode(&encodings, &bytes, limits)))
    }

    /// Writes mark, comment and tags. Says whether there is such a flow.
    pub fn annotate(&self, id: FlowId, annotation: Annotation) -> bool {
        let Some((flow, change)) = self.inner.ring_mut().annotate(id, annotation) else { return false };
        self.inner.feed.send(change);
        if let Some(database) = &mut *self.inner.database() {
            database.changed(flow);
        }
        self.inner.signal.lock().pending = true;
        self.inner.signal.changed.notify_all();
        true
    }

    /// Removes a flow. Says whether there was one.
    pub fn remove(&self, id: FlowId) -> bool {
        let removed = self.inner.ring_mut().remove(id);
        let Some((flow, change)) = removed else { return false };
        self.inner.forget(&[flow]);
        self.inner.feed.send(change);
        true
    }

    /// Removes every flow, those that go on as well; and gives how many there were.
    pub fn clear(&self) -> usize {
        let (flows, change) = self.inner.ring_mut().clear();
        self.inner.forget(&flows);
        self.inner.feed.send(change);
        flows.len()
    }

    /// What changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.inner.feed.subscribe(self.inner.counters.clone())
    }

    /// What is counted.
    #[must_use]
    pub fn counts(&self) -> StoreCounts {
        let counters = &self.inner.counters;
        let (flows, memory) = {
            let ring = self.inner.ring();
            (ring.len() as u64, ring.memory() as u64)
        };
        StoreCounts {
            pieces_dropped: counters.pieces_dropped.load(Relaxed),
            flows_lost: counters.flows_lost.load(Relaxed),
            flows_stored: counters.flows_stored.load(Relaxed),
            flows_evicted: counters.flows_evicted.load(Relaxed),
            bodies_truncated: counters.bodies_truncated.load(Relaxed),
            bodies_evicted: counters.bodies_evicted.load(Relaxed),
            bodies_unreadable: counters.bodies_unreadable.load(Relaxed),
            storage_errors: counters.storage_errors.load(Relaxed),
            subscribers_lagged: counters.subscribers_lagged.load(Relaxed),
            flows,
            memory,
            disk: self.inner.spill.as_ref().map_or(0, Spill::used),
        }
    }

    /// Waits until all that was handed over before is stored. Blocks; for tests, and for a command that ends.
    pub fn settle(&self) {
        let signal = &self.inner.signal;
        let mut state = signal.lock();
        state.asked += 1;
        let mine = state.asked;
        signal.changed.notify_all();
        while state.answered < mine && !state.stop {
            state = signal.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stores what was handed over, writes the database, and ends the thread. Blocks.
    pub fn close(&self) {
        self._guard.close();
    }
}

impl Inner {
    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> std::sync::MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now() -> u64 {
        micros(SystemTime::now())
    }

    /// Takes away files and rows of flows that are in the ring no more.
    fn forget(&self, flows: &[Arc<Flow>]) {
        if let Some(spill) = &self.spill {
            flows.iter().for_each(|flow| spill.remove(flow));
        }
        if let Some(database) = &mut *self.database() {
            flows.iter().for_each(|flow| database.removed(flow.seq));
        }
    }
}
