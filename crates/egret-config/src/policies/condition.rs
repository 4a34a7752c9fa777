//! `when`: conditions in CEL.

use egret_core::policy::when::{When, WhenError};

use crate::problem::{Place, Problem};

/// Compiles a condition; everything that is wrong with it otherwise.
pub(super) fn compile(text: &str) -> Result<When, Vec<WhenError>> {
    When::compile(text)
}

/// A problem with the whole of a condition as one with the place in it, where it stands on one line; else its
/// words say the place.
pub(super) fn point(mut problem: Problem, text: &str, error: &WhenError) -> Problem {
    let (Some(line), Some(column)) = (error.line, error.column) else { return problem };
    if let Place::Line(quote) = &mut problem.place
        && line == 1
        && let Some(start) = quote.text.get(quote.mark.clone()).and_then(|marked| marked.find(text))
        && let Some((at, character)) = text.char_indices().nth(column.saturating_sub(1))
    {
        let characters = quote.text[quote.mark.start..][..start].chars().count() + column - 1;
        quote.column += characters;
        let at = quote.mark.start + start + at;
        quote.mark = at..at + character.len_utf8();
        return problem;
    }
    let place = match (line, text.trim_end().contains('\n')) {
        (line, true) => format!("line {line}, character {column} of the condition"),
        (_, false) => format!("character {column} of the condition"),
    };
    problem.message = format!("{} ({place})", problem.message);
    problem
}
