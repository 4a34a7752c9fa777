//! Passing the gate: evaluate, choose the way, resolve, grant. The rules are in `egret_core::policy`;
//! this is what needs to wait for a name.

use std::net::IpAddr;
use std::sync::Arc;

use egret_core::destination::{Destination, Host};
use egret_core::gate::{Grant, Permit};
use egret_core::identity::workloads::ServiceName;
use egret_core::policy::{Ask, RequestFacts, Seen};
use egret_core::reason::Reason;
use egret_core::route::ParentGroup;
use tokio::time::Instant;

use crate::credentials;
use crate::flow::Flow;
use crate::inlet::tls;
use crate::refuse::Refusal;
use crate::workload;

mod request;

pub use request::{HeadFields, KeptRequest, facts};

/// What the gate said by name.
#[derive(Debug)]
pub struct Decision {
    /// The permit, to be turned into a grant.
    pub permit: Permit,
    /// The parents to go through; `None` for direct.
    pub parent: Option<Arc<ParentGroup>>,
    /// The request, where it has to be asked about again when the address is known.
    request: Option<Box<KeptRequest>>,
    /// The whole name, where a Service of the cluster was asked for by a short one.
    relayed: Option<Box<Destination>>,
    /// It is about the origin of a tunnel that is looked into, before there is a request.
    ahead: bool,
}

impl Decision {
    /// The question that was asked.
    #[must_use]
    pub fn ask<'a>(&'a self, flow: &'a Flow, destination: &'a Destination) -> Ask<'a> {
        let destination = self.relayed.as_deref().unwrap_or(destination);
        let seen = match &self.request {
            Some(request) => Seen::Request(request.facts()),
            None if self.ahead => Seen::TunnelToOpen,
            None => Seen::Tunnel,
        };
        Ask { seen, ..ask_about_tunnel(flow, destination) }
    }
}

/// The question whether a tunnel may lead to a destination.
#[must_use]
pub fn ask_about_tunnel<'a>(flow: &'a Flow, destination: &'a Destination) -> Ask<'a> {
    Ask::for_tunnel(&flow.identity, destination, flow.record.started)
}

/// Decides by name, and by the request where there is one, and chooses the way.
///
/// # Errors
/// The refusal.
pub fn decide(
    flow: &mut Flow,
    destination: &Destination,
    request: Option<RequestFacts<'_>>,
) -> Result<Decision, Refusal> {
    tls::still_admits(&flow.worker, &flow.identity)
        .map_err(|failure| Refusal::new(failure.reason, failure.detail))?;
    workload::still_stands(flow)?;
    let relayed = service_name(flow, destination)?;
    let destination = relayed.as_deref().unwrap_or(destination);
    let seen = request.map_or(Seen::Tunnel, Seen::Request);
    let permit = flow.snapshot.gate.evaluate(&Ask { seen, ..ask_about_tunnel(flow, destination) })?;
    let own = flow.snapshot.gate.grant_console(&ask_about_tunnel(flow, destination)).is_some();
    let parent = flow.snapshot.routes.choose(destination, &[]).filter(|_| !own).cloned();
    flow.record.parent = parent.as_ref().map(|group| group.name.clone());
    let request = match request {
        Some(facts) if permit.verdict().address_matters => Some(Box::new(KeptRequest::new(&facts))),
        _ => None,
    };
    Ok(Decision { permit, parent, request, relayed, ahead: false })
}

/// Decides on a connection to the origin of a tunnel that is looked into, before there is a request: it may be
/// made where some request may go there. Each request is decided again.
///
/// # Errors
/// The refusal.
pub fn decide_ahead(flow: &mut Flow, destination: &Destination) -> Result<Decision, Refusal> {
    workload::still_stands(flow)?;
    let relayed = service_name(flow, destination)?;
    let destination = relayed.as_deref().unwrap_or(destination);
    let ask = Ask { seen: Seen::TunnelToOpen, ..ask_about_tunnel(flow, destination) };
    let permit = flow.snapshot.gate.evaluate(&ask)?;
    let parent = flow.snapshot.routes.choose(destination, &[]).cloned();
    flow.record.parent = parent.as_ref().map(|group| group.name.clone());
    Ok(Decision { permit, parent, request: None, relayed, ahead: true })
}

