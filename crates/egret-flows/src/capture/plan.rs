//! How much of a flow is captured.

use egret_core::flow_id::FlowId;

use crate::flow::Level;

/// How many bytes of each body are kept, when nobody says otherwise.
pub const DEFAULT_BODY_BYTES: u64 = 1 << 20;

/// What a policy says about the capture of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How much.
    pub level: Level,
    /// How many bytes of each body. Of WebSockets: of all messages from each side.
    pub body_bytes: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { level: Level::None, body_bytes: DEFAULT_BODY_BYTES }
    }
}

impl Plan {
    /// Nothing but the record.
    pub const NONE: Self = Self { level: Level::None, body_bytes: 0 };

    /// The same for so many percent of flows, and nothing for the others.
    #[must_use]
    pub fn sampled(self, percent: f64, id: FlowId) -> Self {
        if is_sampled(percent, id) { self } else { Self::NONE }
    }
}

/// Whether a flow is among so many percent of all. The id alone decides, so that everybody who asks about a
/// flow gets the same answer.
#[must_use]
pub fn is_sampled(percent: f64, id: FlowId) -> bool {
    // FNV-1a, and a last mix, because the last characters of ids differ the most.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.as_str().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let part = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    part * 100.0 < percent
}

#[cfg(test)]
mod tests {
    use egret_core::flow_id::FlowIds;

    use super::*;

    #[test]
    fn about_so_many_percent_are_sampled() {
        let mut ids = FlowIds::new(1, 0, 1);
        let ids: Vec<FlowId> = (0..10_000).map(|_| ids.next_id()).collect();
        for percent in [0.0, 1.0, 25.0, 99.0, 100.0] {
            let sampled = ids.iter().filter(|id| is_sampled(percent, **id)).count() as f64;
            assert!((sampled / 100.0 - percent).abs() < 2.0, "{percent}: {sampled}");
        }
        assert!(!ids.iter().any(|id| is_sampled(0.0, *id)) && ids.iter().all(|id| is_sampled(100.0, *id)));
    }
}
