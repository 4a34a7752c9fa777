//! Lists of the API server that are kept current, and what is known of how current they are.
//!
//! A watch that breaks is begun again with a new list, later and later; meanwhile what was last seen is gone on with.
//! The log says once that it broke, and once that it is well again.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::runtime::reflector;
use kube::runtime::reflector::{Lookup, Store, store};
use kube::runtime::watcher::{self, Config, Error, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::api::{Failure, explain};
use crate::client::Backoff;

/// How long until a kind that the API server does not serve is asked for again: the custom resources may be installed
/// after the controller.
const ABSENT: Duration = Duration::from_secs(15);
/// How long changes may gather before they are acted on.
const GATHER: Duration = Duration::from_millis(100);

/// Says that something changed. Those who wait miss nothing, and several changes are one.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    sender: Arc<watch::Sender<u64>>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(0)) }
    }

    /// Something changed.
    pub(crate) fn tell(&self) {
        self.sender.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        *self.sender.borrow()
    }

    /// Waits for changes.
    pub(crate) fn listen(&self) -> Listener {
        let mut receiver = self.sender.subscribe();
        // Whoever begins to listen has seen nothing yet.
        receiver.mark_changed();
        Listener { receiver }
    }
}

/// Waits for [`Changes`].
#[derive(Debug)]
pub(crate) struct Listener {
    receiver: watch::Receiver<u64>,
}

impl Listener {
    /// Waits for a change, and a moment longer for those that come with it; or for the end of `most`.
    pub(crate) async fn changed_within(&mut self, most: Duration) {
        if let Ok(Ok(())) = timeout(most, self.receiver.changed()).await {
            sleep(GATHER).await;
            self.receiver.mark_unchanged();
        }
    }
}

/// How current a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not read yet.
    Starting,
    /// Kept current.
    Current,
    /// It was, or never came to be; why.
    Behind(String),
    /// The API server does not serve this kind.
    Absent,
}

/// What is known of how current a list is.
#[derive(Debug)]
pub(crate) struct Health {
    /// What is listed, for people and metrics.
    pub(crate) kind: &'static str,
    state: Mutex<State>,
    read: AtomicBool,
    failures: AtomicU64,
    restarts: AtomicU64,
}

impl Health {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            state: Mutex::new(State::Starting),
            read: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        }
    }

    /// Whether it was read at least once, or cannot be.
    pub(crate) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// Whether it is kept current now.
    pub(crate) fn is_current(&self) -> bool {
        matches!(*self.lock(), State::Current | State::Absent)
    }

    /// Whether the API server does not serve it.
    pub(crate) fn is_absent(&self) -> bool {
        *self.lock() == State::Absent
    }

    /// Failed lists and watches so far.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How often it was read anew from the beginning.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn well(&self) {
        self.read.store(true, Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.lock(), State::Current);
        if let State::Behind(_) = before {
            tracing::info!(kind = self.kind, "the watch is current again");
        }
    }

    fn absent(&self) {
        self.read.store(true, Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.lock(), State::Absent);
        if before != State::Absent {
            match self.kind {
                "EgressProxy" | "ClusterEgressPolicy" | "EgressPolicy" => tracing::warn!(
                    kind = self.kind,
                    "the custom resources are not installed: egret crds | kubectl apply --server-side -f -"
                ),
                kind => {
                    tracing::info!(kind, "the API server does not serve this kind; going on without it");
                }
            }
        }
    }

    fn failed(&self, why: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        if !matches!(*state, State::Behind(_)) {
            tracing::warn!(
                kind = self.kind,
                %why,
                "the watch broke; going on with what was last seen, and trying again"
            );
        }
        *state = State::Behind(why);
    }
}

/// A list that is kept current.
pub(crate) struct Watched<K: 'static + Lookup + Clone>
where
    K::DynamicType: Eq + Hash + Clone,
{
    /// What was last seen.
    pub(crate) store: Store<K>,
    /// How current it is.
    pub(crate) health: Arc<Health>,
}

impl<K: 'static + Lookup + Clone> Clone for Watched<K>
where
    K::DynamicType: Eq + Hash + Clone,
{
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), health: self.health.clone() }
    }
}

impl<K: 'static + Lookup + Clone> Debug for Watched<K>
where
    K::DynamicType: Eq + Hash + Clone,
{
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watched").field("health", &self.health).finish_non_exhaustive()
    }
}

/// Begins to keep a list current. `trim` takes out of each object what nobody needs.
pub(crate) fn keep<K>(
    tasks: &mut JoinSet<()>,
    api: Api<K>,
    config: Config,
    kind: &'static str,
    trim: fn(&mut K),
    changes: &Changes,
) -> Watched<K>
where
    K: Resource
        + Lookup<DynamicType = <K as Resource>::DynamicType>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    <K as Resource>::DynamicType: Eq + Hash + Clone + Default + Send + Sync,
{
    let (reader, writer) = store();
    let health = Arc::new(Health::new(kind));
    tasks.spawn(follow(api, config, writer, health.clone(), trim, changes.clone()));
    Watched { store: reader, health }
}

async fn follow<K>(
    api: Api<K>,
    config: Config,
    mut writer: reflector::store::Writer<K>,
    health: Arc<Health>,
    trim: fn(&mut K),
    changes: Changes,
) where
    K: Resource
        + Lookup<DynamicType = <K as Resource>::DynamicType>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    <K as Resource>::DynamicType: Eq + Hash + Clone + Default + Send + Sync,
{
    let mut backoff = Backoff::default();
    let mut begun = false;
    loop {
        let mut events = std::pin::pin!(watcher(api.clone(), config.clone()));
        let mut pause = ABSENT;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let event = event.modify(trim);
                    writer.apply_watcher_event(&event);
                    match event {
                        Event::Init => {
                            if std::mem::replace(&mut begun, true) {
                                health.restarts.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Event::InitApply(_) => {}
                        Event::InitDone | Event::Apply(_) | Event::Delete(_) => {
                            backoff.reset();
                            health.well();
                            changes.tell();
                        }
                    }
                }
                Err(error) if is_absent(&error) => {
                    // What it had of it, it has no more: the kind went away.
                    writer.apply_watcher_event(&Event::Init);
                    writer.apply_watcher_event(&Event::InitDone);
                    health.absent();
                    changes.tell();
                    break;
                }
                Err(error) => {
                    // Read anew: a watch that is taken up where it broke says nothing until something changes, and
                    // nobody could tell that it is current again.
                    health.failed(words(error));
                    pause = backoff.wait();
                    break;
                }
            }
        }
        sleep(pause).await;
    }
}

/// Whether the API server does not know this kind.
fn is_absent(error: &watcher::Error) -> bool {
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) => super::api::is_status(error, 404),
        _ => false,
    }
}

fn words(error: watcher::Error) -> String {
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
            explain(&Failure::Api(error))
        }
        Error::WatchError(status) => match status.code {
            410 => "the API server no longer has what changed since (410); reading it all again".to_owned(),
            _ => explain(&Failure::Api(kube::Error::Api(status))),
        },
        other => other.to_string(),
    }
}
