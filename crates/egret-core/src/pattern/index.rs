//! Many patterns, looked up at once.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::destination::Host;
use crate::pattern::{HostPattern, canonical_network};

/// Patterns with the numbers of what they belong to (a rule, an entry), so that a lookup costs as much
/// as the name has labels, however many patterns there are. Networks are compared one by one.
///
/// Numbers are given in ascending order; a lookup yields the lowest that is accepted, which is what the
/// first match of a walk over all would have been.
#[derive(Clone, Debug, Default)]
pub(crate) struct PatternIndex {
    any: Numbers,
    names: HashMap<Box<str>, ByDepth>,
    v4: Vec<(u32, u32, u32)>,
    v6: Vec<(u128, u128, u32)>,
}

type Numbers = SmallVec<[u32; 4]>;

/// What belongs to a name, by how many labels stand in front of it.
#[derive(Clone, Debug, Default)]
struct ByDepth {
    none: Numbers,
    one: Numbers,
    some: Numbers,
}

impl PatternIndex {
    /// Adds a pattern. An address counts as the network of that one address.
    pub(crate) fn insert(&mut self, pattern: &HostPattern, number: u32) {
        match pattern {
            HostPattern::Any => self.any.push(number),
            HostPattern::Exact(Host::Name(name)) => self.by_depth(name).none.push(number),
            HostPattern::Exact(Host::Address(address)) => {
                self.insert_network(IpNet::from(*address), number);
            }
            HostPattern::OneLabel(suffix) => self.by_depth(suffix).one.push(number),
            HostPattern::AnyDepth(suffix) => self.by_depth(suffix).some.push(number),
        }
    }

    /// Adds a network.
    pub(crate) fn insert_network(&mut self, network: IpNet, number: u32) {
        match canonical_network(network) {
            IpNet::V4(v4) => self.v4.push((v4.network().to_bits(), v4.netmask().to_bits(), number)),
            IpNet::V6(v6) => self.v6.push((v6.network().to_bits(), v6.netmask().to_bits(), number)),
        }
    }

    fn by_depth(&mut self, name: &str) -> &mut ByDepth {
        self.names.entry(name.into()).or_default()
    }

    /// The lowest accepted number whose pattern names this host; an address is looked up in the networks.
    pub(crate) fn find_host(&self, host: &Host, accept: impl Fn(u32) -> bool) -> Option<u32> {
        let any = first(&self.any, &accept);
        let other = match host {
            Host::Name(name) => self.find_name(name, &accept),
            Host::Address(address) => self.find_address(*address, &accept),
        };
        lower(any, other)
    }

    fn find_name(&self, name: &str, accept: &impl Fn(u32) -> bool) -> Option<u32> {
        if self.names.is_empty() {
            return None;
        }
        let mut found = self.names.get(name).and_then(|entry| first(&entry.none, accept));
        let mut rest = name;
        let mut depth = 0;
        while let Some((_, suffix)) = rest.split_once('.') {
            rest = suffix;
            depth += 1;
            let Some(entry) = self.names.get(suffix) else { continue };
            if depth == 1 {
                found = lower(found, first(&entry.one, accept));
            }
            found = lower(found, first(&entry.some, accept));
        }
        found
    }

    /// The lowest accepted number whose network holds this address.
    pub(crate) fn find_address(&self, address: IpAddr, accept: impl Fn(u32) -> bool) -> Option<u32> {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = v4.to_bits();
                let mut holding = self.v4.iter().filter(|(network, mask, _)| bits & mask == *network);
                holding.find(|(_, _, number)| accept(*number)).map(|(_, _, number)| *number)
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                let mut holding = self.v6.iter().filter(|(network, mask, _)| bits & mask == *network);
                holding.find(|(_, _, number)| accept(*number)).map(|(_, _, number)| *number)
            }
        }
    }
}

fn first(numbers: &[u32], accept: &impl Fn(u32) -> bool) -> Option<u32> {
    numbers.iter().copied().find(|number| accept(*number))
}

fn lower(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
