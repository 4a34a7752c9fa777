//! Looking inside TLS: a tunnel that policy says to open ends here, and its requests go the way of all others.
//!
//! CONNECT is answered, the client's hello is read, and the handshake is finished with a certificate that was
//! made for the destination. What the client sends then meets the inlets again, but each request is bound to the
//! destination of the tunnel ([`aim`]), passes the gate with its method and path, is forwarded over TLS that is
//! verified as strictly as any other, and leaves a record of its own.
//!
//! The client is answered with the protocol that the origin speaks (`meet`): where that is not known, the origin
//! is connected to first, and the connection waits in the pool for the first request. What is wrong with an origin
//! is said in answer to a request, where people see it.

mod handshake;
mod meet;
mod request;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use egret_core::destination::{Destination, Host};
use egret_core::flow_id::FlowId;
use egret_core::gate::{Basis, Denial};
use egret_core::identity::Identity;
use egret_core::policy::model::{TlsDemand, TlsTreatment};
use egret_core::policy::{Ask, Seen};
use egret_core::reason::Reason;
use egret_core::record::Phases;
use egret_core::settings::InterceptionSettings;
use egret_flows::flow::TlsFacts;
use egret_tls::interception::{
    CaError, InterceptServer, InterceptionCa, MintSettings, Minter, RejectionSettings, Rejections,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Duration, Instant};

use crate::client::Client;
use crate::control::Registered;
use crate::flow::Flow;
use crate::gate;
use crate::inlet::tls;
use crate::refuse::Refusal;
use crate::tunnel::Tunnel;

pub use request::aim;

/// What makes certificates for origins and shows them to clients. One for all workers.
#[derive(Debug)]
pub struct Interceptor {
    /// Makes certificates, and keeps them for a while.
    pub minter: Minter,
    /// Which clients have refused them.
    pub rejections: Rejections,
    server: InterceptServer,
}

/// Why nothing can be intercepted.
#[derive(Debug, thiserror::Error)]
pub enum InterceptError {
    /// There are no certificates to be had.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The TLS library refuses its configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Interceptor {
    /// Signs with this CA.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(ca: Arc<InterceptionCa>, settings: &InterceptionSettings) -> Result<Self, InterceptError> {
        let minter = Minter::new(ca, mint_settings(settings))?;
        let rejections = Rejections::new(RejectionSettings::default());
        Ok(Self { minter, rejections, server: InterceptServer::new()? })
    }
}

fn mint_settings(settings: &InterceptionSettings) -> MintSettings {
    let lifetime = SignedDuration::try_from(settings.leaf_lifetime).unwrap_or(SignedDuration::MAX);
    let default = MintSettings::default();
    MintSettings {
        // Of a short life most has to be left to use it in.
        margin: default.margin.min(lifetime / 4),
        lifetime,
        leaves: settings.cache_entries,
        ..default
    }
}

/// A tunnel that is about to be opened.
#[derive(Debug)]
pub struct Opening {
    destination: Destination,
    /// What the client is told first, in its protocol: that its tunnel stands.
    say: Vec<u8>,
    /// It is refused, and the client will read so inside.
    refusal: Option<Refusal>,
    /// What the rule says about TLS.
    demand: TlsDemand,
    interceptor: Arc<Interceptor>,
}

/// A tunnel that was opened, as the requests in it see it.
#[derive(Debug)]
pub struct Inside {
    /// Where it leads: where all of its requests have to go.
    pub destination: Destination,
    /// Every request is refused.
    refusal: Option<Refusal>,
    /// The generation of the snapshot that it was opened under.
    generation: u64,
    /// The flow of the tunnel.
    pub flow: FlowId,
    /// What was agreed in TLS with the client, where flows are kept.
    pub tls: Option<Arc<TlsFacts>>,
    /// Why the origin could not be reached when the tunnel was opened, for the first request.
    failure: Mutex<Option<Failure>>,
}

/// Why an origin could not be reached before there was a request.
#[derive(Debug)]
struct Failure {
    refusal: Refusal,
    phases: Phases,
    dialled: Option<SocketAddr>,
    since: Instant,
}

impl Failure {
    /// What the flow has met just now.
    fn new(refusal: Refusal, flow: &Flow) -> Self {
        let (phases, dialled) = (flow.record.phases, flow.record.dialled);
        Self { refusal, phases, dialled, since: Instant::now() }
    }
}

/// How long a failure is told to a request in place of another attempt.
const FAILED_LATELY: Duration = Duration::from_secs(5);

impl Inside {
    /// Why the origin could not be reached just now, if so: told once, so that the client does not wait for the
    /// same failure twice. It is noted in the flow as if this request had met it.
    pub fn failed_just_now(&self, flow: &mut Flow) -> Option<Refusal> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        if failure.since.elapsed() > FAILED_LATELY {
            return None;
        }
        let Phases { dns, connect, tls, .. } = failure.phases;
        flow.record.phases = Phases { dns, connect, tls, ..flow.record.phases };
        flow.record.dialled = failure.dialled;
        Some(failure.refusal)
    }
}

