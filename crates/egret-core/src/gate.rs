//! The gate: the one place that says whether a flow may go where it wants.
//!
//! A flow asks twice. [`Gate::evaluate`] decides by name and port, before anything is resolved;
//! [`Permit::grant`] decides on each resolved address. Only a [`Grant`] can be dialled, and only this
//! module can make one (invariant 1).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::address::AddressClass;
use crate::destination::{Destination, Host};
use crate::identity::Identity;
use crate::pattern::{HostPattern, PortRange, any_network_contains};
use crate::reason::Reason;

/// A rule of the allow or deny list. It matches when the port matches and, where hosts or networks
/// are named, one of them does.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's name, shown to whoever is refused.
    pub name: Arc<str>,
    /// Hosts by name; empty together with `networks` for every host.
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

    fn matches_by_name(&self, destination: &Destination) -> bool {
        self.port_matches(destination.port)
            && (self.matches_every_host() || self.hosts.iter().any(|host| host.matches(&destination.host)))
    }

    fn matches_address(&self, port: u16, address: IpAddr) -> bool {
        self.port_matches(port) && any_network_contains(&self.networks, address)
    }
}

/// The built-in guard against reaching back into the proxy's own surroundings.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Switched off: no class of address is refused. The proxy's own listeners still are.
    pub disabled: bool,
    /// Loopback destinations are let through (all listeners are on loopback).
    pub allow_loopback: bool,
    /// Networks exempt from the guard.
    pub allow: Vec<IpNet>,
    /// Addresses that the proxy itself listens on. An unspecified address stands for every address
    /// of the machine, see `local_addresses`.
    pub listeners: Vec<SocketAddr>,
    /// The machine's own addresses, against which listeners on an unspecified address are checked.
    pub local_addresses: Vec<IpAddr>,
}

impl Guard {
    /// Why this address may not be dialled, if so.
    fn refusal(&self, address: IpAddr, port: u16) -> Option<(Reason, String)> {
        if self.is_own_listener(address, port) {
            return Some((Reason::LoopDetected, format!("{address} port {port} is this proxy itself")));
        }
        if self.disabled {
            return None;
        }
        let class = AddressClass::of(address);
        match class {
            AddressClass::Ordinary => return None,
            AddressClass::Loopback if self.allow_loopback => return None,
            _ => {}
        }
        if any_network_contains(&self.allow, address) {
            return None;
        }
        Some((Reason::DeniedByGuard, format!("{address} is {}", class.describe())))
    }

    fn is_own_listener(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.listeners.iter().filter(|listener| listener.port() == port).any(|listener| {
            let own = listener.ip().to_canonical();
            own == address
                || (own.is_unspecified()
                    && (address.is_loopback()
                        || address.is_unspecified()
                        || self.local_addresses.contains(&address)))
                || (address.is_unspecified() && own.is_loopback())
        })
    }
}

/// A refusal by the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason code.
    pub reason: Reason,
    /// The rule that decided, where one did.
    pub rule: Option<Arc<str>>,
    /// The particulars, for the person who is refused.
    pub detail: String,
}

/// The decision by name: the flow may go on to have its destination resolved.
#[derive(Clone, Debug)]
pub struct Permit {
    /// The allow rule that matched by name, if one did. `None`: the default, or a rule on networks
    /// that only the address can tell.
    rule: Option<Arc<str>>,
    allowed_by_name: bool,
}

/// Permission to connect: the destination and the addresses that were checked. Nothing else can be
/// dialled.
#[derive(Clone, Debug)]
pub struct Grant {
    destination: Destination,
    addresses: SmallVec<[SocketAddr; 4]>,
    rule: Option<Arc<str>>,
}

impl Grant {
    /// The destination that was asked for.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The addresses that may be dialled, in the order they were resolved. Empty where a parent
    /// proxy resolves the name.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The rule that allowed it, where one did.
    #[must_use]
    pub fn rule(&self) -> Option<&Arc<str>> {
        self.rule.as_ref()
    }
}

/// The compiled rules. Immutable; part of a snapshot.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The built-in guard.
    pub guard: Guard,
    /// Deny rules; they win over allow rules.
    pub deny: Vec<Rule>,
    /// Allow rules.
    pub allow: Vec<Rule>,
    /// What happens to a destination that no rule matches.
    pub default_allow: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { guard: Guard::default(), deny: Vec::new(), allow: Vec::new(), default_allow: true }
    }
}

