//! CONNECT: a connection to the destination, and then bytes.

use egret_core::destination::Destination;
use egret_core::record::Treatment;
use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::client::Client;
use crate::flow::Flow;
use crate::forward::After;
use crate::forward::connect::failed;
use crate::gate;
use crate::refuse::Refusal;
use crate::relay;
use crate::stream::Stream;
use crate::upstream;

/// Said when the upstream connection stands, and not earlier.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Connects to the destination, by whichever way. Gives the connection and what the upstream has
/// said already.
///
/// # Errors
/// The refusal.
pub async fn open(flow: &mut Flow, destination: &Destination) -> Result<(Stream, Option<Buffer>), Refusal> {
    flow.destination = Some(destination.clone());
    flow.record.treatment = Treatment::Tunnel;
    let decision = gate::decide(flow, destination)?;
    let grant = gate::grant(flow, destination, &decision).await?;
    let snapshot = flow.snapshot.clone();
    let deadline = Instant::now() + snapshot.timeouts.connect;
    let Some(group) = &decision.parent else {
        let began = Instant::now();
        let outcome = upstream::connect(&grant, &snapshot.upstream, deadline).await;
        let (stream, address) = outcome.map_err(|error| failed(flow, error))?;
        flow.record.phases.connect = Some(began.elapsed());
        flow.record.dialled = Some(address);
        return Ok((stream, None));
    };
    let via = snapshot.http.send_via.then_some(&*snapshot.http.via);
    let upstream = flow.worker.shared.upstream.clone();
    let outcome = Box::pin(upstream.tunnel_through(&snapshot, group, &grant, via, deadline)).await;
    let tunnel = outcome.map_err(|error| failed(flow, error))?;
    flow.record.phases.dns = tunnel.phases.dns.or(flow.record.phases.dns);
    flow.record.phases.connect = tunnel.phases.connect;
    flow.record.phases.tls = tunnel.phases.tls;
    flow.record.dialled = Some(tunnel.dialled);
    let early = (!tunnel.early.is_empty()).then(|| Buffer::from_bytes(&tunnel.early));
    Ok((tunnel.io, early))
}

/// Serves CONNECT on an HTTP/1 connection. What the client sent behind the head is its first bytes.
///
/// # Errors
/// A refusal to be sent.
pub async fn serve_http1(
    client: &mut Client,
    flow: &mut Flow,
    destination: &Destination,
) -> Result<After, Refusal> {
    let (upstream, early) = open(flow, destination).await?;
    flow.record.status = 200;
    flow.first_byte();
    let mut opening = Buffer::from_bytes(ESTABLISHED);
    if let Some(early) = early {
        opening = Buffer::from_bytes(&[ESTABLISHED, early.filled()].concat());
    }
    Ok(relay::run(client, flow, upstream, Some(opening), ESTABLISHED.len()).await)
}
