//! How much each identity has done under each rule with a rate limit.
//!
//! The table outlives snapshots, so that a reload gives nobody a fresh allowance. It is split into shards, and
//! each account has a lock of its own that is held for a few additions. Accounts of those who do nothing are
//! forgotten as soon as that makes no difference to them.

use std::collections::HashMap;
use std::fmt;
use std::future::Future as _;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use egret_core::policy::RuleFacts;
use egret_core::policy::model::{Rate, RateLimit};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

/// Shards of the table.
const SHARDS: usize = 64;

/// Shards that are looked through for idle accounts at a time.
const SWEPT_AT_ONCE: usize = 8;

/// How often a shard that is full is looked through for room.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

/// The shortest wait of a transfer that is ahead of its rate: shorter ones would only wake it more often.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The longest wait before it is looked again, whatever a rate says: a reload may have changed it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a tunnel with a rate may move before it is counted.
pub const QUANTUM: usize = 64 * 1024;

/// For whom something is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// A user.
    User(Arc<str>),
    /// The name of a client certificate.
    Certificate(Arc<str>),
    /// A workload: its namespace, and its service account or pod.
    Workload(Arc<str>, Arc<str>),
    /// An address.
    Address(IpAddr),
    /// Everybody for whom there is no room.
    Others,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) | Self::Certificate(name) => f.write_str(name),
            Self::Workload(namespace, name) => write!(f, "{namespace}/{name}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Others => f.write_str("others"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    policy: Arc<str>,
    rule: Arc<str>,
    who: Who,
}

/// An allowance that fills up with time. Bytes that have passed already may leave it in debt.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    level: f64,
    /// When the level was so. `None`: it is full.
    at: Option<Instant>,
}

impl Bucket {
    fn refill(&mut self, rate: Rate, now: Instant) {
        let full = rate.amount as f64;
        self.level = match self.at {
            None => full,
            Some(at) => full.min(self.level + now.saturating_duration_since(at).as_secs_f64() * speed(rate)),
        };
        self.at = Some(now);
    }

    /// Takes one, or says in how long there will be one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.refill(rate, now);
        if self.level < 1.0 {
            return Err(self.time_to(1.0, rate));
        }
        self.level -= 1.0;
        Ok(())
    }

    fn debit(&mut self, rate: Rate, now: Instant, count: u64) {
        self.refill(rate, now);
        self.level -= count as f64;
    }

    /// How long it is in debt.
    fn debt(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        self.refill(rate, now);
        (self.level < 0.0).then(|| self.time_to(0.0, rate))
    }

    fn time_to(&self, level: f64, rate: Rate) -> Duration {
        // Bounded: what a float says of ages is no duration.
        Duration::from_secs_f64(((level - self.level) / speed(rate)).clamp(0.0, 1e9))
    }
}

/// Of what there is nothing, there will be a little in ages.
fn speed(rate: Rate) -> f64 {
    (rate.amount as f64 / rate.per.as_secs_f64().max(1e-9)).max(1e-9)
}

#[derive(Debug, Default)]
struct State {
    requests: Bucket,
    bytes: Bucket,
    /// From when on a fresh account would be the same.
    full_at: Option<Instant>,
}

impl State {
    fn note_full(&mut self, limit: &RateLimit, now: Instant) {
        let requests =
            limit.requests.map_or(Duration::ZERO, |rate| self.requests.time_to(rate.amount as f64, rate));
        let bytes = limit.bytes.map_or(Duration::ZERO, |rate| self.bytes.time_to(rate.amount as f64, rate));
        self.full_at = now.checked_add(requests.max(bytes));
    }
}

/// What one identity has done under one rule.
#[derive(Debug, Default)]
pub struct Account {
    state: Mutex<State>,
    under_way: AtomicU32,
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(self: &Arc<Self>, now: Instant) -> bool {
        Arc::strong_count(self) == 1 && self.state().full_at.is_some_and(|at| at <= now)
    }
}

#[derive(Debug, Default)]
struct Shard {
    accounts: HashMap<Key, Arc<Account>>,
    swept: Option<Instant>,
}

impl Shard {
    fn sweep(&mut self, now: Instant) {
        self.swept = Some(now);
        self.accounts.retain(|_, account| !account.is_idle(now));
    }
}

/// All accounts.
#[derive(Debug)]
pub struct Rates {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    next_swept: AtomicU32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next_swept: AtomicU32::new(0),
        }
    }
}

