//! Which way a flow goes: straight to its destination, or through a group of parent proxies.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::destination::Destination;
use crate::pattern::NoProxy;

/// How a parent proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParentScheme {
    /// HTTP proxy over plain TCP.
    Http,
    /// HTTP proxy over TLS.
    Https,
    /// SOCKS5 (RFC 1928).
    Socks5,
}

/// User name and password for a parent. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name, percent-decoded.
    pub user: String,
    /// The password, percent-decoded.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// One parent proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// How it is spoken to.
    pub scheme: ParentScheme,
    /// Where it is.
    pub address: Destination,
    /// What it wants to see of us.
    pub credentials: Option<Credentials>,
}

/// Parents that stand in for each other, in order of preference.
#[derive(Clone, Debug)]
pub struct ParentGroup {
    /// The name in records and metrics.
    pub name: Arc<str>,
    /// The parents, first choice first.
    pub parents: Vec<Parent>,
    /// What goes through this group; `None` for everything.
    pub destinations: Option<NoProxy>,
    /// What does not, although `destinations` matches.
    pub no_proxy: NoProxy,
    /// Names are resolved here and the checked address is given to the parent, instead of the name.
    pub resolve_locally: bool,
    /// PEM of further CAs that `https` parents may be signed by.
    pub trusted_ca: Option<Arc<[u8]>>,
    /// How long a parent that failed is passed over.
    pub retry_after: Duration,
}

/// The routes of a snapshot: the first group that takes a destination is used, else it goes direct.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The groups, in order.
    pub groups: Vec<Arc<ParentGroup>>,
}

impl Routes {
    /// The group for this destination, `None` for direct. `resolved` may be empty.
    #[must_use]
    pub fn choose(&self, destination: &Destination, resolved: &[IpAddr]) -> Option<&Arc<ParentGroup>> {
        self.groups.iter().find(|group| {
            group.destinations.as_ref().is_none_or(|list| list.matches(destination, resolved))
                && !group.no_proxy.matches(destination, resolved)
        })
    }
}
