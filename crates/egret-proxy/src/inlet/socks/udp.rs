//! UDP ASSOCIATE (RFC 1928 section 7): datagrams for a client, as long as its connection stands.
//!
//! Every destination is a flow of its own: it passes the gate, counts its bytes and leaves a record.
//! What comes back is taken only from addresses that the client has sent something to.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use egret_core::destination::Destination;
use egret_core::reason::Reason;
use egret_core::record::{MethodName, Protocol, Treatment};
use egret_core::settings::SocksSettings;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::{Duration, Instant};

use super::wire;
use crate::buffer::{self, Buffer};
use crate::client::Client;
use crate::control::{CLOSE, RECHECK};
use crate::credentials;
use crate::enforce;
use crate::flow::Flow;
use crate::forward::After;
use crate::gate;
use crate::http1::BodyLength;
use crate::metrics::Limit;
use crate::refuse::Refusal;
use crate::workload;

/// How often destinations without traffic are looked for.
const TICK: Duration = Duration::from_secs(5);

/// Datagrams that are moved before others have their turn.
const BURST: usize = 32;

/// The largest header in front of a datagram to a client.
const HEADER: usize = 3 + 1 + 16 + 2;

/// A destination that the client has sent to.
struct Peer {
    /// Its flow; `None` for one that was refused, which is remembered so that it leaves one record.
    flow: Option<Flow>,
    address: Option<SocketAddr>,
    used: Instant,
}

struct Association {
    settings: SocksSettings,
    client: UdpSocket,
    /// Who may send; the port is that of the first datagram where the request named none.
    from: IpAddr,
    port: Option<u16>,
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    peers: HashMap<Destination, Peer>,
    by_address: HashMap<SocketAddr, Destination>,
}

/// What there is to do.
enum Event {
    /// The association ends.
    Ended(Option<Refusal>),
    /// The client sent something for a destination that is not known yet.
    New(Destination, Vec<u8>),
    /// The configuration changed.
    Recheck,
}

/// An association's place among those that are open in all.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves an association until its connection ends.
///
/// # Errors
/// A refusal to be sent.
pub(super) async fn serve(
    client: &mut Client,
    flow: &mut Flow,
    claimed: &Destination,
) -> Result<After, Refusal> {
    let settings = flow.snapshot.socks.clone();
    flow.record.treatment = Treatment::Tunnel;
    if !settings.udp {
        return Err(Refusal::new(Reason::UdpNotAllowed, ""));
    }
    let open = client.worker.shared.udp_associations.clone();
    let place = Place(open.clone());
    if open.fetch_add(1, Ordering::Relaxed) >= settings.udp_associations {
        client.worker.metrics.limit_hit(Limit::UdpAssociations);
        return Err(Refusal::new(Reason::TooManyUdpAssociations, ""));
    }
    let failed =
        |error: io::Error| Refusal::new(Reason::Internal, format!("no socket for datagrams: {error}"));
    let local = client.stream.tcp_beneath().and_then(|tcp| tcp.local_addr().ok());
    let local = local.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip());
    let socket = UdpSocket::bind((local, 0)).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    let reply = wire::reply5(0, Some(bound));
    flow.record.status = 200;
    flow.first_byte();
    let head = flow.snapshot.timeouts.head;
    if let Err(error) = client.write_all(&reply, head).await {
        return Err(Refusal::new(Reason::ClientAborted, error.to_string()));
    }
    let mut association = Association {
        settings,
        client: socket,
        from: flow.identity.ip(),
        port: (claimed.port != 0).then_some(claimed.port),
        v4: None,
        v6: None,
        peers: HashMap::new(),
        by_address: HashMap::new(),
    };
    let ended = association.run(client, flow).await;
    drop(place);
    if let Some(refusal) = ended {
        flow.failed(&refusal);
    }
    Ok(After::Done)
}

