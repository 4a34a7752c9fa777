//! How the data path hands over what it sees: it copies a piece into a queue of its own and goes on.
//!
//! Each worker has a handle with a queue that nobody else fills. One thread of the store empties the queues a
//! few times a second. A queue that is full costs pieces, which are counted, and never a flow: what is lost
//! is missing in what people see, and the flow says so.

mod head;
mod plan;
mod queue;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use egret_core::flow_id::FlowId;
use egret_core::record::FlowRecord;

use crate::flow::{Decision, Endpoint, IdentityFacts, Level, Side, TlsFacts, Treatment};

pub(crate) use head::{request_head, response_head, trailers};
pub use plan::{DEFAULT_BODY_BYTES, Plan, is_sampled};
pub(crate) use queue::{Counters, Piece, Queue, Signal};

/// A flow that begins.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Its id.
    pub id: FlowId,
    /// When its request arrived.
    pub started: SystemTime,
    /// The client's address.
    pub client: SocketAddr,
    /// The tunnel that it came out of.
    pub tunnel: Option<FlowId>,
    /// What is done with it.
    pub treatment: Treatment,
    /// `http` or `https`, for a request that does not say; empty for CONNECT.
    pub scheme: &'static str,
    /// Host and port, for a request that does not say: what the tunnel around it was opened for.
    pub destination: Option<Endpoint>,
    /// The flow that it repeats.
    pub replay_of: Option<FlowId>,
}

/// What becomes known of a flow on its way. What is `None` or empty changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Who the client is.
    pub identity: Option<IdentityFacts>,
    /// Where it goes.
    pub destination: Option<Endpoint>,
    /// Why it is treated as it is.
    pub decision: Option<Decision>,
    /// What is done with it.
    pub treatment: Option<Treatment>,
    /// TLS with the client; shared by the flows of a connection.
    pub client_tls: Option<Arc<TlsFacts>>,
    /// TLS with the origin; shared by the flows of a connection.
    pub origin_tls: Option<Arc<TlsFacts>>,
    /// How long the TLS handshake with the client took, in microseconds.
    pub client_tls_micros: Option<u64>,
    /// From the request's arrival to the end of its sending, in microseconds.
    pub sent_micros: Option<u64>,
    /// The tunnel that it came out of.
    pub tunnel: Option<FlowId>,
    /// Tags, such as rules give.
    pub tags: Vec<String>,
    /// The change rules that touched it so far.
    pub changes: Vec<String>,
    /// The request as it is sent, where a rule or somebody changed it.
    pub changed_request: Option<Changed>,
    /// The response as it is sent, where a rule or somebody changed it.
    pub changed_response: Option<Changed>,
}

/// A message that was changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Its head, in the form of HTTP/1.1.
    pub head: Box<[u8]>,
    /// Its body, where that was changed as well.
    pub body: Option<bytes::Bytes>,
}

/// What one worker hands flows over with. Cheap to clone; the clones share one queue.
#[derive(Clone, Debug)]
pub struct CaptureHandle {
    pub(crate) queue: Arc<Queue>,
}

impl CaptureHandle {
    /// Hands over the record of a flow of which nothing was captured, so that it is listed all the same. With
    /// `interim` set it is listed as going on.
    pub fn record(&self, record: FlowRecord, facts: Option<Box<Facts>>) {
        let id = record.id;
        let cost = 400 + record.target.len();
        self.queue.push_last(
            id,
            Piece::Record { record: Box::new(record), facts, seen: [0; 2], lost: 0 },
            cost,
        );
    }

    /// Begins to capture a flow, if the plan is to capture anything. `head` is the request's head as it came,
    /// in the form of HTTP/1.1.
    #[must_use]
    pub fn begin(&self, begin: Begin, plan: Plan, head: &[u8]) -> Option<FlowCapture> {
        if plan.level == Level::None {
            return None;
        }
        let id = begin.id;
        let body = if plan.level == Level::Bodies { plan.body_bytes } else { 0 };
        let piece = Piece::Begin(Box::new((begin, plan)), head.into());
        let lost = u32::from(!self.queue.push(id, piece, 200 + head.len()));
        Some(FlowCapture {
            queue: self.queue.clone(),
            id,
            level: plan.level,
            left: [body; 2],
            seen: [0; 2],
            lost,
            events: false,
        })
    }
}

