//! Sending a request again, for somebody at the console.
//!
//! The request comes out of a pipe, as if a client had sent it, and takes the way of any other: the gate decides by
//! who replays it, change rules apply, and it leaves a record of its own. Only credentials are not asked for, because
//! the console has asked for its own.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use egret_core::flow_id::FlowId;
use egret_core::identity::{Groups, Identity, Proof, User};
use egret_core::reason::Reason;
use egret_core::record::Protocol;
use egret_flows::edit;
use egret_flows::flow::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::buffer;
use crate::client::{Client, Spare, head_limits};
use crate::deadline::Deadline;
use crate::flow::Flow;
use crate::forward::Served;
use crate::http1::request::parse;
use crate::http1::{Fields, Parsed, RequestHead};
use crate::inlet::http1;
use crate::refuse::Refusal;
use crate::relay;
use crate::stream::Stream;
use crate::worker::Worker;

/// What stands in the pipe at once.
const PIPE: usize = 64 * 1024;

/// A request to send again.
#[derive(Debug)]
pub struct ReplayRequest {
    /// The flow that it repeats.
    pub of: FlowId,
    /// The request, without framing and what concerns a connection.
    pub request: Request,
    /// Its body.
    pub body: Bytes,
    /// The client spoke HTTP/2, and so will the origin, if it can.
    pub http2: bool,
    /// Who sends it: the name of the console's user, if it has one.
    pub user: Option<String>,
    /// From where.
    pub from: SocketAddr,
}

/// Who replays, as policies and records see it.
#[must_use]
pub fn identity(user: Option<&str>, from: SocketAddr) -> Identity {
    let name =
        user.map_or_else(|| "console".to_owned(), |user| user.chars().filter(|c| !c.is_control()).collect());
    let user = User { name: name.into(), proof: Proof::Console, groups: Groups::default(), workload: None };
    Identity { user: Some(user), ..Identity::from_address(from) }
}

/// Sends it, on this worker's thread, and leaves its record. `permit` counts it among those that are sent again.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    id: FlowId,
    replay: ReplayRequest,
    permit: OwnedSemaphorePermit,
) {
    let ReplayRequest { of, mut request, body, http2, user, from } = replay;
    let identity = identity(user.as_deref(), from);
    let version = if http2 { Protocol::Http2 } else { Protocol::Http11 };
    let mut flow = Flow::begin(&worker, &identity, version);
    flow.record.id = id;
    flow.record.replay_of = Some(of);
    request.headers = framed(&request, body.len());
    let head = edit::request_head(&request, None, "HTTP/1.1");
    let (near, far) = tokio::io::duplex(PIPE);
    // The other end of the pipe is the client: it sends everything, and reads what comes.
    let whole = [Bytes::from(head), body];
    let sending = tokio::spawn(client(far, whole));
    let registered = worker.registry.register_stream();
    let mut client = Client {
        stream: Stream::Pipe(Box::new(near)),
        input: None,
        identity,
        control: registered.control.clone(),
        deadline: Deadline::new(),
        worker: worker.clone(),
        spare: Spare::default(),
        pinned: None,
        user_before: None,
        inside: None,
    };
    let head = read(&mut client, &flow, version).await;
    if head.is_none() {
        flow.refused(&Refusal::new(Reason::HeadTooLarge, "as it was edited"));
    }
    if let Some(mut head) = head {
        http1::note(&mut flow, &client, &head);
        let served = Box::pin(http1::serve_request(&mut client, &mut flow, &mut head, &from)).await;
        if let Served::Tunnel(mut opened) = served {
            // An upgrade cannot be sent again; a 101 all the same ends here.
            relay::run(&mut client, &mut flow, &mut opened).await;
        }
    }
    drop((flow, client));
    sending.abort();
    drop(permit);
}

fn framed(request: &Request, length: usize) -> egret_flows::flow::Headers {
    let mut fields = egret_flows::flow::HeadersBuilder::default();
    if request.headers.first(b"host").is_none() {
        fields.push(b"Host", request.authority().as_bytes());
    }
    request.headers.iter().for_each(|(name, value)| fields.push(name, value));
    // What has a body by its nature says so when it is empty (RFC 9110 section 8.6).
    if length > 0 || matches!(&*request.method, "POST" | "PUT" | "PATCH") {
        fields.push(b"Content-Length", length.to_string().as_bytes());
    }
    fields.finish()
}

async fn client(mut pipe: DuplexStream, whole: [Bytes; 2]) {
    let mut sink = vec![0; PIPE];
    let (mut from, mut to) = tokio::io::split(&mut pipe);
    let send = async {
        for piece in whole {
            // The proxy may have answered without reading all of it.
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    let receive = async { while matches!(from.read(&mut sink).await, Ok(1..)) {} };
    tokio::join!(send, receive);
}

/// Reads the head that was written into the pipe. What it could not be is a head that is not whole.
async fn read(client: &mut Client, flow: &Flow, version: Protocol) -> Option<RequestHead> {
    let limits = head_limits(&flow.snapshot.limits);
    loop {
        if let Ok(Parsed::Complete(head)) = parse(client.filled(), &limits, Fields::new()) {
            return Some(RequestHead { version, ..head });
        }
        let (stream, input) = (&mut client.stream, &mut client.input);
        match std::future::poll_fn(|context| buffer::poll_fill(context, stream, input)).await {
            Ok(count) if count > 0 => {}
            _ => return None,
        }
    }
}
