//! The list in the terms of Java's `http.nonProxyHosts`, which rules `https` as well: entries between `|`, `*` as a
//! glob at the beginning or the end, no networks, IPv6 in brackets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::entry::Entry;

/// Into how many globs one network is written out: a /12 is sixteen of `10.96.*`.
const MOST_GLOBS: u32 = 16;

/// Writes a list for `http.nonProxyHosts`, sorted. What Java cannot be told (ports, networks of IPv6 or with borders
/// far from a dot) is left out. Java's own defaults for loopback are written too: the property replaces them.
#[must_use]
pub fn non_proxy_hosts<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let mut hosts: BTreeSet<String> =
        ["localhost", "127.*", "[::1]"].into_iter().map(str::to_owned).collect();
    for entry in entries {
        match Entry::read(entry) {
            Ok(Entry::Any) => return "*".to_owned(),
            Ok(Entry::Domain(name)) if entry.starts_with('.') => {
                hosts.insert(format!("*.{name}"));
            }
            Ok(Entry::Domain(name)) => {
                hosts.insert(name);
            }
            Ok(Entry::Subdomains(name)) => {
                hosts.insert(format!("*.{name}"));
            }
            Ok(Entry::Address(IpAddr::V4(address))) => {
                hosts.insert(address.to_string());
            }
            Ok(Entry::Address(IpAddr::V6(address))) => {
                hosts.insert(format!("[{address}]"));
            }
            Ok(Entry::Network(IpNet::V4(network))) => hosts.extend(globs(network)),
            Ok(Entry::Network(IpNet::V6(_)) | Entry::WithPort(_)) | Err(_) => {}
        }
    }
    hosts.into_iter().collect::<Vec<_>>().join("|")
}

/// `10.96.0.0/15` as `10.96.*` and `10.97.*`; nothing where that takes too many.
fn globs(network: Ipv4Net) -> Vec<String> {
    let octets = u32::from(network.prefix_len().div_ceil(8));
    // A network of everything is no entry, and single addresses have no glob.
    if !(1..=3).contains(&octets) {
        return Vec::new();
    }
    let count = 1u32 << (octets * 8 - u32::from(network.prefix_len()));
    if count > MOST_GLOBS {
        return Vec::new();
    }
    let first = u32::from(network.network());
    let step = 1u32 << (32 - octets * 8);
    (0..count)
        .map(|number| {
            let address = Ipv4Addr::from(first + number * step).octets();
            let parts: Vec<String> = address.iter().take(octets as usize).map(ToString::to_string).collect();
            format!("{}.*", parts.join("."))
        })
        .collect()
}
