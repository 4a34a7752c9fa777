//! Rates: `100/s`, `1000/min`, `10MiB/s`.

use std::time::Duration;

use egret_core::policy::model::Rate;

use super::{Complaint, Size, Textual, Time};
use crate::yaml::shorten;

/// So many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate(pub Rate);

/// So many bytes in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(pub Rate);

/// Units and their seconds. The first of each length is the one that is written.
const UNITS: [(&str, u64); 13] = [
    ("s", 1),
    ("sec", 1),
    ("second", 1),
    ("min", 60),
    ("m", 60),
    ("minute", 60),
    ("h", 3600),
    ("hour", 3600),
    ("hr", 3600),
    ("day", 86_400),
    ("d", 86_400),
    ("week", 7 * 86_400),
    ("w", 7 * 86_400),
];

/// The amount as text, and the time, of `amount/time`.
fn split<'a>(text: &'a str, example: &str) -> Result<(&'a str, Duration), Complaint> {
    let wrong = || Complaint::new(format!("`{}` is no rate", shorten(text)));
    let Some((amount, unit)) = text.split_once('/') else {
        return Err(wrong().help(format!("say in how long, as in {example}")));
    };
    let (amount, unit) = (amount.trim(), unit.trim());
    let seconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
    let per = match seconds {
        Some(seconds) => Duration::from_secs(seconds),
        // Several of them, as in `100/10s`.
        None => {
            Time::read(unit)
                .ok()
                .filter(|time| !time.0.is_zero())
                .ok_or_else(|| {
                    let units = "write /s, /min, /h or /day, or a time as in /10s";
                    Complaint::new(format!("`{}` is no unit for a rate", shorten(unit))).help(units)
                })?
                .0
        }
    };
    Ok((amount, per))
}

fn unit(per: Duration) -> String {
    let named = UNITS.iter().find(|(_, seconds)| Duration::from_secs(*seconds) == per);
    named.map_or_else(|| Time(per).write(), |(name, _)| (*name).to_owned())
}

fn positive(amount: u64, text: &str) -> Result<u64, Complaint> {
    if amount > 0 {
        return Ok(amount);
    }
    Err(Complaint::new(format!("`{}` would let nothing through", shorten(text)))
        .help("to refuse everything write a rule with action: Deny"))
}

impl Textual for RequestRate {
    const FORMAT: &'static str = "request-rate";
    const EXAMPLE: &'static str = "100/s";

    fn read(text: &str) -> Result<Self, Complaint> {
        let (amount, per) = split(text, "100/s or 1000/min")?;
        let amount = amount.parse().map_err(|_| {
            Complaint::new(format!("`{}` is no number of requests", shorten(amount)))
                .help("write a whole number, as in 100/s; for less than one a second, a longer time: 30/min")
        })?;
        Ok(Self(Rate { amount: positive(amount, text)?, per }))
    }

    fn write(&self) -> String {
        format!("{}/{}", self.0.amount, unit(self.0.per))
    }
}

impl Textual for ByteRate {
    const FORMAT: &'static str = "byte-rate";
    const EXAMPLE: &'static str = "10MiB/s";

    fn read(text: &str) -> Result<Self, Complaint> {
        let (amount, per) = split(text, "10MiB/s or 1GiB/day")?;
        let amount = Size::read(amount)?.0;
        Ok(Self(Rate { amount: positive(amount, text)?, per }))
    }

    fn write(&self) -> String {
        format!("{}/{}", Size(self.0.amount).write(), unit(self.0.per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for (text, amount, seconds, written) in [
            ("100/s", 100, 1, "100/s"),
            ("1000/min", 1000, 60, "1000/min"),
            ("1000/m", 1000, 60, "1000/min"),
            ("5 / hour", 5, 3600, "5/h"),
            ("9/d", 9, 86_400, "9/day"),
            ("100/10s", 100, 10, "100/10s"),
        ] {
            let rate = RequestRate::read(text).unwrap();
            assert_eq!(
                (rate.0.amount, rate.0.per.as_secs(), rate.write().as_str()),
                (amount, seconds, written)
            );
        }
        let rate = ByteRate::read("1GiB/day").unwrap();
        assert_eq!((rate.0.amount, rate.write().as_str()), (1 << 30, "1GiB/day"));
        for wrong in ["", "100", "/s", "0/s", "1.5/s", "100/x", "100/0s", "-1/s", "1/"] {
            assert!(RequestRate::read(wrong).is_err(), "{wrong}");
        }
        for wrong in ["10MB/s", "10MiB", "0/s"] {
            assert!(ByteRate::read(wrong).is_err(), "{wrong}");
        }
    }
}
