//! Paths in JSON: a part of RFC 9535.

use std::fmt;

use crate::filter::Glob;

/// A path: `$.a.b`, `$.list[*].token`, `$.list[0]`, `$..secret`. The dollar may be left out.
#[derive(Clone, Debug)]
pub struct JsonPath(Vec<Segment>);

#[derive(Clone, Debug)]
enum Segment {
    /// Any number of steps.
    Descent,
    Key(Glob),
    Index(usize),
    /// Any key or index.
    Any,
}

/// A step from a value to one within it.
#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// A path that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPath {
    /// The path.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the JSON path `{}` cannot be read: {}; write $.user.password, $.items[*].token or $..secret",
            self.path, self.why
        )
    }
}

impl std::error::Error for BadPath {}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str) -> Result<Self, BadPath> {
        let bad = |why| BadPath { path: path.to_owned(), why };
        let mut segments = Vec::new();
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        if !rest.starts_with(['.', '[']) && !path.starts_with('$') {
            rest = key(rest, &mut segments).map_err(bad)?;
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                segments.push(Segment::Descent);
                rest = if after.starts_with('[') { after } else { key(after, &mut segments).map_err(bad)? };
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = key(after, &mut segments).map_err(bad)?;
            } else if let Some(after) = rest.strip_prefix('[') {
                let (inner, after) = after.split_once(']').ok_or_else(|| bad("a `[` is never closed"))?;
                let quoted = |q| inner.strip_prefix(q).and_then(|inner: &str| inner.strip_suffix(q));
                segments.push(match (inner, quoted('\'').or_else(|| quoted('"'))) {
                    ("*", _) => Segment::Any,
                    (_, Some(name)) => Segment::Key(Glob::new(name)),
                    (index, None) => Segment::Index(index.parse().map_err(|_| {
                        bad("between `[` and `]` stands a number, a star or a name in quotes")
                    })?),
                });
                rest = after;
            } else {
                return Err(bad("a dot or a bracket stands between two names"));
            }
        }
        if segments.is_empty() {
            return Err(bad("it names nothing"));
        }
        Ok(Self(segments))
    }

    pub(super) fn matches(&self, steps: &[Step]) -> bool {
        matches(&self.0, steps)
    }
}

/// Reads a name at the beginning.
fn key<'a>(text: &'a str, segments: &mut Vec<Segment>) -> Result<&'a str, &'static str> {
    let (name, rest) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
    match name {
        "" => return Err("a name is missing"),
        "*" => segments.push(Segment::Any),
        name => segments.push(Segment::Key(Glob::new(name))),
    }
    Ok(rest)
}

fn matches(segments: &[Segment], steps: &[Step]) -> bool {
    // The last first: it differs most often.
    let fits = |segment: &Segment, step: &Step| match (segment, step) {
        (Segment::Any, _) => true,
        (Segment::Key(glob), Step::Key(key)) => glob.matches(key.as_bytes()),
        (Segment::Index(wanted), Step::Index(index)) => wanted == index,
        _ => false,
    };
    match (segments.split_last(), steps.split_last()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((Segment::Descent, before)), _) => {
            (0..=steps.len()).any(|kept| matches(before, &steps[..kept]))
        }
        (Some(_), None) => false,
        (Some((segment, before)), Some((step, steps))) => fits(segment, step) && matches(before, steps),
    }
}
