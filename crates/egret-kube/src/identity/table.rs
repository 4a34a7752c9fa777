//! What is looked up on the way of a request: tables that are read without a lock.
//!
//! Each is cut into shards, and a change copies the shards that it touches: a reader sees the old or the new
//! one, and waits for nobody.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;

/// Shards. With ten thousand pods a change copies some forty entries.
const SHARDS: usize = 256;

type Shard<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A table that many read and one writes.
pub(crate) struct Table<K, V> {
    shards: Box<[ArcSwap<Shard<K, V>>]>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| ArcSwap::from_pointee(Shard::default())).collect() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Table<K, V> {
    fn shard<Q: Hash + ?Sized>(key: &Q) -> usize {
        // Fixed, so that all tables and writers agree; the maps inside have secrets of their own.
        FixedState::with_seed(0x0e97_e700).hash_one(key) as usize % SHARDS
    }

    pub(crate) fn find<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.shards[Self::shard(key)].load().get(key).cloned()
    }

    /// Puts changes into force; `None` removes. Each shard changes at once.
    pub(crate) fn apply(&self, changes: impl IntoIterator<Item = (K, Option<V>)>) {
        let mut by_shard: HashMap<usize, Vec<(K, Option<V>)>> = HashMap::new();
        for change in changes {
            by_shard.entry(Self::shard(&change.0)).or_default().push(change);
        }
        for (index, changes) in by_shard {
            let mut shard = Shard::clone(&self.shards[index].load());
            for (key, value) in changes {
                match value {
                    Some(value) => drop(shard.insert(key, value)),
                    None => drop(shard.remove(&key)),
                }
            }
            self.shards[index].store(Arc::new(shard));
        }
    }
}
