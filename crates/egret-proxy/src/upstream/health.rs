//! Whether a parent is worth trying, learnt from the connections made to it.
//!
//! A failure takes a parent out for `retry_after`; then one connection tries it, while all others go
//! on passing it over until that one has succeeded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The health of one parent. Shared by all workers; never locked.
#[derive(Debug)]
pub struct ParentHealth {
    began: Instant,
    /// Milliseconds after `began` until which it is passed over; 0 while it is up.
    down_until: AtomicU64,
    failures: AtomicU64,
}

impl Default for ParentHealth {
    fn default() -> Self {
        Self { began: Instant::now(), down_until: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }
}

impl ParentHealth {
    /// Whether a connection may be tried now. After a failure this is true for one caller each
    /// `retry_after`.
    pub(super) fn admits(&self, now: Instant, retry_after: Duration) -> bool {
        let until = self.down_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        // Whoever moves the time on has the trial.
        self.since_began(now) >= until
            && self
                .down_until
                .compare_exchange(
                    until,
                    self.since_began(now + retry_after),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// The parent did its part.
    pub fn mark_up(&self) {
        // Read first: the line is shared by all workers, and nearly always says "up" already.
        if self.down_until.load(Ordering::Relaxed) != 0 {
            self.down_until.store(0, Ordering::Relaxed);
        }
    }

    /// The parent failed; it is passed over for `retry_after`.
    pub fn mark_down(&self, retry_after: Duration) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.down_until.store(self.since_began(Instant::now() + retry_after), Ordering::Relaxed);
    }

    /// Whether its last connection succeeded.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.down_until.load(Ordering::Relaxed) == 0
    }

    /// Failures since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn since_began(&self, at: Instant) -> u64 {
        let elapsed = at.saturating_duration_since(self.began).as_millis();
        // Never 0, which means "up".
        u64::try_from(elapsed).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_parent_is_passed_over_and_then_tried_by_one() {
        let (health, retry_after) = (ParentHealth::default(), Duration::from_secs(30));
        let now = Instant::now();
        assert!(health.admits(now, retry_after) && health.is_up());
        health.mark_down(retry_after);
        assert!(!health.admits(now, retry_after) && !health.is_up());
        let later = now + Duration::from_secs(31);
        assert!(health.admits(later, retry_after), "the trial");
        assert!(!health.admits(later, retry_after), "only one at a time");
        assert!(health.admits(later + Duration::from_secs(31), retry_after), "a trial that was lost");
        health.mark_up();
        assert!(health.admits(later, retry_after) && health.admits(later, retry_after));
        assert_eq!(health.failures(), 1);
    }
}
