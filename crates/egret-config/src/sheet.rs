//! A text that was walked: what it says is wrong at a place of it.

use crate::problem::{Place, Problem};
use crate::source::{Position, Source};
use crate::walk::Spots;

/// A file's text with the places of what was kept of it.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) source: Source,
    pub(crate) spots: Spots,
    /// It is an object that nobody wrote on lines: its places are fields.
    by_field: bool,
}

impl Sheet {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { source: Source::new(name, text), spots: Spots::new(), by_field: false }
    }

    /// The places of an object that came as such, and not as a text.
    pub(crate) fn of_object(name: &str, spots: Spots) -> Self {
        Self { source: Source::new(name, ""), spots, by_field: true }
    }

    /// A problem with the value at a JSON pointer, or with what holds it when it was not written.
    pub(crate) fn problem(&self, pointer: &str, message: &str, help: Option<&str>) -> Problem {
        let mut holder = pointer;
        loop {
            if let Some(spot) = self.spots.get(holder) {
                let position = if holder == pointer { &spot.value } else { &spot.key };
                // What was never written (`spec`, in the short form of a policy) is no place.
                if self.by_field {
                    return self.source.problem(&Position::Nowhere, &spot.path, message, help);
                }
                if *position != Position::Nowhere {
                    return self.source.problem(position, &spot.path, message, help);
                }
            }
            match holder.rsplit_once('/') {
                Some((above, _)) => holder = above,
                None => {
                    let path = pointer.trim_start_matches('/').replace('/', ".");
                    return self.source.problem(&Position::Nowhere, &path, message, help);
                }
            }
        }
    }

    /// Whether a field was written, rather than left to its default.
    pub(crate) fn is_written(&self, pointer: &str) -> bool {
        self.spots.contains_key(pointer)
    }

    /// A place in words: "on line 3".
    pub(crate) fn place(&self, pointer: &str) -> String {
        if self.by_field {
            return format!("`{}`", self.problem(pointer, "", None).path);
        }
        match self.problem(pointer, "", None).place {
            Place::Line(quote) => format!("on line {}", quote.line),
            Place::Flag(flag) => format!("in {flag}"),
            Place::File(_) => "the default".to_owned(),
        }
    }

    /// The same, as seen from another file.
    pub(crate) fn place_from(&self, pointer: &str, other: &Self) -> String {
        let place = self.place(pointer);
        if self.source.name == other.source.name { place } else { format!("{place} of {}", self.source.name) }
    }
}
