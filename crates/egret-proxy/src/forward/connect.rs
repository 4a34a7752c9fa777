//! An upstream connection for a request: a kept one, or a new one.

use std::sync::Arc;

use egret_core::destination::Destination;
use egret_core::gate::Grant;
use egret_core::reason::Reason;
use egret_core::record::UpstreamTls;
use egret_core::route::ParentScheme;
use egret_core::settings::InterceptionSettings;
use egret_tls::interception::LeafNames;
use tokio::time::Instant;

use crate::client::Client;
use crate::flow::Flow;
use crate::gate::Decision;
use crate::http1::target::Scheme;
use crate::metrics::{Limit, PoolEvent};
use crate::refuse::Refusal;
use crate::stream::Stream;
use crate::upstream::http2::{Learned, Live};
use crate::upstream::pool::{ParentForm, PoolKey, UpstreamConnection};
use crate::upstream::{self, Alpn, DialError, Upstream};

/// Where a request's connection leads.
#[derive(Debug)]
pub struct Way {
    /// What the connection can be used for.
    pub key: PoolKey,
    /// The request may go to an HTTP parent as it is, with the whole URL as its target.
    pub to_parent: bool,
}

/// Works out where the connection has to lead.
#[must_use]
pub fn way(scheme: Scheme, destination: &Destination, decision: &Decision) -> Way {
    let tls = scheme == Scheme::Https;
    let parent = decision.parent.as_ref();
    // A URL can only name the origin, and where we resolve the connection leads to what we checked.
    let to_parent = !tls && parent.is_some_and(|group| !group.resolve_locally);
    // A connection to an HTTP parent takes requests for any origin; one through SOCKS leads to one.
    let shared = to_parent
        && parent
            .is_some_and(|group| group.parents.iter().all(|parent| parent.scheme != ParentScheme::Socks5));
    let key = PoolKey {
        parent: parent.map(|group| group.name.clone()),
        tls,
        destination: match parent {
            Some(group) if shared => group.parents[0].address.clone(),
            _ => destination.clone(),
        },
    };
    Way { key, to_parent }
}

/// A kept connection that may be used for this destination, or `None`.
pub fn kept(
    client: &mut Client,
    flow: &mut Flow,
    destination: &Destination,
    decision: &Decision,
    way: &Way,
    once: bool,
) -> Option<UpstreamConnection> {
    let connection = match client.pinned.take().map(|pinned| *pinned) {
        Some((key, connection)) if key == way.key => Some(connection),
        _ => {
            let snapshot = &flow.snapshot;
            flow.worker.pool.take(&way.key, snapshot.generation, &snapshot.upstream, flow.started, once)
        }
    };
    let Some(connection) = connection else {
        flow.worker.metrics.pool(PoolEvent::Miss);
        return None;
    };
    // The connection was made for somebody: its address has to pass for this client as well.
    if decision.parent.is_none() {
        let gate = &flow.snapshot.gate;
        let ask = decision.ask(flow, destination);
        match gate.check_address(&ask, &decision.permit, connection.address.ip()) {
            Ok(basis) => flow.record.basis = basis,
            Err(_) => return None,
        }
    }
    flow.worker.metrics.pool(PoolEvent::Hit);
    flow.record.reused = true;
    flow.record.dialled = Some(connection.address);
    Some(connection)
}

/// A new connection, for one request.
///
/// # Errors
/// Why there is none.
pub async fn fresh(
    flow: &mut Flow,
    scheme: Scheme,
    destination: &Destination,
    decision: &Decision,
    way: &Way,
    grant: &Grant,
    alpn: Alpn,
) -> Result<UpstreamConnection, Refusal> {
    match reach(flow, scheme, destination, decision, way, grant, alpn).await? {
        Reached::Http1(connection) => Ok(connection),
        Reached::Http2(live) => live.open().await.ok_or_else(|| http2_failed("it closed the connection")),
    }
}

/// A new connection, by the protocol that the origin has chosen.
pub enum Reached {
    /// One that serves one request at a time.
    Http1(UpstreamConnection),
    /// One that requests share. It is known to the worker.
    Http2(Live),
}

