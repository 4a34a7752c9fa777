//! Reads characters, words and quoted strings of a filter.

use super::error::FilterError;

pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Goes past this character if it is next.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    /// Goes past this operator, one character that stands at the beginning of a word.
    pub(super) fn eat_operator(&mut self, wanted: char) -> bool {
        self.skip_space();
        let there = self.eat(wanted);
        // `&&` and `||` are what fingers type.
        if there {
            self.eat(wanted);
        }
        there
    }

    /// Whether this operator is next, written out as a word.
    pub(super) fn is_at_word(&self, wanted: &str) -> bool {
        let Some((word, rest)) = self.rest().split_at_checked(wanted.len()) else { return false };
        word.eq_ignore_ascii_case(wanted)
            && rest.starts_with(|c: char| c.is_whitespace() || c == '(' || c == '!')
    }

    /// Goes past this operator if it is next, written out as a word.
    pub(super) fn eat_word(&mut self, wanted: &str) -> bool {
        self.skip_space();
        let there = self.is_at_word(wanted);
        if there {
            self.at += wanted.len();
        }
        there
    }

    /// Takes characters while they are wanted.
    pub(super) fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Reads a quoted string whose quote is next. A backslash makes a quote or a backslash ordinary, and is
    /// itself before anything else, so that `"\d"` is what it looks like.
    pub(super) fn quoted(&mut self) -> Result<String, FilterError> {
        let start = self.at;
        let Some(quote) = self.peek() else { return Ok(String::new()) };
        self.at += quote.len_utf8();
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                self.at += offset + c.len_utf8();
                return Ok(text);
            }
            let following = self.rest()[offset..].chars().nth(1);
            match (c, following) {
                ('\\', Some(next @ ('"' | '\'' | '\\'))) => {
                    chars.next();
                    text.push(next);
                }
                _ => text.push(c),
            }
        }
        Err(self.error_at(
            start,
            "this quote is never closed",
            format!("write {quote} at the end of the text"),
        ))
    }

    pub(super) fn error_at(
        &self,
        at: usize,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> FilterError {
        let column = self.text.get(..at).map_or(1, |before| before.chars().count() + 1);
        FilterError { column, what: what.into(), hint: hint.into() }
    }
}
