//! One HTTP/2 stream as a stream of HTTP/1.1 bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reader::{Framing, Reader};
use super::sender::Sender;
use super::writer::Writer;

/// One HTTP/2 stream as the shared path sees it: reading gives the request's body as HTTP/1.1 frames
/// it, writing takes a response in HTTP/1.1. Dropped before the response is through, it resets the
/// stream, so that nobody takes a part for the whole.
#[derive(Debug)]
pub struct Bridge {
    reader: Reader,
    writer: Writer,
    sender: Sender,
}

impl Bridge {
    pub(super) fn new(mut reader: Reader, framing: Framing, writer: Writer, sender: Sender) -> Self {
        reader.begin(framing);
        Self { reader, writer, sender }
    }

    /// Whether the client has reset the stream, or is gone. The stream's own task watches for it.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.sender.is_aborted()
    }

    /// Resets the stream: what was sent is not complete. A failed tunnel is a CONNECT_ERROR (RFC 9113
    /// section 8.5).
    pub fn reset(&self) {
        self.sender.reset(if self.writer.is_tunnel() {
            Reason::CONNECT_ERROR
        } else {
            Reason::INTERNAL_ERROR
        });
    }

    /// The response is through.
    pub(super) fn is_done(&self) -> bool {
        self.writer.is_done()
    }

    /// Looks whether the stream was ended because the request is malformed, and leaves word of it.
    pub(super) fn judge(&mut self, context: &mut Context<'_>) {
        self.reader.judge(context, &self.sender);
    }

    /// Ends the response, if it is complete; resets the stream if it is not.
    pub(super) fn finish(&mut self) {
        let outcome = self.writer.finish(&self.sender);
        if outcome.is_err() || !self.writer.is_done() {
            self.reset();
        }
    }

    /// Makes room for another response in place of one that could not be sent.
    pub(super) fn start_over(&mut self, head: bool) {
        self.writer.start_over(head);
    }
}

impl AsyncRead for Bridge {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bridge = self.get_mut();
        bridge.reader.poll_read(context, &bridge.sender, room)
    }
}

impl AsyncWrite for Bridge {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bridge = self.get_mut();
        bridge.writer.poll_write(context, &bridge.sender, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bridge = self.get_mut();
        let mut written = 0;
        for slice in slices {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                match bridge.writer.poll_write(context, &bridge.sender, rest) {
                    Poll::Ready(Ok(count)) => {
                        written += count;
                        rest = &rest[count..];
                    }
                    Poll::Ready(Err(error)) if written == 0 => return Poll::Ready(Err(error)),
                    Poll::Pending if written == 0 => return Poll::Pending,
                    // Asked again, it says the same.
                    Poll::Ready(Err(_)) | Poll::Pending => return Poll::Ready(Ok(written)),
                }
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The connection's own task sends; nothing waits here.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bridge = self.get_mut();
        Poll::Ready(bridge.writer.finish(&bridge.sender))
    }
}
