//! What is said at the start.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use egret_core::authentication::Authentication;
use egret_core::settings::{ClientAuth, Snapshot};

use crate::interception;
use crate::proxy::App;
use crate::tls::ListenerSlot;

/// A few friendly lines: where it listens, and a command to try.
#[must_use]
pub(crate) fn text(
    app: &App,
    admin: Option<SocketAddr>,
    console: Option<&str>,
    snapshot: &Snapshot,
) -> String {
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
    if let Some(link) = console {
        let _ = writeln!(out, "  console   {link}");
    }
    if let Some((what, trust)) = interception::lock(&app.intercepting).said() {
        let _ = writeln!(out, "  inside    TLS is looked into: {what}");
        let _ = writeln!(out, "  trust     clients have to trust the CA in {}", trust.display());
        let _ = writeln!(out, "            (`egret ca export` prints it in every form)");
    }
    if let Some(address) = app.server.addresses.first() {
        let over_tls = app.server.over_tls.first() == Some(&true);
        let proxy = match (over_tls, &app.args.mtls) {
            (false, _) => format!("-x {}", url(*address, false)),
            (true, Some(directory)) => mutual(*address, directory),
            (true, None) => format!("-x {} --proxy-cacert CA.crt", url(*address, true)),
        };
        let trust = interception::lock(&app.intercepting)
            .said()
            .map(|(_, trust)| format!(" --cacert {}", quoted(&trust.to_string_lossy())))
            .unwrap_or_default();
        let login = login(snapshot.authentication.as_deref(), connectable(*address).ip());
        let _ = writeln!(out, "  try       curl {proxy}{login}{trust} https://example.com/");
    }
    if snapshot.gate.guard.allow_loopback {
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
        "--proxy {} --proxy-cacert {} --proxy-cert {} --proxy-key {}",
        url(address, true),
        file("ca.crt"),
        file("client.crt"),
        file("client.key"),
    )
}

/// What curl needs in addition where the proxy wants credentials of who tries it from here.
fn login(authentication: Option<&Authentication>, from: IpAddr) -> &'static str {
    match authentication {
        Some(settings) if settings.required && !settings.exempt.iter().any(|net| net.contains(&from)) => {
            if settings.htpasswd.is_some() || settings.ldap.is_some() {
                " --proxy-user USER:PASSWORD"
            } else {
                " --proxy-header 'Proxy-Authorization: Bearer TOKEN'"
            }
        }
        _ => "",
    }
}

/// An address that can be connected to.
pub(crate) fn connectable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// A URL that can be connected to. Certificates are for `localhost` more often than for an address.
fn url(address: SocketAddr, over_tls: bool) -> String {
    let address = connectable(address);
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
            "--proxy https://localhost:8443 --proxy-cacert '/tmp/my certs/ca.crt' --proxy-cert '/tmp/my certs/client.crt' \
             --proxy-key '/tmp/my certs/client.key'"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
