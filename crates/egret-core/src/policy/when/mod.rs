//! `when`: conditions in CEL, for what the other fields of a rule cannot say.
//!
//! A condition is compiled when its policy is loaded: parsed (by the `cel` crate), checked for types, bounded in
//! cost, its patterns compiled. It is then evaluated here and not by that crate's interpreter, which knows types
//! only while it runs, has no bound on what it does, and needs the variables made beforehand, for a multiple of
//! the time.
//!
//! docs/policy-conditions.md is the manual.

use std::fmt;
use std::sync::Arc;

mod check;
mod cost;
mod error;
mod evaluate;
mod fault;
mod functions;
mod parse;
mod program;
mod read;
mod scan;
mod types;
mod value;
mod variables;

pub use check::MAX_DEPTH;
pub use cost::MAX_COST;
pub use error::WhenError;
pub use fault::{FaultKind, WhenFault};
pub use functions::functions;
pub use scan::{MAX_NESTING, MAX_TEXT_BYTES, MAX_TOKENS};
pub use variables::variables;

use super::Ask;
use check::Mentions;
use program::Expr;

/// The stack that a condition is parsed and checked on, in bytes: the parser takes up to 100 KiB for a level of
/// brackets where it is not optimised. It is reserved, and taken only as far as it is used.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// A condition that was found to be good.
#[derive(Clone)]
pub struct When {
    compiled: Arc<Compiled>,
}

struct Compiled {
    text: Box<str>,
    whole: Expr,
    mentions: Mentions,
}

impl When {
    /// Compiles a condition.
    ///
    /// # Errors
    /// All that is wrong with it, in the order in which it stands there.
    pub fn compile(text: &str) -> Result<Self, Vec<WhenError>> {
        let tokens = scan::scan(text).map_err(|error| vec![error])?;
        let compile = || {
            let (tree, places) = parse::parse(text, &tokens)?;
            check::check(text, &tree, &places)
        };
        let outcome = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("condition".into()).stack_size(STACK_BYTES);
            match thread.spawn_scoped(scope, compile) {
                Ok(thread) => thread.join().unwrap_or_else(|_| {
                    Err(vec![WhenError::new("the condition cannot be compiled (a fault of Egret's own)")])
                }),
                Err(error) => Err(vec![
                    WhenError::new(format!("no thread to compile the condition on: {error}"))
                        .help("see whether the limit of processes is reached"),
                ]),
            }
        });
        match outcome {
            Ok((whole, mentions)) => {
                Ok(Self { compiled: Arc::new(Compiled { text: text.into(), whole, mentions }) })
            }
            Err(mut errors) => {
                errors.sort_by_key(|error| (error.line, error.column));
                errors.dedup();
                Err(errors)
            }
        }
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.compiled.text
    }

    /// Whether it looks at the request, which is not seen on a tunnel.
    #[must_use]
    pub fn needs_request(&self) -> bool {
        self.compiled.mentions.request
    }

    /// Whether it looks at the destination's address, which is not known before the name is resolved.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        self.compiled.mentions.address
    }

    /// Whether it looks at the time, so that what it says of a standing flow can change without anything else.
    #[must_use]
    pub fn needs_time(&self) -> bool {
        self.compiled.mentions.time
    }

    /// Whether the condition holds for a flow.
    ///
    /// # Errors
    /// Why it can neither be said to hold nor not to: it looks at what is not known or not there.
    pub fn evaluate(&self, ask: &Ask<'_>) -> Result<bool, WhenFault> {
        evaluate::evaluate(&self.compiled.text, &self.compiled.whole, ask)
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("When").field(&self.text()).finish()
    }
}

impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for When {}
