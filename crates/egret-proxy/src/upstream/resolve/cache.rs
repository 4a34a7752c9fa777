//! The cache in front of the name servers.
//!
//! Sharded by name, so that workers rarely meet at a lock. An answer is kept by its TTL within the
//! settings' bounds. In the last tenth of its life, the first who asks sets off a new question and is
//! answered at once, so that names in use never cost a wait. An expired answer is kept for a while
//! and used only when the name servers fail (RFC 8767): never in place of an answer.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use egret_core::reason::Reason;
use egret_core::settings::DnsSettings;
use tokio::sync::watch;

use super::{Addresses, DnsStats, Resolution};

/// A power of two, well above the number of workers.
const SHARDS: usize = 64;

/// How long an expired answer may stand in when name servers fail. RFC 8767 section 5 suggests up to
/// days; but clusters give addresses to others within minutes.
const STALE_LIMIT: Duration = Duration::from_secs(300);

/// For how long an expired answer is used without asking again (RFC 8767 section 5: 30 seconds).
const STALE_TTL: Duration = Duration::from_secs(30);

/// Answers that live shorter than this are not asked for ahead of time.
const REFRESH_MIN_LIFE: Duration = Duration::from_secs(5);

/// What the name servers said, and for how long it may be kept.
pub(super) struct Answer {
    pub(super) resolution: Resolution,
    pub(super) lifetime: Duration,
}

impl Answer {
    /// The name servers failed, which is not the same as a name that does not exist.
    pub(super) fn is_failure(&self) -> bool {
        self.resolution.as_ref().is_err_and(|error| error.reason != Reason::DnsNotFound)
    }
}

/// What the cache has on a name.
pub(super) enum Found {
    /// An answer.
    Fresh(Resolution),
    /// An answer, and the order to ask for a new one.
    SoonStale(Resolution, watch::Sender<Option<Resolution>>),
    /// No answer that may be used.
    Nothing,
}

type Flight = watch::Receiver<Option<Resolution>>;

#[derive(Default)]
struct Entry {
    kept: Option<Kept>,
    flight: Option<Flight>,
    used: Option<Instant>,
}

struct Kept {
    resolution: Resolution,
    expires: Instant,
    refresh_from: Instant,
    stale_until: Instant,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Arc<str>, Entry>,
    stats: DnsStats,
}

pub(super) struct Cache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    shard_capacity: usize,
}

