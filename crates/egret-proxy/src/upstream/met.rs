//! What is remembered of origins whose tunnels are looked into: the protocol that they chose, and the names that
//! certificates for them may have. Clients are answered alike, without a connection being made first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egret_tls::interception::LeafNames;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};

use super::pool::PoolKey;

/// Origins that are remembered: the limit `met_origins`. Each takes some 200 bytes.
const ORIGINS: usize = 16_384;

/// For how long. What an origin has learned since costs little: a client that was told of HTTP/2 is served over
/// HTTP/1.1 behind the proxy, and the other way round it speaks HTTP/1.1 a while longer.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What is known of an origin. Each part is `None` until it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// It chose HTTP/2 when that was offered.
    pub http2: Option<bool>,
    /// What a certificate for it may be for, by its own.
    pub names: Option<LeafNames>,
}

#[derive(Clone, Debug)]
struct Remembered {
    met: Met,
    until: Instant,
}

/// Counts what gives way to others.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<PoolKey, Remembered> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: PoolKey, _: Remembered) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The origins that were met lately, by all workers.
#[derive(Debug)]
pub struct MetOrigins {
    origins: Cache<PoolKey, Remembered, UnitWeighter, DefaultHashBuilder, Evictions>,
    evictions: Evictions,
}

impl Default for MetOrigins {
    fn default() -> Self {
        Self::with_room_for(ORIGINS)
    }
}

impl MetOrigins {
    fn with_room_for(most: usize) -> Self {
        let evictions = Evictions::default();
        let hasher = DefaultHashBuilder::default();
        let origins = Cache::with(most, most as u64, UnitWeighter, hasher, evictions.clone());
        Self { origins, evictions }
    }

    /// What is known of an origin.
    #[must_use]
    pub fn find(&self, key: &PoolKey) -> Met {
        let found = self.origins.get(key).filter(|remembered| Instant::now() < remembered.until);
        found.map(|remembered| remembered.met).unwrap_or_default()
    }

    /// Notes what an origin has shown. What it did not show stays as it was known.
    pub fn note(&self, key: &PoolKey, http2: Option<bool>, names: Option<LeafNames>) {
        if http2.is_none() && names.is_none() {
            return;
        }
        let before = self.find(key);
        let met = Met { http2: http2.or(before.http2), names: names.or(before.names) };
        self.origins.insert(key.clone(), Remembered { met, until: Instant::now() + REMEMBERED });
    }

    /// Forgets all of them: what they were met under has changed.
    pub fn clear(&self) {
        self.origins.clear();
    }

    /// How many gave way to others, since the start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evictions.0.load(Ordering::Relaxed)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test fails by panicking
mod tests {
    use egret_core::destination::{Destination, Host};

    use super::*;

    fn key(host: &str) -> PoolKey {
        PoolKey { parent: None, tls: true, destination: Destination::new(Host::parse(host).unwrap(), 443) }
    }

    #[test]
    fn what_was_not_shown_stays_as_it_was_known() {
        let met = MetOrigins::default();
        let names = LeafNames::of(&Host::parse("a.example").unwrap());
        met.note(&key("a.example"), Some(true), None);
        met.note(&key("a.example"), None, Some(names.clone()));
        assert_eq!(met.find(&key("a.example")), Met { http2: Some(true), names: Some(names) });
        assert_eq!(met.find(&key("b.example")), Met::default());
        met.clear();
        assert_eq!(met.find(&key("a.example")), Met::default());
    }

    #[test]
    fn origins_are_bounded_and_those_that_give_way_are_counted() {
        let met = MetOrigins::with_room_for(8);
        for number in 0..40 {
            met.note(&key(&format!("host{number}.example")), Some(false), None);
        }
        assert!(met.len() <= 8, "{}", met.len());
        assert!(met.evicted() >= 32, "{}", met.evicted());
    }
}
