//! `socks`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::SocksSettings;

use crate::values::Time;

/// SOCKS from clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Socks {
    /// Whether clients may send datagrams (UDP ASSOCIATE). They pass the same rules and the guard, each
    /// destination by itself; parents do not carry them.
    pub udp: bool,
    /// How long a destination of datagrams is remembered after the last one. What it sends later is
    /// dropped.
    pub udp_idle: Time,
    /// Destinations that one client connection may send datagrams to at a time. Datagrams for one more
    /// are dropped. Metric label: `udp_destinations`.
    #[schemars(range(min = 1, max = 65_536))]
    pub udp_destinations: u32,
    /// Connections with UDP ASSOCIATE in all. One more is refused with the reason
    /// `too-many-udp-associations`. Metric label: `udp_associations`.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub udp_associations: u32,
}

impl Default for Socks {
    fn default() -> Self {
        let socks = SocksSettings::default();
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            udp: socks.udp,
            udp_idle: Time(socks.udp_idle),
            udp_destinations: small(socks.udp_destinations),
            udp_associations: small(socks.udp_associations),
        }
    }
}

impl From<&Socks> for SocksSettings {
    fn from(socks: &Socks) -> Self {
        Self {
            udp: socks.udp,
            udp_idle: socks.udp_idle.0,
            udp_destinations: socks.udp_destinations as usize,
            udp_associations: socks.udp_associations as usize,
        }
    }
}
