//! What the API server tells of the cluster's own names and networks.
//!
//! [`gather`] takes lists of objects as they were read or watched; it does no I/O. Which lists, and what happens where
//! one cannot be had:
//!
//! | fact | from | else |
//! |---|---|---|
//! | service networks | `networking.k8s.io/v1 servicecidrs` (all of them; they may change while the cluster runs) | the flag `--service-cluster-ip-range` of the API server's pods, `kubeadm-config`, the text with which the API server refuses an address that is none of its own ([`PROBE_ADDRESS`]); else single addresses alone, with a warning |
//! | pod networks | `spec.podCIDRs` of the nodes, `kubeadm-config` | nothing, with a warning |
//! | nodes | `status.addresses` | |
//! | API server | the Service `default/kubernetes` and its EndpointSlices, and the names Egret itself reaches it by | |
//! | cluster domain | `kubeadm-config`, CoreDNS's `Corefile`, the search list in `/etc/resolv.conf` | `cluster.local` |
//! | cloud | `spec.providerID` of the nodes | |

mod domain;
mod nodes;
mod services;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;

use super::cloud::Cloud;

pub use domain::{from_corefile, from_resolv_conf};
pub use services::{PROBE_ADDRESS, from_probe};

/// The domain of a cluster that says nothing else.
pub const DEFAULT_DOMAIN: &str = "cluster.local";

/// What is known of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// Where Services have their addresses.
    pub service_networks: Vec<IpNet>,
    /// Where pods have theirs.
    pub pod_networks: Vec<IpNet>,
    /// The nodes' addresses inside the cluster.
    pub node_addresses: Vec<IpAddr>,
    /// The nodes' names.
    pub node_names: Vec<String>,
    /// The API server, by its Service and by itself.
    pub api_server_addresses: Vec<IpAddr>,
    /// Names of the API server beyond `kubernetes.default.svc`.
    pub api_server_names: Vec<String>,
    /// The cluster's domain; `None` where nothing tells.
    pub cluster_domain: Option<String>,
    /// The clouds its nodes run in.
    pub clouds: BTreeSet<Cloud>,
    /// What could not be found out.
    pub warnings: Vec<String>,
}

impl ClusterFacts {
    /// The cluster's domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.cluster_domain.as_deref().unwrap_or(DEFAULT_DOMAIN)
    }
}

/// What was read from the API server. What could not be read is left empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lists<'a> {
    /// All of them; `None` where the API is not served (before Kubernetes 1.33) or not allowed.
    pub service_cidrs: Option<&'a [ServiceCIDR]>,
    /// All nodes.
    pub nodes: &'a [Node],
    /// `default/kubernetes`.
    pub kubernetes_service: Option<&'a Service>,
    /// Those with the label `kubernetes.io/service-name: kubernetes` in `default`.
    pub endpoint_slices: &'a [EndpointSlice],
    /// Pods of the API server, where they run as pods: `component=kube-apiserver` in `kube-system`.
    pub api_server_pods: &'a [Pod],
    /// `kube-system/kubeadm-config`.
    pub kubeadm_config: Option<&'a ConfigMap>,
    /// `kube-system/coredns`.
    pub coredns: Option<&'a ConfigMap>,
    /// What the API server said to a Service (dry run) with the address [`PROBE_ADDRESS`].
    pub probe_message: Option<&'a str>,
    /// Egret's own `/etc/resolv.conf`.
    pub resolv_conf: Option<&'a str>,
    /// Names that Egret itself reaches the API server by.
    pub api_server_names: &'a [String],
}

/// Draws the facts from the lists.
#[must_use]
pub fn gather(lists: &Lists<'_>) -> ClusterFacts {
    let kubeadm = lists.kubeadm_config.map(domain::Kubeadm::read).unwrap_or_default();
    let mut facts = ClusterFacts {
        cluster_domain: domain::find(lists, &kubeadm),
        clouds: nodes::clouds(lists.nodes),
        api_server_addresses: services::api_server_addresses(lists),
        api_server_names: lists.api_server_names.iter().filter(|name| is_host_name(name)).cloned().collect(),
        pod_networks: nodes::pod_networks(lists.nodes),
        node_names: nodes::names(lists.nodes),
        node_addresses: nodes::addresses(lists.nodes),
        ..ClusterFacts::default()
    };
    facts.pod_networks.extend(kubeadm.pod_networks.iter().copied());
    match services::networks(lists, &kubeadm) {
        Some(networks) => facts.service_networks = networks,
        None => facts.warnings.push(
            "the networks of Services are not known: the API server has no ServiceCIDRs to read, and nothing else \
             tells; clients that use addresses of Services need those networks in noProxy"
                .to_owned(),
        ),
    }
    if facts.pod_networks.is_empty() && !lists.nodes.is_empty() {
        facts.warnings.push(
            "the networks of pods are not known: no node has spec.podCIDRs, so the network plugin has its own; name \
             them in noProxy where pods are reached by address"
                .to_owned(),
        );
    }
    facts
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.parse::<IpAddr>().is_err()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}
