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
use crate::policy::{Ask, Policies, RuleFacts, Verdict};
use crate::reason::Reason;

mod guard;

pub use guard::Guard;

/// A refusal by the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason code.
    pub reason: Reason,
    /// The rule that decided, where one did.
    pub by: Option<Arc<RuleFacts>>,
    /// The rule that is only watched and would have refused it, where there is one.
    pub audit: Option<Arc<RuleFacts>>,
    /// The particulars, for the person who is refused.
    pub detail: String,
}

/// The decision by name: the flow may go on to have its destination resolved.
#[derive(Clone, Debug)]
pub struct Permit {
    verdict: Verdict,
}

impl Permit {
    /// What policy said by name. It may be a refusal that an address could yet lift.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

/// Permission to connect: the destination and the addresses that were checked. Nothing else can be
/// dialled.
#[derive(Clone, Debug)]
pub struct Grant {
    destination: Destination,
    addresses: SmallVec<[SocketAddr; 4]>,
    basis: Basis,
}

/// What policy allowed something by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The rule that allowed it; `None` for the default.
    pub by: Option<Arc<RuleFacts>>,
    /// The rule that is only watched and would have refused it.
    pub audit: Option<Arc<RuleFacts>>,
}

impl Basis {
    /// A rule that allowed or denied, and nothing that is only watched.
    #[must_use]
    pub fn of(facts: RuleFacts) -> Self {
        Self { by: Some(Arc::new(facts)), audit: None }
    }
}

impl From<&Verdict> for Basis {
    fn from(verdict: &Verdict) -> Self {
        Self { by: verdict.by.clone(), audit: verdict.audit.clone() }
    }
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

    /// What allowed it.
    #[must_use]
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

/// The name that reaches the proxy's own console through the proxy, on port 80. It is nobody's (RFC 6761 section 6.2).
pub const CONSOLE_HOST: &str = "egret.test";

/// The guard and the policies. Immutable; part of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The built-in guard.
    pub guard: Guard,
    /// The policies.
    pub policies: Policies,
}

impl Gate {
    /// Decides by name and port, before resolution. An address literal is decided wholly here.
    ///
    /// # Errors
    /// The denial, when no address could change it.
    pub fn evaluate(&self, ask: &Ask<'_>) -> Result<Permit, Denial> {
        if self.console_of(ask).is_some() {
            return Ok(Permit { verdict: Verdict { allowed: true, ..Verdict::default() } });
        }
        let verdict = self.policies.evaluate(ask);
        if !verdict.allowed && verdict.by.is_some() && !verdict.open_to_address {
            return Err(denied(&verdict, ask));
        }
        if let Host::Address(address) = ask.destination.host {
            self.check_guard(ask.destination, address)?;
        }
        if !verdict.allowed && !verdict.open_to_address {
            return Err(denied(&verdict, ask));
        }
        Ok(Permit { verdict })
    }

    /// Decides on one address that the destination has (or that a kept connection leads to).
    ///
    /// # Errors
    /// The denial.
    pub fn check_address(&self, ask: &Ask<'_>, permit: &Permit, address: IpAddr) -> Result<Basis, Denial> {
        if self.console_of(ask).is_some() {
            return Ok(Basis::default());
        }
        self.check_guard(ask.destination, address)?;
        let verdict = &permit.verdict;
        if !verdict.address_matters {
            return Ok(verdict.into());
        }
        let verdict = self.policies.evaluate(&Ask { address: Some(address), ..*ask });
        if verdict.allowed { Ok((&verdict).into()) } else { Err(denied(&verdict, ask)) }
    }

    /// A grant for the proxy's own console, where that is what is asked for: it lets in by itself whom it knows.
    #[must_use]
    pub fn grant_console(&self, ask: &Ask<'_>) -> Option<Grant> {
        let address = self.console_of(ask)?;
        let addresses = SmallVec::from_iter([address]);
        Some(Grant { destination: ask.destination.clone(), addresses, basis: Basis::default() })
    }

    /// Where the console is, if a client on this machine asks for it by its name.
    fn console_of(&self, ask: &Ask<'_>) -> Option<SocketAddr> {
        let console = self.guard.console?;
        let named = ask.destination.host.name().is_some_and(|name| name == CONSOLE_HOST);
        (named && ask.destination.port == 80 && ask.identity.ip().is_loopback()).then_some(console)
    }

