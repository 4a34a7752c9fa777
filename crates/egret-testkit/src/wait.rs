//! Bounded waiting.

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once. Long, because a machine that runs
/// the whole suite on two cores stalls now and then; nobody waits for it when things go well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer, for at most `limit`.
///
/// # Panics
/// Names `what` when the time is over.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As [`wait_for`], for a condition.
///
/// # Panics
/// Names `what` when the time is over.
pub fn wait_until(what: &str, limit: Duration, mut ask: impl FnMut() -> bool) {
    wait_for(what, limit, || ask().then_some(()));
}
