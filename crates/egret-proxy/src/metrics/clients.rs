//! What clients with a proven name did, and what workloads did. Names are those of users or come from
//! certificates, of which a trusted CA can make up any number, and a cluster may have any number of service
//! accounts; how many are told apart is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, PoisonError, RwLock};

use egret_core::reason::{Blame, Reason};

/// Outcomes of a request: going well, and each blame.
const OUTCOMES: [&str; 5] =
    ["none", Blame::Client.as_str(), Blame::Upstream.as_str(), Blame::Policy.as_str(), Blame::Egret.as_str()];

/// The name of those that are not told apart. No certificate's name and no service account's is written like
/// this; a user's who would be is counted among them.
pub(super) const OTHERS: &str = "(other)";

/// A service account of a namespace; an empty name where it is not known.
pub(super) type Account = (Arc<str>, Arc<str>);

/// One client's counters.
#[derive(Debug, Default)]
struct Counters {
    requests: [AtomicU64; OUTCOMES.len()],
    up: AtomicU64,
    down: AtomicU64,
}

/// The clients by name.
#[derive(Debug)]
pub(super) struct Clients<K = Arc<str>> {
    known: RwLock<HashMap<K, Arc<Counters>>>,
    others: Arc<Counters>,
    most: AtomicUsize,
}

impl<K> Default for Clients<K> {
    /// Tells none apart before it is told how many it may.
    fn default() -> Self {
        Self { known: RwLock::default(), others: Arc::default(), most: AtomicUsize::new(0) }
    }
}

/// One client's counts.
#[derive(Debug)]
pub(super) struct Figures<K> {
    /// `None` for those that are not told apart.
    pub(super) name: Option<K>,
    pub(super) requests: Vec<(&'static str, u64)>,
    pub(super) up: u64,
    pub(super) down: u64,
}

impl<K: Clone + Eq + Hash + Ord> Clients<K> {
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Counts a finished request. True when the client is not told apart from others.
    pub(super) fn finished(&self, name: &K, reason: Option<Reason>) -> bool {
        let counters = self.counters(name);
        let outcome = match reason.map(Reason::blame) {
            None => 0,
            Some(Blame::Client) => 1,
            Some(Blame::Upstream) => 2,
            Some(Blame::Policy) => 3,
            Some(Blame::Egret) => 4,
        };
        counters.requests[outcome].fetch_add(1, Relaxed);
        Arc::ptr_eq(&counters, &self.others)
    }

    pub(super) fn bytes(&self, name: &K, up: u64, down: u64) {
        let counters = self.counters(name);
        counters.up.fetch_add(up, Relaxed);
        counters.down.fetch_add(down, Relaxed);
    }

    fn counters(&self, name: &K) -> Arc<Counters> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = known.get(name) {
            return counters.clone();
        }
        let is_full = known.len() >= self.most.load(Relaxed);
        drop(known);
        if is_full {
            return self.others.clone();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Others may have come in between.
        if known.len() >= self.most.load(Relaxed) && !known.contains_key(name) {
            return self.others.clone();
        }
        known.entry(name.clone()).or_default().clone()
    }

    /// The counts of all that have any.
    pub(super) fn figures(&self) -> Vec<Figures<K>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let others = std::iter::once((None, self.others.clone()));
        let all = known.iter().map(|(name, counters)| (Some(name.clone()), counters.clone())).chain(others);
        let figures = all.map(|(name, counters)| Figures {
            name,
            requests: OUTCOMES
                .iter()
                .zip(&counters.requests)
                .map(|(name, n)| (*name, n.load(Relaxed)))
                .collect(),
            up: counters.up.load(Relaxed),
            down: counters.down.load(Relaxed),
        });
        let mut figures: Vec<_> = figures
            .filter(|client| client.name.is_some() || client.requests.iter().any(|(_, n)| *n > 0))
            .collect();
        figures.sort_by(|one, other| one.name.cmp(&other.name));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_no_more_names_apart_than_the_limit() {
        let clients = Clients::<Arc<str>>::default();
        clients.limit(2);
        for number in 0..10 {
            let is_other = clients.finished(&format!("client {number}").into(), None);
            assert_eq!(is_other, number >= 2);
        }
        clients.finished(&"client 1".into(), Some(Reason::DeniedByRule));
        clients.bytes(&"client 7".into(), 3, 4);
        let figures = clients.figures();
        let names: Vec<Option<&str>> = figures.iter().map(|client| client.name.as_deref()).collect();
        assert_eq!(names, [None, Some("client 0"), Some("client 1")]);
        assert_eq!((figures[0].requests[0].1, figures[0].up, figures[0].down), (8, 3, 4));
        assert_eq!(
            figures[2].requests,
            [("none", 1), ("client", 0), ("upstream", 0), ("policy", 1), ("egret", 0)]
        );
    }
}