impl Rates {
    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(key) as usize % self.shards.len();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of an identity under a rule. True with it: it is one that others share, because there are
    /// as many as there may be.
    pub fn account(&self, rule: &RuleFacts, who: Who, most: usize, now: Instant) -> (Arc<Account>, bool) {
        let mut key = Key { policy: rule.policy.clone(), rule: rule.rule.clone(), who };
        let mut shard = self.shard(&key);
        if let Some(account) = shard.accounts.get(&key) {
            return (account.clone(), false);
        }
        let most = (most / SHARDS).max(1);
        if shard.accounts.len() >= most
            && shard.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= BETWEEN_SWEEPS)
        {
            shard.sweep(now);
        }
        if shard.accounts.len() < most {
            return (shard.accounts.entry(key).or_default().clone(), false);
        }
        drop(shard);
        key.who = Who::Others;
        // One for each rule, so these are bounded by the configuration.
        let account = self.shard(&key).accounts.entry(key).or_default().clone();
        (account, true)
    }

    /// Forgets idle accounts, of some of the shards each time.
    pub fn sweep(&self, now: Instant) {
        for _ in 0..SWEPT_AT_ONCE {
            let index = self.next_swept.fetch_add(1, Ordering::Relaxed) as usize % self.shards.len();
            self.shards[index].lock().unwrap_or_else(PoisonError::into_inner).sweep(now);
        }
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let accounts =
            |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).accounts.len();
        self.shards.iter().map(accounts).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which bound is reached, and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// `requests`.
    Requests(Duration),
    /// `connections`.
    Connections,
    /// `bytes`.
    Bytes(Duration),
}

/// A flow's place under a rule with a rate limit, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    rule: Arc<RuleFacts>,
    pacer: Pacer,
}

impl Lease {
    /// Counts a flow in.
    ///
    /// # Errors
    /// The bound that is reached. Nothing is counted then.
    pub fn take(
        account: Arc<Account>,
        rule: &Arc<RuleFacts>,
        limit: &Arc<RateLimit>,
        now: Instant,
    ) -> Result<Self, Over> {
        let before = account.under_way.fetch_add(1, Ordering::Relaxed);
        let lease = Self { rule: rule.clone(), pacer: Pacer::new(account, limit.clone(), Some(0)) };
        if limit.connections.is_some_and(|most| before >= most) {
            return Err(Over::Connections);
        }
        let mut state = lease.pacer.account.state();
        if let Some(wait) = limit.bytes.and_then(|rate| state.bytes.debt(rate, now)) {
            return Err(Over::Bytes(wait));
        }
        if let Some(rate) = limit.requests {
            state.requests.take(rate, now).map_err(Over::Requests)?;
        }
        state.note_full(limit, now);
        drop(state);
        Ok(lease)
    }

    /// Goes on under another rule, whatever its bounds.
    #[must_use]
    pub fn take_over(
        account: Arc<Account>,
        rule: &Arc<RuleFacts>,
        limit: &Arc<RateLimit>,
        before: Option<&Self>,
    ) -> Self {
        account.under_way.fetch_add(1, Ordering::Relaxed);
        let counted = before.and_then(|before| before.pacer.counted);
        Self { rule: rule.clone(), pacer: Pacer::new(account, limit.clone(), counted) }
    }

    /// Whether it is under this rule of this snapshot.
    #[must_use]
    pub fn is_under(&self, rule: &Arc<RuleFacts>) -> bool {
        Arc::ptr_eq(&self.rule, rule)
    }

    /// What counts and paces the bytes of a transfer; `None` where they may be any number.
    #[must_use]
    pub fn pacer(&self) -> Option<Box<Pacer>> {
        let Pacer { account, limit, .. } = &self.pacer;
        limit.bytes?;
        Some(Box::new(Pacer::new(account.clone(), limit.clone(), Some(0))))
    }

    /// The same of a flow that is one transfer; `None` where its bytes may be any number.
    pub fn own_pacer(&mut self) -> Option<&mut Pacer> {
        self.pacer.limit.bytes?;
        Some(&mut self.pacer)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pacer.account.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the bytes of a transfer as they pass, and holds it up while its identity is in debt.
#[derive(Debug)]
pub struct Pacer {
    account: Arc<Account>,
    limit: Arc<RateLimit>,
    /// Bytes that were counted. `None`: those that have passed so far are not to be.
    counted: Option<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pacer {
    fn new(account: Arc<Account>, limit: Arc<RateLimit>, counted: Option<u64>) -> Self {
        Self { account, limit, counted, sleep: None }
    }

    /// Counts what has passed: `moved` bytes since the transfer began.
    pub fn count(&mut self, moved: u64) {
        let Some(rate) = self.limit.bytes else { return };
        let before = self.counted.replace(moved).unwrap_or(moved);
        if moved > before {
            let now = Instant::now();
            let mut state = self.account.state();
            state.bytes.debit(rate, now, moved - before);
            state.note_full(&self.limit, now);
        }
    }

    /// Counts what has passed; whether more has to wait.
    pub fn is_in_debt(&mut self, moved: u64) -> bool {
        self.count(moved);
        let Some(rate) = self.limit.bytes else { return false };
        self.account.state().bytes.debt(rate, Instant::now()).is_some()
    }

    /// Counts what has passed, and is ready when more may.
    pub fn poll(&mut self, context: &mut Context<'_>, moved: u64) -> Poll<()> {
        self.count(moved);
        let Some(rate) = self.limit.bytes else { return Poll::Ready(()) };
        loop {
            let now = Instant::now();
            let Some(debt) = self.account.state().bytes.debt(rate, now) else {
                return Poll::Ready(());
            };
            let until = now + debt.clamp(SHORTEST_WAIT, LONGEST_WAIT);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(until)));
            // One that is over, or began before others had used up what there was.
            if sleep.is_elapsed() {
                sleep.as_mut().reset(until);
            }
            ready!(sleep.as_mut().poll(context));
        }
    }
}

#[cfg(test)]
mod tests {
    use egret_core::policy::model::Action;

