//! Where Services have their addresses, and the API server has its own.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Lists;
use super::domain::Kubeadm;

/// An address that is no Service's in any cluster. A Service that asks for it (`dryRun: All`) is refused with a text
/// that names the network of Services: how it was found out before there were ServiceCIDRs.
pub const PROBE_ADDRESS: &str = "1.1.1.1";

/// The flag of the API server.
const RANGE_FLAG: &str = "--service-cluster-ip-range=";

/// What comes before the network in the text.
const PROBE_WORDS: &str = "The range of valid IPs is ";

/// The networks of Services, from the best source that has any.
pub(super) fn networks(lists: &Lists<'_>, kubeadm: &Kubeadm) -> Option<Vec<IpNet>> {
    let from_objects = || {
        let specs = lists.service_cidrs?.iter().filter_map(|object| object.spec.as_ref());
        Some(parse(specs.flat_map(|spec| spec.cidrs.iter().flatten()).map(String::as_str)))
    };
    let from_flags = || {
        let containers = lists
            .api_server_pods
            .iter()
            .filter_map(|pod| pod.spec.as_ref())
            .flat_map(|spec| &spec.containers);
        let words = containers.flat_map(|one| one.command.iter().flatten().chain(one.args.iter().flatten()));
        Some(parse(words.filter_map(|word| word.strip_prefix(RANGE_FLAG)).flat_map(|list| list.split(','))))
    };
    let sources: [&dyn Fn() -> Option<Vec<IpNet>>; 4] =
        [&from_objects, &from_flags, &|| Some(kubeadm.service_networks.clone()), &|| {
            lists.probe_message.map(from_probe)
        }];
    sources.iter().filter_map(|source| source()).find(|networks| !networks.is_empty())
}

/// The networks that the API server names when it refuses [`PROBE_ADDRESS`]; none where the text names none, as with
/// several ServiceCIDRs.
#[must_use]
pub fn from_probe(message: &str) -> Vec<IpNet> {
    let Some((_, rest)) = message.split_once(PROBE_WORDS) else { return Vec::new() };
    parse(rest.split([',', ' ', '"', ';']).map(|word| word.trim_end_matches('.')).take(2))
}

/// The addresses of the API server: its Service's, and its own behind it.
pub(super) fn api_server_addresses(lists: &Lists<'_>) -> Vec<IpAddr> {
    let spec = lists.kubernetes_service.and_then(|service| service.spec.as_ref());
    let of_service = spec.iter().flat_map(|spec| spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip));
    let behind =
        lists.endpoint_slices.iter().flat_map(|slice| &slice.endpoints).flat_map(|one| &one.addresses);
    let found: BTreeSet<IpAddr> =
        of_service.chain(behind).filter_map(|address| address.parse().ok()).collect();
    found.into_iter().collect()
}

fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Vec<IpNet> {
    let networks: BTreeSet<IpNet> = words.filter_map(|word| word.trim().parse().ok()).collect();
    networks.into_iter().collect()
}
