//! CONNECT: a connection to the destination, and then bytes.

use egret_core::destination::Destination;
use egret_core::record::Treatment;
use tokio::time::Instant;

use crate::buffer::{self, Buffer};
use crate::client::Client;
use crate::control::Registered;
use crate::enforce;
use crate::flow::{Asked, Flow};
use crate::forward::After;
use crate::forward::connect::failed;
use crate::gate;
use crate::http1::BodyLength;
use crate::refuse::Refusal;
use crate::relay::{self, Opened};
use crate::stream::Stream;
use crate::upstream;

/// Said when the upstream connection stands, and not earlier.
pub(crate) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Connects to the destination, by whichever way. Gives the connection and what the upstream has
/// said already.
///
/// # Errors
/// The refusal.
async fn connect(flow: &mut Flow, destination: &Destination) -> Result<(Stream, Option<Buffer>), Refusal> {
    flow.asked = Some(Box::new(Asked { destination: destination.clone(), request: None }));
    flow.record.treatment = Treatment::Tunnel;
    let decision = gate::decide(flow, destination, None)?;
    let grant = gate::grant(flow, destination, &decision).await?;
    enforce::admit(flow, BodyLength::None)?;
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

/// Opens a tunnel to the destination. The client gets these bytes first, which say so in its protocol;
/// they may depend on the connection.
///
/// # Errors
/// The refusal.
pub async fn open(
    flow: &mut Flow,
    destination: &Destination,
    say: impl FnOnce(&Flow, &Stream) -> Vec<u8>,
) -> Result<Opened, Refusal> {
    let (upstream, early) = connect(flow, destination).await?;
    flow.record.status = 200;
    flow.first_byte();
    let mut bytes = say(flow, &upstream);
    let own = bytes.len();
    bytes.extend_from_slice(buffer::filled(&early));
    Ok(Opened { upstream, early: Some(Buffer::from(bytes)), own })
}

/// Opens a tunnel that an HTTP/1 client has asked for with CONNECT.
///
/// # Errors
/// A refusal to be sent.
pub async fn open_http1(flow: &mut Flow, destination: &Destination) -> Result<Opened, Refusal> {
    open(flow, destination, |_, _| ESTABLISHED.to_vec()).await
}

/// A tunnel on a client connection of its own, which it outlives the request on: what the request took
/// is given back, and a tunnel may stand idle for days.
pub struct Tunnel {
    /// The upstream's side.
    pub opened: Opened,
    /// The flow.
    pub flow: Flow,
    /// The client. What it sent behind the request is the tunnel's.
    pub client: Client,
    /// The connection's place among those that hear signals.
    pub registered: Registered,
}

impl Tunnel {
    /// Relays to the end.
    pub async fn serve(mut self: Box<Self>) {
        let Self { client, flow, opened, .. } = &mut *self;
        match relay::run(client, flow, opened).await {
            After::Reset => client.reset(),
            // Boxed: few tunnels end so.
            After::Close => Box::pin(self.linger()).await,
            After::Keep | After::Done => {}
        }
    }

    /// Gives the client time to read why it was refused, when all else is over.
    async fn linger(self: Box<Self>) {
        let Self { mut client, flow, opened, registered } = *self;
        drop((flow, opened));
        client.linger().await;
        drop(registered);
    }
}
