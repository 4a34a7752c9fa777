//! Buffers that are held only while they hold something.
//!
//! A connection that waits owns no buffer: one is taken when bytes have arrived and given back when
//! they are gone. All connections of a worker therefore share a few buffers that stay in the
//! processor's cache, and an idle connection costs nothing but its task.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of a buffer. The size of a read is the lever in bulk transfers; see docs/performance.md.
pub const CAPACITY: usize = 256 * 1024;

/// Room in front of what is read, for a head that is longer than the one it replaces. A page, so that
/// what is read begins on one.
const HEADROOM: usize = 4096;

/// The length of a whole buffer.
const WHOLE: usize = HEADROOM + CAPACITY;

/// Buffers that a worker keeps for the next who needs one.
const KEPT: usize = 16;

/// A buffer in which so few bytes wait for a slow reader is changed for a small one.
const SMALL: usize = 64 * 1024;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes between a read and the write that gets rid of them.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Takes a buffer from the worker's store.
    #[must_use]
    pub fn take() -> Self {
        let kept = FREE.with_borrow_mut(Vec::pop);
        let bytes = kept.unwrap_or_else(|| vec![0; WHOLE].into_boxed_slice());
        Self { bytes, start: HEADROOM, end: HEADROOM }
    }

    /// A buffer that holds these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { end: bytes.len(), start: 0, bytes: bytes.into() }
    }

    /// The bytes that wait.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Forgets so many bytes at the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Puts bytes in front of those that wait. False when there is no room for them, and then nothing
    /// has changed.
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else { return false };
        self.bytes[start..self.start].copy_from_slice(bytes);
        self.start = start;
        true
    }

    /// Makes room behind the bytes. False when the buffer is full.
    fn make_room(&mut self) -> bool {
        let front = if self.bytes.len() == WHOLE { HEADROOM } else { 0 };
        if self.is_empty() {
            (self.start, self.end) = (front, front);
        }
        if self.end < self.bytes.len() {
            return true;
        }
        if self.bytes.len() < WHOLE {
            let mut grown = Self::take();
            let end = HEADROOM + self.end - self.start;
            grown.bytes[HEADROOM..end].copy_from_slice(self.filled());
            grown.end = end;
            *self = grown;
            return true;
        }
        if self.start <= front {
            return false;
        }
        self.bytes.copy_within(self.start..self.end, front);
        self.end -= self.start - front;
        self.start = front;
        true
    }

    /// The whole buffer, as room for bytes that nobody wants.
    pub fn scratch(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Moves what waits into a buffer of its own size, where that frees a large one.
    pub fn shrink(&mut self) {
        if self.bytes.len() == WHOLE && self.end - self.start <= SMALL {
            *self = Self::from_bytes(self.filled());
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() != WHOLE {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        // A thread that is ending has no store any more; the buffer is then simply freed.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(bytes);
            }
        });
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { end: bytes.len(), start: 0, bytes: bytes.into() }
    }
}

/// Reads once, into a buffer that is taken for it where there is none. 0 bytes: the end.
///
/// When nothing has arrived, an empty buffer is given back.
///
/// # Errors
/// The stream's, and `OutOfMemory` when the buffer is full.
pub fn poll_fill<S: AsyncRead + Unpin>(
    context: &mut Context<'_>,
    stream: &mut S,
    slot: &mut Option<Buffer>,
) -> Poll<io::Result<usize>> {
    let buffer = slot.get_or_insert_with(Buffer::take);
    if !buffer.make_room() {
        return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
    }
    let mut room = ReadBuf::new(&mut buffer.bytes[buffer.end..]);
    let outcome = Pin::new(stream).poll_read(context, &mut room);
    let count = room.filled().len();
    buffer.end += count;
    if buffer.is_empty() {
        *slot = None;
    }
    ready!(outcome)?;
    Poll::Ready(Ok(count))
}

/// Gives a buffer back that holds nothing.
pub fn release_empty(slot: &mut Option<Buffer>) {
    if slot.as_ref().is_some_and(Buffer::is_empty) {
        *slot = None;
    }
}

/// The bytes that wait in a slot.
#[must_use]
pub fn filled(slot: &Option<Buffer>) -> &[u8] {
    slot.as_ref().map_or(&[], Buffer::filled)
}
