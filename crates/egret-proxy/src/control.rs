//! Reaching a connection from outside: to drain it, to have it looked at again after a reload, or to
//! close it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

/// The configuration changed: open tunnels pass the gate again.
pub const RECHECK: u8 = 1;
/// The proxy is draining: no further request is expected on this connection.
pub const DRAIN: u8 = 2;
/// Close as soon as nothing is in flight.
pub const CLOSE_IDLE: u8 = 4;
/// Close now.
pub const CLOSE: u8 = 8;

/// The signals of one connection. Reading them is one load; the connection's task is woken when one
/// comes.
#[derive(Debug, Default)]
pub struct Control {
    signals: AtomicU8,
    registered: AtomicBool,
    /// Stays when it was used: the next signal wakes the task as well.
    waker: Mutex<Option<Waker>>,
    /// The client's address, where it matters whose it is.
    client: OnceLock<IpAddr>,
}

impl Control {
    /// Says whose connection it is. Told once.
    pub fn is_of(&self, client: IpAddr) {
        let _ = self.client.set(client);
    }

    /// The signals that stand, as bits.
    #[must_use]
    pub fn signals(&self) -> u8 {
        self.signals.load(Ordering::Relaxed)
    }

    /// Whether one of these signals stands.
    #[must_use]
    pub fn has(&self, signals: u8) -> bool {
        self.signals() & signals != 0
    }

    /// Takes a signal away.
    pub fn clear(&self, signal: u8) {
        self.signals.fetch_and(!signal, Ordering::Relaxed);
    }

    /// Has the task woken at every signal from now on. Asked before each wait, so it counts once: a
    /// connection is served by one task from beginning to end.
    pub fn register(&self, context: &Context<'_>) {
        if !self.registered.load(Ordering::Relaxed) {
            *self.waker() = Some(context.waker().clone());
            self.registered.store(true, Ordering::Relaxed);
        }
    }

    fn waker(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, signal: u8) {
        self.signals.fetch_or(signal, Ordering::Relaxed);
        // The lock orders this with `register`: either the task's waker is here, or the task sees the
        // signal when it has left it.
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    controls: Vec<Option<Arc<Control>>>,
    free: Vec<usize>,
    /// Those that stand for a connection, and not for a stream on one.
    connections: usize,
    /// Signals that new connections begin with.
    standing: u8,
}

impl Registry {
    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, until the handle is dropped.
    #[must_use]
    pub fn register(self: &Arc<Self>) -> Registered {
        self.add(true)
    }

    /// Adds a stream of an HTTP/2 connection, until the handle is dropped. It gets the signals, and is
    /// not counted.
    #[must_use]
    pub fn register_stream(self: &Arc<Self>) -> Registered {
        self.add(false)
    }

    fn add(self: &Arc<Self>, is_connection: bool) -> Registered {
        let mut entries = self.entries();
        entries.connections += usize::from(is_connection);
        let control = Arc::new(Control { signals: AtomicU8::new(entries.standing), ..Control::default() });
        let slot = entries.free.pop().unwrap_or_else(|| {
            entries.controls.push(None);
            entries.controls.len() - 1
        });
        entries.controls[slot] = Some(control.clone());
        drop(entries);
        Registered { registry: self.clone(), slot, is_connection, control }
    }

    /// Sends a signal to every connection. All but [`RECHECK`] stand for later ones as well.
    pub fn signal(&self, signal: u8) {
        let mut entries = self.entries();
        if signal != RECHECK {
            entries.standing |= signal;
        }
        let controls: Vec<_> = entries.controls.iter().flatten().cloned().collect();
        drop(entries);
        for control in controls {
            control.raise(signal);
        }
    }

    /// Sends a signal to the connections of these clients, as far as it is told whose they are.
    pub fn signal_clients(&self, signal: u8, clients: &HashSet<IpAddr>) {
        let entries = self.entries();
        let is_meant =
            |control: &&Arc<Control>| control.client.get().is_some_and(|client| clients.contains(client));
        let controls: Vec<_> = entries.controls.iter().flatten().filter(is_meant).cloned().collect();
        drop(entries);
        for control in controls {
            control.raise(signal);
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().connections
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A connection's place in the registry.
#[derive(Debug)]
pub struct Registered {
    registry: Arc<Registry>,
    slot: usize,
    is_connection: bool,
    /// The connection's signals.
    pub control: Arc<Control>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.registry.entries();
        entries.controls[self.slot] = None;
        entries.connections -= usize::from(self.is_connection);
        entries.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_signal_wakes_the_task_and_not_only_the_first() {
        let registry = Arc::new(Registry::default());
        let registered = registry.register();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        registered.control.register(&Context::from_waker(&waker));
        registry.signal(RECHECK);
        registered.control.clear(RECHECK);
        registry.signal(CLOSE);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(registered.control.has(CLOSE));
    }
}
