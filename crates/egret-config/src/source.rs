//! The text of a file, with its lines, and how a part of it is quoted.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::mask;
use crate::problem::{Place, Problem, Quote};

/// The most of a line that is quoted, in bytes; a line can be as long as the file.
const QUOTED: usize = 160;

/// The longest line of which a part is shown. To mask its secrets, all of it has to be looked at, for each
/// of its problems.
const LONGEST: usize = 4096;

/// Where something stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Position {
    /// Nowhere: it was not written.
    #[default]
    Nowhere,
    /// In the file, in bytes.
    File(Range<usize>),
    /// In a flag of the command line.
    Flag(Arc<str>),
}

/// A file's text and name.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
    starts: Vec<usize>,
    /// Lines of which nothing is shown, since a secret in them could not be found by its look.
    hidden: BTreeSet<usize>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { name: name.into(), text: text.into(), starts, hidden: BTreeSet::new() }
    }

    /// Hides every line that the range touches.
    pub(crate) fn hide(&mut self, range: Range<usize>) {
        let (first, last) = (self.line_of(range.start), self.line_of(range.end));
        self.hidden.extend(first..=last);
    }

    /// The problem with a position turned into a quoted line, and secrets in its words masked.
    pub(crate) fn problem(
        &self,
        position: &Position,
        path: &str,
        message: &str,
        help: Option<&str>,
    ) -> Problem {
        let place = match position {
            Position::Nowhere => Place::File(self.name.clone()),
            Position::Flag(flag) => Place::Flag(flag.clone()),
            Position::File(range) => Place::Line(self.quote(range.clone())),
        };
        Problem { message: mask::words(message), help: help.map(mask::words), path: mask::words(path), place }
    }

    fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    fn quote(&self, range: Range<usize>) -> Quote {
        let start = floor_boundary(&self.text, range.start);
        let end = floor_boundary(&self.text, range.end.max(range.start));
        let index = self.line_of(start);
        let from = self.starts.get(index).copied().unwrap_or(0);
        let to = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(from..to).unwrap_or("").trim_end_matches(['\n', '\r']);
        let column = line.get(..start - from).unwrap_or(line).chars().count() + 1;
        let quote =
            |text: String, mark| Quote { file: self.name.clone(), line: index + 1, column, text, mark };
        if self.hidden.contains(&index) || line.len() > LONGEST {
            let shown =
                if line.len() > LONGEST { "(a line that is too long to be shown)" } else { mask::MASK };
            let text = shown.to_owned();
            let mark = 0..text.len();
            return quote(text, mark);
        }
        let mark = (start - from).min(line.len())..(end - from).min(line.len());
        let (text, mark) = mask::line(line, mark);
        let (text, mark) = clip(&text, mark);
        quote(text, mark)
    }
}

/// Cuts a very long line down to what stands around the mark.
fn clip(line: &str, mark: Range<usize>) -> (String, Range<usize>) {
    if line.len() <= QUOTED {
        return (line.to_owned(), mark);
    }
    let from = floor_boundary(line, mark.start.saturating_sub(QUOTED / 2));
    let to = floor_boundary(line, from + QUOTED);
    let text = line[from..to].to_owned();
    let mark = (mark.start - from).min(text.len())..(mark.end - from).min(text.len());
    (text, mark)
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
