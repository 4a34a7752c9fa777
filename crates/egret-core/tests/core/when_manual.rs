//! docs/policy-conditions.md says what is so.

use egret_core::policy::when::{
    MAX_COST, MAX_DEPTH, MAX_NESTING, MAX_TEXT_BYTES, MAX_TOKENS, functions, variables,
};

use crate::when::{Flow, compiled};

const MANUAL: &str = include_str!("../../../../docs/policy-conditions.md");

/// The rows of the tables: their first two cells.
fn rows() -> Vec<(&'static str, &'static str)> {
    let cells = |line: &'static str| -> Option<(&str, &str)> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?, cells.next()?))
    };
    MANUAL.lines().filter_map(cells).collect()
}

#[test]
fn the_manual_has_every_variable_with_its_type() {
    let rows = rows();
    for (path, value_type) in variables() {
        let row = (format!("`{path}`"), format!("`{value_type}`"));
        assert!(rows.iter().any(|(name, shown)| *name == row.0 && *shown == row.1), "{row:?} is missing");
    }
    let listed = rows.iter().filter(|(_, shown)| ["`string`", "`int`"].contains(shown)).count();
    assert_eq!(listed, variables().iter().filter(|(_, shown)| shown == "string" || shown == "int").count());
}

#[test]
fn the_manual_has_every_function() {
    for function in functions() {
        let called = [format!("`{function}("), format!(".{function}("), format!("`{function}`")];
        assert!(called.iter().any(|called| MANUAL.contains(called.as_str())), "{function} is missing");
    }
}

#[test]
fn the_manual_has_the_bounds() {
    for bound in [MAX_TEXT_BYTES, MAX_TOKENS, MAX_NESTING, MAX_DEPTH] {
        assert!(
            rows().iter().any(|(_, shown)| shown.split(' ').next() == Some(&bound.to_string())),
            "{bound}"
        );
    }
    assert_eq!(MAX_COST, 250_000);
    assert!(MANUAL.contains("| cost | 250,000 units |"));
}

#[test]
fn the_examples_say_what_the_manual_says() {
    let block = MANUAL.split("```cel\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let flow = Flow::new();
    for line in block.lines() {
        let (text, wanted) = line.rsplit_once("//").expect("a comment");
        let said = match flow.decide(&compiled(text.trim_end()), true) {
            Ok(holds) => holds.to_string(),
            Err(_) => "undecided".to_owned(),
        };
        assert_eq!(said, wanted.trim(), "{text}");
    }
    assert!(block.lines().count() > 20);
}
