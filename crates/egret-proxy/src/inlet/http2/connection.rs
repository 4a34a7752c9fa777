//! The connection: its streams, its signals and its end.

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
use super::stream::{self, Ended, Origin, struck};
use crate::client::{Client, Spare};
use crate::control::{CLOSE, CLOSE_IDLE, Control, DRAIN};
use crate::deadline::Deadline;
use crate::flow::Flow;
use crate::refuse::Refusal;
use crate::upstream;

/// How long a client that was told to go may take to hang up.
const FAREWELL: Duration = Duration::from_secs(5);

/// Streams that a client may give up in a burst, and in the long run in a second. A browser that
/// leaves a page gives up what it has open; nobody does so a hundred times a second but to keep the
/// proxy and the origins busy.
const ABORT_BURST: f64 = 1000.0;
const ABORTS_PER_SECOND: f64 = 100.0;

type Frames = h2::server::Connection<Io, Bytes>;

/// Serves a connection until it ends.
pub(super) async fn serve(client: Client, listener: SocketAddr) {
    let Client { stream, input, identity, control, mut deadline, worker, .. } = client;
    let snapshot = worker.snapshot.load_full();
    let mut local = listener;
    if let Some(tcp) = stream.tcp_beneath() {
        local = tcp.local_addr().unwrap_or(listener);
        if !snapshot.upstream.keepalive.is_zero() {
            // Fails only where the connection is gone already.
            let _ = upstream::set_keepalive(tcp, snapshot.upstream.keepalive);
        }
    }
    let origin = Origin { worker: worker.clone(), identity: identity.clone(), listener, local };
    let (io, left) = Io::new(stream, input);
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
                aborts: Aborts::new(),
            };
            poll_fn(|context| connection.poll(context)).await
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
    aborts: Aborts,
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
        if self.aborts.are_too_many(self.streams.aborted.swap(0, Ordering::Relaxed)) {
            struck(&self.origin);
            self.frames.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
        }
        loop {
            match self.frames.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Failed(error)),
                Poll::Ready(None) => return Poll::Ready(End::Closed),
                Poll::Pending => {}
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
        let streams = self.streams.clone();
        streams.open.fetch_add(1, Ordering::Relaxed);
        let present = Present(streams);
        let registered = self.origin.worker.registry.register_stream();
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

/// Counts streams that the client gave up, and forgives some of them with every second.
struct Aborts {
    level: f64,
    at: Instant,
}

impl Aborts {
    fn new() -> Self {
        Self { level: 0.0, at: Instant::now() }
    }

    fn are_too_many(&mut self, more: u32) -> bool {
        if more == 0 {
            return false;
        }
        let now = Instant::now();
        let forgiven = now.duration_since(self.at).as_secs_f64() * ABORTS_PER_SECOND;
        self.at = now;
        self.level = (self.level - forgiven).max(0.0) + f64::from(more);
        self.level > ABORT_BURST
    }
}
