//! The connection: its streams, its signals and its end.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use egret_core::reason::Reason;
use egret_core::record::Protocol;
use futures_util::task::AtomicWaker;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use tokio::time::Instant;

use super::io::Io;
use super::sender::Sender;
use super::settings;
use super::stream::{self, Ended, Origin};
use super::wire::{Answer, Wire};
use crate::client::{Client, Spare};
use crate::control::{CLOSE, CLOSE_IDLE, Control, DRAIN};
use crate::deadline::Deadline;
use crate::flow::Flow;
use crate::metrics::Limit;
use crate::refuse::Refusal;
use crate::upstream;

/// How long a client that was told to go may take to hang up.
const FAREWELL: Duration = Duration::from_secs(5);

/// Streams that a client may give up in a burst, and in the long run in a second. A browser that
/// leaves a page gives up what it has open; nobody does so a hundred times a second but to keep the
/// proxy and the origins busy.
const ABORT_BURST: f64 = 1000.0;
const ABORTS_PER_SECOND: f64 = 100.0;

/// SETTINGS, PING, PRIORITY and unknown frames that a client may send in a burst, and in the long run in a
/// second. Each has to be looked at, and most are answered, so that they are a way to keep the proxy busy
/// for nothing; clients that measure the path with PING send one in a round trip.
const IDLE_FRAME_BURST: f64 = 10_000.0;
const IDLE_FRAMES_PER_SECOND: f64 = 1000.0;

/// Streams that are remembered for not having been begun: the frame layer has refused them, or the client
/// has left them out.
const REMEMBERED: usize = 512;

type Frames = h2::server::Connection<Io, Bytes>;

/// Serves a connection until it ends.
pub(super) async fn serve(client: Client, listener: SocketAddr) {
    let Client { stream, input, identity, control, mut deadline, worker, inside, .. } = client;
    let snapshot = worker.snapshot.load_full();
    let mut local = listener;
    if let Some(tcp) = stream.tcp_beneath() {
        local = tcp.local_addr().unwrap_or(listener);
        if !snapshot.upstream.keepalive.is_zero() {
            // Fails only where the connection is gone already.
            let _ = upstream::set_keepalive(tcp, snapshot.upstream.keepalive);
        }
    }
    let origin = Origin { worker: worker.clone(), identity: identity.clone(), listener, local, inside };
    let wire = Arc::new(Wire::default());
    let (io, left) = Io::new(stream, input, wire.clone());
    deadline.set_after(snapshot.timeouts.head);
    let builder = settings::builder(&snapshot.limits);
    let ended = match handshake(&builder, io, &mut deadline, &control).await {
        Ok(frames) => {
            let mut connection = Connection {
                frames,
                origin,
                control: control.clone(),
                deadline,
                streams: Arc::default(),
                idle: false,
                served: false,
                told_to_go: false,
                aborts: Allowance::of(ABORT_BURST, ABORTS_PER_SECOND),
                idle_frames: Allowance::of(IDLE_FRAME_BURST, IDLE_FRAMES_PER_SECOND),
                wire,
                begun: Begun::default(),
            };
            let ended = poll_fn(|context| connection.poll(context)).await;
            connection.note_answers();
            ended
        }
        Err(ended) => ended,
    };
    if let End::Failed(error) = &ended {
        record(&worker, &identity, error);
    }
    let stream = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(stream) = stream {
        // What the client sends to a closed socket (a WINDOW_UPDATE is enough) would reset the
        // connection and take away what it has not read yet.
        let deadline = Deadline::new();
        let spare = Spare::default();
        let mut client = Client {
            stream,
            input: None,
            identity,
            control,
            deadline,
            worker,
            spare,
            pinned: None,
            user_before: None,
            inside: None,
        };
        client.linger().await;
    }
}

/// How a connection ended.
enum End {
    /// Closed by either side, in order.
    Closed,
    /// The client did not do its part in time.
    TimedOut,
    /// By an error.
    Failed(h2::Error),
}

