//! A client's connection, as the inlets and the treatments share it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use egret_core::identity::{Identity, User};
use tokio::io::AsyncWrite as _;
use tokio::time::{Duration, Instant};

use crate::buffer::{self, Buffer};
use crate::control::Control;
use crate::deadline::Deadline;
use crate::http1::{Fields, HeadLimits};
use crate::intercept::Inside;
use crate::stream::Stream;
use crate::upstream::pool::{PoolKey, UpstreamConnection};
use crate::worker::Worker;

/// A client's connection.
pub struct Client {
    /// The bytes.
    pub stream: Stream,
    /// Bytes that were read and not yet used.
    pub input: Option<Buffer>,
    /// Who speaks.
    pub identity: Identity,
    /// Signals from outside.
    pub control: Arc<Control>,
    /// The one timer.
    pub deadline: Deadline,
    /// The worker.
    pub worker: Arc<Worker>,
    /// Memory for field lists and heads, used again from request to request.
    pub spare: Spare,
    /// An upstream connection that authenticated this client (NTLM, Negotiate) and therefore serves
    /// nobody else.
    pub pinned: Option<Box<(PoolKey, UpstreamConnection)>>,
    /// The user of the last request over HTTP. Each request proves anew who it is of, so this is nobody's
    /// identity; it tells when `pinned` is somebody else's.
    pub user_before: Option<User>,
    /// The tunnel that was opened, where the client speaks from inside one.
    pub inside: Option<Arc<Inside>>,
}

/// Memory that is used again.
#[derive(Default)]
pub struct Spare {
    /// A field list for requests.
    pub request_fields: Fields,
    /// A field list for responses.
    pub response_fields: Fields,
    /// A head to be written.
    pub request_head: Vec<u8>,
    /// A head to be written.
    pub response_head: Vec<u8>,
}

impl Client {
    /// Writes bytes of the proxy's own and flushes them, in at most this time.
    ///
    /// # Errors
    /// The stream's, or `TimedOut`.
    pub async fn write_all(&mut self, bytes: &[u8], limit: Duration) -> std::io::Result<()> {
        self.deadline.set_after(limit);
        let mut written = 0;
        poll_fn(|context| {
            while written < bytes.len() {
                match Pin::new(&mut self.stream).poll_write(context, &bytes[written..]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        ready!(self.deadline.poll(context));
                        return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
                    }
                }
            }
            Pin::new(&mut self.stream).poll_flush(context)
        })
        .await
    }

    /// Closes after a reply that the client may not have read yet: says that nothing more will come,
    /// and swallows what the client is still sending for a moment, because closing with unread bytes
    /// resets the connection and takes the reply away (RFC 9112 section 9.6).
    pub async fn linger(&mut self) {
        const TIME: Duration = Duration::from_secs(2);
        const BYTES: usize = 1024 * 1024;
        self.input = None;
        self.deadline = Deadline::new();
        self.deadline.set(Instant::now() + TIME);
        let mut sink = None;
        let mut swallowed = 0;
        let mut shut = false;
        let stream = &mut self.stream;
        let deadline = &mut self.deadline;
        poll_fn(|context| {
            if !shut {
                match Pin::new(&mut *stream).poll_shutdown(context) {
                    Poll::Ready(Ok(())) => shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            loop {
                // A buffer is held only while something has arrived: many may linger at once.
                match buffer::poll_fill(context, stream, &mut sink) {
                    Poll::Ready(Ok(count @ 1..)) => {
                        sink = None;
                        swallowed += count;
                        if swallowed > BYTES {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return deadline.poll(context),
                }
            }
        })
        .await;
    }

    /// Closes with a reset, so that nobody takes what was sent so far for complete.
    pub fn reset(&mut self) {
        reset(&self.stream);
    }

    /// Bytes that wait.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        buffer::filled(&self.input)
    }

    /// Forgets bytes that were used.
    pub fn consume(&mut self, count: usize) {
        if let Some(buffer) = &mut self.input {
            buffer.consume(count);
        }
        buffer::release_empty(&mut self.input);
    }
}

/// Has the connection closed with a reset when it is dropped. Of an HTTP/2 connection only the one
/// stream is reset, and at once.
pub fn reset(stream: &Stream) {
    if let Stream::Http2(bridge) = stream {
        bridge.reset();
    } else if let Some(tcp) = stream.tcp_beneath() {
        // Fails only where the connection is gone already.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
}

/// The bounds on heads that a snapshot sets.
#[must_use]
pub fn head_limits(limits: &egret_core::settings::Limits) -> HeadLimits {
    HeadLimits {
        bytes: limits.head_bytes.min(buffer::CAPACITY - 1024),
        fields: limits.head_fields,
        target: limits.target_bytes,
    }
}
