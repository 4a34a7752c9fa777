//! One request.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use egret_core::reason::Reason;
use egret_core::record::{MethodName, Protocol};
use h2::{RecvStream, ext};
use http::request::Parts;
use http::{Method, Request, header};

use super::bridge::Bridge;
use super::head::{self, Head};
use super::reader::{Framing, Reader};
use super::sender::Sender;
use super::writer::Writer;
use crate::buffer::Buffer;
use crate::client::{Client, Spare, head_limits};
use crate::control::Registered;
use crate::deadline::Deadline;
use crate::flow::Flow;
use crate::forward::{After, Served};
use crate::http1::request::parse;
use crate::http1::{Fields, Parsed, RequestHead};
use crate::inlet::http1::{self, Wish};
use crate::intercept::{self, Inside, Opening};
use crate::refuse::{Format, Refusal};
use crate::relay;
use crate::stream::Stream;

/// What the streams of a connection have from it.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) worker: std::sync::Arc<crate::worker::Worker>,
    pub(super) identity: egret_core::identity::Identity,
    pub(super) listener: SocketAddr,
    /// Where the client's connection leads; the listener's address unless that is unspecified.
    pub(super) local: SocketAddr,
    /// The tunnel that was opened, where the connection is inside one.
    pub(super) inside: Option<std::sync::Arc<Inside>>,
}

/// How a stream ended, as far as its connection wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was answered, or ended by the proxy.
    Served,
    /// The client gave it up.
    Aborted,
}

/// Serves one request, and leaves its record.
pub(super) async fn serve(
    origin: Origin,
    registered: Registered,
    request: Request<RecvStream>,
    sender: Sender,
) -> Ended {
    let mut flow = Flow::begin(&origin.worker, &origin.identity, Protocol::Http2);
    let (parts, body) = request.into_parts();
    flow.record.method = MethodName::new(parts.method.as_str());
    // A name and password are not recorded; such a target is refused.
    if !parts.uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        flow.record.target = http1::recorded(parts.uri.to_string().as_bytes());
    }
    let mut reader = Reader::new(body);
    let length = poll_fn(|context| Poll::Ready(reader.peek(context))).await;
    let head = head::write(&parts, length, origin.local);
    let (bytes, framing, accept, refusal) = match head {
        Ok(Head { bytes, framing, accept }) => (bytes, framing, accept, None),
        Err(refusal) => (Vec::new(), Framing::Raw, None, Some(refusal)),
    };
    let writer = Writer::new(parts.method == Method::HEAD, accept);
    let mut client = Client {
        stream: Stream::Http2(Box::new(Bridge::new(reader, framing, writer, sender.clone()))),
        input: (!bytes.is_empty()).then(|| Buffer::from_bytes(&bytes)),
        identity: origin.identity,
        control: registered.control.clone(),
        deadline: Deadline::new(),
        worker: origin.worker,
        spare: Spare::default(),
        pinned: None,
        user_before: None,
        inside: origin.inside,
    };
    let head = match refusal {
        Some(refusal) => Err(refusal),
        None => read(&client, &flow),
    };
    let after = match head {
        Ok(mut head) => {
            http1::note(&mut flow, &client, &head);
            if parts.extensions.get::<ext::Protocol>().is_some() {
                flow.record.method = MethodName::new("CONNECT");
            }
            match watched(&mut client, &mut flow, &mut head, &origin.listener, &sender).await {
                Some(Ok(after)) => Some(after),
                Some(Err(opening)) => {
                    let listener = origin.listener;
                    // The bridge goes along, and ends the stream with the connection inside.
                    if let Some(tunnel) = intercept::serve(client, flow, opening, registered, listener).await
                    {
                        tunnel.serve().await;
                    }
                    return Ended::Served;
                }
                None => None,
            }
        }
        Err(refusal) => Some(http1::refuse(&mut client, &mut flow, &refusal, &wish(&parts)).await),
    };
    finish(&mut client, &mut flow, &parts, after, &sender).await
}

/// Reads the head that was written out.
fn read(client: &Client, flow: &Flow) -> Result<RequestHead, Refusal> {
    let limits = head_limits(&flow.snapshot.limits);
    match parse(client.filled(), &limits, Fields::new()) {
        // What it says of itself is true of how it was written out, and not of how it came.
        Ok(Parsed::Complete(head)) => Ok(RequestHead { version: Protocol::Http2, ..head }),
        Ok(Parsed::Partial) => Err(Refusal::new(Reason::Internal, "a head without an end")),
        Err(error) => Err(http1::wrong(client, error)),
    }
}

/// Serves the request until it is answered or the client gives it up. What has begun to move ends
/// itself then, with a record of what was moved; what still waits for a connection is dropped, so that
/// a client cannot have connections made by opening and resetting streams. `None` for the latter.
async fn watched(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
    listener: &SocketAddr,
    sender: &Sender,
) -> Option<Result<After, Box<Opening>>> {
    let mut serving = pin!(async {
        match http1::serve_request(client, flow, head, listener).await {
            Served::Answered(after) => Ok(after),
            Served::Tunnel(mut opened) => Ok(relay::run(client, flow, &mut opened).await),
            Served::Inside(opening) => Err(opening),
        }
    });
    poll_fn(|context| {
        let aborted = sender.poll_aborted(context).is_ready();
        match serving.as_mut().poll(context) {
            Poll::Ready(after) => Poll::Ready(Some(after)),
            Poll::Pending if aborted => Poll::Ready(None),
            // The response's head may just have gone, and with it what was asked above.
            Poll::Pending if sender.poll_aborted(context).is_ready() => {
                Poll::Ready(match serving.as_mut().poll(context) {
                    Poll::Ready(after) => Some(after),
                    Poll::Pending => None,
                })
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn finish(
    client: &mut Client,
    flow: &mut Flow,
    parts: &Parts,
    after: Option<After>,
    sender: &Sender,
) -> Ended {
    if sender.is_aborted() {
        if let Stream::Http2(bridge) = &mut client.stream {
            poll_fn(|context| {
                bridge.judge(context);
                Poll::Ready(())
            })
            .await;
        }
        let why = sender.take_fault();
        let why = why.unwrap_or_else(|| Refusal::new(Reason::ClientAborted, "the client reset the stream"));
        if !sender.has_responded() {
            flow.refused(&why);
        } else if !is_whole(client) && matches!(flow.record.reason, None | Some(Reason::ClientAborted)) {
            flow.failed(&why);
        }
        return Ended::Aborted;
    }
    if flow.record.status == 101 {
        flow.record.status = 200;
    }
    if let Some(fault) = sender.take_fault() {
        if sender.has_responded() {
            flow.failed(&fault);
        } else {
            if let Stream::Http2(bridge) = &mut client.stream {
                bridge.start_over(parts.method == Method::HEAD);
            }
            http1::refuse(client, flow, &fault, &wish(parts)).await;
        }
    }
    if after == Some(After::Reset) && !is_whole(client) {
        client.reset();
    } else if let Stream::Http2(bridge) = &mut client.stream {
        bridge.finish();
    }
    Ended::Served
}

fn is_whole(client: &Client) -> bool {
    matches!(&client.stream, Stream::Http2(bridge) if bridge.is_done())
}

fn wish(parts: &Parts) -> Wish {
    Wish {
        format: Format::for_accept(parts.headers.get(header::ACCEPT).map(|value| value.as_bytes())),
        keep_alive: true,
        head: parts.method == Method::HEAD,
        has_body: false,
    }
}
