//! What goes past the proxy: the effective `NO_PROXY` of a cluster, computed from what the API server tells.
//!
//! Everything here is a function of values, so that the controller can compute again whenever a list changes
//! ([`facts`] says which lists), and so that it can be tested against recordings. [`compute`] writes the list in the
//! forms that real clients understand, [`Injected::merge`] joins it with what a pod brings, [`java`] says it in the
//! terms of `http.nonProxyHosts`, and [`lint`] finds what is wrong with a value that somebody else wrote.

mod cloud;
mod entry;
pub mod facts;
pub mod java;
pub mod lint;
mod merge;
mod networks;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

pub use cloud::{Cloud, Provider};
pub use facts::ClusterFacts;
pub use merge::{Injected, MergeRule};

use entry::Entry;

/// How long the list may become, in bytes. Every container carries it twice, every pod object in etcd that many
/// times, and a variable of more than 128 KiB keeps a program from starting at all.
pub const MAX_NO_PROXY_BYTES: usize = 8 * 1024;

/// Where the metadata service of nearly every cloud is; what asks it must come from the pod itself.
const METADATA: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];

/// Names of the API server, and of the agents by which it reaches pods, in every cluster.
const API_SERVER: [&str; 4] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "konnectivity"];

/// The effective list, and what is to be said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveNoProxy {
    /// The entries: sorted, without duplicates, lower case. `*` stands alone where it stands.
    pub entries: Vec<String>,
    /// What could not be taken over as it was written, and why: for a condition in `status`.
    pub warnings: Vec<String>,
}

impl EffectiveNoProxy {
    /// The value of the variable: commas, no spaces.
    #[must_use]
    pub fn value(&self) -> String {
        self.entries.join(",")
    }
}

/// What goes into the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The user's own entries: domains, addresses, networks, `*`.
    pub user: Vec<String>,
    /// `localhost` and loopback addresses.
    pub localhost: bool,
    /// `.svc` and the cluster's domain.
    pub cluster_domains: bool,
    /// The cluster's domain, where the user says it.
    pub cluster_domain: Option<String>,
    /// The networks of Services.
    pub service_networks: bool,
    /// The networks of pods.
    pub pod_networks: bool,
    /// The nodes, by address and name.
    pub node_networks: bool,
    /// The API server, by name and address.
    pub api_server: bool,
    /// The metadata service of clouds.
    pub metadata_addresses: bool,
    /// Names and addresses inside the cloud that the nodes are in.
    pub cloud: bool,
    /// Computed entries that are left out, as the list would have them.
    pub except: Vec<String>,
    /// How long the list may become, in bytes.
    pub max_bytes: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            user: Vec::new(),
            localhost: true,
            cluster_domains: true,
            cluster_domain: None,
            service_networks: true,
            pod_networks: true,
            node_networks: true,
            api_server: true,
            metadata_addresses: true,
            cloud: true,
            except: Vec::new(),
            max_bytes: MAX_NO_PROXY_BYTES,
        }
    }
}

/// What the entries are there for; the later ones are the first to go when the list is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Needed,
    Pods,
    Nodes,
    NodeNames,
}

/// Computes the effective list from what is known of the cluster and what the `EgressProxy` asks for.
///
/// For each domain both `ex.com` and `.ex.com` are written, as no single form names apex and subdomains to every
/// client. Networks of IPv6 and brackets are left out, because httpx fails to start with them. Addresses that matter
/// stand by themselves beside their networks, for the clients that know no networks.
#[must_use]
pub fn compute(facts: &ClusterFacts, wanted: &Wanted) -> EffectiveNoProxy {
    let mut list = List::default();
    list.warnings.extend(facts.warnings.iter().cloned());
    list.cluster(facts, wanted);
    if wanted.node_networks {
        list.nodes(facts);
    }
    for entry in &wanted.except {
        let entry = entry.trim().to_ascii_lowercase();
        list.entries.retain(|(_, computed)| *computed != entry);
    }
    for entry in &wanted.user {
        list.user(entry);
    }
    if list.everything {
        return EffectiveNoProxy { entries: vec!["*".to_owned()], warnings: list.warnings };
    }
    list.finish(wanted.max_bytes)
}

#[derive(Default)]
struct List {
    entries: BTreeSet<(Weight, String)>,
    nodes: Vec<IpAddr>,
    everything: bool,
    warnings: Vec<String>,
}

impl List {
    fn user(&mut self, text: &str) {
        match Entry::read(text) {
            Ok(Entry::Any) => self.everything = true,
            Ok(Entry::Domain(name)) => self.domain(Weight::Needed, &name),
            Ok(Entry::Subdomains(name)) => {
                self.warnings.push(format!(
                    "noProxy: `{text}` is written as `.{name}`, because curl, git, wget and Python do not know `*.`; \
                     some clients then take {name} itself for named as well"
                ));
                self.entries.insert((Weight::Needed, format!(".{name}")));
            }
            Ok(Entry::Address(address)) => self.address(Weight::Needed, address),
            Ok(Entry::Network(network)) if network.prefix_len() == 0 => self.warnings.push(format!(
                "noProxy: `{text}` names every address and is left out; write `*` for no proxy at all"
            )),
            Ok(Entry::Network(network @ IpNet::V6(_))) => self.warnings.push(format!(
                "noProxy: the IPv6 network `{network}` is left out: httpx fails to start with it, and most clients \
                 know none; write the addresses that matter one by one"
            )),
            Ok(Entry::Network(network)) => {
                let _ = self.entries.insert((Weight::Needed, network.to_string()));
            }
            Ok(Entry::WithPort(entry)) => {
                self.warnings.push(format!(
                    "noProxy: `{text}` has a port: curl, git, wget, aiohttp and reqwest pass such entries over; write \
                     the host alone"
                ));
                self.entries.insert((Weight::Needed, entry));
            }
            Err(error) => self.warnings.push(format!("noProxy: {error}; it is left out")),
        }
    }

