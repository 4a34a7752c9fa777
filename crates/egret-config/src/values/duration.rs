//! Durations: `250ms`, `10s`, `5m`, `1h30m`.

use std::time::Duration;

use super::{Complaint, Textual};
use crate::yaml::shorten;

/// A duration, written with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// Units and their milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Ten years: longer than any process lives, and small enough to be added to a clock.
const LONGEST: u64 = 10 * 365 * 86_400_000;

const HOW: &str = "write numbers with units, as in 250ms, 10s, 5m or 1h30m";

impl Textual for Time {
    const FORMAT: &'static str = "duration";
    const EXAMPLE: &'static str = "1m30s";

    fn read(text: &str) -> Result<Self, Complaint> {
        let text = text.trim();
        let wrong = || Complaint::new(format!("`{}` is no duration", shorten(text))).help(HOW);
        if text.is_empty() {
            return Err(wrong());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Complaint::new(format!("`{}` has no unit", shorten(text))).help(if text == "0" {
                "write 0s".to_owned()
            } else {
                format!("write {text}s for seconds, or {text}ms, {text}m, {text}h")
            }));
        }
        if text.contains(['.', ',']) {
            return Err(Complaint::new(format!("`{}` has a fraction", shorten(text)))
                .help("write it in whole numbers of a smaller unit, as in 1500ms or 1h30m"));
        }
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0).ok_or_else(wrong)?;
            let (number, after) = rest.split_at(digits);
            let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_end);
            let milliseconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, each)| *each);
            let milliseconds = milliseconds.ok_or_else(|| {
                Complaint::new(format!("`{}` has an unknown unit", shorten(text)))
                    .help("the units are ms, s, m (minutes), h and d")
            })?;
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(milliseconds))
                .and_then(|part| total.checked_add(part))
                .filter(|total| *total <= LONGEST)
                .ok_or_else(|| Complaint::new(format!("`{}` is longer than ten years", shorten(text))))?;
            rest = after;
        }
        Ok(Self(Duration::from_millis(total)))
    }

    fn write(&self) -> String {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return "0s".to_owned();
        }
        let mut text = String::new();
        for (unit, each) in UNITS {
            if left >= each {
                text.push_str(&format!("{}{unit}", left / each));
                left %= each;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(text: &str) -> Option<u128> {
        Time::read(text).ok().map(|time| time.0.as_millis())
    }

    #[test]
    fn durations_need_units() {
        assert_eq!(milliseconds("250ms"), Some(250));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("0s"), Some(0));
        for wrong in
            ["", "5", "0", "1.5s", "-1s", "s", "10 s", "5min", "10S", "99999999999999999999s", "11000d"]
        {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for text in ["0s", "250ms", "1s", "1m30s", "5m", "1h", "2d3h"] {
            assert_eq!(Time::read(text).unwrap().write(), text);
        }
    }
}
