//! Moving bytes both ways until both sides are done.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use egret_core::reason::Reason;
use egret_core::record::Treatment;
use egret_core::settings::Snapshot;
use egret_flows::flow::Side;
use tokio::io::AsyncWrite as _;
use tokio::time::{Duration, Instant};

use crate::buffer::{self, Buffer};
use crate::capture::Capture;
use crate::client::{self, Client};
use crate::control::{CLOSE, RECHECK};
use crate::enforce;
use crate::flow::Flow;
use crate::forward::After;
use crate::gate::{self, KeptRequest};
use crate::inspect::{self, Stop};
use crate::rates::QUANTUM;
use crate::refuse::Refusal;
use crate::splice::{SpliceError, Spliced, Splicer};
use crate::stream::Stream;
use crate::upstream;

/// How often a tunnel that only lives is looked at.
const TICK: Duration = Duration::from_secs(30);

/// What one direction may move before the other tunnels of the worker have their turn.
const TURN: usize = 4 * 1024 * 1024;

/// One direction of a relay.
#[derive(Debug, Default)]
struct Direction {
    /// Read and not yet written.
    waiting: Option<Buffer>,
    /// Takes over when a direction carries bulk.
    splicer: Splicer,
    bytes: u64,
    ended: bool,
    shut: bool,
    unflushed: bool,
}

/// Who looks at what is said after an upgrade, if anybody does.
struct Look<'a>(Option<&'a mut Capture>, Side);

impl<'a> Look<'a> {
    fn at(flow: &'a mut Flow, side: Side) -> Self {
        Self(flow.capture.as_deref_mut().filter(|capture| capture.follows_frames()), side)
    }

    /// The last bytes of a buffer have just come.
    fn last(&mut self, buffer: &Option<Buffer>, count: usize) {
        if let Some(capture) = &mut self.0 {
            let bytes = buffer::filled(buffer);
            capture.frames(self.1, &bytes[bytes.len().saturating_sub(count)..]);
        }
    }
}

/// Which side failed, and how.
enum Failure {
    Reading(io::Error),
    Writing(io::Error),
}

impl Direction {
    /// Of what waits already, the first `own` bytes are the proxy's and not counted.
    fn new(waiting: Option<Buffer>, own: usize) -> Self {
        let bytes = buffer::filled(&waiting).len().saturating_sub(own) as u64;
        Self { waiting, bytes, ..Self::default() }
    }

