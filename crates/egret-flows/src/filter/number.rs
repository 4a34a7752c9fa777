//! Ranges of numbers, with units.

use std::fmt;

use super::NumberField;

/// A range, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

/// Units of bytes. `k`, `M` and `G` are powers of ten, as in SI.
const BYTES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1000),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("ki", 1 << 10),
    ("kib", 1 << 10),
    ("mi", 1 << 20),
    ("mib", 1 << 20),
    ("gi", 1 << 30),
    ("gib", 1 << 30),
];

/// Units of time, in microseconds. A number alone would be read differently by everybody, so there is none.
const TIME: &[(&str, u64)] = &[
    ("us", 1),
    ("µs", 1),
    ("ms", 1000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

const NONE: &[(&str, u64)] = &[("", 1)];

impl NumberField {
    fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Bytes | Self::BytesUp | Self::BytesDown => BYTES,
            Self::Time | Self::FirstByte | Self::Age => TIME,
            Self::Status | Self::Port | Self::Messages => NONE,
        }
    }

    /// What a value may look like, for people.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Bytes | Self::BytesUp | Self::BytesDown => ">1M, <=64KiB or 1k..2k",
            Self::Time | Self::FirstByte | Self::Age => ">2s, <=150ms or 1s..2m",
            Self::Status => "404, >=500, 5xx or 200..299",
            Self::Port | Self::Messages => "443, >1024 or 8000..8999",
        }
    }
}

impl Range {
    /// Whether the number is within.
    #[must_use]
    pub fn contains(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }

    /// Reads `500`, `>=500`, `>499`, `<400`, `<=399`, `200..299`, and `5xx` for a status.
    pub(super) fn parse(text: &str, field: NumberField) -> Option<Self> {
        let number = |text: &str| read(text, field.units());
        let all = Self { min: 0, max: u64::MAX };
        if let Some(rest) = text.strip_prefix(">=") {
            Some(Self { min: number(rest)?, ..all })
        } else if let Some(rest) = text.strip_prefix("<=") {
            Some(Self { max: number(rest)?, ..all })
        } else if let Some(rest) = text.strip_prefix('>') {
            Some(Self { min: number(rest)?.checked_add(1)?, ..all })
        } else if let Some(rest) = text.strip_prefix('<') {
            Some(Self { max: number(rest)?.checked_sub(1)?, ..all })
        } else if let Some((from, to)) = text.split_once("..") {
            let (min, max) = (number(from)?, number(to)?);
            (min <= max).then_some(Self { min, max })
        } else if let (NumberField::Status, [digit @ b'1'..=b'9', b'x' | b'X', b'x' | b'X']) =
            (field, text.as_bytes())
        {
            let min = u64::from(digit - b'0') * 100;
            Some(Self { min, max: min + 99 })
        } else {
            let exact = number(text.strip_prefix('=').unwrap_or(text))?;
            Some(Self { min: exact, max: exact })
        }
    }

    /// So that it reads as itself.
    pub(super) fn print(self, field: NumberField, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = matches!(field, NumberField::Time | NumberField::FirstByte | NumberField::Age);
        let unit = if time { "us" } else { "" };
        match self {
            Self { min, max } if min == max => write!(f, "{min}{unit}"),
            Self { min, max: u64::MAX } => write!(f, ">={min}{unit}"),
            Self { min: 0, max } => write!(f, "<={max}{unit}"),
            Self { min, max } => write!(f, "{min}{unit}..{max}{unit}"),
        }
    }
}

/// Reads digits, possibly with a decimal point, and a unit.
fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.to_lowercase();
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || (number.ends_with('.')) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let divisor = 10_u64.pow(fraction.len() as u32);
    let part = u128::from(part) * u128::from(factor) / u128::from(divisor);
    whole.checked_mul(factor)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_units_and_ends() {
        use NumberField::{Age, Bytes, Status, Time};
        type Case = (NumberField, &'static str, Option<(u64, u64)>);
        let table: &[Case] = &[
            (Status, "500", Some((500, 500))),
            (Status, "=500", Some((500, 500))),
            (Status, ">=500", Some((500, u64::MAX))),
            (Status, ">499", Some((500, u64::MAX))),
            (Status, "<400", Some((0, 399))),
            (Status, "5xx", Some((500, 599))),
            (Status, "200..299", Some((200, 299))),
            (Status, "299..200", None),
            (Status, "abc", None),
            (Status, "", None),
            (Status, "-1", None),
            (Bytes, ">1M", Some((1_000_001, u64::MAX))),
            (Bytes, "1.5k", Some((1500, 1500))),
            (Bytes, "<=64KiB", Some((0, 65536))),
            (Bytes, "99999999999999999999", None),
            (Bytes, "9999999999999G", None),
            (Bytes, "<0", None),
            (Time, ">2s", Some((2_000_001, u64::MAX))),
            (Time, "1.5ms", Some((1500, 1500))),
            (Time, "2", None),
            (Time, ".5s", None),
            (Time, "5.s", None),
            (Age, "<10m", Some((0, 599_999_999))),
        ];
        for (field, text, expected) in table {
            let range = Range::parse(text, *field).map(|range| (range.min, range.max));
            assert_eq!(range, *expected, "{field:?} {text}");
        }
    }
}
