//! Reading a body that is held, up to a bound, so that it can be edited.
//!
//! What is read is kept twice: framed as it will go on, and as the payload that people edit. Where the body turns out
//! to be longer than may be held, or has no end for a while, what was read goes on in front of the rest.

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use egret_core::reason::Reason;
use egret_core::settings::Snapshot;
use egret_flows::changes::HeldBody;
use egret_flows::flow::Side;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use crate::body::{Pump, PumpError, Sink};
use crate::capture::Tap;
use crate::client::{Client, head_limits};
use crate::control::CLOSE;
use crate::flow::Flow;
use crate::forward::exchange::{self, Upload};
use crate::http1::{BodyLength, HeadLimits, RequestHead, ResponseHead};
use crate::refuse::Refusal;
use crate::stream::Stream;
use crate::upstream::pool::UpstreamConnection;

/// How long a body may take to come before the message is held without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the framing of chunks may take besides the payload.
const FRAMING: usize = 64 * 1024;

/// A body, or its beginning.
pub(super) struct Gathered {
    /// The transfer, which goes on where this stopped.
    pub(super) pump: Pump,
    /// What was read, framed as it goes on.
    pub(super) raw: Vec<u8>,
    /// What was read, without framing.
    data: Vec<u8>,
    most: usize,
}

impl Gathered {
    /// As it is held.
    pub(super) fn held(&self) -> HeldBody {
        if self.pump.is_done() && self.data.len() <= self.most {
            HeldBody::Whole(Bytes::copy_from_slice(&self.data))
        } else {
            HeldBody::TooLong
        }
    }
}

/// Reads the body of a request. `None`: there is none, or it is known to be too long.
///
/// # Errors
/// The client's fault, or the proxy closes.
pub(super) async fn request(
    client: &mut Client,
    flow: &mut Flow,
    head: &RequestHead,
) -> Result<Option<Gathered>, Refusal> {
    let most = flow.worker.shared.changes.limits().body_bytes;
    if !is_worth_it(head.body, most) {
        return Ok(None);
    }
    if head.expects_continue {
        let limit = flow.snapshot.timeouts.body_idle;
        let written = client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n", limit).await;
        written.map_err(|error| Refusal::new(Reason::ClientAborted, error.to_string()))?;
    }
    let limits = head_limits(&flow.snapshot.limits);
    let mut gathered = begin(head.body, Sink::Same, limits, most);
    let mut over = pin!(sleep(PATIENCE));
    poll_fn(|context| {
        if let Some(refusal) = interrupted(client, context) {
            return Poll::Ready(Err(refusal));
        }
        let Gathered { pump, raw, data, .. } = &mut gathered;
        let kept = Cell::new(raw.len());
        let mut source = Valve { stream: &mut client.stream, kept: &kept, most };
        let mut sink = Keep { bytes: raw, kept: &kept };
        let mut tap = Tap::on(flow.capture.as_deref_mut(), Side::Request).also(data);
        match pump.poll(context, &mut source, &mut client.input, &mut sink, &mut tap) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(PumpError::Framing(error))) => {
                Poll::Ready(Err(Refusal::new(error.request_reason(), error.describe())))
            }
            Poll::Ready(Err(error)) => {
                let detail = match error {
                    PumpError::Source(error) => format!("while sending the request body: {error}"),
                    _ => "the request body ended before it was complete".to_owned(),
                };
                Poll::Ready(Err(Refusal::new(Reason::ClientAborted, detail)))
            }
            Poll::Pending if kept.get() > most + FRAMING => Poll::Ready(Ok(())),
            Poll::Pending => over.as_mut().poll(context).map(Ok),
        }
    })
    .await?;
    Ok(Some(gathered))
}

/// Reads the body of a response, and goes on with the request meanwhile. `None`: there is none, or it is known to be
/// too long or without an end.
///
/// # Errors
/// Either side's fault, or the proxy closes.
#[allow(clippy::too_many_arguments, reason = "the parts of one exchange, which live apart")]
pub(super) async fn response(
    client: &mut Client,
    flow: &mut Flow,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    head: &ResponseHead,
    sink: Sink,
    is_endless: bool,
    snapshot: &Snapshot,
) -> Result<Option<Gathered>, Refusal> {
    let most = flow.worker.shared.changes.limits().body_bytes;
    if is_endless || !is_worth_it(head.body, most) {
        return Ok(None);
    }
    let limits = head_limits(&snapshot.limits);
    let mut gathered = begin(head.body, sink, limits, most);
    let mut over = pin!(sleep(PATIENCE));
    poll_fn(|context| {
        if let Some(refusal) = interrupted(client, context) {
            return Poll::Ready(Err(refusal));
        }
        if !upload.is_over() {
            // What becomes of it is noticed when the response goes on.
            let _ = exchange::poll_upload(context, client, upstream, upload, &mut flow.capture);
        }
        let Gathered { pump, raw, data, .. } = &mut gathered;
        let kept = Cell::new(raw.len());
        let mut source = Valve { stream: &mut upstream.stream, kept: &kept, most };
        let mut sink = Keep { bytes: raw, kept: &kept };
        let mut tap = Tap::on(flow.capture.as_deref_mut(), Side::Response).also(data);
        match pump.poll(context, &mut source, &mut upstream.input, &mut sink, &mut tap) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(PumpError::Framing(error))) => {
                Poll::Ready(Err(Refusal::new(error.response_reason(), error.describe())))
            }
            Poll::Ready(Err(PumpError::Source(error))) => Poll::Ready(Err(Refusal::new(
                Reason::UpstreamReset,
                format!("within the response body: {error}"),
            ))),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Refusal::new(
                Reason::ResponseIncomplete,
                "the connection was closed within the response body",
            ))),
            Poll::Pending if kept.get() > most + FRAMING => Poll::Ready(Ok(())),
            Poll::Pending => over.as_mut().poll(context).map(Ok),
        }
    })
    .await?;
    Ok(Some(gathered))
}

fn begin(body: BodyLength, sink: Sink, limits: HeadLimits, most: usize) -> Gathered {
    Gathered { pump: Pump::new(body, sink, limits, Vec::new()), raw: Vec::new(), data: Vec::new(), most }
}

fn is_worth_it(body: BodyLength, most: usize) -> bool {
    match body {
        BodyLength::None => false,
        BodyLength::Fixed(length) => length <= most as u64,
        BodyLength::Chunked | BodyLength::UntilClose => true,
    }
}

fn interrupted(client: &Client, context: &Context<'_>) -> Option<Refusal> {
    client.control.register(context);
    if client.control.has(CLOSE) {
        return Some(Refusal::new(Reason::Draining, ""));
    }
    client.stream.is_aborted().then(|| Refusal::new(Reason::ClientAborted, "while it was held"))
}

/// A source that is closed when enough was kept: what was read by then has been written, so that the transfer can go
/// on elsewhere.
struct Valve<'a> {
    stream: &'a mut Stream,
    kept: &'a Cell<usize>,
    most: usize,
}

impl AsyncRead for Valve<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.kept.get() > this.most + FRAMING {
            // Whoever polls looks at what was kept, and does not wait.
            return Poll::Pending;
        }
        Pin::new(&mut *this.stream).poll_read(context, room)
    }
}

/// A sink that keeps what it is given.
struct Keep<'a> {
    bytes: &'a mut Vec<u8>,
    kept: &'a Cell<usize>,
}

impl AsyncWrite for Keep<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.bytes.extend_from_slice(bytes);
        this.kept.set(this.bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