impl Association {
    async fn run(&mut self, client: &mut Client, flow: &mut Flow) -> Option<Refusal> {
        client.deadline.set_after(TICK);
        loop {
            match poll_fn(|context| self.poll(context, client)).await {
                Event::Ended(refusal) => return refusal,
                Event::New(destination, payload) => self.begin(flow, destination, &payload).await,
                Event::Recheck => {
                    // Whoever goes on sending passes the gate again.
                    self.peers.clear();
                    self.by_address.clear();
                    let snapshot = flow.worker.snapshot.load_full();
                    credentials::refresh_groups(&snapshot, &mut flow.identity);
                    if let Err(detail) = credentials::still_hold(&snapshot, &flow.identity) {
                        return Some(Refusal::new(Reason::PolicyChanged, detail));
                    }
                    if let Err(refusal) = workload::still_stands(flow) {
                        return Some(refusal);
                    }
                }
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, client: &mut Client) -> Poll<Event> {
        client.control.register(context);
        if client.control.has(CLOSE) {
            let refusal = Refusal::new(Reason::Draining, "closed at the end of the drain period");
            return Poll::Ready(Event::Ended(Some(refusal)));
        }
        if client.control.has(RECHECK) {
            client.control.clear(RECHECK);
            return Poll::Ready(Event::Recheck);
        }
        // The connection carries nothing any more; its end ends the association.
        loop {
            match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Ready(Ok(1..)) => client.input = None,
                Poll::Ready(_) => return Poll::Ready(Event::Ended(None)),
                Poll::Pending => break,
            }
        }
        while client.deadline.poll(context).is_ready() {
            self.forget_idle();
            client.deadline.set_after(TICK);
        }
        self.poll_down(context);
        self.poll_up(context, client)
    }

    fn forget_idle(&mut self) {
        let Some(before) = Instant::now().checked_sub(self.settings.udp_idle) else { return };
        self.peers.retain(|_, peer| peer.used > before);
        self.by_address.retain(|_, destination| self.peers.contains_key(destination));
    }

    /// From the client outwards.
    fn poll_up(&mut self, context: &mut Context<'_>, client: &Client) -> Poll<Event> {
        let mut memory = Buffer::take();
        for _ in 0..BURST {
            let mut room = ReadBuf::new(memory.scratch());
            let source = match self.client.poll_recv_from(context, &mut room) {
                Poll::Pending => return Poll::Pending,
                // ICMP errors of earlier datagrams end up here; there is nothing to be done about them.
                Poll::Ready(Err(_)) => continue,
                Poll::Ready(Ok(source)) => source,
            };
            if source.ip().to_canonical() != self.from
                || *self.port.get_or_insert(source.port()) != source.port()
            {
                continue;
            }
            let Some((destination, header)) = wire::datagram(room.filled()) else { continue };
            let payload = &room.filled()[header..];
            let Some(peer) = self.peers.get_mut(&destination) else {
                if self.peers.len() >= self.settings.udp_destinations {
                    client.worker.metrics.limit_hit(Limit::UdpDestinations);
                    continue;
                }
                return Poll::Ready(Event::New(destination, payload.to_vec()));
            };
            peer.used = Instant::now();
            if let (Some(flow), Some(address)) = (&mut peer.flow, peer.address) {
                if !enforce::lets_datagram_pass(flow) {
                    continue;
                }
                flow.record.bytes_up += payload.len() as u64;
                send(&self.v4, &self.v6, address, payload);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// From destinations to the client.
    fn poll_down(&mut self, context: &mut Context<'_>) {
        let Some(port) = self.port else { return };
        let client = match self.client.local_addr() {
            Ok(local) if local.is_ipv6() => SocketAddr::new(mapped(self.from), port),
            _ => SocketAddr::new(self.from, port),
        };
        let mut memory = Buffer::take();
        let mut out = Vec::new();
        for socket in [&self.v4, &self.v6].into_iter().flatten() {
            for turn in 0.. {
                if turn == BURST {
                    context.waker().wake_by_ref();
                    break;
                }
                let mut room = ReadBuf::new(memory.scratch());
                let source = match socket.poll_recv_from(context, &mut room) {
                    Poll::Pending => break,
                    Poll::Ready(Err(_)) => continue,
                    Poll::Ready(Ok(source)) => SocketAddr::new(source.ip().to_canonical(), source.port()),
                };
                let Some(peer) =
                    self.by_address.get(&source).and_then(|destination| self.peers.get_mut(destination))
                else {
                    continue; // nobody asked for it
                };
                peer.used = Instant::now();
                if let Some(flow) = &mut peer.flow {
                    if !enforce::lets_datagram_pass(flow) {
                        continue;
                    }
                    flow.record.bytes_down += room.filled().len() as u64;
                    flow.first_byte();
                }
                out.clear();
                out.reserve(HEADER + room.filled().len());
                wire::write_datagram_header(&mut out, source);
                out.extend_from_slice(room.filled());
                // A datagram that cannot be sent at once is lost, as datagrams are.
                let _ = self.client.try_send_to(&out, client);
            }
        }
    }

    /// Asks the gate about a destination, and sends what was waiting for the answer.
    async fn begin(&mut self, association: &Flow, destination: Destination, payload: &[u8]) {
        let mut flow = Flow::begin(&association.worker, &association.identity, Protocol::Socks5);
        flow.record.method = MethodName::new("UDP");
        flow.record.target = destination.to_string();
        flow.record.treatment = Treatment::Tunnel;
        let mut peer = Peer { flow: None, address: None, used: Instant::now() };
        match self.admit(&mut flow, &destination).await {
            Ok(address) => {
                flow.record.status = 200;
                flow.record.dialled = Some(address);
                flow.record.bytes_up = payload.len() as u64;
                peer.address = Some(address);
                peer.flow = Some(flow);
                self.by_address.insert(address, destination.clone());
                send(&self.v4, &self.v6, address, payload);
            }
            Err(refusal) => flow.refused(&refusal),
        }
        self.peers.insert(destination, peer);
    }

    async fn admit(&mut self, flow: &mut Flow, destination: &Destination) -> Result<SocketAddr, Refusal> {
        let decision = gate::decide(flow, destination, None)?;
        if decision.parent.is_some() {
            return Err(Refusal::new(Reason::ParentWithoutUdp, ""));
        }
        let grant = gate::grant(flow, destination, &decision).await?;
        enforce::admit(flow, BodyLength::None)?;
        let Some(address) = grant.addresses().first().copied() else {
            return Err(Refusal::new(Reason::DnsNotFound, "the name has no address"));
        };
        let (slot, any) = match address {
            SocketAddr::V4(_) => (&mut self.v4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            SocketAddr::V6(_) => (&mut self.v6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        if slot.is_none() {
            let upstream = &flow.snapshot.upstream;
            let source = if address.is_ipv4() { upstream.source_v4 } else { upstream.source_v6 };
            let socket = UdpSocket::bind((source.unwrap_or(any), 0)).await;
            let socket = socket.map_err(|error| {
                Refusal::new(Reason::ConnectFailed, format!("no socket for datagrams: {error}"))
            })?;
            // Not known to be writable before the first look at it, and what cannot be sent at once is lost.
            let _ = socket.writable().await;
            *slot = Some(socket);
        }
        Ok(address)
    }
}

fn send(v4: &Option<UdpSocket>, v6: &Option<UdpSocket>, to: SocketAddr, payload: &[u8]) {
    let socket = if to.is_ipv4() { v4 } else { v6 };
    if let Some(socket) = socket {
        // A datagram that cannot be sent at once is lost, as datagrams are.
        let _ = socket.try_send_to(payload, to);
    }
}

fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        v6 @ IpAddr::V6(_) => v6,
    }
}
