//! What is wrong with a condition, and where.

use std::fmt;

/// Something that is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhenError {
    /// What is wrong.
    pub message: String,
    /// The line in the condition, from 1, where there is a place.
    pub line: Option<usize>,
    /// The column in that line in characters, from 1, where there is a place.
    pub column: Option<usize>,
    /// What to do about it.
    pub help: Option<String>,
}

impl WhenError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, column: None, help: None }
    }

    pub(super) fn at(self, text: &str, offset: usize) -> Self {
        let (line, column) = position(text, offset);
        Self { line: Some(line), column: Some(column), ..self }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for WhenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line @ 2..), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (_, Some(column)) => write!(f, "column {column}: ")?,
            _ => {}
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for WhenError {}

/// The line and the column of a byte, both from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The byte at a line and a column, both from 1.
pub(super) fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[start..];
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// The name among `known` that was most likely meant by `name`.
pub(super) fn meant<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
