//! The sending side of one stream.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, Response};

use crate::refuse::Refusal;

/// The sending side of one stream. It is reached from two places in one task, the bridge that writes
/// and the watch for a reset, so its lock is never contended.
#[derive(Clone, Debug)]
pub(super) struct Sender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    half: Mutex<Half>,
    aborted: AtomicBool,
    fault: Mutex<Option<Refusal>>,
}

#[derive(Debug)]
enum Half {
    /// Before the final response's head.
    Head(SendResponse<Bytes>),
    /// After it.
    Body(SendStream<Bytes>),
}

impl Sender {
    pub(super) fn new(respond: SendResponse<Bytes>) -> Self {
        Self(Arc::new(Shared {
            half: Mutex::new(Half::Head(respond)),
            aborted: AtomicBool::new(false),
            fault: Mutex::new(None),
        }))
    }

    fn half(&self) -> MutexGuard<'_, Half> {
        self.0.half.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an interim response.
    pub(super) fn inform(&self, response: Response<()>) -> io::Result<()> {
        match &mut *self.half() {
            Half::Head(respond) => respond.send_informational(response).map_err(io_error),
            Half::Body(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Sends the head of the final response.
    pub(super) fn respond(&self, response: Response<()>, end: bool) -> io::Result<()> {
        let mut half = self.half();
        let Half::Head(respond) = &mut *half else { return Err(io::ErrorKind::InvalidInput.into()) };
        let body = respond.send_response(response, end).map_err(io_error)?;
        *half = Half::Body(body);
        Ok(())
    }

    /// Whether the final response's head was sent.
    pub(super) fn has_responded(&self) -> bool {
        matches!(&*self.half(), Half::Body(_))
    }

    /// How many of the `wanted` bytes the client takes now. No more is reserved than will be sent:
    /// what one stream reserves, others do not get.
    pub(super) fn poll_capacity(&self, context: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let mut half = self.half();
        let Half::Body(body) = &mut *half else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        body.reserve_capacity(wanted);
        loop {
            let capacity = body.capacity().min(wanted);
            if capacity > 0 {
                return Poll::Ready(Ok(capacity));
            }
            match ready!(body.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None => return Poll::Ready(Err(gone())),
            }
        }
    }

    /// Sends a piece of the body, for which there is capacity; an empty one needs none.
    pub(super) fn send(&self, piece: Bytes, end: bool) -> io::Result<()> {
        match &mut *self.half() {
            Half::Body(body) => body.send_data(piece, end).map_err(io_error),
            Half::Head(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Ends the body with trailers.
    pub(super) fn finish(&self, trailers: HeaderMap) -> io::Result<()> {
        match &mut *self.half() {
            Half::Body(body) => body.send_trailers(trailers).map_err(io_error),
            Half::Head(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Resets the stream. Nothing happens to one that has ended.
    pub(super) fn reset(&self, reason: Reason) {
        match &mut *self.half() {
            Half::Head(respond) => respond.send_reset(reason),
            Half::Body(body) => body.send_reset(reason),
        }
    }

    /// Ready when the client has reset the stream or the connection is gone; has the task woken then.
    pub(super) fn poll_aborted(&self, context: &mut Context<'_>) -> Poll<()> {
        let outcome = match &mut *self.half() {
            Half::Head(respond) => respond.poll_reset(context),
            Half::Body(body) => body.poll_reset(context),
        };
        if outcome.is_ready() {
            self.0.aborted.store(true, Ordering::Relaxed);
        }
        outcome.map(|_| ())
    }

    /// What [`Sender::poll_aborted`] has seen.
    pub(super) fn is_aborted(&self) -> bool {
        self.0.aborted.load(Ordering::Relaxed)
    }

    /// Leaves word of what is wrong. The shared path sees no more than a failed read or write.
    pub(super) fn blame(&self, fault: Refusal) {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    /// What is wrong.
    pub(super) fn take_fault(&self) -> Option<Refusal> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An error of the frame layer as the shared path knows errors.
pub(super) fn io_error(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(gone);
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the client has reset the stream")
}