impl Gate {
    /// Decides by name and port, before resolution. An address literal is decided wholly here.
    ///
    /// # Errors
    /// The denial, when no address could change it.
    pub fn evaluate(&self, identity: &Identity, destination: &Destination) -> Result<Permit, Denial> {
        let _ = identity;
        if let Some(rule) = self.deny.iter().find(|rule| rule.matches_by_name(destination)) {
            return Err(denied_by(rule, destination));
        }
        let allowing = self.allow.iter().find(|rule| rule.matches_by_name(destination));
        let permit = Permit {
            rule: allowing.map(|rule| rule.name.clone()),
            allowed_by_name: allowing.is_some() || self.default_allow,
        };
        if let Host::Address(address) = destination.host {
            self.check_address(&permit, destination, address)?;
        } else if !permit.allowed_by_name
            && !self.allow.iter().any(|rule| !rule.networks.is_empty() && rule.port_matches(destination.port))
        {
            return Err(denied_by_default(destination));
        }
        Ok(permit)
    }

    /// Decides on one address that the destination has (or that a kept connection leads to).
    ///
    /// # Errors
    /// The denial.
    pub fn check_address(
        &self,
        permit: &Permit,
        destination: &Destination,
        address: IpAddr,
    ) -> Result<Option<Arc<str>>, Denial> {
        if let Some((reason, detail)) = self.guard.refusal(address, destination.port) {
            return Err(Denial { reason, rule: None, detail });
        }
        if let Some(rule) = self.deny.iter().find(|rule| rule.matches_address(destination.port, address)) {
            return Err(denied_by(rule, destination));
        }
        if permit.allowed_by_name {
            return Ok(permit.rule.clone());
        }
        match self.allow.iter().find(|rule| rule.matches_address(destination.port, address)) {
            Some(rule) => Ok(Some(rule.name.clone())),
            None => Err(denied_by_default(destination)),
        }
    }

    /// Turns a permit into a grant for those of the resolved addresses that pass.
    ///
    /// # Errors
    /// The denial of the first address, when none passes.
    pub fn grant(
        &self,
        permit: &Permit,
        destination: &Destination,
        resolved: &[IpAddr],
    ) -> Result<Grant, Denial> {
        let mut first_denial = None;
        let mut addresses = SmallVec::new();
        let mut rule = None;
        for &address in resolved {
            match self.check_address(permit, destination, address) {
                Ok(by) => {
                    rule = rule.or(by);
                    addresses.push(SocketAddr::new(address, destination.port));
                }
                Err(denial) => first_denial = first_denial.or(Some(denial)),
            }
        }
        match first_denial {
            Some(denial) if addresses.is_empty() => Err(denial),
            _ => Ok(Grant { destination: destination.clone(), addresses, rule }),
        }
    }

    /// A grant for a destination whose name a parent proxy resolves. Rules on networks cannot be
    /// applied to it; names that stand for the machine itself are refused as their addresses would be.
    ///
    /// # Errors
    /// The denial, when only a rule on networks could have allowed the destination.
    pub fn grant_unresolved(&self, permit: &Permit, destination: &Destination) -> Result<Grant, Denial> {
        if !permit.allowed_by_name && matches!(destination.host, Host::Name(_)) {
            return Err(denied_by_default(destination));
        }
        Ok(Grant { destination: destination.clone(), addresses: SmallVec::new(), rule: permit.rule.clone() })
    }
}

/// A grant to dial a parent proxy. Parents are named by whoever runs the proxy, so their addresses
/// pass neither the guard nor the rules; only the proxy's own listeners are refused.
///
/// # Errors
/// The denial, when every address is the proxy itself.
pub fn grant_parent(gate: &Gate, parent: &Destination, resolved: &[IpAddr]) -> Result<Grant, Denial> {
    let addresses: SmallVec<[SocketAddr; 4]> = resolved
        .iter()
        .filter(|address| !gate.guard.is_own_listener(**address, parent.port))
        .map(|address| SocketAddr::new(*address, parent.port))
        .collect();
    if addresses.is_empty() && !resolved.is_empty() {
        let detail = format!("the parent {parent} is this proxy itself");
        return Err(Denial { reason: Reason::LoopDetected, rule: None, detail });
    }
    Ok(Grant { destination: parent.clone(), addresses, rule: None })
}

fn denied_by(rule: &Rule, destination: &Destination) -> Denial {
    let detail = format!("rule `{}` denies {destination}", rule.name);
    Denial { reason: Reason::DeniedByRule, rule: Some(rule.name.clone()), detail }
}

fn denied_by_default(destination: &Destination) -> Denial {
    Denial { reason: Reason::DeniedByDefault, rule: None, detail: format!("no rule allows {destination}") }
}
