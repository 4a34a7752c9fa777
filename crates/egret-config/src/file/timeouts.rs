//! `timeouts`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings;

use crate::values::Time;

/// Time limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// From the first byte of a request head to its end, and from connecting to the first head. A client
    /// that is slower is closed.
    pub head: Time,
    /// How long a client's connection is kept open without a request.
    pub keep_alive: Time,
    /// Connecting to an upstream, all of its addresses tried. Past it the client gets status 504 with the
    /// reason `connect-timeout`.
    pub connect: Time,
    /// The TLS handshake with an upstream or a parent.
    pub tls: Time,
    /// The TLS handshake with a client, from connecting to its end. A client that is slower is closed, with
    /// the reason `client-tls-timeout`.
    #[serde(rename = "clientTLS")]
    pub client_tls: Time,
    /// From the end of a request to the head of its response. Past it the client gets status 504 with the
    /// reason `response-timeout`.
    pub response: Time,
    /// A body in transfer without a byte in either direction; reason `transfer-stalled`.
    pub body_idle: Time,
    /// A tunnel without a byte in either direction; reason `idle-timeout`.
    pub tunnel_idle: Time,
    /// A tunnel in all, however busy it is; 0s for no limit. Reason `lifetime-exceeded`.
    pub tunnel_lifetime: Time,
    /// How long a breakpoint of the console holds a flow where it does not say it, at most 10m. Then the flow goes on,
    /// or is dropped if the breakpoint says so; `egret_limit_hits_total` counts it with the label `held_time`.
    pub held: Time,
}

impl Default for Timeouts {
    fn default() -> Self {
        let timeouts = settings::Timeouts::default();
        Self {
            head: Time(timeouts.head),
            keep_alive: Time(timeouts.keep_alive),
            connect: Time(timeouts.connect),
            tls: Time(timeouts.tls),
            client_tls: Time(timeouts.client_tls),
            response: Time(timeouts.response),
            body_idle: Time(timeouts.body_idle),
            tunnel_idle: Time(timeouts.tunnel_idle),
            tunnel_lifetime: Time(timeouts.tunnel_lifetime),
            held: Time(timeouts.held),
        }
    }
}

impl From<&Timeouts> for settings::Timeouts {
    fn from(timeouts: &Timeouts) -> Self {
        Self {
            head: timeouts.head.0,
            keep_alive: timeouts.keep_alive.0,
            connect: timeouts.connect.0,
            tls: timeouts.tls.0,
            client_tls: timeouts.client_tls.0,
            response: timeouts.response.0,
            body_idle: timeouts.body_idle.0,
            tunnel_idle: timeouts.tunnel_idle.0,
            tunnel_lifetime: timeouts.tunnel_lifetime.0,
            held: timeouts.held.0,
        }
    }
}
