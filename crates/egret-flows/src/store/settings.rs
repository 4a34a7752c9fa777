//! What the store is given.

use std::path::PathBuf;
use std::time::Duration;

/// Bounds and places of the store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where bodies and the database are. Without one everything stays in memory, within `memory_bytes`.
    pub directory: Option<PathBuf>,
    /// Flows survive a restart, in a database in the directory.
    pub persistent: bool,
    /// The most flows. Default 100,000.
    pub flows: usize,
    /// The most memory that flows take, about. Default 256 MiB.
    pub memory_bytes: usize,
    /// The most bytes of bodies on disk. Default 1 GiB.
    pub body_bytes: u64,
    /// Bodies longer than this are written to disk. Default 16 KiB.
    pub spill_bytes: usize,
    /// How long flows are kept; `None` for as long as there is room. Default none.
    pub age: Option<Duration>,
    /// The most bytes that wait in the queue of one worker. Default 8 MiB.
    pub queue_bytes: usize,
    /// The most pieces that wait in the queue of one worker. Default 65,536.
    pub queue_pieces: usize,
    /// The most bytes of bodies of flows that go on, all together. Default 128 MiB.
    pub assembling_bytes: usize,
    /// The most flows that go on and are captured at once. Default 65,536.
    pub assembling_flows: usize,
    /// The most messages that are kept of one WebSocket. Default 1,000.
    pub messages: usize,
    /// The most bytes that are kept of one message. Default 64 KiB.
    pub message_bytes: usize,
    /// How many changes a subscriber may be behind before it loses some. Default 16,384.
    pub feed_changes: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            directory: None,
            persistent: false,
            flows: 100_000,
            memory_bytes: 256 << 20,
            body_bytes: 1 << 30,
            spill_bytes: 16 << 10,
            age: None,
            queue_bytes: 8 << 20,
            queue_pieces: 65_536,
            assembling_bytes: 128 << 20,
            assembling_flows: 65_536,
            messages: 1_000,
            message_bytes: 64 << 10,
            feed_changes: 16_384,
        }
    }
}
