//! Waiting between tries: longer each time, and not all at once.

use std::time::Duration;

use rand::Rng as _;

/// Waits that double up to a limit, each shortened by chance by up to a half: replicas that failed together do not
/// try again together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// From `first` to `most`.
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// How long to wait now.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        jittered(whole)
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between a half and the whole.
pub(crate) fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_begins_again() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 5);
        for most in [1, 2, 4, 5, 5] {
            let wait = backoff.wait();
            assert!(wait >= second * most / 2 && wait <= second * most, "{wait:?} of {most} s");
        }
        backoff.reset();
        assert!(backoff.wait() <= second);
    }
}