/// A flow that is being captured. Nothing here waits or fails. One that is dropped without
/// [`FlowCapture::finish`] is listed as ended, with what is known of it.
#[derive(Debug)]
pub struct FlowCapture {
    queue: Arc<Queue>,
    id: FlowId,
    level: Level,
    /// How much more of each body is kept.
    left: [u64; 2],
    /// How much of each body went by.
    seen: [u64; 2],
    lost: u32,
    /// The response is a stream of events, which are of a time.
    events: bool,
}

impl FlowCapture {
    /// The flow's id.
    #[must_use]
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// Whether bodies are wanted, so that nobody need ask for each piece.
    #[must_use]
    pub fn wants_bodies(&self) -> bool {
        self.level == Level::Bodies
    }

    /// The response's head as it came, in the form of HTTP/1.1. A later one takes the place of an earlier one.
    pub fn response_head(&mut self, head: &[u8]) {
        self.events = self.wants_bodies() && is_event_stream(head);
        self.push(Piece::ResponseHead(head.into()), 64 + head.len());
    }

    /// A piece of a body: payload, without the framing of chunks.
    pub fn body(&mut self, side: Side, piece: &[u8]) {
        self.seen[side as usize] += piece.len() as u64;
        let left = &mut self.left[side as usize];
        let kept = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
        if kept == 0 {
            return;
        }
        *left -= kept as u64;
        let when = if self.events && side == Side::Response { micros(SystemTime::now()) } else { 0 };
        let queued = self.queue.push(self.id, Piece::Body(side, when, piece[..kept].into()), 64 + kept);
        if !queued {
            // What comes after a gap would be taken for what stands there.
            self.lost += 1;
            self.left[side as usize] = 0;
        }
    }

    /// The trailer fields of one side, as lines of `name: value`.
    pub fn trailers(&mut self, side: Side, lines: &[u8]) {
        self.push(Piece::Trailers(side, lines.into()), 64 + lines.len());
    }

    /// A piece of what is said after an upgrade to WebSocket: frames as they come, cut anywhere.
    pub fn websocket(&mut self, side: Side, piece: &[u8]) {
        if self.level != Level::Bodies || self.left[side as usize] == 0 {
            return;
        }
        let time = micros(SystemTime::now());
        if !self.queue.push(self.id, Piece::Frames(side, time, piece.into()), 64 + piece.len()) {
            // Frames cannot be told apart after a gap.
            self.lost += 1;
            self.left[side as usize] = 0;
        }
    }

    /// What became known.
    pub fn facts(&mut self, facts: Facts) {
        self.push(Piece::Facts(Box::new(facts)), 300);
    }

    /// The flow is over, and this is its record.
    pub fn finish(mut self, record: FlowRecord) {
        let (seen, lost) = (self.seen, std::mem::take(&mut self.lost));
        self.level = Level::None;
        let cost = 400 + record.target.len();
        let piece = Piece::Record { record: Box::new(record), facts: None, seen, lost };
        self.queue.push_last(self.id, piece, cost);
    }

    fn push(&mut self, piece: Piece, cost: usize) {
        self.lost += u32::from(!self.queue.push(self.id, piece, cost));
    }
}

impl Drop for FlowCapture {
    fn drop(&mut self) {
        if self.level != Level::None {
            self.queue.push_last(self.id, Piece::Gone(self.lost), 64);
        }
    }
}

/// Whether a response is a stream of events. What only looks so costs a look at the clock for each piece.
fn is_event_stream(head: &[u8]) -> bool {
    memchr::memmem::find(head, b"text/event-stream").is_some()
}

/// Microseconds since 1970.
pub(crate) fn micros(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
