//! The hosts file, and the names that mean this machine (RFC 6761 section 6.3).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use egret_core::settings::AddressFamily;

use super::plan::Stamp;
use super::{Addresses, arrange};

/// A hosts file larger than this is cut off: it is read whole, and on every change. Block lists of a
/// few hundred thousand names pass.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The names that are known without asking.
pub(super) struct Hosts {
    names: HashMap<Box<str>, Addresses>,
    loopback: Addresses,
    stamp: Stamp,
}

impl Hosts {
    /// Reads the file. One that is missing or unreadable is an empty one, as for the C library.
    pub(super) fn load(file: Option<&Path>, family: AddressFamily) -> Self {
        // The stamp first: a change while reading is then seen the next time.
        let stamp = file.map_or(Stamp::default(), Stamp::of);
        let text = file.and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(MAX_BYTES)]);
        Self::parse(&text, family, stamp)
    }

    fn parse(text: &str, family: AddressFamily, stamp: Stamp) -> Self {
        let mut all: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                all.entry(name.into()).or_default().push(address);
            }
        }
        let names = all
            .into_iter()
            .map(|(name, addresses)| (name, arrange(addresses.into_iter(), family)))
            .filter(|(name, addresses)| {
                // A localhost that is not this machine would open a way around the guard.
                !addresses.is_empty() && (!is_localhost(name) || addresses.iter().all(IpAddr::is_loopback))
            })
            .map(|(name, addresses)| (name, addresses.into()))
            .collect();
        let loopback = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        Self { names, loopback: arrange(loopback.into_iter(), family).into(), stamp }
    }

    /// The addresses of a name (lower case, no trailing dot), if they are known without asking.
    pub(super) fn find(&self, name: &str) -> Option<Addresses> {
        if let Some(addresses) = self.names.get(name) {
            return Some(addresses.clone());
        }
        is_localhost(name).then(|| self.loopback.clone())
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }
}

fn is_localhost(name: &str) -> bool {
    name.strip_suffix("localhost").is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, family: AddressFamily, name: &str) -> Option<Vec<String>> {
        let hosts = Hosts::parse(text, family, Stamp::default());
        hosts.find(name).map(|addresses| addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn reads_names_aliases_and_comments() {
        let text = "# head\n10.0.0.1 One.Test alias # tail\n::2\tone.test.\nnonsense x\n\n10.0.0.1 one.test";
        let both = Some(vec!["::2".to_owned(), "10.0.0.1".to_owned()]);
        assert_eq!(find(text, AddressFamily::PreferIpv6, "one.test"), both);
        assert_eq!(find(text, AddressFamily::PreferIpv4, "alias"), Some(vec!["10.0.0.1".to_owned()]));
        assert_eq!(find(text, AddressFamily::PreferIpv4, "tail"), None);
        assert_eq!(find(text, AddressFamily::Ipv6Only, "alias"), None);
    }

    #[test]
    fn localhost_is_always_this_machine() {
        let loopback = Some(vec!["::1".to_owned(), "127.0.0.1".to_owned()]);
        for name in ["localhost", "a.localhost", "a.b.localhost"] {
            assert_eq!(find("10.9.9.9 localhost a.localhost", AddressFamily::PreferIpv6, name), loopback);
        }
        let v4 = Some(vec!["127.0.0.1".to_owned()]);
        assert_eq!(find("", AddressFamily::Ipv4Only, "localhost"), v4);
        assert_eq!(find("127.0.0.1 localhost", AddressFamily::PreferIpv6, "localhost"), v4);
        assert_eq!(find("", AddressFamily::PreferIpv6, "notlocalhost"), None);
    }
}
