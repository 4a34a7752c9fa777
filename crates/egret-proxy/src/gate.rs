//! Passing the gate: evaluate, choose the way, resolve, grant. The rules are in `egret_core::gate`;
//! this is what needs to wait for a name.

use std::net::IpAddr;
use std::sync::Arc;

use egret_core::destination::{Destination, Host};
use egret_core::gate::{Grant, Permit};
use egret_core::route::ParentGroup;
use tokio::time::Instant;

use crate::flow::Flow;
use crate::inlet::tls;
use crate::refuse::Refusal;

/// What the gate said by name.
#[derive(Debug)]
pub struct Decision {
    /// The permit, to be turned into a grant.
    pub permit: Permit,
    /// The parents to go through; `None` for direct.
    pub parent: Option<Arc<ParentGroup>>,
}

/// Decides by name and chooses the way.
///
/// # Errors
/// The refusal.
pub fn decide(flow: &mut Flow, destination: &Destination) -> Result<Decision, Refusal> {
    tls::still_admits(&flow.worker, &flow.identity)
        .map_err(|failure| Refusal::new(failure.reason, failure.detail))?;
    let permit = flow.snapshot.gate.evaluate(&flow.identity, destination)?;
    let parent = flow.snapshot.routes.choose(destination, &[]).cloned();
    flow.record.parent = parent.as_ref().map(|group| group.name.clone());
    Ok(Decision { permit, parent })
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
    let by_parent = decision.parent.as_ref().is_some_and(|group| !group.resolve_locally);
    let grant = match &destination.host {
        Host::Address(address) => flow.snapshot.gate.grant(&decision.permit, destination, &[*address])?,
        Host::Name(_) if by_parent => flow.snapshot.gate.grant_unresolved(&decision.permit, destination)?,
        Host::Name(name) => {
            let addresses = resolve(flow, name).await?;
            flow.snapshot.gate.grant(&decision.permit, destination, &addresses)?
        }
    };
    flow.record.rule = grant.rule().cloned();
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