impl Cache {
    pub(super) fn new(settings: &DnsSettings) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_capacity: settings.cache_entries.div_ceil(SHARDS),
        }
    }

    fn shard(&self, name: &str) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(name) as usize % SHARDS;
        lock(&self.shards[index])
    }

    pub(super) fn find(&self, name: &Arc<str>, now: Instant) -> Found {
        let mut shard = self.shard(name);
        let Shard { entries, stats } = &mut *shard;
        let Some(entry) = entries.get_mut(name) else { return Found::Nothing };
        let Some(kept) = entry.kept.as_ref().filter(|kept| now < kept.expires) else {
            return Found::Nothing;
        };
        entry.used = Some(now);
        let resolution = kept.resolution.clone();
        match &resolution {
            Ok(_) => stats.hits += 1,
            Err(_) => stats.negative_hits += 1,
        }
        if now < kept.refresh_from || entry.flight.is_some() {
            return Found::Fresh(resolution);
        }
        let (sender, receiver) = watch::channel(None);
        entry.flight = Some(receiver);
        stats.misses += 1;
        Found::SoonStale(resolution, sender)
    }

    /// Waits with others, or is the first: then the sender is there, to be launched, and an expired
    /// answer that could stand in.
    #[allow(clippy::type_complexity)]
    pub(super) fn join(
        &self,
        name: &Arc<str>,
        now: Instant,
    ) -> (Flight, Option<watch::Sender<Option<Resolution>>>, Option<Addresses>) {
        let mut shard = self.shard(name);
        if !shard.entries.contains_key(name) {
            shard.make_room(self.shard_capacity, now);
        }
        let Shard { entries, stats } = &mut *shard;
        let entry = entries.entry(name.clone()).or_default();
        entry.used = Some(now);
        if let Some(flight) = &entry.flight {
            stats.shared += 1;
            return (flight.clone(), None, None);
        }
        stats.misses += 1;
        let (sender, receiver) = watch::channel(None);
        entry.flight = Some(receiver.clone());
        let stale = entry.kept.as_ref().filter(|kept| now < kept.stale_until);
        let stale = stale.and_then(|kept| kept.resolution.as_ref().ok()).cloned();
        (receiver, Some(sender), stale)
    }

    /// Keeps an answer, and returns what the waiters are told: the answer, or an expired one that
    /// stands in for a failure.
    pub(super) fn land(&self, name: &Arc<str>, answer: Answer, now: Instant) -> Resolution {
        let failed = answer.is_failure();
        let mut shard = self.shard(name);
        let Shard { entries, stats } = &mut *shard;
        // Room was made when the question began.
        let entry = entries.entry(name.clone()).or_default();
        entry.flight = None;
        if failed
            && let Some(kept) = entry.kept.as_mut()
            && kept.resolution.is_ok()
            && now < kept.stale_until
        {
            stats.stale += 1;
            kept.expires = (now + STALE_TTL).min(kept.stale_until).max(kept.expires);
            kept.refresh_from = kept.expires;
            return kept.resolution.clone();
        }
        let expires = now + answer.lifetime;
        let refresh_from = match &answer.resolution {
            Ok(_) if answer.lifetime >= REFRESH_MIN_LIFE => expires - answer.lifetime / 10,
            _ => expires,
        };
        let stale_until = if answer.resolution.is_ok() { expires + STALE_LIMIT } else { expires };
        let resolution = answer.resolution;
        entry.kept = Some(Kept { resolution: resolution.clone(), expires, refresh_from, stale_until });
        resolution
    }

    /// The question is under way no more, whether it was answered or dropped.
    pub(super) fn forget_flight(&self, name: &Arc<str>, sender: &watch::Sender<Option<Resolution>>) {
        let mut shard = self.shard(name);
        let Some(entry) = shard.entries.get_mut(name) else { return };
        if entry.flight.as_ref().is_some_and(|flight| flight.same_channel(&sender.subscribe())) {
            entry.flight = None;
        }
        if entry.flight.is_none() && entry.kept.is_none() {
            shard.entries.remove(name);
        }
    }

    pub(super) fn stats(&self) -> DnsStats {
        let mut sum = DnsStats::default();
        for shard in &self.shards {
            let shard = lock(shard);
            sum.hits += shard.stats.hits;
            sum.negative_hits += shard.stats.negative_hits;
            sum.misses += shard.stats.misses;
            sum.shared += shard.stats.shared;
            sum.stale += shard.stats.stale;
            sum.entries += shard.entries.len() as u64;
        }
        sum
    }
}