    fn cluster(&mut self, facts: &ClusterFacts, wanted: &Wanted) {
        let found = wanted.cluster_domain.as_deref().unwrap_or(facts.domain());
        // What is written into images and manifests is often `cluster.local`, whatever the domain really is.
        let domains = [facts::DEFAULT_DOMAIN, found];
        if wanted.localhost {
            ["localhost", "127.0.0.1", "::1"].iter().for_each(|name| self.name(Weight::Needed, name));
        }
        if wanted.metadata_addresses {
            METADATA.iter().for_each(|name| self.name(Weight::Needed, name));
        }
        if wanted.cluster_domains {
            self.domain(Weight::Needed, "svc");
            domains.iter().for_each(|domain| self.domain(Weight::Needed, domain));
        }
        if wanted.api_server {
            API_SERVER.iter().for_each(|name| self.name(Weight::Needed, name));
            for domain in domains {
                self.name(Weight::Needed, &format!("kubernetes.default.svc.{domain}"));
            }
            facts.api_server_names.iter().for_each(|name| self.name(Weight::Needed, name));
            facts.api_server_addresses.iter().for_each(|address| self.address(Weight::Needed, *address));
        }
        for cloud in facts.clouds.iter().filter(|_| wanted.cloud) {
            cloud.domains().iter().for_each(|domain| self.domain(Weight::Needed, domain));
            cloud.hosts().iter().for_each(|host| self.name(Weight::Needed, host));
        }
        if wanted.service_networks {
            self.networks(Weight::Needed, "service", &facts.service_networks);
        }
        if wanted.pod_networks {
            self.networks(Weight::Pods, "pod", &facts.pod_networks);
        }
    }

    fn nodes(&mut self, facts: &ClusterFacts) {
        for address in &facts.node_addresses {
            self.address(Weight::Nodes, *address);
        }
        self.nodes.clone_from(&facts.node_addresses);
        for name in &facts.node_names {
            self.name(Weight::NodeNames, name);
        }
    }

    fn networks(&mut self, weight: Weight, what: &str, networks: &[IpNet]) {
        let (used, wide) = networks::usable(networks);
        for network in wide {
            self.warnings.push(format!(
                "the {what} network {network} is left out: it is wider than any cluster's, and would take everything \
                 past the proxy; check what the API server says"
            ));
        }
        for network in networks::merged(&used) {
            self.entries.insert((weight, network.to_string()));
        }
    }

    fn domain(&mut self, weight: Weight, name: &str) {
        self.name(weight, name);
        self.entries.insert((weight, format!(".{}", name.to_ascii_lowercase())));
    }

    fn name(&mut self, weight: Weight, name: &str) {
        self.entries.insert((weight, name.to_ascii_lowercase()));
    }

    fn address(&mut self, weight: Weight, address: IpAddr) {
        self.entries.insert((weight, address.to_string()));
    }

    fn bytes(&self) -> usize {
        // One for the comma.
        self.entries.iter().map(|(_, entry)| entry.len() + 1).sum()
    }

    fn drop_all(&mut self, weight: Weight) {
        self.entries.retain(|(of, _)| *of != weight);
    }

    fn finish(mut self, max_bytes: usize) -> EffectiveNoProxy {
        if self.bytes() > max_bytes {
            self.shorten(max_bytes);
        }
        let entries: BTreeSet<String> = self.entries.into_iter().map(|(_, entry)| entry).collect();
        EffectiveNoProxy { entries: entries.into_iter().collect(), warnings: self.warnings }
    }

    /// Gives up what matters least, one kind after the other, and says so.
    fn shorten(&mut self, max_bytes: usize) {
        self.drop_all(Weight::NodeNames);
        let mut given_up = vec!["the names of the nodes are left out"];
        if self.bytes() > max_bytes {
            self.drop_all(Weight::Nodes);
            for network in networks::covering(&self.nodes) {
                self.entries.insert((Weight::Nodes, network.to_string()));
            }
            given_up.push("the addresses of the nodes are named by the /24 networks they lie in");
        }
        if self.bytes() > max_bytes {
            self.drop_all(Weight::Nodes);
            given_up.push("and those are left out as well");
        }
        if self.bytes() > max_bytes {
            self.drop_all(Weight::Pods);
            given_up.push("the networks of the pods are left out");
        }
        let rest = match self.bytes() {
            bytes if bytes > max_bytes => {
                format!("; with {bytes} bytes it is too long all the same, shorten noProxy")
            }
            _ => String::new(),
        };
        self.warnings.push(format!(
            "the list is longer than {max_bytes} bytes: {}{rest}; name wider networks in noProxy instead",
            given_up.join(", ")
        ));
    }
}
