//! Why a condition could not be decided.

use std::fmt;

use super::cost::MAX_COST;

/// Why a condition could not be decided for a flow: it is neither true nor false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhenFault {
    kind: FaultKind,
    line: u32,
    column: u32,
}

/// What kind of fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It looks at the request, and none is seen, as on a tunnel.
    NoRequest,
    /// It looks at the address of the destination, which is not known.
    NoAddress,
    /// It looks at the length of the body, which was not said beforehand.
    NoBodyLength,
    /// A map has no such key.
    MissingKey(Box<str>),
    /// A list has no such element.
    OutOfRange {
        /// The index asked for.
        index: i64,
        /// The number of elements.
        length: usize,
    },
    /// A number, time or duration is out of range.
    Overflow,
    /// A division by zero.
    DivisionByZero,
    /// A text is not what a function reads.
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// The text, cut.
        text: Box<str>,
    },
    /// It has cost more than [`MAX_COST`].
    TooExpensive,
    /// A fault of Egret's own: types do not go together that were checked.
    Internal,
}

impl WhenFault {
    pub(super) fn new(kind: FaultKind, line: u32, column: u32) -> Self {
        Self { kind, line, column }
    }

    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }
}

impl fmt::Display for WhenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::NoRequest => {
                f.write_str("the condition looks at the request, which is not seen on a tunnel")
            }
            FaultKind::NoAddress => {
                f.write_str("the condition looks at the destination's address, which is not known")
            }
            FaultKind::NoBodyLength => f.write_str(
                "the condition looks at the length of the body, which was not said beforehand \
                 (test has(request.bodyLength) first)",
            ),
            FaultKind::MissingKey(key) => {
                write!(f, "there is no key {key:?} (test {key:?} in the map first)")
            }
            FaultKind::OutOfRange { index, length } => {
                write!(f, "there is no element {index} in a list or text of {length} (test its size() first)")
            }
            FaultKind::Overflow => f.write_str("a number, time or duration is out of range"),
            FaultKind::DivisionByZero => f.write_str("division by zero"),
            FaultKind::Unreadable { what, text } => write!(f, "{text:?} is no {what}"),
            FaultKind::TooExpensive => {
                write!(f, "the condition has cost more than {MAX_COST} units for this flow")
            }
            FaultKind::Internal => {
                f.write_str("the condition could not be evaluated (a fault of Egret's own)")
            }
        }?;
        if self.line > 1 {
            return write!(f, ", at line {}, column {} of the condition", self.line, self.column);
        }
        write!(f, ", at column {} of the condition", self.column)
    }
}

impl std::error::Error for WhenFault {}
