//! Regular expressions of filters, bounded.

use regex::bytes::{Regex, RegexBuilder};

use super::{Atom, MAX_DEPTH, MAX_REGEX_BYTES};

/// A regular expression. Case does not matter unless it says `(?-i)`. Matching takes time linear in the text,
/// whatever the expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    /// Compiles an expression for a place: in headers, `^` and `$` are the ends of a line; in bodies, `.` is a
    /// line feed too.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(source: &str, place: Atom) -> Result<Self, String> {
        let in_body = matches!(place, Atom::Body | Atom::RequestBody | Atom::ResponseBody);
        let regex = RegexBuilder::new(source)
            .case_insensitive(true)
            .multi_line(matches!(place, Atom::Header | Atom::RequestHeader | Atom::ResponseHeader))
            .dot_matches_new_line(in_body)
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(MAX_REGEX_BYTES)
            .nest_limit(MAX_DEPTH as u32)
            .build()
            .map_err(|error| explain(&error))?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it finds something.
    #[must_use]
    pub fn finds(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

/// The last line of the library's message says what is wrong; those before draw a picture.
fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes when compiled"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}