async fn handshake(
    builder: &h2::server::Builder,
    io: Io,
    deadline: &mut Deadline,
    control: &Control,
) -> Result<Frames, End> {
    let mut handshake = pin!(builder.handshake::<_, Bytes>(io));
    poll_fn(|context| {
        control.register(context);
        match handshake.as_mut().poll(context) {
            Poll::Ready(Ok(frames)) => Poll::Ready(Ok(frames)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(End::Failed(error))),
            Poll::Pending if control.has(CLOSE) => Poll::Ready(Err(End::Closed)),
            Poll::Pending => deadline.poll(context).map(|()| Err(End::TimedOut)),
        }
    })
    .await
}

/// A violation of the protocol leaves a record of its own, because no request stands for it.
fn record(worker: &Arc<crate::worker::Worker>, identity: &egret_core::identity::Identity, error: &h2::Error) {
    if !error.is_library() {
        return;
    }
    let mut flow = Flow::begin(worker, identity, Protocol::Http2);
    flow.failed(&Refusal::new(Reason::MalformedRequest, format!("HTTP/2 (RFC 9113): {error}")));
}

struct Connection {
    frames: Frames,
    origin: Origin,
    control: Arc<Control>,
    deadline: Deadline,
    streams: Arc<Streams>,
    idle: bool,
    served: bool,
    told_to_go: bool,
    aborts: Allowance,
    idle_frames: Allowance,
    wire: Arc<Wire>,
    begun: Begun,
}

/// What the tasks of the streams tell the connection.
#[derive(Default)]
struct Streams {
    open: AtomicUsize,
    aborted: AtomicU32,
    waker: AtomicWaker,
}

/// A stream's place among the open ones.
struct Present(Arc<Streams>);

impl Drop for Present {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.waker.wake();
        }
    }
}

impl Connection {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.control.register(context);
        self.streams.waker.register(context.waker());
        self.heed_signals();
        if self.aborts.is_exceeded(self.streams.aborted.swap(0, Ordering::Relaxed)) {
            self.calm(Limit::H2Streams);
        }
        loop {
            match self.frames.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Failed(error)),
                Poll::Ready(None) => return Poll::Ready(End::Closed),
                Poll::Pending => {
                    self.note_answers();
                    if self.idle_frames.is_exceeded(self.wire.take_idle_frames()) {
                        self.calm(Limit::H2IdleFrames);
                        continue;
                    }
                }
            }
            if self.has_streams() {
                self.idle = false;
                return Poll::Pending;
            }
            if !self.idle {
                self.idle = true;
                self.deadline.set(Instant::now() + self.patience());
            }
            if self.deadline.poll(context).is_pending() {
                return Poll::Pending;
            }
            if self.told_to_go {
                return Poll::Ready(End::TimedOut);
            }
            self.tell_to_go();
        }
    }

    /// Ends a connection whose client is asked to calm down.
    fn calm(&mut self, limit: Limit) {
        self.origin.worker.metrics.limit_hit(limit);
        self.frames.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
    }

    /// Leaves a record of each request that the frame layer has refused by itself.
    fn note_answers(&mut self) {
        for (stream, answer) in self.wire.take_answers() {
            if !self.begun.is_refused(stream) {
                continue;
            }
            let refusal = match answer {
                Answer::Head => {
                    self.origin.worker.metrics.limit_hit(Limit::HeadBytes);
                    Refusal::new(
                        Reason::HeadTooLarge,
                        "HTTP/2: the field section is more than twice as large",
                    )
                }
                Answer::Reset(code) if code == u32::from(h2::Reason::REFUSED_STREAM) => {
                    // More streams than it may have. The client may send them again, and does.
                    self.origin.worker.metrics.limit_hit(Limit::H2Streams);
                    continue;
                }
                Answer::Reset(code) => {
                    let code = h2::Reason::from(code);
                    let detail = format!("HTTP/2 (RFC 9113 section 8.1.1): stream {stream}: {code}");
                    Refusal::new(Reason::MalformedRequest, detail)
                }
            };
            let mut flow = Flow::begin(&self.origin.worker, &self.origin.identity, Protocol::Http2);
            if answer == Answer::Head { flow.refused(&refusal) } else { flow.failed(&refusal) }
        }
    }

    fn has_streams(&self) -> bool {
        self.streams.open.load(Ordering::Relaxed) > 0
    }

    fn heed_signals(&mut self) {
        if self.control.has(DRAIN | CLOSE_IDLE | CLOSE) && !self.told_to_go {
            self.tell_to_go();
        }
        // Streams have the signal as well and end themselves; until then the connection carries what
        // they have to say.
        if self.control.has(CLOSE_IDLE | CLOSE) && !self.has_streams() {
            self.frames.abrupt_shutdown(h2::Reason::NO_ERROR);
        }
    }

    /// GOAWAY: what is on its way is still served, and nothing after that (RFC 9113 section 6.8).
    fn tell_to_go(&mut self) {
        self.told_to_go = true;
        self.idle = false;
        self.frames.graceful_shutdown();
    }

    /// How long the connection may be without a stream.
    fn patience(&self) -> Duration {
        let timeouts = &self.origin.worker.snapshot.load().timeouts;
        match (self.told_to_go, self.served) {
            (true, _) => FAREWELL,
            (false, true) => timeouts.keep_alive,
            (false, false) => timeouts.head,
        }
    }

    fn begin(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.served = true;
        self.begun.note(respond.stream_id().as_u32());
        let streams = self.streams.clone();
        streams.open.fetch_add(1, Ordering::Relaxed);
        let present = Present(streams);
        let registered = self.origin.worker.registry.register_stream();
        registered.control.is_of(self.origin.identity.ip());
        let origin = self.origin.clone();
        tokio::spawn(async move {
            let ended = stream::serve(origin, registered, request, Sender::new(respond)).await;
            if ended == Ended::Aborted {
                present.0.aborted.fetch_add(1, Ordering::Relaxed);
                present.0.waker.wake();
            }
        });
    }
}

