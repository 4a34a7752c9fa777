//! Noticing transfers that stand still, or creep.

use egret_core::settings::{Limits, Timeouts};
use tokio::time::{Duration, Instant};

/// Watches one exchange. Looked at when its timer goes off, so a moving transfer costs nothing.
#[derive(Debug)]
pub struct Stall {
    idle: Duration,
    floor: u64,
    window: Duration,
    moved: u64,
    moved_at: Instant,
    window_moved: u64,
    window_began: Instant,
}

/// What is wrong with a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// Nothing moved for the idle time.
    Idle,
    /// The client moved less than the floor over the window.
    BelowFloor,
}

impl Stall {
    /// Begins to watch.
    #[must_use]
    pub fn new(timeouts: &Timeouts, limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            idle: timeouts.body_idle,
            floor: limits.body_rate_floor,
            window: limits.body_rate_window,
            moved: 0,
            moved_at: now,
            window_moved: 0,
            window_began: now,
        }
    }

    /// When to look next.
    #[must_use]
    pub fn next(&self) -> Instant {
        let idle = self.moved_at + self.idle;
        if self.floor == 0 { idle } else { idle.min(self.window_began + self.window) }
    }

    /// Looks: `moved` bytes in all so far, and whether it is the client that the transfer waits for.
    /// The floor is for clients alone; an origin may think, or stream events, as long as it likes
    /// within the idle time.
    pub fn check(&mut self, moved: u64, waits_for_client: bool) -> Option<Stalled> {
        let now = Instant::now();
        if moved != self.moved {
            self.moved = moved;
            self.moved_at = now;
        }
        if now >= self.moved_at + self.idle {
            return Some(Stalled::Idle);
        }
        if self.floor > 0 && now >= self.window_began + self.window {
            let needed = self.floor.saturating_mul(self.window.as_secs().max(1));
            let below = moved - self.window_moved < needed;
            self.window_moved = moved;
            self.window_began = now;
            if below && waits_for_client {
                return Some(Stalled::BelowFloor);
            }
        }
        None
    }
}
