//! Where lines go: standard output, a file, or nowhere.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use egret_core::settings::AccessLogOutput;

/// How long to leave an output alone that was made non-blocking by another process and is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// An opened output.
pub(super) struct Sink {
    out: Box<dyn Write + Send>,
    /// The last write ended within a line: the rest of it is lost and the next has to begin afresh.
    mid_line: bool,
    failing: bool,
}

/// What became of a batch that could not be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Lines that are not, or not wholly, in the output.
    pub(super) lines: u64,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("failing", &self.failing).finish_non_exhaustive()
    }
}

impl Sink {
    pub(super) fn open(output: &AccessLogOutput) -> io::Result<Self> {
        Ok(match output {
            AccessLogOutput::Off => Self::new(Box::new(io::sink())),
            // The descriptor itself: `io::stdout()` would split batches at its own line buffer.
            AccessLogOutput::Stdout => {
                Self::new(Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
            }
            AccessLogOutput::File(path) => {
                // Lines hold URLs and addresses of clients: not for everybody on the machine.
                Self::new(Box::new(OpenOptions::new().append(true).create(true).mode(0o640).open(path)?))
            }
        })
    }

    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, mid_line: false, failing: false }
    }

    /// Writes whole lines. `give_up` is asked while the output takes nothing.
    pub(super) fn write_lines(&mut self, lines: &[u8], give_up: impl Fn() -> bool) -> Result<(), Lost> {
        let result = self.end_broken_line(&give_up).map_err(|error| (error, 0)).and_then(|()| {
            self.write_all(lines, &give_up).map_err(|(error, written)| {
                self.mid_line = written > 0 && lines[written - 1] != b'\n';
                (error, written)
            })
        });
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the access log can be written again");
                }
                Ok(())
            }
            Err((error, written)) => {
                // Once for each spell of failure: a full disk must not fill the other log too.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the access log cannot be written; lines are dropped and counted");
                }
                let lines = memchr::memchr_iter(b'\n', &lines[written..]).count() as u64;
                Err(Lost { lines })
            }
        }
    }

    fn end_broken_line(&mut self, give_up: &impl Fn() -> bool) -> io::Result<()> {
        if self.mid_line {
            self.write_all(b"\n", give_up).map_err(|(error, _)| error)?;
            self.mid_line = false;
        }
        Ok(())
    }

    /// Like `Write::write_all`, with the number of bytes written on failure, and with patience for an
    /// output that is non-blocking.
    #[expect(
        clippy::disallowed_methods,
        reason = "sleeps on the log's own thread; workers never wait for it"
    )]
    fn write_all(&mut self, bytes: &[u8], give_up: &impl Fn() -> bool) -> Result<(), (io::Error, usize)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.out.write(&bytes[written..]) {
                Ok(0) => return Err((ErrorKind::WriteZero.into(), written)),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !give_up() => {
                    std::thread::sleep(FULL_PAUSE);
                }
                Err(error) => return Err((error, written)),
            }
        }
        Ok(())
    }
}