/// Which streams were begun. Their numbers only rise (RFC 9113 section 5.1.1), so that it is enough to keep
/// those that were left out.
#[derive(Default)]
struct Begun {
    last: u32,
    left_out: VecDeque<u32>,
    /// The one whose refusal was seen last: it may be answered and then reset.
    refused: u32,
}

impl Begun {
    fn note(&mut self, stream: u32) {
        let first = self.last + if self.last == 0 { 1 } else { 2 };
        let first = first.max(stream.saturating_sub(2 * REMEMBERED as u32));
        self.left_out.extend((first..stream).step_by(2));
        let surplus = self.left_out.len().saturating_sub(REMEMBERED);
        self.left_out.drain(..surplus);
        self.last = stream;
    }

    /// Whether an answer to this stream is not by who serves it. Asked when all that may be served was
    /// begun.
    fn is_refused(&mut self, stream: u32) -> bool {
        let refused = stream > self.last || self.left_out.contains(&stream);
        refused && std::mem::replace(&mut self.refused, stream) != stream
    }
}

/// Counts what a client does, and forgives some of it with every second.
struct Allowance {
    burst: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Allowance {
    fn of(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, level: 0.0, at: Instant::now() }
    }

    fn is_exceeded(&mut self, more: u32) -> bool {
        if more == 0 {
            return false;
        }
        let now = Instant::now();
        let forgiven = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        self.level = (self.level - forgiven).max(0.0) + f64::from(more);
        self.level > self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_were_not_begun_are_known() {
        let mut begun = Begun::default();
        for stream in [1, 3, 9, 11] {
            begun.note(stream);
        }
        let answered = [1, 3, 5, 7, 7, 9, 11, 13];
        assert_eq!(
            answered.map(|stream| begun.is_refused(stream)),
            [false, false, true, true, false, false, false, true]
        );
        begun.note(0x7fff_ffff);
        assert!(begun.left_out.len() <= REMEMBERED);
        assert!(!begun.is_refused(5), "too long ago to be sure");
    }
}
