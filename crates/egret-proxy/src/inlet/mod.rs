//! How a client states its wish.

pub mod http1;
pub mod http2;
pub mod proxy_protocol;
pub mod socks;
pub mod tls;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use egret_core::identity::Identity;
use egret_core::reason::Reason;
use egret_core::record::{Protocol, Treatment};

use crate::buffer;
use crate::client::{Client, Spare};
use crate::control::{CLOSE, CLOSE_IDLE};
use crate::deadline::Deadline;
use crate::detect::{First, first};
use crate::flow::Flow;
use crate::intercept::{self, Opening};
use crate::listener::{Listener, Present};
use crate::refuse::{Format, Refusal, Reply};
use crate::relay::Opened;
use crate::stream::Stream;
use crate::tunnel::Tunnel;
use crate::workload;

/// Serves a connection from its first byte to its end, or until it has become a tunnel and nothing else
/// will come on it.
pub async fn serve(
    present: &Present,
    stream: Stream,
    peer: SocketAddr,
    listener: Arc<Listener>,
) -> Option<Box<Tunnel>> {
    let worker = present.worker.clone();
    let registered = worker.registry.register();
    let mut client = Client {
        stream,
        input: None,
        identity: Identity::from_address(peer),
        control: registered.control.clone(),
        deadline: Deadline::new(),
        worker,
        spare: Spare::default(),
        pinned: None,
        user_before: None,
        inside: None,
    };
    let over_tls = listener.tls.is_some();
    if listener.is_balancer(peer.ip()) && !introduce(&mut client, over_tls, present).await {
        return None;
    }
    if let Some(tls) = &listener.tls {
        // Boxed: what a handshake needs is given back when it is through.
        client = Box::pin(tls::accept(client, tls, listener.address)).await?;
    }
    if client.worker.shared.workloads.is_some() {
        Box::pin(workload::identify(&mut client)).await;
    }
    let serves = listener.serves;
    let listener = listener.address;
    let first = match client.stream.alpn() {
        // Agreed already: the server's side may begin.
        Some(b"h2") => Ok(First::Http2),
        _ => begin(&mut client).await,
    };
    let tunnel = match first {
        Ok(First::Http1 | First::More) if serves.http => http1::serve(&mut client, listener).await,
        Ok(First::Http2) if serves.http => {
            Box::pin(http2::serve(client, listener)).await;
            return None;
        }
        Ok(First::Socks(version)) if serves.socks => Box::pin(socks::serve(&mut client, version)).await,
        Ok(other) => {
            let refusal = not_served(other, over_tls);
            refuse_unread(&mut client, &refusal).await;
            None
        }
        Err(Some(refusal)) => {
            refuse_unread(&mut client, &refusal).await;
            None
        }
        Err(None) => None,
    };
    match tunnel? {
        (flow, Onward::Tunnel(opened)) => Some(Box::new(Tunnel { opened, flow, client, registered })),
        (flow, Onward::Inside(opening)) => {
            intercept::serve(client, flow, opening, registered, listener).await
        }
    }
}

/// What a connection has become.
#[derive(Debug)]
pub enum Onward {
    /// A tunnel, to be relayed.
    Tunnel(Opened),
    /// A tunnel that is looked into.
    Inside(Box<Opening>),
}

/// Why a protocol is refused on a listener that does not serve it.
fn not_served(protocol: First, over_tls: bool) -> Refusal {
    match protocol {
        First::Tls if over_tls => Refusal::new(Reason::UnknownProtocol, "a TLS handshake inside TLS"),
        First::Tls => Refusal::new(Reason::TlsToPlainPort, ""),
        First::Socks(version) => {
            let detail = format!("SOCKS version {version} is not served by this listener");
            Refusal::new(Reason::UnknownProtocol, detail)
        }
        First::Http1 | First::Http2 | First::More => {
            Refusal::new(Reason::UnknownProtocol, "this listener serves SOCKS alone (socks5://)")
        }
    }
}

/// Has the balancer say whose connection this is. False: it did not, or the client has as many as it
/// may, and the connection is over.
async fn introduce(client: &mut Client, over_tls: bool, present: &Present) -> bool {
    let limit = client.worker.snapshot.load().timeouts.head;
    let Some(tcp) = client.stream.as_tcp() else { return true };
    let refusal = match Box::pin(proxy_protocol::read(tcp, limit)).await {
        Ok(source) => {
            if let Some(source) = source {
                client.identity = Identity::from_address(source);
            }
            let Err(limit) = present.claim(client.identity.ip()) else { return true };
            client.worker.metrics.limit_hit(limit);
            Refusal::new(Reason::TooManyConnectionsClient, "")
        }
        Err(Some(refusal)) => refusal,
        Err(None) => return false,
    };
    if over_tls {
        Flow::begin(&client.worker, &client.identity, Protocol::Tls).failed(&refusal);
    } else {
        refuse_unread(client, &refusal).await;
    }
    false
}

/// Reads until the protocol is told. `Err(None)`: the connection ended without having begun.
async fn begin(client: &mut Client) -> Result<First, Option<Refusal>> {
    let head = client.worker.snapshot.load().timeouts.head;
    client.deadline.set_after(head);
    poll_fn(|context| {
        client.control.register(context);
        loop {
            match first(buffer::filled(&client.input)) {
                First::More => {}
                known => return Poll::Ready(Ok(known)),
            }
            match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Ready(Ok(0)) if client.input.is_some() => return Poll::Ready(Ok(First::Http1)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(None)),
                Poll::Ready(Err(error)) => {
                    note_broken_off(client, &error);
                    return Poll::Ready(Err(None));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
        }
        if client.control.has(CLOSE | CLOSE_IDLE) && client.input.is_none() {
            return Poll::Ready(Err(None));
        }
        if client.deadline.poll(context).is_ready() {
            let silent = client.input.is_none();
            let detail = format!("no request within {head:?}");
            return Poll::Ready(Err((!silent).then(|| Refusal::new(Reason::RequestTimeout, detail))));
        }
        Poll::Pending
    })
    .await
}

/// Leaves a record of a request that broke off within its head. A connection that fails between requests
/// leaves none, as one that is closed then.
fn note_broken_off(client: &Client, error: &std::io::Error) {
    if client.filled().iter().all(|byte| b"\r\n".contains(byte)) {
        return;
    }
    let detail = format!("the connection failed within the request head: {error}");
    let mut flow = Flow::begin(&client.worker, &client.identity, Protocol::Http11);
    if client.inside.is_some() {
        flow.record.treatment = Treatment::Intercept;
    }
    flow.failed(&Refusal::new(Reason::ClientAborted, detail));
}

/// Refuses a connection of which no request was read.
pub async fn refuse_unread(client: &mut Client, refusal: &Refusal) {
    let mut flow = Flow::begin(&client.worker, &client.identity, Protocol::Http11);
    if client.inside.is_some() {
        flow.record.treatment = Treatment::Intercept;
    }
    flow.refused(refusal);
    let http = &flow.snapshot.http;
    let reply = Reply {
        id: flow.record.id,
        proxy: &http.via,
        format: Format::Text,
        contact: http.contact.as_deref(),
        head: false,
        keep_alive: false,
        target: "",
    };
    let bytes = refusal.http1(&reply);
    if client.write_all(&bytes, flow.snapshot.timeouts.head).await.is_ok() {
        drop(flow);
        client.linger().await;
    }
}
