//! What the nodes tell.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node, NodeAddress};

use super::is_host_name;
use crate::no_proxy::cloud::{self, Cloud};

pub(super) fn clouds(nodes: &[Node]) -> BTreeSet<Cloud> {
    cloud::of_nodes(nodes.iter().filter_map(|node| node.spec.as_ref()?.provider_id.as_deref()))
}

pub(super) fn pod_networks(nodes: &[Node]) -> Vec<IpNet> {
    let networks: BTreeSet<IpNet> = nodes
        .iter()
        .filter_map(|node| node.spec.as_ref())
        .flat_map(|spec| spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr))
        .filter_map(|network| network.parse().ok())
        .collect();
    networks.into_iter().collect()
}

/// Addresses inside the cluster; those that the world sees are none of the cluster's own traffic.
pub(super) fn addresses(nodes: &[Node]) -> Vec<IpAddr> {
    let found: BTreeSet<IpAddr> = of_kinds(nodes, &["InternalIP"])
        .filter_map(|address| address.address.parse::<IpAddr>().ok())
        .filter(|address| !address.is_unspecified() && !address.is_multicast())
        .collect();
    found.into_iter().collect()
}

pub(super) fn names(nodes: &[Node]) -> Vec<String> {
    let found: BTreeSet<String> = of_kinds(nodes, &["Hostname", "InternalDNS"])
        .map(|address| address.address.to_ascii_lowercase())
        .filter(|name| is_host_name(name))
        .collect();
    found.into_iter().collect()
}

fn of_kinds<'a>(nodes: &'a [Node], kinds: &'a [&str]) -> impl Iterator<Item = &'a NodeAddress> {
    nodes
        .iter()
        .filter_map(|node| node.status.as_ref()?.addresses.as_ref())
        .flatten()
        .filter(move |address| kinds.contains(&address.type_.as_str()))
}
