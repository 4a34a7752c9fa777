//! What is said at the start.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// A few friendly lines: where it listens, and a command to try.
#[must_use]
pub(crate) fn text(listeners: &[SocketAddr], admin: Option<SocketAddr>, loopback_allowed: bool) -> String {
    let mut out = format!("egret {} is ready.\n", env!("CARGO_PKG_VERSION"));
    // Writing to memory cannot fail.
    for address in listeners {
        let _ = writeln!(out, "  proxy     http://{address}   (HTTP, CONNECT and SOCKS)");
    }
    match admin {
        Some(admin) => {
            let _ = writeln!(out, "  metrics   http://{admin}/metrics   health: /healthz, /readyz");
        }
        None => out.push_str("  metrics   off\n"),
    }
    if let Some(address) = listeners.first() {
        let mut address = *address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let _ = writeln!(out, "  try       curl -x http://{address} https://example.com/");
    }
    if loopback_allowed {
        out.push_str("  note      all listeners are on loopback, so loopback destinations are allowed\n");
    }
    out
}
