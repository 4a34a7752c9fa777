//! Values while a condition is evaluated. They borrow from the question and from the condition where they can.

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    Bool(bool),
    Int(i64),
    Text(Text<'v>),
    Time(Timestamp),
    Span(SignedDuration),
    Ip(IpAddr),
    Cidr(IpNet),
    List(List<'v>),
    Map(Map<'v>),
}

/// A string.
#[derive(Clone, Debug)]
pub(super) enum Text<'v> {
    Borrowed(&'v str),
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// A list.
#[derive(Clone, Debug)]
pub(super) enum List<'v> {
    Values(Rc<[Value<'v>]>),
    Shared(&'v [Arc<str>]),
}

impl<'v> List<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Shared(texts) => texts.len(),
        }
    }

    pub(super) fn at(&self, index: usize) -> Option<Value<'v>> {
        match self {
            Self::Values(values) => values.get(index).cloned(),
            Self::Shared(texts) => texts.get(index).map(|text| Value::Text(Text::Borrowed(text))),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'v>> {
        (0..self.len()).filter_map(|index| self.at(index))
    }
}

/// A map.
#[derive(Clone, Debug)]
pub(super) enum Map<'v> {
    Values(Rc<[(Value<'v>, Value<'v>)]>),
    Shared(&'v [(Arc<str>, Arc<str>)]),
}

impl<'v> Map<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Values(entries) => entries.len(),
            Self::Shared(entries) => entries.len(),
        }
    }

    pub(super) fn find(&self, key: &Value<'_>) -> Option<Value<'v>> {
        match (self, key) {
            (Self::Values(entries), _) => {
                entries.iter().find(|(known, _)| known.is(key)).map(|(_, value)| value.clone())
            }
            (Self::Shared(entries), Value::Text(key)) => entries
                .iter()
                .find(|(known, _)| **known == **key)
                .map(|(_, value)| Value::Text(Text::Borrowed(value))),
            (Self::Shared(_), _) => None,
        }
    }

    pub(super) fn keys(&self) -> Vec<Value<'v>> {
        match self {
            Self::Values(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Self::Shared(entries) => {
                entries.iter().map(|(key, _)| Value::Text(Text::Borrowed(key))).collect()
            }
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.keys().iter().all(|key| match (self.find(key), other.find(key)) {
                (Some(one), Some(other)) => one.is(&other),
                _ => false,
            })
    }
}

impl Value<'_> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    /// Whether both are the same. Values of different types are not.
    pub(super) fn is(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Int(a), Value::Int(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => **a == **b,
            (Self::Time(a), Value::Time(b)) => a == b,
            (Self::Span(a), Value::Span(b)) => a == b,
            (Self::Ip(a), Value::Ip(b)) => a == b,
            (Self::Cidr(a), Value::Cidr(b)) => a == b,
            (Self::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.is(&b))
            }
            (Self::Map(a), Value::Map(b)) => a.is(b),
            _ => false,
        }
    }

    /// How large it is, as [`super::cost::Size::total`] counts.
    pub(super) fn total(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::List(list) => list.iter().map(|value| value.total() + 1).sum(),
            Self::Map(map) => {
                map.keys().iter().map(|key| map.find(key).map_or(0, |value| value.total()) + 1).sum()
            }
            _ => 1,
        }
    }
}
