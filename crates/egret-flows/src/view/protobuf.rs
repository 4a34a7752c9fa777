//! A look at protobuf messages without their schema: field numbers, wire types, and a guess at what stands
//! within.

use serde::Serialize;

/// How far the look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtobufLimits {
    /// The most fields, those within others included.
    pub fields: usize,
    /// The most messages within each other.
    pub depth: usize,
}

impl Default for ProtobufLimits {
    fn default() -> Self {
        Self { fields: 10_000, depth: 16 }
    }
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// What it holds.
    #[serde(flatten)]
    pub value: Value,
}

/// What a field holds, as far as its wire type tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "camelCase")]
pub enum Value {
    /// An integer, a truth value or an enumeration.
    Varint(u64),
    /// Eight bytes: an integer or a double.
    Fixed64(u64),
    /// Four bytes: an integer or a float.
    Fixed32(u32),
    /// Bytes that are a text.
    Text(String),
    /// Bytes that can be read as a message.
    Message(Vec<Field>),
    /// A group, which newer protobuf does not have.
    Group(Vec<Field>),
    /// Any other bytes, as hexadecimal digits.
    Bytes(String),
}

/// The fields of a message; `None` if it is none, or larger than the limits.
#[must_use]
pub fn fields(message: &[u8], limits: &ProtobufLimits) -> Option<Vec<Field>> {
    let mut reader = Reader { rest: message, left: limits.fields };
    reader.message(limits.depth, None)
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

impl Reader<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for index in 0..10 {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f).checked_shl(7 * index)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn message(&mut self, depth: usize, group: Option<u32>) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        while !self.rest.is_empty() {
            let key = self.varint()?;
            let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number))?;
            if key & 7 == 4 {
                return (group == Some(number)).then_some(fields);
            }
            self.left = self.left.checked_sub(1)?;
            let value = self.value(key & 7, number, depth)?;
            fields.push(Field { number, value });
        }
        group.is_none().then_some(fields)
    }

    fn value(&mut self, wire_type: u64, number: u32, depth: usize) -> Option<Value> {
        Some(match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let left = self.left;
                let bytes = self.take(length)?;
                if is_text(bytes) {
                    return Some(Value::Text(String::from_utf8_lossy(bytes).into_owned()));
                }
                let mut inner = Reader { rest: bytes, left };
                let guess = if depth > 0 { inner.message(depth - 1, None) } else { None };
                // What was looked at in vain counts as well, or a crafted message would be read again and
                // again at each depth.
                let (left, value) = match guess {
                    Some(fields) => (inner.left, Value::Message(fields)),
                    None => (inner.left, Value::Bytes(digits(bytes))),
                };
                self.left = left;
                value
            }
            3 => Value::Group(if depth > 0 { self.message(depth - 1, Some(number))? } else { return None }),
            5 => Value::Fixed32(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            _ => return None,
        })
    }
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')))
}

fn digits(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
