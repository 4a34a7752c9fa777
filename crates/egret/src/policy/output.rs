//! Pieces of what is printed.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use super::{ToolError, other};

/// ANSI escapes, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    /// As standard output is.
    pub(crate) fn of_stdout() -> Self {
        let wanted = anstream::AutoStream::choice(&std::io::stdout());
        Self(wanted != anstream::ColorChoice::Never && std::io::stdout().is_terminal())
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Allow in one colour, Deny in the other.
    pub(super) fn decision(self, word: &str) -> String {
        match word {
            "Allow" => self.good(word),
            "Deny" => self.bad(word),
            other => other.to_owned(),
        }
    }
}

/// Text of somebody else, on one line and harmless to a terminal, cut to a bound.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        let is_harmful = character.is_control()
            || matches!(u32::from(character), 0x2028..=0x202e | 0x2066..=0x2069 | 0x200b..=0x200f | 0xfeff);
        out.push(if is_harmful { '\u{fffd}' } else { character });
    }
    out
}

/// A table whose columns are as wide as what is in them. The last column is not padded.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|name| (*name).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The table; `paint` gets the number of the row and of the column, and the padded text.
    pub(super) fn render(&self, paint: impl Fn(usize, usize, &str) -> String) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let is_last = column + 1 == row.len();
                let padded =
                    if is_last { cell.clone() } else { format!("{cell:width$}  ", width = widths[column]) };
                line.push_str(&paint(number, column, &padded));
            }
            // Writing to memory cannot fail.
            let _ = writeln!(out, "  {}", line.trim_end());
        }
        out
    }
}

/// Numbers as people read them: 1,234,567.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 flow`, `2 flows`.
pub(super) fn count(amount: u64, one: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{} {one}{plural}", number(amount))
}

/// Writes a file whole, or leaves what was there.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), ToolError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cannot = |error: std::io::Error| other(format!("{} cannot be written: {error}", path.display()));
    // What is no plain file (a pipe, /dev/stdout) cannot be replaced.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text).map_err(cannot);
    }
    let mut file =
        tempfile::Builder::new().permissions(permissions()).tempfile_in(directory).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
}

/// As of any other file: what the umask leaves of it.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_text_of_others_without_harm() {
        assert_eq!(plain("a\u{1b}[31m\nb\u{202e}c", 20), "a\u{fffd}[31m\u{fffd}b\u{fffd}c");
        assert_eq!(plain("abcdef", 3), "abc…");
        assert_eq!(
            (number(0), number(999), number(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
    }
}
