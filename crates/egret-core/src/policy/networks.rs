//! Many networks, looked up at once.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::pattern::canonical_network;

/// Networks with the numbers of what they belong to. A lookup costs as much as there are lengths of
/// prefixes, however many networks there are.
#[derive(Clone, Debug, Default)]
pub(super) struct NetworkTable {
    v4: Vec<Level<u32>>,
    v6: Vec<Level<u128>>,
}

/// The networks of one length.
#[derive(Clone, Debug)]
struct Level<Bits> {
    mask: Bits,
    networks: HashMap<Bits, SmallVec<[u32; 2]>>,
}

impl NetworkTable {
    /// Adds a network. Numbers come in ascending order.
    pub(super) fn insert(&mut self, network: IpNet, number: u32) {
        let numbers = match canonical_network(network) {
            IpNet::V4(v4) => entry(&mut self.v4, v4.netmask().to_bits(), v4.network().to_bits()),
            IpNet::V6(v6) => entry(&mut self.v6, v6.netmask().to_bits(), v6.network().to_bits()),
        };
        if numbers.last() != Some(&number) {
            numbers.push(number);
        }
    }

    /// Calls for each list of numbers whose network holds the address.
    pub(super) fn find<'a>(&'a self, address: IpAddr, mut found: impl FnMut(&'a [u32])) {
        match address.to_canonical() {
            IpAddr::V4(v4) => look_up(&self.v4, v4.to_bits(), &mut found),
            IpAddr::V6(v6) => look_up(&self.v6, v6.to_bits(), &mut found),
        }
    }

    /// Whether any network holds the address.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let mut any = false;
        self.find(address, |_| any = true);
        any
    }
}

fn entry<Bits: Eq + std::hash::Hash>(
    levels: &mut Vec<Level<Bits>>,
    mask: Bits,
    network: Bits,
) -> &mut SmallVec<[u32; 2]> {
    let at = levels.iter().position(|level| level.mask == mask).unwrap_or_else(|| {
        levels.push(Level { mask, networks: HashMap::new() });
        levels.len() - 1
    });
    levels[at].networks.entry(network).or_default()
}

fn look_up<'a, Bits>(levels: &'a [Level<Bits>], bits: Bits, found: &mut impl FnMut(&'a [u32]))
where
    Bits: Copy + Eq + std::hash::Hash + std::ops::BitAnd<Output = Bits>,
{
    for level in levels {
        if let Some(numbers) = level.networks.get(&(bits & level.mask)) {
            found(numbers);
        }
    }
}
