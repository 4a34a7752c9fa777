//! The buffers that workers leave lines in, and the thread that empties them.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use egret_core::record::FlowRecord;
use egret_core::settings::AccessLogFormat;

use super::LineFormatter;
use super::sink::Sink;

/// How long lines gather before they are written: short enough for `tail -f`, long enough that a busy
/// proxy makes one system call for hundreds of lines.
const GATHER: Duration = Duration::from_millis(50);
/// What a buffer shrinks back to after a burst.
const WORKING_SIZE: usize = 64 * 1024;
/// A buffer so many times larger than what it was used for is left over from a burst.
const BURST: usize = 8;

/// One worker's buffer, on cache lines of its own so that neighbours do not slow each other.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    formatter: LineFormatter,
}

/// What workers, the writing thread and the owner share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) slots: Box<[Slot]>,
    /// Bytes that may wait in one slot.
    pub(super) limit: AtomicUsize,
    pub(super) dropped: AtomicU64,
    pub(super) write_errors: AtomicU64,
    /// Index into `FORMATS`, or `OFF`.
    format: AtomicU8,
    /// Some slot has lines, and the thread has been told.
    pending: AtomicBool,
    orders: Mutex<Orders>,
    flushed: Condvar,
    thread: OnceLock<Thread>,
}

/// What the owner wants of the thread.
#[derive(Debug, Default)]
struct Orders {
    switches: Vec<Switch>,
    flushes_wanted: u64,
    flushes_done: u64,
    stop: bool,
}

/// Another output, and the lines that were written before it was wanted and belong to the old one.
#[derive(Debug)]
struct Switch {
    before: Vec<Vec<u8>>,
    to: Sink,
}

/// Switches that may wait for a thread whose output is blocked. More of them would hold more lines
/// than the bound allows; the last one is then redirected.
const SWITCHES: usize = 4;

const FORMATS: [AccessLogFormat; 5] = [
    AccessLogFormat::Json,
    AccessLogFormat::Common,
    AccessLogFormat::Combined,
    AccessLogFormat::Squid,
    AccessLogFormat::Logfmt,
];
const OFF: u8 = u8::MAX;

impl Shared {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            slots: (0..workers.max(1)).map(|_| Slot::default()).collect(),
            limit: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
            format: AtomicU8::new(OFF),
            pending: AtomicBool::new(false),
            orders: Mutex::default(),
            flushed: Condvar::new(),
            thread: OnceLock::new(),
        }
    }

    /// `None` switches the log off.
    pub(super) fn set_format(&self, format: Option<AccessLogFormat>) {
        let index = format.and_then(|format| FORMATS.iter().position(|known| *known == format));
        self.format.store(index.map_or(OFF, |index| index as u8), Relaxed);
    }

    pub(super) fn write(&self, worker: usize, record: &FlowRecord) {
        let Some(&format) = FORMATS.get(usize::from(self.format.load(Relaxed))) else { return };
        let limit = self.limit.load(Relaxed);
        let (before, after) = {
            let mut waiting = lock(&self.slots[worker].0);
            let Waiting { lines, formatter } = &mut *waiting;
            let before = lines.len();
            if before < limit {
                formatter.append(format, record, lines);
            }
            if before >= limit || lines.len() > limit {
                lines.truncate(before);
                self.dropped.fetch_add(1, Relaxed);
                return;
            }
            (before, lines.len())
        };
        if after > before {
            self.announce(before <= limit / 2 && after > limit / 2);
        }
    }

    /// Wakes the thread if it does not know yet that lines wait, or if it should hurry.
    fn announce(&self, hurry: bool) {
        // The load spares the swap's write to a shared cache line. It cannot miss a reset: the thread
        // resets `pending` before it takes the slot's lock, which this worker took since.
        let is_news = !self.pending.load(Relaxed) && !self.pending.swap(true, AcqRel);
        if is_news || hurry {
            self.wake();
        }
    }

    pub(super) fn replace_sink(&self, sink: Sink) {
        let mut orders = lock(&self.orders);
        let full = orders.switches.len() >= SWITCHES;
        match orders.switches.last_mut() {
            Some(last) if full => last.to = sink,
            _ => {
                let before = self.slots.iter().map(|slot| std::mem::take(&mut lock(&slot.0).lines)).collect();
                orders.switches.push(Switch { before, to: sink });
            }
        }
        drop(orders);
        self.wake();
    }

    pub(super) fn stop(&self) {
        lock(&self.orders).stop = true;
        self.wake();
    }

    pub(super) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut orders = lock(&self.orders);
        orders.flushes_wanted += 1;
        let ticket = orders.flushes_wanted;
        self.wake();
        while orders.flushes_done < ticket {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            let waited = self.flushed.wait_timeout(orders, left);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// A panic while a lock is held leaves nothing half done that matters more than going on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread.
pub(super) fn start(shared: &Arc<Shared>, sink: Sink) -> std::io::Result<()> {
    let spare = shared.slots.iter().map(|_| Vec::new()).collect();
    let mut writer = Writer { shared: shared.clone(), sink, spare };
    let handle = thread::Builder::new().name("access-log".into()).spawn(move || writer.run())?;
    // Lines written before this are seen by the thread's first look; later ones wake it.
    let _ = shared.thread.set(handle.thread().clone());
    handle.thread().unpark();
    Ok(())
}

struct Writer {
    shared: Arc<Shared>,
    sink: Sink,
    /// One empty buffer for each worker.
    spare: Vec<Vec<u8>>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            self.wait();
            // Orders are taken before the buffers: a flush covers every line written before it.
            let (switches, flushes, stop) = {
                let mut orders = lock(&self.shared.orders);
                (std::mem::take(&mut orders.switches), orders.flushes_wanted, orders.stop)
            };
            for Switch { before, to } in switches {
                before.iter().for_each(|lines| self.write_lines(lines));
                self.sink = to;
            }
            self.write_everything();
            lock(&self.shared.orders).flushes_done = flushes;
            self.shared.flushed.notify_all();
            if stop {
                return;
            }
        }
    }

    /// Sleeps until there is an order, or lines that have gathered for a while.
    fn wait(&self) {
        while !self.has_orders() {
            if self.shared.pending.load(Relaxed) {
                return thread::park_timeout(GATHER);
            }
            thread::park();
        }
    }

    fn has_orders(&self) -> bool {
        let orders = lock(&self.shared.orders);
        orders.stop || !orders.switches.is_empty() || orders.flushes_wanted > orders.flushes_done
    }

    fn write_everything(&mut self) {
        self.shared.pending.store(false, Release);
        for worker in 0..self.spare.len() {
            // An empty buffer goes in for the full one, so that neither side allocates.
            let mut lines = std::mem::take(&mut self.spare[worker]);
            std::mem::swap(&mut lock(&self.shared.slots[worker].0).lines, &mut lines);
            self.write_lines(&lines);
            let used = lines.len();
            lines.clear();
            if lines.capacity() > BURST.saturating_mul(used.max(WORKING_SIZE)) {
                lines.shrink_to(WORKING_SIZE);
            }
            self.spare[worker] = lines;
        }
    }

    fn write_lines(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let give_up = || lock(&self.shared.orders).stop;
        if let Err(lost) = self.sink.write_lines(lines, give_up) {
            self.shared.write_errors.fetch_add(1, Relaxed);
            self.shared.dropped.fetch_add(lost.lines, Relaxed);
        }
    }
}