/// Under which name a Service of the cluster is asked for, where its short name came here.
///
/// # Errors
/// Such names are refused.
fn service_name(flow: &Flow, destination: &Destination) -> Result<Option<Box<Destination>>, Refusal> {
    let Some(workloads) = &flow.worker.shared.workloads else { return Ok(None) };
    let namespace = flow.identity.workload.as_ref().map(|workload| &*workload.namespace);
    match workloads.service(namespace, destination) {
        None => Ok(None),
        // Boxed: few names are short, and the place for one is kept in every connection's memory.
        Some(ServiceName::Relay(whole)) => Ok(Some(Box::new(whole))),
        Some(ServiceName::Refuse(detail)) => Err(Refusal::new(Reason::ClusterServiceName, detail)),
    }
}

/// Decides again on a flow that is under way, by the snapshot that is in force now, and for the address that
/// it leads to. The record names the rule that allows it now.
pub fn decide_again(
    flow: &mut Flow,
    destination: &Destination,
    request: Option<RequestFacts<'_>>,
) -> Option<Refusal> {
    let snapshot = flow.worker.snapshot.load_full();
    credentials::refresh_groups(&snapshot, &mut flow.identity);
    if let Err(refusal) = workload::still_stands(flow) {
        return Some(refusal);
    }
    let relayed = match service_name(flow, destination) {
        Ok(relayed) => relayed,
        Err(refusal) => return Some(refusal),
    };
    let destination = relayed.as_deref().unwrap_or(destination);
    let seen = request.map_or(Seen::Tunnel, Seen::Request);
    let ask = Ask { seen, ..ask_about_tunnel(flow, destination) };
    let outcome = snapshot.gate.evaluate(&ask).and_then(|permit| match flow.record.dialled {
        Some(address) if flow.record.parent.is_none() => {
            snapshot.gate.check_address(&ask, &permit, address.ip())
        }
        _ => snapshot.gate.grant_unresolved(&ask, &permit).map(|grant| grant.basis().clone()),
    });
    flow.snapshot = snapshot;
    if let Err(detail) = credentials::still_hold(&flow.snapshot, &flow.identity) {
        return Some(Refusal::new(Reason::PolicyChanged, detail));
    }
    if let Err(failure) = tls::still_admits(&flow.worker, &flow.identity) {
        return Some(Refusal::new(Reason::PolicyChanged, failure.detail));
    }
    match outcome {
        Err(denial) => Some(Refusal { reason: Reason::PolicyChanged, ..denial.into() }),
        Ok(basis) => {
            flow.record.basis = basis;
            None
        }
    }
}

/// Resolves the destination where that is ours to do, and grants the addresses that pass.
///
/// # Errors
/// The refusal: the name does not resolve, or none of its addresses passes.
pub async fn grant(
    flow: &mut Flow,
    destination: &Destination,
    decision: &Decision,
) -> Result<Grant, Refusal> {
    if let Some(grant) = flow.snapshot.gate.grant_console(&decision.ask(flow, destination)) {
        return Ok(grant);
    }
    let destination = decision.relayed.as_deref().unwrap_or(destination);
    let by_parent = decision.parent.as_ref().is_some_and(|group| !group.resolve_locally);
    let resolved = match &destination.host {
        Host::Name(name) if !by_parent => Some(resolve(flow, name).await?),
        _ => None,
    };
    let gate = &flow.snapshot.gate;
    let ask = decision.ask(flow, destination);
    let grant = match (&destination.host, &resolved) {
        (Host::Address(address), _) => gate.grant(&ask, &decision.permit, &[*address])?,
        (Host::Name(_), Some(addresses)) => gate.grant(&ask, &decision.permit, addresses)?,
        (Host::Name(_), None) => gate.grant_unresolved(&ask, &decision.permit)?,
    };
    flow.record.basis.clone_from(grant.basis());
    Ok(grant)
}

async fn resolve(flow: &mut Flow, name: &Arc<str>) -> Result<Arc<[IpAddr]>, Refusal> {
    let upstream = &flow.worker.shared.upstream;
    let outcome = match upstream.resolve_cached(name) {
        Some(outcome) => outcome,
        None => {
            let began = Instant::now();
            let outcome = upstream.resolve(name).await;
            flow.record.phases.dns = Some(began.elapsed());
            outcome
        }
    };
    outcome.map_err(|error| Refusal::new(error.reason, &*error.detail))
}
