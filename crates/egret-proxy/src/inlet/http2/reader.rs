//! The body of a request, as HTTP/1.1 bytes.

use std::io;
use std::io::Write as _;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use egret_core::reason::Reason;
use h2::RecvStream;
use http::HeaderMap;
use tokio::io::ReadBuf;

use super::sender::{Sender, io_error};
use crate::refuse::Refusal;

/// How a body is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// As it is: its length is known, or it is a tunnel.
    Raw,
    /// In chunks, with trailers.
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    Trailers,
    Ended,
}

/// Reads DATA frames and gives them out. Holds one frame at the most; the window opens again as bytes
/// are taken out of here, so that what nobody reads is bounded.
#[derive(Debug)]
pub(super) struct Reader {
    body: RecvStream,
    framing: Framing,
    state: State,
    data: Bytes,
    /// Framing that is to be given out in front of the data.
    text: Vec<u8>,
    given: usize,
}

impl Reader {
    pub(super) fn new(body: RecvStream) -> Self {
        let state = if body.is_end_stream() { State::Ended } else { State::Data };
        Self { body, framing: Framing::Raw, state, data: Bytes::new(), text: Vec::new(), given: 0 }
    }

    /// Looks at what has come already: the length of the whole body, if all of it has.
    pub(super) fn peek(&mut self, context: &mut Context<'_>) -> Option<usize> {
        if self.state == State::Data
            && let Poll::Ready(Some(Ok(data))) = self.body.poll_data(context)
        {
            self.data = data;
            if self.body.is_end_stream() {
                self.state = State::Ended;
            }
        }
        (self.state == State::Ended).then_some(self.data.len())
    }

    /// Says how the body is written out. Called before anything is read.
    pub(super) fn begin(&mut self, framing: Framing) {
        self.framing = framing;
        self.announce();
    }

    /// Gives out as much as there is and as there is room for.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        sender: &Sender,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        while room.remaining() > 0 {
            if self.give(room)? {
                continue;
            }
            let failed = match self.state {
                State::Ended => break,
                State::Data => match self.body.poll_data(context) {
                    Poll::Ready(Some(Ok(data))) => {
                        self.data = data;
                        self.announce();
                        continue;
                    }
                    Poll::Ready(None) => {
                        self.state =
                            if self.framing == Framing::Raw { State::Ended } else { State::Trailers };
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => error,
                    Poll::Pending if room.filled().len() > before => break,
                    Poll::Pending => return Poll::Pending,
                },
                State::Trailers => match self.body.poll_trailers(context) {
                    Poll::Ready(Ok(trailers)) => {
                        self.end(trailers.as_ref());
                        continue;
                    }
                    Poll::Ready(Err(error)) => error,
                    Poll::Pending if room.filled().len() > before => break,
                    Poll::Pending => return Poll::Pending,
                },
            };
            // What came before the error is given out first; the error will still be there.
            if room.filled().len() > before {
                break;
            }
            blame(sender, &failed);
            return Poll::Ready(Err(io_error(failed)));
        }
        Poll::Ready(Ok(()))
    }

    /// Looks for the error that has ended the stream. What stands before it is dropped.
    pub(super) fn judge(&mut self, context: &mut Context<'_>, sender: &Sender) {
        loop {
            match self.body.poll_data(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return blame(sender, &error),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    /// Gives out what is at hand. False when there is nothing.
    fn give(&mut self, room: &mut ReadBuf<'_>) -> io::Result<bool> {
        if self.given < self.text.len() {
            let rest = &self.text[self.given..];
            let count = rest.len().min(room.remaining());
            room.put_slice(&rest[..count]);
            self.given += count;
            return Ok(true);
        }
        self.text.clear();
        self.given = 0;
        if self.data.is_empty() {
            return Ok(false);
        }
        let count = self.data.len().min(room.remaining());
        room.put_slice(&self.data[..count]);
        self.data.advance(count);
        self.body.flow_control().release_capacity(count).map_err(io_error)?;
        if self.data.is_empty() && self.framing == Framing::Chunked {
            self.text.extend_from_slice(b"\r\n");
        }
        Ok(true)
    }

    fn announce(&mut self) {
        // An empty chunk would be the last one.
        if self.framing == Framing::Chunked && !self.data.is_empty() {
            // Writing to memory cannot fail.
            let _ = write!(self.text, "{:x}\r\n", self.data.len());
        }
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) {
        self.state = State::Ended;
        self.text.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            self.text.extend_from_slice(name.as_str().as_bytes());
            self.text.extend_from_slice(b": ");
            self.text.extend_from_slice(value.as_bytes());
            self.text.extend_from_slice(b"\r\n");
        }
        self.text.extend_from_slice(b"\r\n");
    }
}

/// The frame layer itself resets a stream whose DATA contradict its Content-Length.
fn blame(sender: &Sender, error: &h2::Error) {
    if error.is_reset() && error.is_library() {
        let detail = format!(
            "the body is not as long as Content-Length says, or the request is otherwise malformed (RFC \
             9113 section 8.1.1): {error}"
        );
        sender.blame(Refusal::new(Reason::AmbiguousFraming, detail));
    }
}
