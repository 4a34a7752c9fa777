//! `limits`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings;

use crate::values::{Size, Time};

/// Bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Client connections in all. One more is refused with the reason `too-many-connections`.
    /// Metric label: `connections`.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub connections: u32,
    /// Client connections from one source address, so that one client cannot take them all. One more is
    /// refused with the reason `too-many-connections-from-client`. Metric label:
    /// `connections_per_client`.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub connections_per_client: u32,
    /// The size of a request or response head: first line and header fields, in bytes or with a unit, at
    /// least 1KiB and at most 16MiB. A larger request is refused with status 431, a larger response with
    /// 502. Metric label: `head_bytes`.
    pub head_bytes: Size,
    /// Fields in a head or in a trailer section. More are refused as a head that is too large is. Metric
    /// label: `head_fields`.
    #[schemars(range(min = 1, max = 10_000))]
    pub head_fields: u32,
    /// The size of a request target (the URL), in bytes or with a unit, no more than `headBytes`. A longer
    /// one is refused with status 414. Metric label: `target_bytes`.
    pub target_bytes: Size,
    /// The slowest that a body may come or go: bytes for each second, measured over `bodyRateWindow`; 0
    /// for no floor. A slower transfer is ended with the reason `transfer-stalled`, which is what stops
    /// slow-loris attacks in both directions. Metric label: `body_rate_floor`.
    pub body_rate_floor: Size,
    /// Over which time `bodyRateFloor` is measured, and how long a slow start is forgiven.
    pub body_rate_window: Time,
    /// Streams that are open at once on one HTTP/2 connection. Metric label: `h2_streams`.
    #[schemars(range(min = 1, max = 65_536))]
    pub h2_streams: u32,
    /// TLS handshakes with clients that are under way at once, from accepting the connection to the end of
    /// the handshake. One more is refused with the reason `too-many-handshakes`. This bounds what clients
    /// that connect and do not go on can take. Metric label: `handshakes`.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub handshakes: u32,
    /// Names of clients (users, and those of certificates) that metrics tell apart; requests of any others count under
    /// `(other)`. Metric label: `client_names`.
    #[schemars(range(max = 1_000_000))]
    pub client_names: u32,
    /// Service accounts of a cluster that metrics tell apart; requests of any others count under `(other)`. Metric
    /// label: `workload_names`.
    #[schemars(range(max = 1_000_000))]
    pub workload_names: u32,
    /// Rules of policies that metrics tell apart; the decisions of any others count under `(other)`. Metric
    /// label: `policy_rules`.
    #[schemars(range(max = 1_000_000))]
    pub policy_rules: u32,
    /// Identities whose use of rules with `rateLimit` is counted, each for itself and rule. Those that do
    /// nothing are forgotten; when there is room for no more, new ones share one allowance for each rule.
    /// Metric label: `rate_limit_entries`.
    #[schemars(range(min = 64, max = 16_777_216))]
    pub rate_limit_entries: u32,
    /// Flows that breakpoints hold at once. One more goes on. Metric label: `held_flows`.
    #[schemars(range(min = 1, max = 10_000))]
    pub held_flows: u32,
    /// Bytes of a body that a breakpoint holds to be edited, at most 1MiB. A longer one passes as it is, and only the
    /// head can be edited. Metric label: `held_body_bytes`.
    pub held_body_bytes: Size,
    /// Requests that people send again at once. One more is not sent, and they are told so. Metric label: `replays`.
    #[schemars(range(min = 1, max = 1024))]
    pub replays: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = settings::Limits::default();
        Self {
            connections: small(limits.connections),
            connections_per_client: small(limits.connections_per_client),
            head_bytes: Size(limits.head_bytes as u64),
            head_fields: small(limits.head_fields),
            target_bytes: Size(limits.target_bytes as u64),
            body_rate_floor: Size(limits.body_rate_floor),
            body_rate_window: Time(limits.body_rate_window),
            h2_streams: limits.h2_streams,
            handshakes: small(limits.handshakes),
            client_names: small(limits.client_names),
            workload_names: small(limits.workload_names),
            policy_rules: small(limits.policy_rules),
            rate_limit_entries: small(limits.rate_limit_entries),
            held_flows: small(limits.held_flows),
            held_body_bytes: Size(limits.held_body_bytes as u64),
            replays: small(limits.replays),
        }
    }
}

impl From<&Limits> for settings::Limits {
    fn from(limits: &Limits) -> Self {
        Self {
            connections: limits.connections as usize,
            connections_per_client: limits.connections_per_client as usize,
            head_bytes: bytes(limits.head_bytes),
            head_fields: limits.head_fields as usize,
            target_bytes: bytes(limits.target_bytes),
            body_rate_floor: limits.body_rate_floor.0,
            body_rate_window: limits.body_rate_window.0,
            h2_streams: limits.h2_streams,
            handshakes: limits.handshakes as usize,
            client_names: limits.client_names as usize,
            workload_names: limits.workload_names as usize,
            policy_rules: limits.policy_rules as usize,
            rate_limit_entries: limits.rate_limit_entries as usize,
            held_flows: limits.held_flows as usize,
            held_body_bytes: bytes(limits.held_body_bytes),
            replays: limits.replays as usize,
        }
    }
}

/// A count as the file holds it.
pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A size as the core holds it.
pub(super) fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}
