//! Moving bulk from socket to socket without bringing it into the program.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use crate::buffer::CAPACITY;
use crate::stream::Stream;

/// What a pipe holds at the most.
const PIPE: usize = 1024 * 1024;

/// So many reads in a row that filled the buffer are bulk.
const FULL_READS: u32 = 8;

/// Takes a direction over when it carries bulk, and gives it back when it does not any more.
#[derive(Debug, Default)]
pub struct Splicer {
    full_reads: u32,
    pipe: Option<Pipe>,
    /// No pipe could be had; not tried again.
    unavailable: bool,
}

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Fails where the user has many pipes already; then it is a small one.
        let _ = fcntl_setpipe_size(&write, PIPE);
        Ok(Self { read, write, held: 0 })
    }
}

impl Splicer {
    /// Counts a read.
    pub fn note_read(&mut self, count: usize) {
        self.full_reads = if count >= CAPACITY / 2 { self.full_reads + 1 } else { 0 };
    }

    /// Whether to splice now.
    #[must_use]
    pub fn is_worth_it(&self, from: &Stream, to: &Stream) -> bool {
        ENABLED
            && self.full_reads >= FULL_READS
            && !self.unavailable
            && from.as_tcp().is_some()
            && to.as_tcp().is_some()
    }

    /// Moves bytes until there is nothing to move; ready at the end of the input.
    ///
    /// # Errors
    /// The system's.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        bytes: &mut u64,
    ) -> Poll<io::Result<()>> {
        let (Some(from), Some(to)) = (from.as_tcp(), to.as_tcp()) else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        let pipe = match &mut self.pipe {
            Some(pipe) => pipe,
            none => none.insert(Pipe::new()?),
        };
        loop {
            while pipe.held > 0 {
                ready!(to.poll_write_ready(context))?;
                let moved = to.try_io(Interest::WRITABLE, || {
                    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
                    Ok(splice(&pipe.read, None, to, None, pipe.held, flags)?)
                });
                match moved {
                    Ok(count) => pipe.held -= count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            ready!(from.poll_read_ready(context))?;
            let moved = from.try_io(Interest::READABLE, || {
                let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
                Ok(splice(from, None, &pipe.write, None, PIPE, flags)?)
            });
            match moved {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(count) => {
                    pipe.held = count;
                    *bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// See docs/performance.md for what was measured.
const ENABLED: bool = true;
