//! The filter language: mitmproxy's (`~d host ~m POST`), and clear words for the same and more
//! (`host:example.com method:POST`). docs/flows.md is its manual.

mod ast;
mod error;
mod eval;
mod fields;
mod glob;
mod number;
mod parse;
mod pattern;
mod print;
mod scan;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::flow::{Flow, Side};

pub use ast::{Atom, Expr, Flag, NetField, NumberField, Test, TextField, TextMatch};
pub use error::FilterError;
pub use fields::{Help, WORDS};
pub use glob::Glob;
pub use number::Range;
pub use pattern::Pattern;

/// The longest filter in bytes. What people type has a line or two.
pub const MAX_FILTER_BYTES: usize = 4096;
/// The most tests in a filter.
pub const MAX_TESTS: usize = 100;
/// The most parentheses and `!` within each other.
pub const MAX_DEPTH: usize = 50;
/// How much memory a regular expression may take when compiled, and again when it runs.
pub const MAX_REGEX_BYTES: usize = 1 << 20;
/// The most regular expressions in a filter.
pub const MAX_REGEXES: usize = 20;

/// Gives the bodies that filters look into.
pub trait Bodies {
    /// The body decoded for viewing, bounded; `None` if there is none or it may not be read now.
    fn decoded(&self, flow: &Flow, side: Side) -> Option<Bytes>;
}

/// No bodies at all.
impl Bodies for () {
    fn decoded(&self, _: &Flow, _: Side) -> Option<Bytes> {
        None
    }
}

/// A filter, ready to be used.
#[derive(Clone, Debug)]
pub struct Filter {
    expr: Expr,
    /// The same, with what is dear to test at the end.
    plan: Expr,
}

impl Default for Filter {
    fn default() -> Self {
        Self::from(Expr::All)
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.expr == other.expr
    }
}

impl From<Expr> for Filter {
    fn from(expr: Expr) -> Self {
        let plan = expr.clone().cheap_first();
        Self { expr, plan }
    }
}

impl Filter {
    /// Reads a filter. An empty one lets every flow through.
    ///
    /// # Errors
    /// What is wrong, in which column, and what was probably meant.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text).map(Self::from)
    }

    /// What it consists of.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// It lets everything through.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.expr == Expr::All
    }

    /// It looks into bodies.
    #[must_use]
    pub fn needs_bodies(&self) -> bool {
        self.expr.cost() >= ast::COST_OF_BODIES
    }

    /// Whether the flow is let through. `now` is in microseconds since 1970.
    #[must_use]
    pub fn matches(&self, flow: &Flow, now: u64, bodies: &dyn Bodies) -> bool {
        eval::matches(&self.plan, &eval::Context { flow, now, bodies })
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

/// In a form that reads as the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}
