//! The bytes beneath an HTTP/2 connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::Buffer;
use crate::stream::Stream;

/// A place where the stream is left when the connection is done with it. The frame layer does not give
/// it back, and it is needed once more: to close without taking away what the client has not read.
pub(super) type Left = Arc<Mutex<Option<Stream>>>;

/// A stream, and in front of it what was read of it to tell the protocol.
#[derive(Debug)]
pub(super) struct Io {
    stream: Option<Stream>,
    input: Option<Buffer>,
    left: Left,
}

impl Io {
    pub(super) fn new(stream: Stream, input: Option<Buffer>) -> (Self, Left) {
        let left = Left::default();
        (Self { stream: Some(stream), input, left: left.clone() }, left)
    }

    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut Stream>> {
        self.get_mut().stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(input) = &mut self.input {
            let count = input.filled().len().min(room.remaining());
            room.put_slice(&input.filled()[..count]);
            input.consume(count);
            crate::buffer::release_empty(&mut self.input);
            if count > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        self.stream()?.poll_read(context, room)
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
