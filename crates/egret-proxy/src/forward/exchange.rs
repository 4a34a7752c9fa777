//! One request and its response over one upstream connection, both directions at once.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use egret_core::reason::Reason;
use egret_core::settings::Snapshot;
use egret_flows::flow::Side;
use egret_tls::upstream::Problem;
use tokio::time::Instant;

use crate::body::{Pump, PumpError, Waits};
use crate::buffer::{self, Buffer};
use crate::capture::{Capture, Tap};
use crate::client::Client;
use crate::control::{CLOSE, RECHECK};
use crate::http1::response::{Asked, parse};
use crate::http1::{HeadLimits, Parsed, ResponseHead};
use crate::metrics::Limit;
use crate::refuse::Refusal;
use crate::stall::{Stall, Stalled};
use crate::upstream::pool::UpstreamConnection;

/// Why an exchange ended without a response.
#[derive(Debug)]
pub struct Failed {
    /// What the client will read.
    pub refusal: Refusal,
    /// Not a byte of a response came, so the request may not have been seen.
    pub unanswered: bool,
}

impl Failed {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { refusal: Refusal::new(reason, detail), unanswered: false }
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, unanswered: false }
    }
}

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Self {
        Self { refusal }
    }
}

/// How a transfer to the client ended early.
#[derive(Debug)]
pub struct Broken {
    /// Why, for the record.
    pub refusal: Refusal,
}

/// The state of the request's side of an exchange.
#[derive(Debug)]
pub struct Upload {
    /// The transfer.
    pub pump: Pump,
    /// The upstream does not take any more of it.
    pub refused: Option<io::Error>,
    /// The client did not send the rest of it.
    pub broken: bool,
    /// The client has ended its direction, behind a whole request.
    client_ended: bool,
}

impl Upload {
    /// An upload.
    #[must_use]
    pub fn new(pump: Pump) -> Self {
        Self { pump, refused: None, broken: false, client_ended: false }
    }

    /// Begins anew, with this head. Only what has no body can be sent twice.
    pub fn restart(&mut self, head: Vec<u8>) {
        self.pump.restart(head);
        self.refused = None;
        self.broken = false;
    }

    /// Everything was sent.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pump.is_done()
    }

    /// Nothing more of it is sent.
    pub(super) fn is_over(&self) -> bool {
        self.refused.is_some() || self.broken || self.is_done()
    }

    fn waits_for_client(&self) -> bool {
        !self.is_over() && self.pump.waits == Waits::Source
    }
}

/// Reads a head without looking at the same bytes over and over when they trickle in.
#[derive(Debug, Default)]
pub struct HeadReader {
    looked_at: usize,
}

impl HeadReader {
    /// Whether bytes have come that could change what the parser says.
    pub fn worth_parsing(&mut self, input: &[u8], limits: &HeadLimits) -> bool {
        let before = self.looked_at;
        self.looked_at = input.len();
        !input.is_empty()
            && (before == 0
                || input.len() >= limits.bytes
                || memchr::memchr(b'\n', &input[before..]).is_some())
    }
}

/// Sends the request and waits for a response head, interim ones included.
///
/// # Errors
/// What the client will read. [`Reason::PolicyChanged`]: the configuration changed. Whoever finds that the
/// exchange may go on asks again.
pub async fn head(
    client: &mut Client,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    asked: Asked,
    snapshot: &Snapshot,
    limits: HeadLimits,
    capture: &mut Option<Box<Capture>>,
) -> Result<ResponseHead, Failed> {
    let mut reader = HeadReader::default();
    let mut sent = upload.is_over();
    let mut timed = false;
    // Watched only while the request's body is on its way.
    let mut stall = None;
    poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE) {
            return Poll::Ready(Err(Failed::new(Reason::Draining, "")));
        }
        if client.control.has(RECHECK) {
            client.control.clear(RECHECK);
            return Poll::Ready(Err(Failed::new(Reason::PolicyChanged, "")));
        }
        if client.stream.is_aborted() {
            return Poll::Ready(Err(Failed::new(Reason::ClientAborted, "while waiting for the response")));
        }
        if !sent {
            poll_upload(context, client, upstream, upload, capture)?;
            if upload.is_over() {
                sent = true;
                timed = false;
            }
        }
        loop {
            if reader.worth_parsing(buffer::filled(&upstream.input), &limits) {
                let fields = std::mem::take(&mut client.spare.response_fields);
                match parse(buffer::filled(&upstream.input), &limits, asked, fields) {
                    Ok(Parsed::Complete(head)) => return Poll::Ready(Ok(head)),
                    Ok(Parsed::Partial) => {}
                    Err(error) => {
                        return Poll::Ready(Err(Failed::new(error.response_reason(), error.describe())));
                    }
                }
            }
            match buffer::poll_fill(context, &mut upstream.stream, &mut upstream.input) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(outcome) => {
                    return Poll::Ready(Err(ended(outcome.err(), upload, &upstream.input)));
                }
            }
        }
        // Asked only before a wait: a response that is here goes out, and that fails soon enough.
        if let Some(error) = poll_gone(context, client, upload) {
            let detail = format!("while waiting for the response: {error}");
            return Poll::Ready(Err(Failed::new(Reason::ClientAborted, detail)));
        }
        if !timed {
            timed = true;
            client.deadline.set_after(snapshot.timeouts.response);
            if !sent {
                let stall = stall.insert(Stall::new(&snapshot.timeouts, &snapshot.limits));
                client.deadline.set(stall.next().min(Instant::now() + snapshot.timeouts.response));
            }
        }
        while client.deadline.poll(context).is_ready() {
            let Some(stall) = stall.as_mut().filter(|_| !sent) else {
                return Poll::Ready(Err(Failed::new(
                    Reason::ResponseTimeout,
                    format!("no response within {:?}", snapshot.timeouts.response),
                )));
            };
            if upload.pump.waits == Waits::Rate {
                // It is the proxy that holds it up.
                *stall = Stall::new(&snapshot.timeouts, &snapshot.limits);
            } else if let Some(stalled) = stall.check(upload.pump.data, upload.waits_for_client()) {
                count(client, stalled);
                return Poll::Ready(Err(upload_stalled(stalled, upload)));
            }
            client.deadline.set(stall.next());
        }
        Poll::Pending
    })
    .await
}

