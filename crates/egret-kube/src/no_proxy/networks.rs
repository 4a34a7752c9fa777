//! Networks for the list: which to take, and which to join.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Networks of a cluster that are wider than this are mistakes.
const WIDEST: u8 = 8;

/// From so many networks on, neighbours are joined. Below, people find in the list what they know by name.
const JOIN_FROM: usize = 16;

/// The IPv4 networks that can be listed, and those of either family that are too wide to be true.
pub(super) fn usable(networks: &[IpNet]) -> (Vec<Ipv4Net>, Vec<IpNet>) {
    let (wide, sane): (Vec<IpNet>, Vec<IpNet>) =
        networks.iter().map(IpNet::trunc).partition(|network| network.prefix_len() < WIDEST);
    let v4 = sane.iter().filter_map(|network| match network {
        IpNet::V4(network) => Some(*network),
        // No client that fails with them is worth the few that know them.
        IpNet::V6(_) => None,
    });
    (v4.collect(), wide)
}

/// The same networks, without duplicates; neighbours joined where there are many.
pub(super) fn merged(networks: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let distinct: BTreeSet<Ipv4Net> = networks.iter().copied().collect();
    let distinct: Vec<Ipv4Net> = distinct.into_iter().collect();
    if distinct.len() < JOIN_FROM { distinct } else { Ipv4Net::aggregate(&distinct) }
}

/// The /24 networks that the private ones among these addresses lie in, neighbours joined. Public addresses have
/// other people's machines beside them.
pub(super) fn covering(addresses: &[IpAddr]) -> Vec<Ipv4Net> {
    let networks: BTreeSet<Ipv4Net> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) if v4.is_private() => Ipv4Net::new(*v4, 24).ok().map(|network| network.trunc()),
            _ => None,
        })
        .collect();
    Ipv4Net::aggregate(&networks.into_iter().collect())
}
