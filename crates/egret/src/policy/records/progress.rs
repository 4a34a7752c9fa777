//! A line on the terminal while much is read.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::super::output::number;

/// How often it is written.
const EVERY: Duration = Duration::from_millis(500);

/// Says on standard error, where that is a terminal, how far the reading is.
#[derive(Debug)]
pub(in super::super) struct Progress {
    enabled: bool,
    last: Instant,
    written: bool,
}

impl Progress {
    /// Begins.
    pub(in super::super) fn new() -> Self {
        Self { enabled: std::io::stderr().is_terminal(), last: Instant::now(), written: false }
    }

    /// So many lines were read.
    pub(in super::super) fn lines(&mut self, lines: u64) {
        if !self.enabled || !lines.is_multiple_of(4096) || self.last.elapsed() < EVERY {
            return;
        }
        self.last = Instant::now();
        self.written = true;
        // Nobody misses it.
        let _ = write!(std::io::stderr(), "\r\u{1b}[K{} lines read", number(lines));
    }

    /// Takes the line away.
    pub(in super::super) fn finish(&mut self) {
        if std::mem::take(&mut self.written) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
