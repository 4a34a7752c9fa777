//! What is written for systemd units and for apt.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::settings::Proxy;
use super::whole::MARK;

/// A drop-in that gives a unit the variables.
pub(super) fn systemd(proxy: &Proxy) -> String {
    let mut text = format!("# {MARK}\n[Service]\n");
    for (name, value) in proxy.variables() {
        let _ = writeln!(text, "Environment=\"{name}={}\"", escaped(&value));
    }
    text
}

/// As systemd.syntax(7) and systemd.unit(5) have it: a `%` begins a specifier.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

/// apt's configuration. apt knows no NO_PROXY: hosts are named one by one, and domains and networks cannot be.
pub(super) fn apt(proxy: &Proxy) -> String {
    let mut text = format!("// {MARK}\n");
    for (scheme, url) in [("http", &proxy.http), ("https", &proxy.https)] {
        let _ = writeln!(text, "Acquire::{scheme}::Proxy \"{url}\";");
    }
    for host in proxy.direct.iter().filter(|term| is_host(term)) {
        for scheme in ["http", "https"] {
            let _ = writeln!(text, "Acquire::{scheme}::Proxy::{host} \"DIRECT\";");
        }
    }
    text
}

/// Whether it is a host that apt can name; `::` separates the parts of its options.
fn is_host(term: &str) -> bool {
    !term.starts_with('.') && !term.contains(['/', ':']) || matches!(term.parse(), Ok(IpAddr::V4(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_is_no_specifier_of_systemd() {
        assert_eq!(escaped(r#"a%20"b\"#), r#"a%%20\"b\\"#);
    }
}
