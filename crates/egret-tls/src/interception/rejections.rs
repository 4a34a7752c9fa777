//! Which clients have refused the interception CA, for which hosts, and how often: what guarded passthrough is
//! decided by, and what the console shows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egret_core::destination::Host;
use jiff::{SignedDuration, Timestamp};
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use smallvec::SmallVec;

use super::rejection::{End, Observed, Rejection, Stage, classify};

/// When a client counts as pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionSettings {
    /// After so many rejections that look pinned, without one that was accepted between.
    pub count: u32,
    /// Rejections further apart than this begin to be counted anew.
    pub within: SignedDuration,
    /// Pairs of client and host that are kept: the limit `interception_rejections`. Some 200 bytes each.
    pub entries: usize,
}

impl Default for RejectionSettings {
    fn default() -> Self {
        Self { count: 3, within: SignedDuration::from_mins(10), entries: 10_000 }
    }
}

/// What is known about a client and a host that it has refused a certificate for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the last rejection was.
    pub rejection: Rejection,
    /// How the client ended the handshake then.
    pub end: End,
    /// How many of this class there were in a row.
    pub count: u32,
    /// When the first of them was.
    pub since: Timestamp,
    /// When the last was.
    pub last: Timestamp,
}

/// Hosts remembered of a client that it took a certificate for: two are enough to know another than any one.
type Taken = SmallVec<[Host; 2]>;

struct Known {
    refused: Cache<(String, Host), Refused, UnitWeighter, DefaultHashBuilder, Evictions>,
    trusting: Cache<String, Taken>,
}

/// Counts what gives way to others.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<(String, Host), Refused> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: (String, Host), _: Refused) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The rejections of a process. Clients are given as the names of their identities.
pub struct Rejections {
    settings: RejectionSettings,
    known: Mutex<Known>,
    evictions: Evictions,
}

impl std::fmt::Debug for Rejections {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Rejections").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Rejections {
    /// None yet.
    #[must_use]
    pub fn new(settings: RejectionSettings) -> Self {
        let entries = settings.entries.max(1);
        let evictions = Evictions::default();
        let hasher = DefaultHashBuilder::default();
        let refused = Cache::with(entries, entries as u64, UnitWeighter, hasher, evictions.clone());
        let known = Known { refused, trusting: Cache::new(entries) };
        Self { settings, known: Mutex::new(known), evictions }
    }

    /// How many pairs gave way to others: how often the limit `interception_rejections` struck.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evictions.0.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client has sent a request inside a handshake for this host: it trusts the CA, and is not pinned.
    pub fn accepted(&self, client: &str, host: &Host) {
        let mut known = self.known();
        if !known.refused.is_empty() {
            known.refused.remove(&(client.to_owned(), host.clone()));
        }
        let taken = known.trusting.get(client);
        if taken.is_some_and(|taken| taken.contains(host) || taken.len() >= 2) {
            return;
        }
        let mut taken = taken.cloned().unwrap_or_default();
        taken.push(host.clone());
        known.trusting.insert(client.to_owned(), taken);
    }

    /// A client has not gone on with a handshake for this host. Gives what is known about the two now; `None`
    /// when it is no rejection.
    pub fn rejected(
        &self,
        client: &str,
        host: &Host,
        stage: Stage,
        end: End,
        now: Timestamp,
    ) -> Option<Refused> {
        let mut known = self.known();
        let taken = known.trusting.get(client);
        let trusts_ca_elsewhere = taken.is_some_and(|taken| taken.iter().any(|other| other != host));
        let rejection = classify(&Observed { stage, end, trusts_ca_elsewhere })?;
        let key = (client.to_owned(), host.clone());
        let refused = match known.refused.get(&key) {
            Some(before)
                if before.rejection == rejection
                    && now.duration_since(before.last) <= self.settings.within =>
            {
                Refused { count: before.count.saturating_add(1), last: now, end, ..before.clone() }
            }
            _ => Refused { rejection, end, count: 1, since: now, last: now },
        };
        known.refused.insert(key, refused.clone());
        Some(refused)
    }

    /// Until when a client counts as pinned for a host, if it does so for this long after its last rejection.
    /// Whether it is then tunnelled, and for how long, is for policy to say.
    #[must_use]
    pub fn pinned_until(
        &self,
        client: &str,
        host: &Host,
        passthrough: SignedDuration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = self.known();
        if known.refused.is_empty() {
            return None;
        }
        let refused = known.refused.peek(&(client.to_owned(), host.clone()))?;
        let until = refused.last.checked_add(passthrough).ok()?;
        let is_pinned = refused.rejection == Rejection::Pinned && refused.count >= self.settings.count;
        (is_pinned && now < until).then_some(until)
    }

    /// All that is known: client, host, and what was refused, the latest first.
    #[must_use]
    pub fn list(&self) -> Vec<(String, Host, Refused)> {
        let known = self.known();
        let mut list: Vec<_> = known
            .refused
            .iter()
            .map(|((client, host), refused)| (client.clone(), host.clone(), refused.clone()))
            .collect();
        list.sort_by(|left, right| right.2.last.cmp(&left.2.last).then_with(|| left.0.cmp(&right.0)));
        list
    }
}
