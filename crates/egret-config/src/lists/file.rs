//! The file of a list. It is read line by line: of a million names, none is held twice.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use egret_core::policy::NameList;

use super::{format, line};
use crate::config::Config;
use crate::file::ListFormat;
use crate::problem::{Place, Problem};
use crate::referenced::{FileError, error, unreadable};
use crate::source::Source;
use crate::values::Complaint;

/// The largest file of a list: some thirty million names.
const MAX_BYTES: u64 = 512 << 20;
/// The longest line, in bytes. No name comes near; a comment may.
const LONGEST_LINE: usize = 4096;
/// How much of the beginning tells the format.
const BEGINNING: usize = 64 << 10;
/// So many lines that are wrong are shown.
const SHOWN: usize = 5;
/// So many lines that are wrong end the reading: the file is no list.
const MOST_FAULTS: usize = 10_000;

/// By what a file is known to be the same as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    modified: Option<SystemTime>,
    length: u64,
    inode: (u64, u64),
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct ReadList {
    pub(super) list: Arc<NameList>,
    /// What it was read as; never [`ListFormat::Auto`].
    pub(super) format: ListFormat,
}

/// Why a list cannot be used.
#[derive(Debug)]
pub(super) enum ListError {
    /// The file as a whole.
    File(FileError),
    /// Some of its lines.
    Lines(Vec<Problem>),
}

impl From<FileError> for ListError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl ListError {
    /// Says what is wrong: of a file that cannot be read, at the field that names it.
    pub(super) fn report(self, config: &Config, pointer: &str, problems: &mut Vec<Problem>) {
        match self {
            Self::File(error) => problems.push(config.problem(pointer, &error.message, error.help)),
            Self::Lines(lines) => {
                let path = config.problem(pointer, "", None).path;
                problems.extend(lines.into_iter().map(|problem| Problem { path: path.clone(), ..problem }));
            }
        }
    }
}

impl State {
    fn from(meta: &Metadata) -> Self {
        Self { modified: meta.modified().ok(), length: meta.len(), inode: (meta.dev(), meta.ino()) }
    }

    /// Of the file as it is now.
    pub(super) fn of(path: &Path) -> Result<Self, FileError> {
        let meta = path.metadata().map_err(|cause| unreadable(path, &cause))?;
        // Asked before it is opened: opening a named pipe would wait for its other end.
        if !meta.is_file() {
            return Err(error(path, "is no regular file", None));
        }
        if meta.len() > MAX_BYTES {
            return Err(error(path, "is larger than 512 MiB", Some("is it the right file?")));
        }
        Ok(Self::from(&meta))
    }
}

/// Reads a list. Everything that is wrong with it is said at once, up to a bound.
pub(super) fn read(path: &Path, name: &Arc<str>, format: ListFormat) -> Result<(State, ReadList), ListError> {
    let file = File::open(path).map_err(|cause| unreadable(path, &cause))?;
    let meta = file.metadata().map_err(|cause| unreadable(path, &cause))?;
    let state = State::from(&meta);
    let mut reader = BufReader::with_capacity(BEGINNING, file.take(MAX_BYTES));
    let mut beginning = reader.fill_buf().map_err(|cause| unreadable(path, &cause))?;
    if beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]) {
        return Err(error(path, "is UTF-16", Some("save it as UTF-8")).into());
    }
    let has_mark = beginning.starts_with(&[0xef, 0xbb, 0xbf]);
    if has_mark {
        beginning = &beginning[3..];
    }
    let format = match format {
        ListFormat::Auto => format::detect(path, beginning),
        format => format,
    };
    let estimate = estimate(beginning, meta.len());
    let bytes = usize::try_from(meta.len()).unwrap_or(0);
    let mut builder = NameList::builder(name.clone(), estimate, bytes);
    if has_mark {
        reader.consume(3);
    }
    let mut faults = Faults { path, shown: Vec::new(), count: 0 };
    let mut text = Vec::with_capacity(LONGEST_LINE);
    let mut number = 0;
    loop {
        text.clear();
        let mut bounded = reader.by_ref().take(LONGEST_LINE as u64 + 1);
        let count = bounded.read_until(b'\n', &mut text).map_err(|cause| unreadable(path, &cause))?;
        if count == 0 || faults.count >= MOST_FAULTS {
            break;
        }
        number += 1;
        if count > LONGEST_LINE && text.last() != Some(&b'\n') {
            if !text.trim_ascii_start().starts_with(b"#") {
                let complaint = Complaint::new(format!("the line is longer than {LONGEST_LINE} bytes"));
                faults.add(number, &text, complaint.help("write one entry on a line"));
            }
            reader.skip_until(b'\n').map_err(|cause| unreadable(path, &cause))?;
            continue;
        }
        if let Err(complaint) = line::add(&mut builder, format, &text) {
            faults.add(number, &text, complaint);
        }
    }
    faults.result(format)?;
    Ok((state, ReadList { list: builder.finish(), format }))
}

/// About how many lines a file of this length has.
fn estimate(beginning: &[u8], length: u64) -> usize {
    let lines = beginning.iter().filter(|byte| **byte == b'\n').count().max(1);
    let each = (beginning.len() / lines).max(1) as u64;
    usize::try_from(length / each).unwrap_or(0)
}

/// Lines that are wrong.
struct Faults<'a> {
    path: &'a Path,
    shown: Vec<Problem>,
    count: usize,
}

impl Faults<'_> {
    fn add(&mut self, number: usize, text: &[u8], complaint: Complaint) {
        self.count += 1;
        if self.shown.len() >= SHOWN {
            return;
        }
        let text = String::from_utf8_lossy(text);
        let text = text.trim_end_matches(['\n', '\r']);
        let source = Source::new(&self.path.display().to_string(), text);
        let start = text.len() - text.trim_start().len();
        let position = crate::source::Position::File(start..text.trim_end().len());
        let mut problem = source.problem(&position, "", &complaint.message, complaint.help.as_deref());
        if let Place::Line(quote) = &mut problem.place {
            quote.line = number;
        }
        self.shown.push(problem);
    }

    fn result(mut self, format: ListFormat) -> Result<(), ListError> {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - self.shown.len();
        if more > 0 {
            let at_least = if self.count >= MOST_FAULTS { "at least " } else { "" };
            let message = format!("{at_least}{more} more lines of the list are wrong");
            let help = format!("it was read as {format}; is it written in another `format`?");
            let place = Place::File(self.path.display().to_string().into());
            self.shown.push(Problem { message, help: Some(help), path: String::new(), place });
        }
        Err(ListError::Lines(self.shown))
    }
}
