//! Sizes in bytes: `64KiB`, `4MiB`, or a plain number.

use super::{Complaint, Textual};
use crate::yaml::shorten;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// One tebibyte; nothing that is held in memory comes near.
const LARGEST: u64 = 1 << 40;

impl Textual for Size {
    const FORMAT: &'static str = "size";
    const NUMBER: bool = true;
    const EXAMPLE: &'static str = "64KiB";

    fn read(text: &str) -> Result<Self, Complaint> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = (&text[..digits], text[digits..].trim_start());
        let wrong = || {
            Complaint::new(format!("`{}` is no size", shorten(text)))
                .help("write bytes, as in 65536, or with a unit, as in 64KiB or 4MiB")
        };
        if number.is_empty() {
            return Err(wrong());
        }
        let each = match unit {
            "" => 1,
            unit => {
                UNITS.iter().find(|(name, _)| *name == unit).map(|(_, each)| *each).ok_or_else(
                    || match unit.chars().next().map(|c| c.to_ascii_uppercase()) {
                        Some(letter @ ('K' | 'M' | 'G')) if unit.len() <= 3 => {
                            Complaint::new(format!("`{unit}` is no unit for a size"))
                                .help(format!("did you mean {number}{letter}iB?"))
                        }
                        _ => wrong(),
                    },
                )?
            }
        };
        let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(each));
        total
            .filter(|total| *total <= LARGEST)
            .map(Self)
            .ok_or_else(|| Complaint::new(format!("`{}` is more than 1024GiB", shorten(text))))
    }

    fn write(&self) -> String {
        let unit =
            UNITS.iter().find(|(_, each)| self.0 >= *each && self.0.is_multiple_of(*each) && *each > 1);
        unit.map_or_else(|| self.0.to_string(), |(name, each)| format!("{}{name}", self.0 / each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("65536", 65_536, "64KiB"),
            ("4MiB", 4 << 20, "4MiB"),
            ("0", 0, "0"),
            ("1000", 1000, "1000"),
            ("3B", 3, "3"),
        ] {
            let size = Size::read(text).unwrap();
            assert_eq!((size.0, size.write().as_str()), (bytes, written));
        }
        for wrong in ["", "KiB", "64k", "64KB", "-1", "1.5MiB", "99999999999999999999", "1025GiB"] {
            assert!(Size::read(wrong).is_err(), "{wrong}");
        }
    }
}
