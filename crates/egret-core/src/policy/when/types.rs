//! The types of conditions.

use std::fmt;

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    String,
    Timestamp,
    Duration,
    Ip,
    Cidr,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// The elements of `[]`: goes with every type, since there are none.
    Nothing,
    /// Something that an error was already reported for: no other is made of it.
    Wrong,
}

impl Type {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub(super) fn map(keys: Self, values: Self) -> Self {
        Self::Map(Box::new(keys), Box::new(values))
    }

    /// The type that holds values of both, where there is one.
    pub(super) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Wrong, _) | (_, Self::Wrong) => Some(Self::Wrong),
            (Self::Nothing, one) | (one, Self::Nothing) => Some(one.clone()),
            (Self::List(a), Self::List(b)) => a.join(b).map(Self::list),
            (Self::Map(a, x), Self::Map(b, y)) => Some(Self::map(a.join(b)?, x.join(y)?)),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }

    /// Whether an error was already reported for it or for a part of it.
    pub(super) fn is_wrong(&self) -> bool {
        match self {
            Self::Wrong => true,
            Self::List(of) => of.is_wrong(),
            Self::Map(keys, values) => keys.is_wrong() || values.is_wrong(),
            _ => false,
        }
    }

    /// Whether values of it have an order.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(self, Self::Bool | Self::Int | Self::String | Self::Timestamp | Self::Duration)
    }

    /// With its article, for a sentence: `an int`, `a list of strings`.
    pub(super) fn one(&self) -> String {
        let article = match self {
            Self::Int | Self::Ip => "an",
            Self::Nothing | Self::Wrong => "",
            _ => "a",
        };
        format!("{article} {self}").trim_start().to_owned()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::String => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Ip => f.write_str("IP address"),
            Self::Cidr => f.write_str("CIDR range"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(keys, values) => write!(f, "map({keys}, {values})"),
            Self::Nothing | Self::Wrong => f.write_str("nothing"),
        }
    }
}
