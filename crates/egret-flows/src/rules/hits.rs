//! How often a rule applied.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts, and remembers the last time. Whoever reads it may see one without the other.
#[derive(Debug, Default)]
pub struct Hits {
    count: AtomicU64,
    last: AtomicU64,
}

impl Hits {
    /// It applied once more. `now` is in microseconds since 1970.
    pub fn count(&self, now: u64) {
        self.count.fetch_add(1, Relaxed);
        self.last.fetch_max(now, Relaxed);
    }

    /// How often it applied.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// When it applied last, in microseconds since 1970; `None` for never.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        Some(self.last.load(Relaxed)).filter(|last| *last > 0)
    }
}
