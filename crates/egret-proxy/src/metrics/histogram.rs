//! Durations in fixed buckets, counted by one thread and read by any.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::worker::add;

/// Upper bounds of the buckets in microseconds. From what a kept connection on the same machine takes
/// to the longest that anybody waits; everything above is in a last bucket without a bound.
const BOUNDS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Counts of durations.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// In microseconds: in nanoseconds, long tunnels would overflow it.
    sum: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len() + 1],
}

/// What histograms of several workers add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum {
    micros: u64,
    buckets: [u64; BOUNDS.len() + 1],
}

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        add(&self.buckets[bucket], 1);
        add(&self.sum, micros);
    }

    pub(super) fn add_to(&self, sum: &mut Sum) {
        sum.micros = sum.micros.wrapping_add(self.sum.load(Relaxed));
        for (total, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *total += bucket.load(Relaxed);
        }
    }
}

impl Sum {
    pub(super) fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Upper bound in seconds and count of each bucket, not cumulative.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        histogram.observe(Duration::MAX);
        let mut sum = Sum::default();
        histogram.add_to(&mut sum);
        let buckets = sum.buckets();
        assert_eq!(buckets[0], (0.0005, 2));
        assert_eq!(buckets[1], (0.001, 1));
        assert_eq!(buckets[15], (60.0, 1));
        assert_eq!(buckets[16], (f64::INFINITY, 2));
        assert_eq!(sum.count(), 6);
    }

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
    }
}
