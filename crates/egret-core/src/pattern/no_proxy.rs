//! `NO_PROXY`, as the union of what real clients understand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::destination::{Destination, Host, HostError, parse_port};
use crate::pattern::index::PatternIndex;
use crate::pattern::{HostPattern, PatternError};

/// A list in `NO_PROXY`'s terms, read as the union of what real clients understand: `ex.com` and
/// `.ex.com` and `*.ex.com` (the apex goes with its subdomains except for `*.ex.com`), addresses, CIDRs, `*`, and
/// `host:port`.
///
/// In particular:
/// - `ex.com` and `.ex.com` name the apex and its subdomains, at any depth; `notex.com` is none.
/// - `*.ex.com` names the subdomains alone, at any depth, as Go and Node have it.
/// - `*` names everything, wherever in the list it stands.
/// - An address (IPv6 with brackets or without) names itself, a CIDR every address in it; and every
///   name that is known to have such an address.
/// - `:port` behind any of these but a CIDR or a bare IPv6 address limits it to that port, be the port
///   written in the URL or its scheme's default.
/// - Upper and lower case are the same.
///
/// What no client understands (`10.`, `10.1.2.*`, ranges of addresses) is an error rather than an entry
/// that never matches.
#[derive(Clone, Debug, Default)]
pub struct NoProxy {
    patterns: PatternIndex,
    /// The port of each entry, `None` for every port.
    ports: Vec<Option<u16>>,
}

/// An entry that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}`: {error}")]
pub struct EntryError {
    /// Which entry, counted from 0.
    pub index: usize,
    /// The entry as it was written.
    pub entry: String,
    /// What is wrong with it.
    pub error: PatternError,
}

enum Pattern {
    Host(HostPattern),
    /// The name and all under it.
    Domain(String),
    Network(IpNet),
}

/// What one entry names, for those who say it in other terms than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Any,
    /// This name and all under it.
    Domain(String),
    /// All names under this one.
    Subdomains(String),
    /// Every address of a network; a single address is a network of one.
    Network(IpNet),
}

/// Reads one entry, and the port that it is limited to.
///
/// # Errors
/// What is wrong with it.
pub fn read_entry(entry: &str) -> Result<(Scope, Option<u16>), PatternError> {
    let (pattern, port) = parse_entry(entry.trim_ascii())?;
    let scope = match pattern {
        Pattern::Domain(name) => Scope::Domain(name),
        Pattern::Network(network) => Scope::Network(network),
        Pattern::Host(HostPattern::AnyDepth(name)) => Scope::Subdomains(name),
        // Other patterns are not made of entries.
        Pattern::Host(_) => Scope::Any,
    };
    Ok((scope, port))
}

impl NoProxy {
    /// Reads the entries of a list.
    ///
    /// # Errors
    /// Every entry that cannot be read.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<EntryError>> {
        let mut list = Self::default();
        let mut errors = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            match parse_entry(entry.trim_ascii()) {
                Ok((pattern, port)) => list.push(pattern, port),
                Err(error) => errors.push(EntryError { index, entry: entry.to_owned(), error }),
            }
        }
        if errors.is_empty() { Ok(list) } else { Err(errors) }
    }

    /// Reads a list as it stands in an environment variable: entries between commas or white space.
    /// Empty entries are passed over.
    ///
    /// # Errors
    /// Every entry that cannot be read.
    pub fn parse_list(text: &str) -> Result<Self, Vec<EntryError>> {
        let is_separator = |c: char| c == ',' || c.is_ascii_whitespace();
        Self::new(text.split(is_separator).filter(|entry| !entry.is_empty()))
    }

    /// Whether nothing is in the list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Whether the list names this destination. `resolved` are the addresses the name is known to
    /// have; CIDR entries match those as well as literal addresses.
    #[must_use]
    pub fn matches(&self, destination: &Destination, resolved: &[IpAddr]) -> bool {
        if self.is_empty() {
            return false;
        }
        let on_port = |number: u32| {
            self.ports
                .get(number as usize)
                .is_some_and(|port| port.is_none_or(|port| port == destination.port))
        };
        self.patterns.find_host(&destination.host, on_port).is_some()
            || resolved.iter().any(|address| self.patterns.find_address(*address, on_port).is_some())
    }

    fn push(&mut self, pattern: Pattern, port: Option<u16>) {
        // 2^32 entries would not fit into memory.
        let number = u32::try_from(self.ports.len()).unwrap_or(u32::MAX);
        self.ports.push(port);
        match pattern {
            Pattern::Host(pattern) => self.patterns.insert(&pattern, number),
            Pattern::Network(network) => self.patterns.insert_network(network, number),
            Pattern::Domain(name) => {
                self.patterns.insert(&HostPattern::Exact(Host::Name(name.as_str().into())), number);
                self.patterns.insert(&HostPattern::AnyDepth(name), number);
            }
        }
    }
}

impl FromStr for NoProxy {
    type Err = Vec<EntryError>;

    fn from_str(text: &str) -> Result<Self, Vec<EntryError>> {
        Self::parse_list(text)
    }
}

fn parse_entry(entry: &str) -> Result<(Pattern, Option<u16>), PatternError> {
    if entry.is_empty() {
        return Err(PatternError::Empty);
    }
    if entry.contains('/') {
        return parse_network(entry).map(|network| (Pattern::Network(network), None));
    }
    if let Ok(address) = entry.parse::<Ipv6Addr>() {
        return Ok((Pattern::Network(IpAddr::V6(address).into()), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, Some(parse_port(port.as_bytes()).map_err(|_| PatternError::Port)?))
        }
        _ => (entry, None),
    };
    parse_host(host).map(|pattern| (pattern, port))
}

fn parse_network(entry: &str) -> Result<IpNet, PatternError> {
    match entry.parse() {
        Ok(network) => Ok(network),
        // A URL has a slash as well; its error should not speak of networks.
        Err(_) if entry.contains("//") => Err(HostError::Character.into()),
        Err(_) => Err(PatternError::Network),
    }
}

fn parse_host(host: &str) -> Result<Pattern, PatternError> {
    if host == "*" {
        return Ok(Pattern::Host(HostPattern::Any));
    }
    if is_address_range(host) {
        return Err(PatternError::AddressRange);
    }
    // `*.ex.com` is any depth here, unlike in rules: that is what clients do.
    let (is_wild, name) = match host.strip_prefix("*.") {
        Some(suffix) => (true, suffix),
        None => (false, host.strip_prefix('.').unwrap_or(host)),
    };
    let parsed = match HostPattern::parse(name)? {
        HostPattern::Exact(parsed) if name.len() == host.len() => parsed,
        HostPattern::Exact(Host::Address(_)) => return Err(PatternError::WildcardAddress),
        HostPattern::Exact(parsed) => parsed,
        _ => return Err(PatternError::Wildcard),
    };
    match parsed {
        Host::Name(name) if is_wild => Ok(Pattern::Host(HostPattern::AnyDepth(name.as_ref().to_owned()))),
        Host::Name(name) => Ok(Pattern::Domain(name.as_ref().to_owned())),
        // `10.` is 0.0.0.10 to inet_aton, which is never what was meant.
        Host::Address(IpAddr::V4(v4)) if !host.starts_with('[') && host.parse() != Ok(v4) => {
            Err(PatternError::PartialAddress)
        }
        Host::Address(address) => Ok(Pattern::Network(address.into())),
    }
}

fn is_address_range(host: &str) -> bool {
    host.split_once('-')
        .is_some_and(|(first, last)| first.parse::<Ipv4Addr>().is_ok() && last.parse::<Ipv4Addr>().is_ok())
}