/// Makes a new connection. What the origin has chosen in ALPN is remembered.
///
/// # Errors
/// Why there is none.
pub async fn reach(
    flow: &mut Flow,
    scheme: Scheme,
    destination: &Destination,
    decision: &Decision,
    way: &Way,
    grant: &Grant,
    alpn: Alpn,
) -> Result<Reached, Refusal> {
    flow.record.reused = false;
    let upstream = flow.worker.shared.upstream.clone();
    let snapshot = flow.snapshot.clone();
    let deadline = Instant::now() + snapshot.timeouts.connect;
    let mut parent_form = None;
    let mut tls = None;
    let (mut stream, address) = match &decision.parent {
        None => {
            let began = Instant::now();
            let outcome = upstream::connect(grant, &snapshot.upstream, deadline).await;
            let (stream, address) = outcome.map_err(|error| failed(flow, error))?;
            flow.record.phases.connect = Some(began.elapsed());
            (stream, address)
        }
        Some(group) if way.to_parent => {
            let parent = upstream.connect_parent(&snapshot, group, grant, deadline).await;
            let parent = parent.map_err(|error| failed(flow, error))?;
            note(flow, &parent.phases);
            silent(&parent.early)?;
            if parent.takes_absolute_form() {
                let authorization = parent.proxy_authorization_value().map(Arc::from);
                parent_form = Some(ParentForm { authorization });
            }
            (parent.io, parent.dialled)
        }
        Some(group) => {
            let via = snapshot.http.send_via.then_some(&*snapshot.http.via);
            let tunnel = upstream.tunnel_through(&snapshot, group, grant, via, deadline).await;
            let tunnel = tunnel.map_err(|error| failed(flow, error))?;
            note(flow, &tunnel.phases);
            silent(&tunnel.early)?;
            (tunnel.io, tunnel.dialled)
        }
    };
    flow.record.dialled = Some(address);
    if scheme == Scheme::Https {
        let began = Instant::now();
        let deadline = began + snapshot.timeouts.tls;
        let outcome = upstream.tls_connect_origin(stream, &destination.host, alpn, deadline).await;
        let (over_tls, facts) = outcome.map_err(|error| failed(flow, error))?;
        stream = over_tls;
        tls = Some(facts);
        flow.record.phases.tls = Some(began.elapsed());
        if snapshot.interception.enabled {
            meet(&upstream, &way.key, &stream, tls.as_deref(), alpn, &snapshot.interception);
        }
        if alpn == Alpn::Http2OrHttp1 {
            let learn = |live| {
                if !flow.worker.http2.learn(way.key.clone(), live) {
                    flow.worker.metrics.limit_hit(Limit::Http2Origins);
                }
            };
            if stream.alpn() == Some(b"h2") {
                let live = Live::begin(stream, address, snapshot.generation, tls).await;
                let live = live.map_err(|error| http2_failed(&error.to_string()))?;
                learn(Some(live.clone()));
                return Ok(Reached::Http2(live));
            }
            learn(None);
        }
    }
    Ok(Reached::Http1(UpstreamConnection {
        stream,
        input: None,
        address,
        generation: snapshot.generation,
        parent: parent_form,
        tls,
        http2: false,
        pinned: false,
        facts: None,
    }))
}

/// Notes what an origin has chosen and shown, for tunnels to it that are looked into.
fn meet(
    upstream: &Upstream,
    key: &PoolKey,
    stream: &Stream,
    tls: Option<&UpstreamTls>,
    alpn: Alpn,
    settings: &InterceptionSettings,
) {
    let http2 = (alpn == Alpn::Http2OrHttp1).then(|| stream.alpn() == Some(b"h2"));
    let names = settings.wildcards.then(|| {
        let host = &key.destination.host;
        // A certificate that only a setting accepts says nothing about names that could be trusted.
        let good = stream.peer_certificate().filter(|_| tls.is_some_and(|tls| tls.excused.is_none()));
        good.map_or_else(|| LeafNames::of(host), |certificate| LeafNames::like_origin(host, certificate))
    });
    upstream.met().note(key, http2, names);
}

fn http2_failed(detail: &str) -> Refusal {
    Refusal::new(Reason::MalformedResponse, format!("HTTP/2 (RFC 9113): {detail}"))
}

/// A stream of a connection over HTTP/2 that may be used for this destination. `Err`: the origin does not speak
/// it, or that is not known.
///
/// # Errors
/// What to offer on a new connection.
pub async fn shared(
    flow: &mut Flow,
    destination: &Destination,
    decision: &Decision,
    way: &Way,
) -> Result<UpstreamConnection, Alpn> {
    let live = match flow.worker.http2.find(&way.key, flow.snapshot.generation) {
        Learned::Http2(live) => live,
        Learned::Http1 => return Err(Alpn::Http1),
        Learned::Nothing => return Err(Alpn::Http2OrHttp1),
    };
    if decision.parent.is_none() {
        let gate = &flow.snapshot.gate;
        let passes = {
            let ask = decision.ask(flow, destination);
            gate.check_address(&ask, &decision.permit, live.address.ip())
        };
        match passes {
            Ok(basis) => flow.record.basis = basis,
            Err(_) => return Err(Alpn::Http2OrHttp1),
        }
    }
    let Some(connection) = live.open().await else {
        flow.worker.http2.forget(&way.key);
        return Err(Alpn::Http2OrHttp1);
    };
    flow.worker.metrics.pool(PoolEvent::Hit);
    flow.record.reused = true;
    flow.record.dialled = Some(connection.address);
    Ok(connection)
}

/// In HTTP and in TLS the client speaks first.
fn silent(early: &[u8]) -> Result<(), Refusal> {
    if early.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(Reason::ParentProtocol, "bytes came before the request was sent"))
}

fn note(flow: &mut Flow, phases: &upstream::DialPhases) {
    flow.record.phases.dns = phases.dns.or(flow.record.phases.dns);
    flow.record.phases.connect = phases.connect;
    flow.record.phases.tls = phases.tls;
}

/// Notes what is known of a failed dial.
pub fn failed(flow: &mut Flow, error: DialError) -> Refusal {
    note(flow, &error.phases);
    flow.record.dialled = error.dialled;
    if error.reason == Reason::OutOfDescriptors {
        flow.worker.metrics.limit_hit(Limit::Descriptors);
    }
    Refusal::new(error.reason, error.detail)
}