pub(super) fn poll_upload(
    context: &mut Context<'_>,
    client: &mut Client,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    capture: &mut Option<Box<Capture>>,
) -> Result<(), Failed> {
    let mut tap = Tap::on(capture.as_deref_mut(), Side::Request);
    match upload.pump.poll(context, &mut client.stream, &mut client.input, &mut upstream.stream, &mut tap) {
        Poll::Pending => Ok(()),
        Poll::Ready(Ok(())) => {
            if let Some(capture) = capture {
                capture.sent();
            }
            Ok(())
        }
        // The origin may have answered before it stopped reading; its answer counts.
        Poll::Ready(Err(PumpError::Sink(error))) => {
            upload.refused = Some(error);
            Ok(())
        }
        Poll::Ready(Err(PumpError::Source(error))) => {
            upload.broken = true;
            Err(Failed::new(Reason::ClientAborted, format!("while sending the request body: {error}")))
        }
        Poll::Ready(Err(PumpError::Truncated)) => {
            upload.broken = true;
            Err(Failed::new(Reason::ClientAborted, "the request body ended before it was complete"))
        }
        Poll::Ready(Err(PumpError::TooLong)) => {
            upload.broken = true;
            Err(Failed::new(Reason::BodyTooLarge, ""))
        }
        Poll::Ready(Err(PumpError::Framing(error))) => {
            upload.broken = true;
            Err(Failed::new(error.request_reason(), error.describe()))
        }
    }
}

/// Notices that the client is gone while nothing is expected of it. The end of its direction does not
/// say so: it may wait for the response with a half-closed connection. Requests that it sends ahead
/// are read and kept until their turn comes.
fn poll_gone(context: &mut Context<'_>, client: &mut Client, upload: &mut Upload) -> Option<io::Error> {
    if !upload.is_done() {
        return None;
    }
    while !upload.client_ended {
        match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
            Poll::Pending => break,
            Poll::Ready(Ok(count)) => upload.client_ended = count == 0,
            Poll::Ready(Err(error)) => match error.kind() {
                // The buffer is full, or TLS was ended without its good-bye.
                io::ErrorKind::OutOfMemory | io::ErrorKind::UnexpectedEof => upload.client_ended = true,
                _ => return Some(error),
            },
        }
    }
    None
}

fn count(client: &Client, stalled: Stalled) {
    if stalled == Stalled::BelowFloor {
        client.worker.metrics.limit_hit(Limit::BodyRateFloor);
    }
}

fn upload_stalled(stalled: Stalled, upload: &Upload) -> Failed {
    match (stalled, upload.pump.waits) {
        (Stalled::BelowFloor, _) => {
            Failed::new(Reason::RequestTimeout, "the request body comes slower than limits.bodyRateFloor")
        }
        (Stalled::Idle, Waits::Source) => {
            Failed::new(Reason::RequestTimeout, "nothing of the request body came within timeouts.bodyIdle")
        }
        (Stalled::Idle, Waits::Sink | Waits::Rate) => {
            Failed::new(Reason::TransferStalled, "the upstream took nothing of the request body")
        }
    }
}

