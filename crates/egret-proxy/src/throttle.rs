//! Bounds how often something is said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// So many lines in a second, and no more: whoever can make the proxy say something could else fill a
/// disk with it.
const A_SECOND: u32 = 10;

/// Counts lines in the current second.
#[derive(Debug, Default)]
pub struct Throttle {
    /// The second in the upper half, the count in the lower.
    state: AtomicU64,
}

impl Throttle {
    /// Whether a line may be written now.
    pub fn permits(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
        self.permits_at(now)
    }

    fn permits_at(&self, now: u32) -> bool {
        let mut permitted = false;
        // The closure always gives a value, so this cannot fail.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let (second, count) = ((state >> 32) as u32, state as u32);
            let count = if second == now { count } else { 0 };
            permitted = count < A_SECOND;
            Some(u64::from(now) << 32 | u64::from(count.saturating_add(1)))
        });
        permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_a_few_in_each_second() {
        let throttle = Throttle::default();
        assert_eq!((0..100).filter(|_| throttle.permits_at(7)).count(), 10);
        assert_eq!((0..100).filter(|_| throttle.permits_at(8)).count(), 10);
    }
}
