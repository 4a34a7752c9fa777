//! Moving bulk from socket to socket without bringing it into the program.
//!
//! A direction begins with a buffer, which is the cheaper way for small messages, and is spliced while
//! it carries bulk. Pipes are like buffers: held only while there is something in them, and shared by
//! all connections of a worker.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use crate::stream::Stream;

/// What a pipe holds at the most; docs/performance.md has what was measured.
const PIPE: usize = 1024 * 1024;

/// A pipe that may hold less than this is of no use. Users who have many pipes get small ones.
const SMALLEST_PIPE: usize = 64 * 1024;

/// Pipes that a worker keeps for the next who needs one.
const KEPT: usize = 16;

/// A read of so many bytes is bulk.
const LARGE: usize = 128 * 1024;

/// So many large reads in a row make a direction one that carries bulk.
const LARGE_READS: u8 = 4;

/// A splice of fewer bytes would have been better done with a buffer.
const SMALL: usize = 32 * 1024;

/// So many small ones in a row, and the direction is given back.
const SMALL_READS: u8 = 8;

thread_local! {
    static FREE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// How a transfer ended early.
#[derive(Debug)]
pub enum SpliceError {
    /// The source failed.
    Reading(io::Error),
    /// The sink failed.
    Writing(io::Error),
}

/// Takes a direction over when it carries bulk, and gives it back when it does not any more.
#[derive(Debug, Default)]
pub struct Splicer {
    pipe: Option<Pipe>,
    large_reads: u8,
    small_reads: u8,
    /// No pipe could be had; not tried again.
    unavailable: bool,
}

/// How far a [`Splicer`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spliced {
    /// The source has ended, and everything was written.
    Ended,
    /// Buffers are better from here on. Nothing is held.
    GivenBack,
}

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

impl Pipe {
    fn take() -> io::Result<Self> {
        FREE.with_borrow_mut(Vec::pop).map_or_else(Self::new, Ok)
    }

    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        if fcntl_setpipe_size(&write, PIPE).is_err() && fcntl_getpipe_size(&write)? < SMALLEST_PIPE {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(Self { read, write, held: 0 })
    }

    /// Leaves the pipe for others. One with something in it is closed: that belongs to nobody else.
    fn give_back(self) {
        if self.held > 0 {
            return;
        }
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(self);
            }
        });
    }
}

impl Splicer {
    /// Counts a read into a buffer. True when the direction carries bulk.
    pub fn note_read(&mut self, count: usize) {
        self.large_reads = if count >= LARGE { self.large_reads.saturating_add(1) } else { 0 };
    }

    /// Whether to splice now.
    #[must_use]
    pub fn is_worth_it(&self, from: &Stream, to: &Stream) -> bool {
        self.large_reads >= LARGE_READS
            && !self.unavailable
            && from.as_tcp().is_some()
            && to.as_tcp().is_some()
    }

    /// Moves bytes until there is nothing to move, or buffers are better. Takes what it moves off
    /// `allowance`, and adds it to `bytes`; may move more than is allowed, but not much.
    ///
    /// # Errors
    /// The system's.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        bytes: &mut u64,
        allowance: &mut usize,
    ) -> Poll<Result<Spliced, SpliceError>> {
        let (Some(from), Some(to)) = (from.as_tcp(), to.as_tcp()) else {
            return Poll::Ready(Ok(self.stop()));
        };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        loop {
            while let Some(pipe) = &mut self.pipe
                && pipe.held > 0
            {
                match to.poll_write_ready(context) {
                    Poll::Ready(outcome) => outcome.map_err(SpliceError::Writing)?,
                    Poll::Pending => return Poll::Pending,
                }
                let moved = to
                    .try_io(Interest::WRITABLE, || Ok(splice(&pipe.read, None, to, None, pipe.held, flags)?));
                match moved {
                    Ok(0) => return Poll::Ready(Err(SpliceError::Writing(io::ErrorKind::WriteZero.into()))),
                    Ok(count) => pipe.held -= count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(SpliceError::Writing(error))),
                }
            }
            if self.small_reads >= SMALL_READS {
                return Poll::Ready(Ok(self.stop()));
            }
            if *allowance == 0 {
                return Poll::Pending;
            }
            match from.poll_read_ready(context) {
                Poll::Ready(outcome) => outcome.map_err(SpliceError::Reading)?,
                Poll::Pending => {
                    self.release();
                    return Poll::Pending;
                }
            }
            let pipe = match &mut self.pipe {
                Some(pipe) => pipe,
                none => match Pipe::take() {
                    Ok(pipe) => none.insert(pipe),
                    Err(error) => {
                        tracing::debug!(%error, "no pipe can be had: this direction is not spliced");
                        self.unavailable = true;
                        return Poll::Ready(Ok(self.stop()));
                    }
                },
            };
            let moved =
                from.try_io(Interest::READABLE, || Ok(splice(from, None, &pipe.write, None, PIPE, flags)?));
            match moved {
                Ok(0) => {
                    self.release();
                    return Poll::Ready(Ok(Spliced::Ended));
                }
                Ok(count) => {
                    pipe.held = count;
                    *bytes += count as u64;
                    *allowance = allowance.saturating_sub(count);
                    self.small_reads = if count < SMALL { self.small_reads + 1 } else { 0 };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(SpliceError::Reading(error))),
            }
        }
    }

    fn stop(&mut self) -> Spliced {
        self.release();
        (self.large_reads, self.small_reads) = (0, 0);
        Spliced::GivenBack
    }

    fn release(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
    }
}

impl Drop for Splicer {
    fn drop(&mut self) {
        self.release();
    }
}
