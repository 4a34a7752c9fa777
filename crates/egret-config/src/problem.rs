//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::render;

/// One thing that is wrong. Holds no secret: the text it quotes has been masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The field, as in `rules.deny[0].ports`; empty for the file as a whole.
    pub path: String,
    /// Where it stands.
    pub place: Place,
}

/// Where a problem stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a line of a file.
    Line(Quote),
    /// In a flag of the command line, as in `--dns`.
    Flag(Arc<str>),
    /// In a file as a whole, or in one whose lines are nobody's business.
    File(Arc<str>),
}

/// A line of a file, with the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column of the first character that is wrong, from 1, in characters of the file.
    pub column: usize,
    /// The line's text, secrets masked and control characters replaced.
    pub text: String,
    /// The part of `text` that is wrong, in bytes; it may be empty at the end of the line.
    pub mark: Range<usize>,
}

impl Problem {
    /// The problem in one line, for a log: `egret.yaml:3:5: unknown field `limts` (did you mean `limits`?)`.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = match &self.place {
            Place::Line(quote) => format!("{}:{}:{}: ", quote.file, quote.line, quote.column),
            Place::Flag(name) | Place::File(name) => format!("{name}: "),
        };
        if !self.path.is_empty() && matches!(self.place, Place::Line(_)) {
            line.push_str(&self.path);
            line.push_str(": ");
        }
        line.push_str(&self.message);
        if let Some(help) = &self.help {
            line.push_str(" (");
            line.push_str(help);
            line.push(')');
        }
        line
    }

    /// The problem as a JSON object: `file`, `line`, `column`, `flag`, `path`, `message`, `help`, `text`.
    /// What does not apply is null.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (file, line, column, flag, text) = match &self.place {
            Place::Line(quote) => {
                (json!(&*quote.file), json!(quote.line), json!(quote.column), Value::Null, json!(quote.text))
            }
            Place::Flag(name) => (Value::Null, Value::Null, Value::Null, json!(&**name), Value::Null),
            Place::File(name) => (json!(&**name), Value::Null, Value::Null, Value::Null, Value::Null),
        };
        json!({
            "file": file,
            "line": line,
            "column": column,
            "flag": flag,
            "path": self.path,
            "message": self.message,
            "help": self.help,
            "text": text,
        })
    }
}

/// Several lines without colour: message, place, the line with a caret, and the help.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::problem(self, false))
    }
}

impl std::error::Error for Problem {}