    /// Moves as much as can be moved; ready when the direction is finished. The `last` one leaves it to
    /// the close that follows to tell the peer so.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        last: bool,
        mut allowance: usize,
        capture: &mut Look<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        loop {
            if !self.poll_write(context, to)? {
                return Poll::Pending;
            }
            if self.ended {
                return self.poll_shutdown(context, to, last);
            }
            if capture.0.is_none() && self.splicer.is_worth_it(from, to) {
                match self.splicer.poll(context, from, to, &mut self.bytes, &mut allowance) {
                    Poll::Pending => {
                        if allowance == 0 {
                            context.waker().wake_by_ref();
                        }
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Spliced::Ended)) => self.ended = true,
                    Poll::Ready(Ok(Spliced::GivenBack)) => {}
                    Poll::Ready(Err(SpliceError::Reading(error))) => {
                        return Poll::Ready(Err(Failure::Reading(error)));
                    }
                    Poll::Ready(Err(SpliceError::Writing(error))) => {
                        return Poll::Ready(Err(Failure::Writing(error)));
                    }
                }
                continue;
            }
            if allowance == 0 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match buffer::poll_fill(context, from, &mut self.waiting) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(count)) => {
                    self.bytes += count as u64;
                    allowance = allowance.saturating_sub(count);
                    self.splicer.note_read(count);
                    capture.last(&self.waiting, count);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::Reading(error))),
                Poll::Pending => {
                    self.flush(context, to)?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Writes what waits. False when the other side does not take it all.
    fn poll_write(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Result<bool, Failure> {
        while let Some(buffer) = &mut self.waiting {
            match Pin::new(&mut *to).poll_write(context, buffer.filled()) {
                Poll::Ready(Ok(0)) => return Err(Failure::Writing(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    buffer.consume(count);
                    self.unflushed = to.as_tcp().is_none();
                }
                Poll::Ready(Err(error)) => return Err(Failure::Writing(error)),
                Poll::Pending => {
                    buffer.shrink();
                    return Ok(false);
                }
            }
            buffer::release_empty(&mut self.waiting);
        }
        Ok(true)
    }

    /// Sends on what was written and lies in between.
    fn flush(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Result<(), Failure> {
        if self.unflushed {
            match Pin::new(to).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(Failure::Writing(error)),
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    fn poll_shutdown(
        &mut self,
        context: &mut Context<'_>,
        to: &mut Stream,
        last: bool,
    ) -> Poll<Result<(), Failure>> {
        let outcome = if last { to.poll_last_words(context) } else { Pin::new(to).poll_shutdown(context) };
        match outcome {
            Poll::Pending => Poll::Pending,
            // Not connected any more is shut down as well.
            Poll::Ready(Ok(()) | Err(_)) => {
                self.shut = true;
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// What a relay looks at from time to time, and not with every byte.
struct Watch {
    idle: Duration,
    ends: Option<Instant>,
    interim: Option<Instant>,
    interim_every: Duration,
    moved: u64,
    moved_at: Instant,
    keepalive: Option<Duration>,
}

impl Watch {
    fn new(snapshot: &Snapshot) -> Self {
        let now = Instant::now();
        let some = |duration: Duration| (!duration.is_zero()).then_some(duration);
        Self {
            idle: snapshot.timeouts.tunnel_idle,
            ends: some(snapshot.timeouts.tunnel_lifetime).map(|lifetime| now + lifetime),
            interim: some(snapshot.access_log.interim).map(|every| now + every),
            interim_every: snapshot.access_log.interim,
            moved: 0,
            moved_at: now,
            keepalive: some(snapshot.upstream.keepalive),
        }
    }

    fn next(&self) -> Instant {
        let now = Instant::now();
        let mut next = now + TICK;
        if !self.idle.is_zero() {
            // Movement is noticed only here, so the limit strikes at most an eighth too late.
            next = next.min(now + (self.idle / 8).max(Duration::from_millis(10)));
        }
        [self.ends, self.interim].into_iter().flatten().fold(next, Instant::min)
    }

    /// Looks. An answer ends the tunnel.
    fn look(
        &mut self,
        flow: &mut Flow,
        client: &Stream,
        upstream: &Stream,
        moved: u64,
        held_up: bool,
    ) -> Option<Refusal> {
        let now = Instant::now();
        if moved != self.moved || held_up {
            self.moved = moved;
            self.moved_at = now;
        }
        // A tunnel that lives for so long may have lost its peer without a word. Asked only now,
        // because most tunnels end earlier and are spared the system calls.
        if let Some(idle) = self.keepalive.take() {
            for tcp in [client.tcp_beneath(), upstream.tcp_beneath()].into_iter().flatten() {
                let _ = upstream::set_keepalive(tcp, idle);
            }
        }
        if !self.idle.is_zero() && now >= self.moved_at + self.idle {
            return Some(Refusal::new(Reason::IdleTimeout, format!("nothing for {:?}", self.idle)));
        }
        if self.ends.is_some_and(|ends| now >= ends) {
            return Some(Refusal::new(Reason::LifetimeExceeded, ""));
        }
        if self.interim.is_some_and(|at| now >= at) {
            self.interim = Some(now + self.interim_every);
            flow.interim();
        }
        None
    }
}

/// The upstream's side of a tunnel, ready to be relayed.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub upstream: Stream,
    /// What goes to the client first: bytes of the proxy's, and what the upstream has said already.
    pub early: Option<Buffer>,
    /// How many of those bytes are the proxy's and not counted.
    pub own: usize,
}

/// Relays until both directions are finished, or the tunnel is ended.
pub async fn run(client: &mut Client, flow: &mut Flow, opened: &mut Opened) -> After {
    let Opened { upstream, early, own } = opened;
    // What has become of a request that was looked into is still that.
    if flow.record.treatment != Treatment::Intercept {
        flow.record.treatment = Treatment::Tunnel;
    }
    flow.worker.metrics.tunnel_opened();
    let snapshot = flow.snapshot.clone();
    let mut up = Direction::new(client.input.take(), 0);
    let mut down = Direction::new(early.take(), *own);
    match &flow.capture {
        Some(_) => {
            Look::at(flow, Side::Request).last(&up.waiting, usize::MAX);
            Look::at(flow, Side::Response).last(&down.waiting, usize::MAX);
        }
        None => flow.list_as_open(),
    }
    let mut watch = Watch::new(&snapshot);
    client.deadline.set(watch.next());
    let control = client.control.clone();
    let (mut up_done, mut down_done) = (false, false);
    let mut inspection = inspect::begin(flow);
    if inspection.is_some() {
        up.bytes = 0;
    }
    let mut alert = None;
    let ended = poll_fn(|context| {
        control.register(context);
        if control.signals() != 0
            && let Some(refusal) = signalled(&control, flow)
        {
            return Poll::Ready(Some(refusal));
        }
        // Who is ahead of the rate of a rule waits. Its peers are heard again when it goes on.
        let mut turn = TURN;
        let mut held_up = false;
        if let Some(pacer) = flow.lease.as_mut().and_then(|lease| lease.own_pacer()) {
            turn = QUANTUM;
            held_up = pacer.poll(context, up.bytes + down.bytes).is_pending();
        }
        if held_up {
            // What was counted already is not held back.
            if let Err(failure) = down.flush(context, &mut client.stream) {
                return Poll::Ready(Some(broken(failure, false)));
            }
            if let Err(failure) = up.flush(context, upstream) {
                return Poll::Ready(Some(broken(failure, true)));
            }
        }
        // The client's direction first: what it is to read at the beginning then goes out together with what
        // TLS has to say, and not behind it.
        if !down_done && !held_up {
            let mut look = Look::at(flow, Side::Response);
            match down.poll(context, upstream, &mut client.stream, up_done, turn, &mut look) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => down_done = true,
                Poll::Ready(Err(failure)) => return Poll::Ready(Some(broken(failure, false))),
            }
        }
        if let Some(look) = &mut inspection {
            match look.poll(context, &mut client.stream, &mut up.waiting, flow) {
                Poll::Pending => {
                    if let Some(until) = look.until() {
                        client.deadline.set(until.min(watch.next()));
                    }
                }
                Poll::Ready(Ok(())) => {
                    up.bytes = buffer::filled(&up.waiting).len() as u64;
                    inspection = None;
                }
                Poll::Ready(Err(Stop::Broken(error))) => {
                    return Poll::Ready(Some(broken(Failure::Reading(error), true)));
                }
                Poll::Ready(Err(Stop::Refused(refusal, said))) => {
                    alert = Some(said);
                    return Poll::Ready(Some(*refusal));
                }
            }
        }
        if !up_done && !held_up && inspection.is_none() {
            let mut look = Look::at(flow, Side::Request);
            match up.poll(context, &mut client.stream, upstream, down_done, turn, &mut look) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => up_done = true,
                Poll::Ready(Err(failure)) => return Poll::Ready(Some(broken(failure, true))),
            }
        }
        if up_done && down_done {
            return Poll::Ready(None);
        }
        if client.stream.is_aborted() {
            return Poll::Ready(Some(Refusal::new(Reason::ClientAborted, "the client reset the stream")));
        }
        while client.deadline.poll(context).is_ready() {
            (flow.record.bytes_up, flow.record.bytes_down) = (up.bytes, down.bytes);
            flow.count_bytes();
            let moved = up.bytes + down.bytes;
            if let Some(refusal) = watch.look(flow, &client.stream, upstream, moved, held_up) {
                return Poll::Ready(Some(refusal));
            }
            let mut next = watch.next();
            match inspection.as_ref().and_then(|look| look.until()) {
                Some(until) if until > Instant::now() => next = next.min(until),
                // What there is of a hello is looked at for the last time.
                Some(_) => context.waker().wake_by_ref(),
                None => {}
            }
            client.deadline.set(next);
        }
        Poll::Pending
    })
    .await;
    (flow.record.bytes_up, flow.record.bytes_down) = (up.bytes, down.bytes);
    if let Some(pacer) = flow.lease.as_mut().and_then(|lease| lease.own_pacer()) {
        pacer.count(up.bytes + down.bytes);
    }
    flow.worker.metrics.tunnel_closed();
    let Some(refusal) = ended else { return After::Done };
    flow.failed(&refusal);
    if let Some(alert) = alert {
        client::reset(upstream);
        // Boxed: few tunnels end so.
        Box::pin(inspect::say(client, buffer::filled(&down.waiting), alert)).await;
        return After::Close;
    }
    // A reset on one side is a reset on the other: neither may take what it has for complete.
    client::reset(upstream);
    After::Reset
}

fn signalled(control: &crate::control::Control, flow: &mut Flow) -> Option<Refusal> {
    if control.has(CLOSE) {
        return Some(Refusal::new(Reason::Draining, "closed at the end of the drain period"));
    }
    if control.has(RECHECK) {
        control.clear(RECHECK);
        return recheck(flow);
    }
    None
}

/// Asks the gate again, under the snapshot that is in force now.
fn recheck(flow: &mut Flow) -> Option<Refusal> {
    // Taken out, because the rest of the flow changes.
    let asked = flow.asked.take()?;
    let refusal =
        gate::decide_again(flow, &asked.destination, asked.request.as_ref().map(KeptRequest::facts));
    flow.asked = Some(asked);
    if refusal.is_none() {
        enforce::move_to_rule(flow);
    }
    refusal
}

fn broken(failure: Failure, up: bool) -> Refusal {
    let client_side = matches!((&failure, up), (Failure::Reading(_), true) | (Failure::Writing(_), false));
    let (Failure::Reading(error) | Failure::Writing(error)) = failure;
    let reason = if client_side { Reason::ClientAborted } else { Reason::UpstreamReset };
    Refusal::new(reason, error.to_string())
}
