//! Which change rules and breakpoints are in force, and which flows are held: shared by the data path, which asks, and
//! by whoever edits them.
//!
//! Where there are none, a request pays for one load. What is in force is compiled when it changes, never when a
//! request asks.

mod book;
mod desk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::filter::{Filter, FilterError};
use crate::flow::{Flow, Side};
use crate::rules::{Hits, RuleError, Rules};

pub use book::{BreakpointSpec, BreakpointView, OnTimeout, RuleSource, RuleView, Sides};
pub use desk::{
    HeldBody, HeldView, Holding, MAX_HELD_TIME, NotHeld, Release, ReleaseError, Ticket, Verdict, Watching,
};

use book::Book;
use desk::Desk;

/// The most breakpoints.
pub const MAX_BREAKPOINTS: usize = 100;

/// Bounds of what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Flows that are held at once. One more goes on.
    pub flows: usize,
    /// Bytes of a body that is held to be edited. A longer one passes as it is.
    pub body_bytes: usize,
    /// How long a flow is held where a breakpoint does not say it.
    pub time: Duration,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { flows: 64, body_bytes: 1 << 20, time: Duration::from_secs(60) }
    }
}

/// The change rules, the breakpoints and what is held. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    active: ArcSwapOption<Active>,
    limits: ArcSwap<HoldLimits>,
    book: Mutex<Book>,
    desk: Mutex<Desk>,
    news: News,
}

/// Counts what others want to hear of.
#[derive(Debug)]
struct News(watch::Sender<Revisions>);

impl Default for News {
    fn default() -> Self {
        Self(watch::Sender::new(Revisions::default()))
    }
}

/// How often something changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// What is held.
    pub held: u64,
    /// The change rules.
    pub rules: u64,
    /// The breakpoints.
    pub breakpoints: u64,
}

/// What is in force, compiled.
#[derive(Debug)]
pub struct Active {
    /// The change rules.
    pub rules: Rules,
    breakpoints: Vec<Breakpoint>,
}

/// A breakpoint in force.
#[derive(Debug)]
pub struct Breakpoint {
    /// Its id.
    pub id: Arc<str>,
    /// Its filter, as it was written.
    pub written: Arc<str>,
    /// How long it holds.
    pub time: Duration,
    /// What becomes of a flow that nobody let go on.
    pub on_timeout: OnTimeout,
    filter: Filter,
    sides: Sides,
    hits: Arc<Hits>,
}

impl Active {
    /// Whether anything is asked about messages on this way.
    #[must_use]
    pub fn concerns(&self, side: Side) -> bool {
        self.rules.concern(side) || self.breakpoints.iter().any(|point| point.sides.has(side))
    }

    /// The first breakpoint that holds this flow now. `now` is in microseconds since 1970.
    #[must_use]
    pub fn breakpoint(&self, flow: &Flow, side: Side, now: u64) -> Option<&Breakpoint> {
        let concerned = self.breakpoints.iter().filter(|point| point.sides.has(side));
        let mut found = concerned.filter(|point| point.filter.matches(flow, now, &()));
        found.next().inspect(|point| point.hits.count(now))
    }
}

/// Why a rule or a breakpoint was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is none of this id.
    #[error("there is no `{0}`; list them again, somebody may have removed it")]
    Unknown(String),
    /// It is from the configuration.
    #[error("`{0}` stands in the configuration file; change it there, and reload")]
    FromConfig(String),
    /// It cannot be compiled.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The filter of a breakpoint.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A breakpoint makes no sense.
    #[error("{0}")]
    Breakpoint(String),
}

impl Changes {
    /// What is in force; `None` where nothing is.
    #[must_use]
    pub fn active(&self) -> Option<Arc<Active>> {
        // The common answer takes no reference.
        self.inner.active.load().as_ref().map(Arc::clone)
    }

    /// The bounds of what is held.
    #[must_use]
    pub fn limits(&self) -> HoldLimits {
        **self.inner.limits.load()
    }

    /// Puts other bounds into force, for what is held from now on.
    pub fn set_limits(&self, limits: HoldLimits) {
        self.inner.limits.store(Arc::new(limits));
        let book = self.book();
        // The default time of breakpoints is one of them.
        let _ = self.put_into_force(&book);
    }

    /// Tells of changes from now on.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Revisions> {
        self.inner.news.0.subscribe()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.inner.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Revisions)) {
        self.inner.news.0.send_modify(change);
    }

    /// Compiles the book. An error leaves what was in force.
    fn put_into_force(&self, book: &Book) -> Result<(), ChangeError> {
        let active = book.compile(self.limits().time)?;
        self.inner.active.store(active.map(Arc::new));
        Ok(())
    }
}
