//! The cluster's domain, and what kubeadm wrote down.

use ipnet::IpNet;
use k8s_openapi::api::core::v1::ConfigMap;

use super::{Lists, is_host_name};

/// What `kube-system/kubeadm-config` says under `networking`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kubeadm {
    pub(super) service_networks: Vec<IpNet>,
    pub(super) pod_networks: Vec<IpNet>,
    pub(super) domain: Option<String>,
}

impl Kubeadm {
    /// Reads the three fields that matter; they stand alone on their lines in what kubeadm writes.
    pub(super) fn read(config: &ConfigMap) -> Self {
        let Some(text) = config.data.as_ref().and_then(|data| data.get("ClusterConfiguration")) else {
            return Self::default();
        };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let networks = |name: &str| {
            let list = field(name).unwrap_or_default();
            list.split(',').filter_map(|network| network.trim().parse().ok()).collect()
        };
        Self {
            service_networks: networks("serviceSubnet"),
            pod_networks: networks("podSubnet"),
            domain: field("dnsDomain").and_then(|name| checked(&name)),
        }
    }
}

/// The domain, from the best source that has it.
pub(super) fn find(lists: &Lists<'_>, kubeadm: &Kubeadm) -> Option<String> {
    let corefile = || lists.coredns?.data.as_ref()?.get("Corefile").and_then(|text| from_corefile(text));
    kubeadm.domain.clone().or_else(corefile).or_else(|| lists.resolv_conf.and_then(from_resolv_conf))
}

/// The domain from the search list that kubelet gives to pods: `search NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN …`.
/// `None` outside of a cluster.
#[must_use]
pub fn from_resolv_conf(text: &str) -> Option<String> {
    // The last line of its kind is the one that counts (resolv.conf(5)).
    let search = text.lines().rev().find_map(|line| line.trim().strip_prefix("search"))?;
    search.split_whitespace().find_map(|domain| domain.strip_prefix("svc.")).and_then(checked)
}

/// The domain from CoreDNS's configuration: the first zone of the plugin `kubernetes`.
#[must_use]
pub fn from_corefile(text: &str) -> Option<String> {
    let zones = text.lines().find_map(|line| line.trim().strip_prefix("kubernetes "))?;
    zones.split_whitespace().next().filter(|zone| !zone.ends_with(".arpa") && *zone != "{").and_then(checked)
}

fn checked(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    is_host_name(&name).then_some(name)
}
