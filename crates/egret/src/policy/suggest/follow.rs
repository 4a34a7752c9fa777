//! A file as it grows, through its rotation.

use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::super::records::{Lines, Progress, Record, Stats};
use super::super::{ToolError, other};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// Reads `30s`, `10m`, `2h`, `1d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; write it as in 30s, 10m or 2h");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        _ => return Err(wrong()),
    };
    let amount: u32 = digits.parse().map_err(|_| wrong())?;
    unit.checked_mul(amount).ok_or_else(wrong)
}

/// Reads what is in the file and what is added, until the time is over or Ctrl-C is pressed.
pub(super) fn follow(
    path: &Path,
    duration: Option<Duration>,
    stats: &mut Stats,
    take: &mut dyn FnMut(&Record<'_>),
) -> Result<(), ToolError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| other(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        let end = duration.map(|duration| Instant::now() + duration);
        let mut interrupted = Box::pin(tokio::signal::ctrl_c());
        let mut followed = Followed::open(path)?;
        let mut progress = Progress::new();
        loop {
            followed.read(stats, &mut progress, take)?;
            let next = Instant::now() + EVERY;
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            if timeout_at(next.min(end.unwrap_or(next)), &mut interrupted).await.is_ok() {
                break;
            }
            followed.reopen_if_rotated(stats, take)?;
        }
        progress.finish();
        followed.lines.finish(&mut |line| stats.line(line, take));
        Ok(())
    })
}

struct Followed<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    lines: Lines,
}

impl<'a> Followed<'a> {
    fn open(path: &'a Path) -> Result<Self, ToolError> {
        let file = File::open(path).map_err(|error| cannot(path, &error))?;
        Ok(Self { path, reader: BufReader::new(file), lines: Lines::default() })
    }

    fn read(
        &mut self,
        stats: &mut Stats,
        progress: &mut Progress,
        take: &mut dyn FnMut(&Record<'_>),
    ) -> Result<(), ToolError> {
        loop {
            let more = self.lines.read(&mut self.reader, &mut |line| {
                stats.line(line, take);
                progress.lines(stats.lines);
            });
            match more {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(cannot(self.path, &error)),
            }
        }
    }

    /// Goes on with the file that now has the name, or at the beginning of one that was cut.
    fn reopen_if_rotated(
        &mut self,
        stats: &mut Stats,
        take: &mut dyn FnMut(&Record<'_>),
    ) -> Result<(), ToolError> {
        // Between two files of a rotation there may be none.
        let Ok(now) = std::fs::metadata(self.path) else { return Ok(()) };
        let mine = self.reader.get_ref().metadata().map_err(|error| cannot(self.path, &error))?;
        let at = self.reader.stream_position().map_err(|error| cannot(self.path, &error))?;
        if (now.dev(), now.ino()) != (mine.dev(), mine.ino()) {
            // What was added since.
            self.read(stats, &mut Progress::new(), take)?;
            self.lines.finish(&mut |line| stats.line(line, take));
            *self = Self::open(self.path)?;
        } else if mine.len() < at {
            self.reader.seek(SeekFrom::Start(0)).map_err(|error| cannot(self.path, &error))?;
        }
        Ok(())
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> ToolError {
    other(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "s", "10", "1y", "-1s", "99999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
