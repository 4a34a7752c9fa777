//! What a condition can cost, estimated when it is loaded and counted while it runs.
//!
//! A unit is about what it takes to look at one node of an expression, some nanoseconds. Texts are gone through
//! at [`BYTES_A_UNIT`], as Kubernetes reckons it.

/// The most that a condition may cost, by estimate and in fact: about a millisecond.
pub const MAX_COST: u64 = 250_000;
/// How many bytes of text are gone through for a unit.
const BYTES_A_UNIT: u64 = 10;

/// How large a value can be: bytes of a text, elements of a list, entries of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) count: u64,
    /// The size of an element, or of the value of an entry.
    of: Option<Box<Size>>,
}

/// What the key of a map can be: a header's or a label's name.
const KEY_BYTES: u64 = 317;

impl Size {
    pub(super) const ONE: Self = Self { count: 1, of: None };

    pub(super) fn text(bytes: u64) -> Self {
        Self { count: bytes, of: None }
    }

    pub(super) fn many(count: u64, of: Self) -> Self {
        Self { count, of: Some(Box::new(of)) }
    }

    pub(super) fn key() -> Self {
        Self::text(KEY_BYTES)
    }

    pub(super) fn element(&self) -> Self {
        self.of.as_deref().cloned().unwrap_or(Self::ONE)
    }

    /// The size of what can be either.
    pub(super) fn either(&self, other: &Self) -> Self {
        let of = match (&self.of, &other.of) {
            (Some(a), Some(b)) => Some(Box::new(a.either(b))),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        Self { count: self.count.max(other.count), of }
    }

    /// The size of one after the other.
    pub(super) fn joined(&self, other: &Self) -> Self {
        Self { count: self.count.saturating_add(other.count), ..self.either(other) }
    }

    /// All bytes and elements of it together.
    pub(super) fn total(&self) -> u64 {
        match &self.of {
            Some(of) => self.count.saturating_mul(of.total().saturating_add(1)),
            None => self.count,
        }
    }
}

/// What it costs to go through so many bytes.
pub(super) const fn bytes(count: u64) -> u64 {
    count.div_ceil(BYTES_A_UNIT)
}

/// What it costs to match so many bytes against a pattern of so many.
pub(super) const fn matching(text: u64, pattern: u64) -> u64 {
    bytes(text).saturating_add(1).saturating_mul(pattern.div_ceil(4))
}
