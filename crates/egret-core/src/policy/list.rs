//! Lists of hosts: named lists and categories, of a million names and more.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::names::{Depth, NameTable, Suffixes};
use super::networks::NetworkTable;
use crate::destination::Host;
use crate::pattern::HostPattern;

/// A list of hosts. Immutable: a file that has changed becomes a new one.
#[derive(Clone, Debug)]
pub struct NameList {
    name: Arc<str>,
    names: NameTable,
    /// Of each name, which depths are listed.
    depths: Vec<u8>,
    networks: NetworkTable,
    network_count: usize,
    any: bool,
}

/// A list under construction.
#[derive(Clone, Debug)]
pub struct NameListBuilder(NameList);

/// There are more names than a list can hold (four gigabytes of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list is too long")]
pub struct ListTooLong;

impl NameList {
    /// Begins a list. The estimates of how many names come, and of their bytes, save time and memory.
    #[must_use]
    pub fn builder(name: impl Into<Arc<str>>, names: usize, bytes: usize) -> NameListBuilder {
        NameListBuilder(Self {
            name: name.into(),
            names: NameTable::with_capacity(names, bytes),
            depths: Vec::with_capacity(names),
            networks: NetworkTable::default(),
            network_count: 0,
            any: false,
        })
    }

    /// The list's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How many different names and networks are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + self.network_count + usize::from(self.any)
    }

    /// Whether nothing is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that its names take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.names.memory() + self.depths.capacity()
    }

    /// Whether a host is on it, by its name.
    #[must_use]
    pub fn contains(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => self.contains_name(&Suffixes::of(name)),
            Host::Address(address) => self.contains_address(*address),
        }
    }

    pub(super) fn contains_name(&self, suffixes: &Suffixes<'_>) -> bool {
        self.any
            || self.names.find_all(suffixes, |number, depth| {
                let listed = self.depths[number as usize];
                match depth {
                    0 => listed & bit(Depth::None) != 0,
                    1 => listed & (bit(Depth::One) | bit(Depth::Some)) != 0,
                    _ => listed & bit(Depth::Some) != 0,
                }
            })
    }

    pub(super) fn contains_address(&self, address: IpAddr) -> bool {
        self.any || self.networks.contains(address)
    }

    /// Whether it has addresses on it, so that a name may be on it by its address.
    pub(super) fn has_addresses(&self) -> bool {
        self.network_count > 0
    }
}

fn bit(depth: Depth) -> u8 {
    1 << depth as u8
}

impl NameListBuilder {
    /// Adds what a pattern names.
    ///
    /// # Errors
    /// There are too many names.
    pub fn push(&mut self, pattern: &HostPattern) -> Result<(), ListTooLong> {
        match pattern {
            HostPattern::Any => self.0.any = true,
            HostPattern::Exact(Host::Name(name)) => self.add(name, Depth::None)?,
            HostPattern::Exact(Host::Address(address)) => self.push_network(IpNet::from(*address)),
            HostPattern::OneLabel(suffix) => self.add(suffix, Depth::One)?,
            HostPattern::AnyDepth(suffix) => self.add(suffix, Depth::Some)?,
        }
        Ok(())
    }

    /// Adds a name in normal form, without looking at it again.
    ///
    /// # Errors
    /// There are too many names.
    pub fn push_name(&mut self, name: &str) -> Result<(), ListTooLong> {
        self.add(name, Depth::None)
    }

    /// Adds a domain in normal form: the name, and every name below it.
    ///
    /// # Errors
    /// There are too many names.
    pub fn push_domain(&mut self, name: &str) -> Result<(), ListTooLong> {
        self.add(name, Depth::None)?;
        self.add(name, Depth::Some)
    }

    /// Adds a network.
    pub fn push_network(&mut self, network: IpNet) {
        self.0.networks.insert(network, 0);
        self.0.network_count += 1;
    }

    fn add(&mut self, name: &str, depth: Depth) -> Result<(), ListTooLong> {
        let number = self.0.names.insert(name).ok_or(ListTooLong)? as usize;
        if number == self.0.depths.len() {
            self.0.depths.push(0);
        }
        self.0.depths[number] |= bit(depth);
        Ok(())
    }

    /// The list.
    #[must_use]
    pub fn finish(mut self) -> Arc<NameList> {
        self.0.names.shrink();
        self.0.depths.shrink_to_fit();
        Arc::new(self.0)
    }
}
