//! The gate: the one place that says whether a flow may go where it wants.
//!
//! A flow asks twice. [`Gate::evaluate`] decides by name and port, before anything is resolved;
//! [`Gate::grant`] decides on each resolved address. Only a [`Grant`] can be dialled, and only this
//! module can make one (invariant 1).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::address::address_of_well_known_name;
use crate::destination::{Destination, Host};
use crate::identity::Identity;
use crate::reason::Reason;

mod guard;
mod rules;

pub use guard::Guard;
pub use rules::{Rule, Rules};

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

    /// The addresses that may be dialled, in the order they were resolved, IPv4-mapped IPv6 reduced to
    /// IPv4. Empty where a parent proxy resolves the name, and only there.
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
    pub deny: Rules,
    /// Allow rules.
    pub allow: Rules,
    /// What happens to a destination that no rule matches.
    pub default_allow: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { guard: Guard::default(), deny: Rules::default(), allow: Rules::default(), default_allow: true }
    }
}

impl Gate {
    /// Decides by name and port, before resolution. An address literal is decided wholly here.
    ///
    /// # Errors
    /// The denial, when no address could change it.
    pub fn evaluate(&self, identity: &Identity, destination: &Destination) -> Result<Permit, Denial> {
        let _ = identity;
        if let Some(rule) = self.deny.naming(destination) {
            return Err(denied_by(rule, destination));
        }
        let allowing = self.allow.naming(destination);
        let permit = Permit {
            rule: allowing.map(|rule| rule.name.clone()),
            allowed_by_name: allowing.is_some() || self.default_allow,
        };
        if let Host::Address(address) = destination.host {
            self.check_address(&permit, destination, address)?;
        } else if !permit.allowed_by_name && !self.allow.want_addresses(destination.port) {
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
            let detail = match destination.host.name() {
                Some(name) => format!("{name}: {detail}"),
                None => detail,
            };
            return Err(Denial { reason, rule: None, detail });
        }
        if let Some(rule) = self.deny.reaching(destination.port, address) {
            return Err(denied_by(rule, destination));
        }
        if permit.allowed_by_name {
            return Ok(permit.rule.clone());
        }
        match self.allow.holding(destination.port, address) {
            Some(rule) => Ok(Some(rule.name.clone())),
            None => Err(denied_by_default(destination)),
        }
    }

    /// Turns a permit into a grant for those of the resolved addresses that pass.
    ///
    /// # Errors
    /// The denial of the first address, when none passes; [`Reason::DnsNotFound`] when there is none:
    /// a grant without addresses would mean that a parent may resolve the name.
    pub fn grant(
        &self,
        permit: &Permit,
        destination: &Destination,
        resolved: &[IpAddr],
    ) -> Result<Grant, Denial> {
        let mut first_denial = None;
        let mut addresses = SmallVec::new();
        let mut rule = None;
        for address in resolved.iter().map(IpAddr::to_canonical) {
            match self.check_address(permit, destination, address) {
                Ok(by) => {
                    rule = rule.or(by);
                    addresses.push(SocketAddr::new(address, destination.port));
                }
                Err(denial) => first_denial = first_denial.or(Some(denial)),
            }
        }
        if addresses.is_empty() {
            return Err(first_denial.unwrap_or_else(|| without_address(destination)));
        }
        Ok(Grant { destination: destination.clone(), addresses, rule })
    }

    /// A grant for a destination whose name a parent proxy resolves. Rules on networks cannot be
    /// applied to it; names that stand for the machine itself or for a metadata service wherever they
    /// are resolved (`localhost`, `metadata.google.internal`) are refused as their addresses would be.
    ///
    /// # Errors
    /// The denial, when only a rule on networks could have allowed the destination, and those of
    /// [`Gate::check_address`].
    pub fn grant_unresolved(&self, permit: &Permit, destination: &Destination) -> Result<Grant, Denial> {
        let known = match &destination.host {
            Host::Name(name) => {
                if !permit.allowed_by_name {
                    return Err(denied_by_default(destination));
                }
                address_of_well_known_name(name)
            }
            Host::Address(address) => Some(*address),
        };
        let rule = match known {
            Some(address) => self.check_address(permit, destination, address)?,
            None => permit.rule.clone(),
        };
        Ok(Grant { destination: destination.clone(), addresses: SmallVec::new(), rule })
    }
}

/// A grant to dial a parent proxy, or a service that the proxy itself needs. They are named by whoever
/// runs the proxy, so their addresses pass neither the guard nor the rules; only the proxy's own listeners are refused.
///
/// # Errors
/// The denial, when every address is the proxy itself or there is none.
pub fn grant_parent(gate: &Gate, parent: &Destination, resolved: &[IpAddr]) -> Result<Grant, Denial> {
    let addresses: SmallVec<[SocketAddr; 4]> = resolved
        .iter()
        .filter(|address| !gate.guard.is_own_listener(**address, parent.port))
        .map(|address| SocketAddr::new(address.to_canonical(), parent.port))
        .collect();
    if addresses.is_empty() {
        if resolved.is_empty() {
            return Err(without_address(parent));
        }
        let detail = format!("{parent} is this proxy itself");
        return Err(Denial { reason: Reason::LoopDetected, rule: None, detail });
    }
    Ok(Grant { destination: parent.clone(), addresses, rule: None })
}

/// A grant for a service that the proxy itself needs (where keys for tokens are), to be reached through a
/// parent that resolves the name. Such services are named by whoever runs the proxy.
#[must_use]
pub fn grant_service_by_parent(service: &Destination) -> Grant {
    Grant { destination: service.clone(), addresses: SmallVec::new(), rule: None }
}

fn denied_by(rule: &Rule, destination: &Destination) -> Denial {
    let detail = format!("rule `{}` denies {destination}", rule.name);
    Denial { reason: Reason::DeniedByRule, rule: Some(rule.name.clone()), detail }
}

fn denied_by_default(destination: &Destination) -> Denial {
    Denial { reason: Reason::DeniedByDefault, rule: None, detail: format!("no rule allows {destination}") }
}

fn without_address(destination: &Destination) -> Denial {
    let detail = format!("{} has no address", destination.host);
    Denial { reason: Reason::DnsNotFound, rule: None, detail }
}
