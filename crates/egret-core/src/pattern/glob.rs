//! Patterns with stars for names, paths and values.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest pattern, in bytes: longer ones are mistakes.
const LONGEST: usize = 1024;
/// The most stars in a pattern: a match takes time in proportion to them.
const MOST_STARS: usize = 16;

/// A pattern: `*` stands for any characters but the separator (`/` in paths and URIs; nothing, where there
/// is none) and `**` for any characters at all. Everything else stands for itself, exactly.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    parts: Vec<Part>,
    separator: Option<u8>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<[u8]>),
    WithinSegment,
    Anything,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// Nothing stands there.
    #[error("the pattern is empty")]
    Empty,
    /// It is too long.
    #[error("the pattern is longer than 1024 bytes")]
    TooLong,
    /// It has too many stars.
    #[error("the pattern has more than 16 stars")]
    TooManyStars,
    /// A control character stands in it.
    #[error("the pattern has a control character in it")]
    Control,
}

impl Glob {
    /// Reads a pattern in which `*` goes past anything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        Self::read(text, None)
    }

    /// Reads a pattern in which `*` does not go past `/`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn path(text: &str) -> Result<Self, GlobError> {
        Self::read(text, Some(b'/'))
    }

    fn read(text: &str, separator: Option<u8>) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > LONGEST {
            return Err(GlobError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(GlobError::Control);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let stars = rest.len() - rest.trim_start_matches('*').len();
            match stars {
                0 => {
                    let end = rest.find('*').unwrap_or(rest.len());
                    parts.push(Part::Literal(rest.as_bytes()[..end].into()));
                    rest = &rest[end..];
                    continue;
                }
                1 => parts.push(Part::WithinSegment),
                _ => parts.push(Part::Anything),
            }
            rest = &rest[stars..];
        }
        if parts.iter().filter(|part| !matches!(part, Part::Literal(_))).count() > MOST_STARS {
            return Err(GlobError::TooManyStars);
        }
        Ok(Self { text: text.into(), parts, separator })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one text alone, itself.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Literal(_)])
    }

    /// What every text that it stands for begins with.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => &self.text[..literal.len()],
            _ => "",
        }
    }

    /// Whether it stands for this text. Takes time in proportion to the product of both lengths at the
    /// most, and no memory unless it has several stars.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self.parts.as_slice() {
            [Part::Literal(literal)] => **literal == *bytes,
            [star] => self.star_takes(star, bytes),
            [Part::Literal(prefix), star] if !is_literal(star) => {
                bytes.strip_prefix(&**prefix).is_some_and(|rest| self.star_takes(star, rest))
            }
            [star, Part::Literal(suffix)] => {
                bytes.strip_suffix(&**suffix).is_some_and(|rest| self.star_takes(star, rest))
            }
            parts => self.matches_parts(parts, bytes),
        }
    }

    fn star_takes(&self, star: &Part, bytes: &[u8]) -> bool {
        match (star, self.separator) {
            (Part::WithinSegment, Some(separator)) => !bytes.contains(&separator),
            _ => true,
        }
    }

    fn matches_parts(&self, parts: &[Part], bytes: &[u8]) -> bool {
        // `reached[n]`: the parts so far can stand for the first n bytes.
        let mut reached = vec![false; bytes.len() + 1];
        reached[0] = true;
        for part in parts {
            let mut next = vec![false; reached.len()];
            match part {
                Part::Literal(literal) => {
                    for at in (0..reached.len()).filter(|at| reached[*at]) {
                        if bytes[at..].starts_with(literal) {
                            next[at + literal.len()] = true;
                        }
                    }
                }
                star => {
                    for at in 0..reached.len() {
                        next[at] = reached[at]
                            || at > 0 && next[at - 1] && self.star_takes(star, &bytes[at - 1..at]);
                    }
                }
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

fn is_literal(part: &Part) -> bool {
    matches!(part, Part::Literal(_))
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", self.text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stands_for_texts_as_documented() {
        let table = [
            ("alice", "alice", true),
            ("alice", "Alice", false),
            ("ci-*", "ci-", true),
            ("ci-*", "ci-build/7", true),
            ("*-ci", "build-ci", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("**", "x/y", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} for {text}");
        }
        let table = [
            ("/v1/*", "/v1/charges", true),
            ("/v1/*", "/v1/charges/7", false),
            ("/v1/**", "/v1/charges/7", true),
            ("/v1/*/refunds", "/v1/7/refunds", true),
            ("/v1/*/refunds", "/v1/7/8/refunds", false),
            ("/**/refunds", "/v1/7/8/refunds", true),
            ("*.json", "/a.json", false),
            ("**.json", "/a.json", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(Glob::path(pattern).unwrap().matches(text), expected, "{pattern} for {text}");
        }
    }

    #[test]
    fn refuses_what_would_cost_too_much() {
        assert_eq!(Glob::new(""), Err(GlobError::Empty));
        assert_eq!(Glob::new(&"a".repeat(1025)), Err(GlobError::TooLong));
        assert_eq!(Glob::new(&"*a".repeat(17)), Err(GlobError::TooManyStars));
        assert_eq!(Glob::new("a\nb"), Err(GlobError::Control));
    }

    fn obvious(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([b'*', b'*', rest @ ..], _) => (0..=text.len()).any(|at| obvious(rest, &text[at..])),
            ([b'*', rest @ ..], _) => (0..=text.len())
                .take_while(|at| !text[..*at].contains(&b'/'))
                .any(|at| obvious(rest, &text[at..])),
            ([first, rest @ ..], [other, others @ ..]) => first == other && obvious(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_an_obvious_matcher(pattern in "[a/*]{1,8}", text in "[a/]{0,8}") {
            // Three stars in a row are two.
            prop_assume!(!pattern.contains("***"));
            let expected = obvious(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Glob::path(&pattern).unwrap().matches(&text), expected);
        }
    }
}
