//! The one place that reads the terms which the core matches by: host patterns, ports and `NO_PROXY`.

use egret_core::pattern::{HostPattern, NoProxy, PortRange};

/// Reads a pattern for hosts.
pub(crate) fn host_pattern(text: &str) -> Result<HostPattern, String> {
    HostPattern::parse(text).map_err(|error| error.to_string())
}

/// Reads `443` or `8000-8999`.
pub(crate) fn port_range(text: &str) -> Result<PortRange, String> {
    PortRange::parse(text).map_err(|error| error.to_string())
}

/// Reads the terms of a `NO_PROXY` list. The error is about the first that is wrong, and does not repeat it.
pub(crate) fn no_proxy<'a>(terms: impl IntoIterator<Item = &'a str>) -> Result<NoProxy, String> {
    NoProxy::new(terms)
        .map_err(|errors| errors.first().map(|error| error.error.to_string()).unwrap_or_default())
}
