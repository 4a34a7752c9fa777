//! The bytes beneath an HTTP/2 connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::{Scanner, Wire};
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
    wire: Arc<Wire>,
    coming: Scanner,
    going: Scanner,
}

impl Io {
    pub(super) fn new(stream: Stream, input: Option<Buffer>, wire: Arc<Wire>) -> (Self, Left) {
        let left = Left::default();
        let (coming, going) = (Scanner::of_client(), Scanner::of_server());
        (Self { stream: Some(stream), input, left: left.clone(), wire, coming, going }, left)
    }

    /// Looks at what has come.
    fn note_read(&mut self, bytes: &[u8]) {
        self.coming.look(bytes, |frame| self.wire.came(frame));
    }

    /// Looks at what has gone: the first so many bytes of these.
    fn note_written(&mut self, slices: &[IoSlice<'_>], mut count: usize) {
        for slice in slices {
            let part = count.min(slice.len());
            self.going.look(&slice[..part], |frame| self.wire.went(frame));
            count -= part;
        }
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
        let before = room.filled().len();
        if let Some(input) = &mut self.input {
            let count = input.filled().len().min(room.remaining());
            room.put_slice(&input.filled()[..count]);
            input.consume(count);
            crate::buffer::release_empty(&mut self.input);
        }
        if room.filled().len() == before {
            ready!(self.as_mut().stream()?.poll_read(context, room))?;
        }
        self.note_read(&room.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.as_mut().stream()?.poll_write(context, bytes))?;
        self.note_written(&[IoSlice::new(bytes)], count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.as_mut().stream()?.poll_write_vectored(context, slices))?;
        self.note_written(slices, count);
        Poll::Ready(Ok(count))
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