/// Whether a tunnel is to be opened; where policy is not of that opinion, `None`, and the tunnel has to pass
/// the gate as one that nobody looks into. A refusal is one to be read inside, where people see it.
///
/// `say` goes to the client first.
pub async fn opening(
    flow: &mut Flow,
    destination: &Destination,
    say: impl FnOnce() -> Vec<u8>,
) -> Option<Box<Opening>> {
    if !flow.snapshot.interception.enabled || !flow.snapshot.gate.policies.opens_tunnels() {
        return None;
    }
    // Boxed: where nothing is intercepted, a tunnel pays nothing for it.
    Box::pin(decide(flow, destination, say())).await
}

async fn decide(flow: &mut Flow, destination: &Destination, say: Vec<u8>) -> Option<Box<Opening>> {
    let snapshot = flow.snapshot.clone();
    let gate = &snapshot.gate;
    let interceptor = flow.worker.shared.interception.load_full()?;
    tls::still_admits(&flow.worker, &flow.identity).ok()?;
    let by_name = gate.evaluate(&ask(flow, destination));
    let outcome = match by_name {
        // By its name alone it is not decided.
        Ok(permit) if permit.verdict().address_matters => {
            let address = first_address(flow, destination).await?;
            let ask = ask(flow, destination);
            let basis = gate.check_address(&ask, &permit, address);
            basis.map(|_| gate.policies.evaluate(&Ask { address: Some(address), ..ask }))
        }
        Ok(permit) => Ok(permit.verdict().clone()),
        Err(denial) => Err(denial),
    };
    let (by, refusal) = match outcome {
        Ok(verdict) if verdict.allowed && verdict.look_inside => {
            flow.record.basis = Basis::from(&verdict);
            (verdict.by, None)
        }
        Err(denial) if is_shown(&denial, gate.policies.opens_by_default()) => {
            (denial.by.clone(), Some(Refusal::from(denial)))
        }
        Ok(_) | Err(_) => return None,
    };
    let demand = by.map(|facts| facts.tls).unwrap_or_default();
    if refusal.is_none() && is_pinned(flow, &interceptor, destination, &demand) {
        return None;
    }
    Some(Box::new(Opening { destination: destination.clone(), say, refusal, demand, interceptor }))
}

fn ask<'a>(flow: &'a Flow, destination: &'a Destination) -> Ask<'a> {
    Ask { seen: Seen::TunnelToOpen, ..gate::ask_about_tunnel(flow, destination) }
}

/// Whether a tunnel that was opened would be so under the flow's snapshot as well. What a rule on networks says of it
/// is left to the gate.
fn still_opens(flow: &Flow, destination: &Destination) -> bool {
    match flow.snapshot.gate.evaluate(&ask(flow, destination)) {
        Ok(permit) => permit.verdict().look_inside || permit.verdict().address_matters,
        // The request will be told why.
        Err(_) => true,
    }
}

/// Whether a refusal is told inside the tunnel: who is refused would have been looked into.
fn is_shown(denial: &Denial, opens_by_default: bool) -> bool {
    match &denial.by {
        Some(facts) => facts.tls.treatment == Some(TlsTreatment::Intercept),
        None => opens_by_default && matches!(denial.reason, Reason::DeniedByDefault | Reason::DeniedByGuard),
    }
}

/// Whether the client insists on the host's own certificate, and may have its way: then the tunnel has to pass as
/// one that nobody looks into.
fn is_pinned(flow: &Flow, interceptor: &Interceptor, destination: &Destination, demand: &TlsDemand) -> bool {
    let passthrough = demand.tunnel_pinned.unwrap_or(flow.snapshot.interception.tunnel_pinned);
    if passthrough.is_zero() {
        return false;
    }
    let passthrough = SignedDuration::try_from(passthrough).unwrap_or(SignedDuration::MAX);
    let (client, host) = (name_of(&flow.identity), &destination.host);
    let until = interceptor.rejections.pinned_until(&client, host, passthrough, Timestamp::now());
    if let Some(until) = until {
        tracing::info!(client, %destination, %until, "tunnelled: the client has refused other certificates");
    }
    until.is_some()
}

/// What a client's rejections are remembered by: its proven name, else its address.
fn name_of(identity: &Identity) -> String {
    identity.name().map_or_else(|| identity.ip().to_string(), |name| name.to_string())
}

/// The address that policy is asked about. Requests inside are asked about by all of theirs.
async fn first_address(flow: &Flow, destination: &Destination) -> Option<std::net::IpAddr> {
    let name = match &destination.host {
        Host::Address(address) => return Some(*address),
        Host::Name(name) => name,
    };
    let upstream = &flow.worker.shared.upstream;
    let resolution = match upstream.resolve_cached(name) {
        Some(resolution) => resolution,
        None => upstream.resolve(name).await,
    };
    resolution.ok()?.first().copied()
}

/// Opens a tunnel and serves what is inside. Gives a tunnel to be relayed, if it has become one: by an upgrade,
/// or because it carries no TLS and may pass unseen.
///
/// The future's type is not named in it: a request inside is served by what has called this.
pub fn serve(
    client: Client,
    flow: Flow,
    opening: Box<Opening>,
    registered: Registered,
    listener: SocketAddr,
) -> Pin<Box<dyn Future<Output = Option<Box<Tunnel>>> + Send>> {
    Box::pin(handshake::serve(client, flow, opening, registered, listener))
}