    fn check_guard(&self, destination: &Destination, address: IpAddr) -> Result<(), Denial> {
        let Some((reason, detail)) = self.guard.refusal(address, destination.port) else { return Ok(()) };
        let detail = match destination.host.name() {
            Some(name) => format!("{name}: {detail}"),
            None => detail,
        };
        Err(Denial { reason, by: None, audit: None, detail })
    }

    /// Turns a permit into a grant for those of the resolved addresses that pass.
    ///
    /// # Errors
    /// The denial of the first address, when none passes; [`Reason::DnsNotFound`] when there is none:
    /// a grant without addresses would mean that a parent may resolve the name.
    pub fn grant(&self, ask: &Ask<'_>, permit: &Permit, resolved: &[IpAddr]) -> Result<Grant, Denial> {
        let destination = ask.destination;
        let mut first_denial = None;
        let mut addresses = SmallVec::new();
        let mut basis = None;
        for address in resolved.iter().map(IpAddr::to_canonical) {
            match self.check_address(ask, permit, address) {
                Ok(by) => {
                    basis = basis.or(Some(by));
                    addresses.push(SocketAddr::new(address, destination.port));
                }
                Err(denial) => first_denial = first_denial.or(Some(denial)),
            }
        }
        let Some(basis) = basis else {
            return Err(first_denial.unwrap_or_else(|| without_address(destination)));
        };
        Ok(Grant { destination: destination.clone(), addresses, basis })
    }

    /// A grant for a destination whose name a parent proxy resolves. Rules on networks cannot be
    /// applied to it; names that stand for the machine itself or for a metadata service wherever they
    /// are resolved (`localhost`, `metadata.google.internal`) are refused as their addresses would be.
    ///
    /// # Errors
    /// The denial, when only a rule on networks could have allowed the destination, and those of
    /// [`Gate::check_address`].
    pub fn grant_unresolved(&self, ask: &Ask<'_>, permit: &Permit) -> Result<Grant, Denial> {
        let destination = ask.destination;
        let known = match &destination.host {
            Host::Name(name) => {
                if !permit.verdict.allowed {
                    return Err(denied(&permit.verdict, ask));
                }
                address_of_well_known_name(name)
            }
            Host::Address(address) => Some(*address),
        };
        let basis = match known {
            Some(address) => self.check_address(ask, permit, address)?,
            None => (&permit.verdict).into(),
        };
        Ok(Grant { destination: destination.clone(), addresses: SmallVec::new(), basis })
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
        return Err(Denial { reason: Reason::LoopDetected, by: None, audit: None, detail });
    }
    Ok(Grant { destination: parent.clone(), addresses, basis: Basis::default() })
}

/// A grant for a service that the proxy itself needs (where keys for tokens are), to be reached through a
/// parent that resolves the name. Such services are named by whoever runs the proxy.
#[must_use]
pub fn grant_service_by_parent(service: &Destination) -> Grant {
    Grant { destination: service.clone(), addresses: SmallVec::new(), basis: Basis::default() }
}

fn denied(verdict: &Verdict, ask: &Ask<'_>) -> Denial {
    let destination = ask.destination;
    let Verdict { by, audit, .. } = verdict;
    let (reason, mut detail) = match by {
        None => (Reason::DeniedByDefault, format!("no rule allows {destination}")),
        Some(facts) => {
            let detail = format!("rule `{}` of policy `{}` denies {destination}", facts.rule, facts.policy);
            (Reason::DeniedByRule, detail)
        }
    };
    match (&ask.identity.workload, ask.identity.unattributed) {
        (Some(workload), _) => detail.push_str(&format!(" for {workload}")),
        (None, Some(why)) => {
            let address = ask.identity.ip();
            detail
                .push_str(&format!(" for {address} (no workload is known: the address {})", why.describe()));
        }
        (None, None) => {}
    }
    if verdict.unseen {
        detail.push_str(": it asks about requests, and those of a tunnel cannot be seen");
    }
    if let Some(said) = by.as_ref().and_then(|facts| facts.reason.as_ref()) {
        detail.push_str(": ");
        detail.push_str(said);
    }
    Denial { reason, by: by.clone(), audit: audit.clone(), detail }
}

fn without_address(destination: &Destination) -> Denial {
    let detail = format!("{} has no address", destination.host);
    Denial { reason: Reason::DnsNotFound, by: None, audit: None, detail }
}
