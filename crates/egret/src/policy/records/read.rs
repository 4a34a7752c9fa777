//! Lines from files, standard input and compressed files, each bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use memchr::memchr;

use super::super::output::{count, number};
use super::super::{ToolError, other};
use super::{Progress, Record, Unusable, parse};

/// The longest line that is read, in bytes. Egret cuts what clients can make long at 2 KiB, which escapes
/// make six times as long at the most.
pub(super) const LONGEST_LINE: usize = 64 << 10;
/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// How many lines there were, and what they were good for.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Stats {
    pub(in super::super) lines: u64,
    pub(in super::super) used: u64,
    pub(in super::super) interim: u64,
    pub(in super::super) unusable: BTreeMap<Unusable, u64>,
}

impl Stats {
    /// Lines that could not be used.
    pub(in super::super) fn passed_over(&self) -> u64 {
        self.unusable.values().sum()
    }

    /// In words: one line for all, and one for each reason.
    pub(in super::super) fn words(&self) -> Vec<String> {
        let mut words = vec![format!("{} read, {} used", count(self.lines, "line"), number(self.used))];
        if self.interim > 0 {
            words.push(format!(
                "{} of tunnels that were still open, not counted",
                count(self.interim, "line")
            ));
        }
        for (why, amount) in &self.unusable {
            words.push(format!("{} passed over: {}", count(*amount, "line"), why.words()));
        }
        words
    }

    /// For programs.
    pub(in super::super) fn json(&self) -> serde_json::Value {
        let of = |why: Unusable| self.unusable.get(&why).copied().unwrap_or(0);
        serde_json::json!({
            "lines": self.lines,
            "used": self.used,
            "interim": self.interim,
            "unusable": self.passed_over(),
            "tooLong": of(Unusable::TooLong),
            "noRecord": of(Unusable::NoRecord),
            "noDestination": of(Unusable::NoDestination),
            "undecided": of(Unusable::Undecided),
        })
    }

    /// Takes a line, and gives the record in it to `take`.
    pub(in super::super) fn line(&mut self, line: Option<&[u8]>, take: &mut dyn FnMut(&Record<'_>)) {
        let Some(line) = line else {
            self.lines += 1;
            *self.unusable.entry(Unusable::TooLong).or_default() += 1;
            return;
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.lines += 1;
        match parse(line) {
            Ok(record) => {
                if record.fields.interim {
                    self.interim += 1;
                } else {
                    self.used += 1;
                }
                take(&record);
            }
            Err(why) => *self.unusable.entry(why).or_default() += 1,
        }
    }
}

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.clone()) }
    }
}

impl Source {
    fn open(&self) -> Result<Box<dyn BufRead>, ToolError> {
        let reader: Box<dyn Read> = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => Box::new(File::open(path).map_err(|error| cannot_read(path, &error))?),
        };
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        let is_compressed =
            reader.fill_buf().map_err(|error| self.cannot_read(&error))?.starts_with(&[0x1f, 0x8b]);
        Ok(if is_compressed {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader)))
        } else {
            Box::new(reader)
        })
    }

    fn cannot_read(&self, error: &io::Error) -> ToolError {
        match self {
            Self::Stdin => other(format!("standard input cannot be read: {error}")),
            Self::File(path) => cannot_read(path, error),
        }
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> ToolError {
    other(format!("{} cannot be read: {error}; is it the right path?", path.display()))
}

/// Reads all records of all sources, one after the other.
pub(in super::super) fn read_all(
    sources: &[Source],
    mut take: impl FnMut(&Record<'_>),
) -> Result<Stats, ToolError> {
    let mut stats = Stats::default();
    let mut progress = Progress::new();
    for source in sources {
        let mut reader = source.open()?;
        let mut lines = Lines::default();
        loop {
            let more = lines.read(&mut reader, &mut |line| {
                stats.line(line, &mut take);
                progress.lines(stats.lines);
            });
            if !more.map_err(|error| source.cannot_read(&error))? {
                break;
            }
        }
        lines.finish(&mut |line| stats.line(line, &mut take));
    }
    progress.finish();
    Ok(stats)
}

/// Splits what is read into lines, of which none takes more memory than the longest may.
#[derive(Debug, Default)]
pub(in super::super) struct Lines {
    /// The beginning of a line whose end was not read yet.
    begun: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Gives on the lines of what can be read at once; `None` stands for one that is too long. False at the
    /// end.
    pub(in super::super) fn read(
        &mut self,
        reader: &mut dyn BufRead,
        line: &mut dyn FnMut(Option<&[u8]>),
    ) -> io::Result<bool> {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            buffer => buffer?,
        };
        let length = buffer.len();
        let mut rest = buffer;
        while let Some(end) = memchr(b'\n', rest) {
            let piece = &rest[..end];
            rest = &rest[end + 1..];
            if self.too_long || self.begun.len() + piece.len() > LONGEST_LINE {
                line(None);
            } else if self.begun.is_empty() {
                line(Some(piece));
            } else {
                self.begun.extend_from_slice(piece);
                line(Some(&self.begun));
            }
            self.begun.clear();
            self.too_long = false;
        }
        if self.begun.len() + rest.len() > LONGEST_LINE {
            self.too_long = true;
            self.begun.clear();
        } else if !self.too_long {
            self.begun.extend_from_slice(rest);
        }
        reader.consume(length);
        Ok(length > 0)
    }

    /// Gives on a last line that has no end.
    pub(in super::super) fn finish(&mut self, line: &mut dyn FnMut(Option<&[u8]>)) {
        if self.too_long {
            line(None);
        } else if !self.begun.is_empty() {
            line(Some(&self.begun));
        }
        self.begun.clear();
        self.too_long = false;
    }
}
