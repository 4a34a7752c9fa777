//! The access log: one line for each flow, written without ever holding up the data path.
//!
//! A worker formats its line into a buffer of its own and goes on. One thread swaps the buffers out
//! every 50 ms while there is anything in them, and writes them; with nothing to do it sleeps. A
//! reader of the log that stops reading costs lines, which are counted, and never a flow.

mod clock;
mod combined;
mod common;
mod fields;
mod json;
mod logfmt;
mod sink;
mod squid;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests wait on threads of their own")]
pub(crate) mod tests;
mod text;
mod writer;

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use egret_core::record::FlowRecord;
use egret_core::settings::{AccessLogFormat, AccessLogOutput, AccessLogSettings};

use clock::Clock;
use sink::Sink;
use writer::Shared;

/// Formats records as lines. Keeps the calendar of the current second, so each worker has its own.
#[derive(Debug)]
pub struct LineFormatter {
    clock: Clock,
}

impl Default for LineFormatter {
    fn default() -> Self {
        Self { clock: Clock::new() }
    }
}

impl LineFormatter {
    /// Appends the record's line, its line feed included. Whatever the record holds, that is one line
    /// without control characters; nothing at all for an interim record in a format that cannot mark
    /// one (common, combined, squid), where it would be counted as a flow of its own.
    pub fn append(&mut self, format: AccessLogFormat, record: &FlowRecord, out: &mut Vec<u8>) {
        let marks_interim = matches!(format, AccessLogFormat::Json | AccessLogFormat::Logfmt);
        if record.interim && !marks_interim {
            return;
        }
        match format {
            AccessLogFormat::Json => json::append(out, record, &mut self.clock),
            AccessLogFormat::Common => common::append(out, record, &mut self.clock),
            AccessLogFormat::Combined => combined::append(out, record, &mut self.clock),
            AccessLogFormat::Squid => squid::append(out, record),
            AccessLogFormat::Logfmt => logfmt::append(out, record, &mut self.clock),
        }
        out.push(b'\n');
    }
}

/// The access log of the process. Dropping it lets its thread write what waits and end.
#[derive(Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
    settings: Mutex<AccessLogSettings>,
}

impl AccessLog {
    /// Opens the output and starts the writing thread.
    ///
    /// # Errors
    /// The output cannot be opened, or no thread can be started.
    pub fn start(settings: &AccessLogSettings, workers: usize) -> io::Result<Self> {
        Self::start_with(settings, workers, Sink::open(&settings.output)?)
    }

    fn start_with(settings: &AccessLogSettings, workers: usize, sink: Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(workers));
        shared.set_format(format_of(settings));
        shared.limit.store(settings.buffer_bytes, Relaxed);
        writer::start(&shared, sink)?;
        Ok(Self { shared, settings: Mutex::new(settings.clone()) })
    }

    /// The handle of one worker, from 0.
    #[must_use]
    pub fn handle(&self, worker: usize) -> AccessLogHandle {
        AccessLogHandle { shared: self.shared.clone(), worker: worker % self.shared.slots.len() }
    }

    /// Takes over changed settings: format, output and bound. A file is opened again. Lines that wait
    /// already keep their format and go to the old output.
    ///
    /// # Errors
    /// The new output cannot be opened; everything stays as it was.
    pub fn apply(&self, settings: &AccessLogSettings) -> io::Result<()> {
        let mut current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if settings.output != current.output || matches!(settings.output, AccessLogOutput::File(_)) {
            self.shared.replace_sink(Sink::open(&settings.output)?);
        }
        self.shared.limit.store(settings.buffer_bytes, Relaxed);
        self.shared.set_format(format_of(settings));
        *current = settings.clone();
        Ok(())
    }

    /// Opens the output file again, for log rotation (SIGUSR1). Lines that wait go to the old file.
    ///
    /// # Errors
    /// The file cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(current.output, AccessLogOutput::File(_)) {
            self.shared.replace_sink(Sink::open(&current.output)?);
        }
        Ok(())
    }

    /// Waits until every line written before this call is out, or `limit` has passed. True if they
    /// are. Blocks the calling thread: not for a worker.
    pub fn flush(&self, limit: Duration) -> bool {
        self.shared.flush(limit)
    }

    /// Lines lost so far: the buffer was full, or the output refused them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Failed writes so far.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.shared.write_errors.load(Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

fn format_of(settings: &AccessLogSettings) -> Option<AccessLogFormat> {
    (settings.output != AccessLogOutput::Off).then_some(settings.format)
}

/// One worker's way into the access log. A worker keeps its own; sharing one between threads works
/// and costs contention.
#[derive(Clone, Debug)]
pub struct AccessLogHandle {
    shared: Arc<Shared>,
    worker: usize,
}

impl AccessLogHandle {
    /// Leaves the record's line for the writer, or drops and counts it when too many bytes wait.
    /// Never blocks on output and allocates nothing once the buffer has grown to its working size.
    pub fn write(&self, record: &FlowRecord) {
        self.shared.write(self.worker, record);
    }
}
