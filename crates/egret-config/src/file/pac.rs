//! `pac`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::PacSettings;

use crate::values::{NoProxyTerm, PacAnswer};

/// The PAC file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Pac {
    /// What the file answers: `PROXY host:port`, `HTTPS host:port` or `SOCKS5 host:port`, several with `;`
    /// between them. By default the listener, by the name and port that the file was fetched from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<PacAnswer>,
    /// What clients reach without the proxy, in the terms of `NO_PROXY`. Loopback always is.
    #[schemars(length(max = 10_000), example = serde_json::json!([".corp.example", "10.0.0.0/8"]))]
    pub direct: Vec<NoProxyTerm>,
}

impl From<&Pac> for PacSettings {
    fn from(pac: &Pac) -> Self {
        // Terms were checked when they were read.
        let direct = pac.direct.iter().filter_map(|term| egret_core::pattern::read_entry(&term.0).ok());
        Self { proxy: pac.proxy.as_ref().map(|answer| answer.0.as_str().into()), direct: direct.collect() }
    }
}
