//! What the store is given.

use std::path::PathBuf;
use std::time::Duration;

use egret_core::settings::FlowSettings;

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
        (&FlowSettings::default()).into()
    }
}

impl From<&FlowSettings> for StoreSettings {
    /// What is configured, in memory alone.
    fn from(settings: &FlowSettings) -> Self {
        Self {
            directory: None,
            persistent: settings.persistent,
            flows: settings.flows,
            memory_bytes: settings.memory_bytes,
            body_bytes: settings.body_bytes,
            spill_bytes: settings.spill_bytes,
            age: settings.age,
            queue_bytes: settings.queue_bytes,
            queue_pieces: settings.queue_pieces,
            assembling_bytes: settings.assembling_bytes,
            assembling_flows: settings.assembling_flows,
            messages: settings.messages,
            message_bytes: settings.message_bytes,
            feed_changes: settings.feed_changes,
        }
    }
}