    use super::*;

    fn limit(requests: Option<u64>, connections: Option<u32>, bytes: Option<u64>) -> Arc<RateLimit> {
        let rate = |amount| Rate { amount, per: Duration::from_secs(10) };
        Arc::new(RateLimit { requests: requests.map(rate), connections, bytes: bytes.map(rate) })
    }

    fn rule() -> Arc<RuleFacts> {
        Arc::new(RuleFacts::new("policy", "rule", Action::Allow))
    }

    fn user(name: &str) -> Who {
        Who::User(name.into())
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn requests_may_come_at_once_and_then_as_the_allowance_fills_up() {
        let (rates, rule, limit, start) =
            (Rates::default(), rule(), limit(Some(2), None, None), Instant::now());
        let take = |who: &str, now| {
            let (account, _) = rates.account(&rule, user(who), 1000, now);
            Lease::take(account, &rule, &limit, now).map(drop)
        };
        assert_eq!((take("a", start), take("a", start)), (Ok(()), Ok(())));
        assert_eq!(take("a", start), Err(Over::Requests(Duration::from_secs(5))));
        assert_eq!(take("b", start), Ok(()), "each identity has its own");
        assert_eq!(take("a", after(start, 5)), Ok(()));
        assert!(take("a", after(start, 5)).is_err());
        let later = after(start, 1000);
        assert_eq!((take("a", later), take("a", later)), (Ok(()), Ok(())));
        assert!(take("a", later).is_err(), "what is not used does not pile up");
    }

    #[test]
    fn connections_are_counted_while_they_last() {
        let (rates, rule, limit, now) =
            (Rates::default(), rule(), limit(None, Some(1), None), Instant::now());
        let take = || Lease::take(rates.account(&rule, user("a"), 1000, now).0, &rule, &limit, now);
        let first = take().unwrap();
        assert_eq!(take().unwrap_err(), Over::Connections);
        drop(first);
        assert!(take().is_ok(), "and a refused one was not counted");
    }

    #[test]
    fn bytes_leave_a_debt_that_time_pays() {
        let (rates, rule, limit, start) =
            (Rates::default(), rule(), limit(None, None, Some(1000)), Instant::now());
        let take = |now| Lease::take(rates.account(&rule, user("a"), 1000, now).0, &rule, &limit, now);
        let first = take(start).unwrap();
        first.pacer.account.state().bytes.debit(limit.bytes.unwrap(), start, 1000);
        assert!(take(start).is_ok(), "what is allowed at once is no debt");
        first.pacer.account.state().bytes.debit(limit.bytes.unwrap(), start, 1500);
        assert_eq!(take(start).unwrap_err(), Over::Bytes(Duration::from_secs(15)));
        assert_eq!(take(after(start, 5)).unwrap_err(), Over::Bytes(Duration::from_secs(10)));
        assert!(take(after(start, 15)).is_ok());
    }

    #[test]
    fn a_reload_forgets_nothing() {
        let (rates, limit, now) = (Rates::default(), limit(Some(1), None, None), Instant::now());
        for (number, fits) in [(0, true), (1, false)] {
            let rule = rule(); // another snapshot's
            let (account, _) = rates.account(&rule, user("a"), 1000, now);
            assert_eq!(Lease::take(account, &rule, &limit, now).is_ok(), fits, "{number}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_is_idle() {
        let (rates, rule, limit, start) =
            (Rates::default(), rule(), limit(Some(1), None, None), Instant::now());
        let most = 128;
        let mut shared = 0;
        for number in 0..5000 {
            let (account, is_shared) = rates.account(&rule, user(&format!("user {number}")), most, start);
            shared += usize::from(is_shared);
            let _ = Lease::take(account, &rule, &limit, start);
        }
        assert!(rates.len() <= most + 1, "{}", rates.len());
        assert!(shared >= 5000 - most - 1);
        for _ in 0..SHARDS {
            rates.sweep(after(start, 9));
        }
        assert!(rates.len() > 1, "who was active lately is remembered");
        for _ in 0..SHARDS {
            rates.sweep(after(start, 10));
        }
        assert!(rates.is_empty());
        let (_, is_shared) = rates.account(&rule, user("new"), most, start);
        assert!(!is_shared);
    }
}
