//! The lists of rules, compiled so that their length costs little.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use ipnet::IpNet;

use crate::address::embedded_ipv4;
use crate::destination::Destination;
use crate::pattern::index::PatternIndex;
use crate::pattern::{HostPattern, PortRange};

/// A rule of the allow or deny list. It matches when the port matches and, where hosts or networks
/// are named, one of them does.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's name, shown to whoever is refused.
    pub name: Arc<str>,
    /// Hosts by name; empty together with `networks` for every host. An address among them counts as
    /// the network of that one address.
    pub hosts: Vec<HostPattern>,
    /// Networks that the address dialled is looked up in.
    pub networks: Vec<IpNet>,
    /// Ports; empty for every port.
    pub ports: Vec<PortRange>,
}

impl Rule {
    fn port_matches(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|range| range.contains(port))
    }

    fn matches_every_host(&self) -> bool {
        self.hosts.is_empty() && self.networks.is_empty()
    }
}

/// A list of rules in order, with an index over their hosts and networks. Made from a `Vec<Rule>` or an
/// iterator of rules; read as a slice.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    index: PatternIndex,
}

impl Rules {
    /// The first rule that the name (or the literal address) and the port match.
    pub(super) fn naming(&self, destination: &Destination) -> Option<&Rule> {
        if self.rules.is_empty() {
            return None;
        }
        let port = destination.port;
        self.get(self.index.find_host(&destination.host, |number| self.on_port(number, port)))
    }

    /// The first rule with a network that holds this very address.
    pub(super) fn holding(&self, port: u16, address: IpAddr) -> Option<&Rule> {
        self.get(self.index.find_address(address, |number| self.on_port(number, port)))
    }

    /// The first rule with a network that holds this address or one that is hidden in it. For deny
    /// rules: a translator must be no way around them.
    pub(super) fn reaching(&self, port: u16, address: IpAddr) -> Option<&Rule> {
        if self.rules.is_empty() {
            return None;
        }
        self.holding(port, address).or_else(|| match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => {
                embedded_ipv4(v6).iter().find_map(|embedded| self.holding(port, IpAddr::V4(embedded.address)))
            }
        })
    }

    /// Whether a rule for this port can only be applied to addresses.
    pub(super) fn want_addresses(&self, port: u16) -> bool {
        self.index.any_network(|number| self.on_port(number, port))
    }

    fn get(&self, number: Option<u32>) -> Option<&Rule> {
        self.rules.get(number? as usize)
    }

    fn on_port(&self, number: u32, port: u16) -> bool {
        self.get(Some(number)).is_some_and(|rule| rule.port_matches(port))
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        let mut index = PatternIndex::default();
        for (rule, number) in rules.iter().zip(0..) {
            if rule.matches_every_host() {
                index.insert(&HostPattern::Any, number);
            }
            for host in &rule.hosts {
                index.insert(host, number);
            }
            for network in &rule.networks {
                index.insert_network(*network, number);
            }
        }
        Self { rules, index }
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        rules.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.rules
    }
}