/// Whether an upstream has ended TLS with an alert. In TLS 1.3 it says only after the handshake that it does not
/// accept the client's certificate, or misses one (RFC 8446 section 4.4.2).
fn is_alert(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::AlertReceived(alert)) if *alert != rustls::AlertDescription::CloseNotify)
}

/// The upstream ended the connection before its response head was whole.
fn ended(error: Option<io::Error>, upload: &Upload, input: &Option<Buffer>) -> Failed {
    let unanswered = buffer::filled(input).is_empty();
    if let Some(error) = &error
        && error.kind() == io::ErrorKind::OutOfMemory
    {
        return Failed::new(Reason::ResponseHeadTooLarge, "");
    }
    let cause = error.or_else(|| upload.refused.as_ref().map(|error| error.kind().into()));
    let (reason, detail) = match (cause, unanswered) {
        (Some(error), _) if is_alert(&error) => {
            let problem = Problem::of_io(&error).map(|problem| {
                let (what, code, advice) = (problem.what(), problem.kind(), problem.advice());
                format!("{what} ({code}); {advice}")
            });
            (Reason::TlsFailed, problem.unwrap_or_else(|| error.to_string()))
        }
        (Some(error), _) => (Reason::UpstreamReset, format!("while waiting for the response: {error}")),
        (None, true) => {
            (Reason::ResponseIncomplete, "the connection was closed without a response".to_owned())
        }
        (None, false) => {
            (Reason::ResponseIncomplete, "the connection was closed within the response head".to_owned())
        }
    };
    Failed { refusal: Refusal::new(reason, detail), unanswered }
}

/// Moves the response to the client, and goes on with the request if it is not through yet.
///
/// # Errors
/// Why the client has not got the whole response. [`Reason::PolicyChanged`] as above.
pub async fn transfer(
    client: &mut Client,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    download: &mut Pump,
    snapshot: &Snapshot,
    capture: &mut Option<Box<Capture>>,
) -> Result<(), Broken> {
    let mut stall = None;
    poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE) {
            return broken(Reason::Draining, "closed at the end of the drain period");
        }
        if client.control.has(RECHECK) {
            client.control.clear(RECHECK);
            return broken(Reason::PolicyChanged, "");
        }
        if client.stream.is_aborted() {
            return broken(Reason::ClientAborted, "the client reset the stream");
        }
        if !upload.is_over() {
            // What becomes of the upload does not change the response any more, unless a rule forbids it.
            let outcome = poll_upload(context, client, upstream, upload, capture);
            if let Err(failed) = outcome
                && failed.refusal.reason == Reason::BodyTooLarge
            {
                return Poll::Ready(Err(Broken { refusal: failed.refusal }));
            }
        }
        let mut tap = Tap::on(capture.as_deref_mut(), Side::Response);
        match download.poll(context, &mut upstream.stream, &mut upstream.input, &mut client.stream, &mut tap)
        {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(PumpError::Sink(error))) => {
                return broken(Reason::ClientAborted, &format!("while sending the response: {error}"));
            }
            Poll::Ready(Err(PumpError::Source(error))) => {
                return broken(Reason::UpstreamReset, &format!("within the response body: {error}"));
            }
            Poll::Ready(Err(PumpError::Truncated)) => {
                return broken(
                    Reason::ResponseIncomplete,
                    "the connection was closed within the response body",
                );
            }
            // No response is bounded.
            Poll::Ready(Err(PumpError::TooLong)) => return broken(Reason::Internal, ""),
            Poll::Ready(Err(PumpError::Framing(error))) => {
                return broken(error.response_reason(), error.describe());
            }
            Poll::Pending => {}
        }
        if let Some(error) = poll_gone(context, client, upload) {
            return broken(Reason::ClientAborted, &format!("while sending the response: {error}"));
        }
        // Most responses are through before the clock has to be read.
        let stall = stall.get_or_insert_with(|| {
            let stall = Stall::new(&snapshot.timeouts, &snapshot.limits);
            client.deadline.set(stall.next());
            stall
        });
        while client.deadline.poll(context).is_ready() {
            let for_client = download.waits == Waits::Sink || upload.waits_for_client();
            if download.waits == Waits::Rate || upload.pump.waits == Waits::Rate {
                *stall = Stall::new(&snapshot.timeouts, &snapshot.limits);
            } else if let Some(stalled) = stall.check(download.data + upload.pump.data, for_client) {
                count(client, stalled);
                let slower = if for_client { "the client" } else { "the upstream" };
                return broken(Reason::TransferStalled, &format!("waiting for {slower}"));
            }
            client.deadline.set(stall.next());
        }
        Poll::Pending
    })
    .await
}

fn broken(reason: Reason, detail: &str) -> Poll<Result<(), Broken>> {
    Poll::Ready(Err(Broken { refusal: Refusal::new(reason, detail) }))
}
