//! What is said at the start.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use egret_core::settings::ClientAuth;

use crate::proxy::App;
use crate::tls::ListenerSlot;

/// A few friendly lines: where it listens, and a command to try.
#[must_use]
pub(crate) fn text(app: &App, admin: Option<SocketAddr>, loopback_allowed: bool) -> String {
    let mut out = format!("egret {} is ready.\n", env!("CARGO_PKG_VERSION"));
    // Writing to memory cannot fail.
    for (url, what) in listeners(app) {
        let _ = writeln!(out, "  proxy     {url}   ({what})");
    }
    match admin {
        Some(admin) => {
            let _ = writeln!(out, "  metrics   http://{admin}/metrics   health: /healthz, /readyz");
        }
        None => out.push_str("  metrics   off\n"),
    }
    if let Some(address) = app.server.addresses.first() {
        let over_tls = app.server.over_tls.first() == Some(&true);
        let command = match (over_tls, &app.args.mtls) {
            (false, _) => format!("curl -x {} https://example.com/", url(*address, false)),
            (true, Some(directory)) => mutual(*address, directory),
            (true, None) => {
                format!("curl -x {} --proxy-cacert CA.crt https://example.com/", url(*address, true))
            }
        };
        let _ = writeln!(out, "  try       {command}");
    }
    if loopback_allowed {
        out.push_str("  note      all listeners are on loopback, so loopback destinations are allowed\n");
    }
    out
}

/// Each listener's URL, and what it is.
pub(crate) fn listeners(app: &App) -> impl Iterator<Item = (String, &'static str)> {
    let addresses = app.server.addresses.iter().zip(&app.server.over_tls);
    addresses.map(|(address, over_tls)| {
        let what = if *over_tls { over_tls_as(&app.listeners, *address) } else { "HTTP, CONNECT and SOCKS" };
        (format!("http{}://{address}", if *over_tls { "s" } else { "" }), what)
    })
}

fn over_tls_as(listeners: &[ListenerSlot], address: SocketAddr) -> &'static str {
    let of_port = listeners.iter().filter_map(|slot| slot.settings.tls.as_ref().map(|tls| (slot, tls)));
    let mut of_port = of_port.filter(|(slot, _)| [0, address.port()].contains(&slot.settings.address.port()));
    match of_port.next().map(|(_, tls)| tls.client_auth) {
        Some(ClientAuth::Required) => "HTTP, CONNECT and SOCKS over mutual TLS",
        Some(ClientAuth::Optional) => "HTTP, CONNECT and SOCKS over TLS, client certificate optional",
        _ => "HTTP, CONNECT and SOCKS over TLS",
    }
}

/// What works with the files of `egret certs init`.
fn mutual(address: SocketAddr, directory: &Path) -> String {
    let file = |name: &str| quoted(&directory.join(name).to_string_lossy());
    format!(
        "curl --proxy {} --proxy-cacert {} --proxy-cert {} --proxy-key {} https://example.com/",
        url(address, true),
        file("ca.crt"),
        file("client.crt"),
        file("client.key"),
    )
}

/// A URL that can be connected to. Certificates are for `localhost` more often than for an address.
fn url(mut address: SocketAddr, over_tls: bool) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    match over_tls {
        true if address.ip().is_loopback() => format!("https://localhost:{}", address.port()),
        true => format!("https://{address}"),
        false => format!("http://{address}"),
    }
}

/// A path as a shell wants it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let command = mutual(([0, 0, 0, 0], 8443).into(), Path::new("/tmp/my certs"));
        assert_eq!(
            command,
            "curl --proxy https://localhost:8443 --proxy-cacert '/tmp/my certs/ca.crt' --proxy-cert '/tmp/my certs/client.crt' \
             --proxy-key '/tmp/my certs/client.key' https://example.com/"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