/// A panic while the lock is held leaves nothing half done here.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// Makes room for one more: what is past use goes, and if that is not enough the eighth that was
    /// not used for longest (in one go, so that the scan is rare). Questions under way stay.
    fn make_room(&mut self, capacity: usize, now: Instant) {
        let capacity = capacity.max(1);
        if self.entries.len() < capacity {
            return;
        }
        self.entries.retain(|_, entry| {
            entry.flight.is_some() || entry.kept.as_ref().is_some_and(|kept| now < kept.stale_until)
        });
        if self.entries.len() < capacity {
            return;
        }
        let mut uses: Vec<Option<Instant>> =
            self.entries.values().filter(|entry| entry.flight.is_none()).map(|entry| entry.used).collect();
        if uses.is_empty() {
            return;
        }
        let index = (uses.len() / 8).min(uses.len() - 1);
        let (_, &mut limit, _) = uses.select_nth_unstable(index);
        self.entries.retain(|_, entry| entry.flight.is_some() || entry.used > limit);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::super::error::ResolveError;
    use super::*;

    fn cache(entries: usize) -> Cache {
        Cache::new(&DnsSettings { cache_entries: entries, ..DnsSettings::default() })
    }

    fn good(seconds: u64) -> Answer {
        let addresses: Addresses = vec![IpAddr::from([192, 0, 2, 1])].into();
        Answer { resolution: Ok(addresses), lifetime: Duration::from_secs(seconds) }
    }

    fn failed() -> Answer {
        let resolution = Err(ResolveError::new(Reason::DnsTimeout, "slow"));
        Answer { resolution, lifetime: Duration::from_secs(1) }
    }

    fn fresh(cache: &Cache, name: &Arc<str>, now: Instant) -> Option<Resolution> {
        match cache.find(name, now) {
            Found::Fresh(resolution) => Some(resolution),
            Found::SoonStale(..) | Found::Nothing => None,
        }
    }

    #[test]
    fn an_answer_lives_as_long_as_its_lifetime() {
        let (cache, name, now) = (cache(100), Arc::from("a.test"), Instant::now());
        let (_, flight, _) = cache.join(&name, now);
        assert!(flight.is_some());
        assert!(cache.land(&name, good(4), now).is_ok());
        assert!(fresh(&cache, &name, now + Duration::from_millis(3999)).is_some());
        assert!(fresh(&cache, &name, now + Duration::from_secs(4)).is_none());
    }

    #[test]
    fn the_last_tenth_of_a_life_sets_off_one_new_question() {
        let (cache, name, now) = (cache(100), Arc::from("a.test"), Instant::now());
        cache.land(&name, good(100), now).unwrap();
        assert!(fresh(&cache, &name, now + Duration::from_secs(89)).is_some());
        let Found::SoonStale(resolution, _flight) = cache.find(&name, now + Duration::from_secs(91)) else {
            panic!("the answer is not refreshed");
        };
        assert!(resolution.is_ok());
        assert!(fresh(&cache, &name, now + Duration::from_secs(92)).is_some());
    }

    #[test]
    fn an_expired_answer_stands_in_for_a_failure_but_not_for_long() {
        let (cache, name, now) = (cache(100), Arc::from("a.test"), Instant::now());
        cache.land(&name, good(4), now).unwrap();
        let later = now + Duration::from_secs(10);
        let (_, flight, stale) = cache.join(&name, later);
        assert!(flight.is_some() && stale.is_some());
        assert!(cache.land(&name, failed(), later).is_ok());
        assert_eq!(cache.stats().stale, 1);
        assert!(fresh(&cache, &name, later + Duration::from_secs(29)).is_some());
        let much_later = now + Duration::from_secs(4) + STALE_LIMIT;
        assert!(cache.join(&name, much_later).2.is_none());
        assert!(cache.land(&name, failed(), much_later).is_err());
    }

    #[test]
    fn an_expired_answer_never_stands_in_for_a_name_that_is_gone() {
        let (cache, name, now) = (cache(100), Arc::from("a.test"), Instant::now());
        cache.land(&name, good(4), now).unwrap();
        let gone = Err(ResolveError::new(Reason::DnsNotFound, "gone"));
        let answer = Answer { resolution: gone, lifetime: Duration::from_secs(9) };
        assert!(cache.land(&name, answer, now + Duration::from_secs(10)).is_err());
    }

    #[test]
    fn a_dropped_question_leaves_nothing_behind() {
        let (cache, name, now) = (cache(100), Arc::from("a.test"), Instant::now());
        let (_, flight, _) = cache.join(&name, now);
        cache.forget_flight(&name, &flight.unwrap());
        assert_eq!(cache.stats().entries, 0);
        assert!(cache.join(&name, now).1.is_some());
    }

    #[test]
    fn holds_no_more_names_than_it_may_and_keeps_those_in_use() {
        let (cache, now) = (cache(SHARDS * 16), Instant::now());
        let favourite: Arc<str> = Arc::from("favourite.test");
        for number in 0..5000_u64 {
            let at = now + Duration::from_millis(number);
            for name in [favourite.clone(), Arc::from(format!("n{number}.test"))] {
                if fresh(&cache, &name, at).is_none() {
                    cache.join(&name, at);
                    cache.land(&name, good(1000), at).unwrap();
                }
            }
        }
        let stats = cache.stats();
        assert!(stats.entries <= SHARDS as u64 * 16, "{stats:?}");
        assert_eq!(stats.misses, 5001, "the favourite was asked for once");
    }
}
