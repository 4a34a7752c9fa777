//! Values that stand in texts.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

/// What [`ip`] reads, for sentences.
pub(super) const IP: &str = "IP address";
/// What [`cidr`] reads.
pub(super) const CIDR: &str = "CIDR range, as in 10.0.0.0/8";
/// What [`time`] reads.
pub(super) const TIME: &str = "timestamp, as in 2026-01-31T08:00:00Z";
/// What [`span`] reads.
pub(super) const SPAN: &str = "duration, as in 1h30m";
/// What is read as a number.
pub(super) const INT: &str = "int";

/// An address, IPv4-mapped IPv6 reduced to IPv4 as everywhere in Egret.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A range. Bits behind the prefix may be set.
pub(super) fn cidr(text: &str) -> Option<IpNet> {
    text.parse().ok()
}

/// A time as RFC 3339 writes it, with `Z` or an offset.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    // The parser knows more forms than RFC 3339 has; those begin with the year and have a T all the same.
    let good =
        text.len() <= 64 && text.as_bytes().get(10).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'T'));
    good.then(|| text.parse().ok()).flatten()
}

/// A duration as Go writes it: `1h30m`, `90s`, `1.5h`, `-2ms`.
pub(super) fn span(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0_i128;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at(number);
        let unit = after.len() - after.trim_start_matches(char::is_alphabetic).len();
        let (unit, after) = after.split_at(unit);
        let unit: i128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        nanoseconds = nanoseconds.checked_add(scaled(number, unit)?)?;
        rest = after;
    }
    let nanoseconds = if negative { -nanoseconds } else { nanoseconds };
    // As protobuf has it: at most ten thousand years.
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).ok().filter(|s| s.abs() <= 315_576_000_000)?;
    Some(SignedDuration::new(seconds, (nanoseconds % 1_000_000_000) as i32))
}

/// A decimal number of units, what is finer than a nanosecond left out.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { i128::from(whole.parse::<i64>().ok()?) };
    let mut nanoseconds = whole.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.bytes().take(15) {
        nanoseconds += part * i128::from(digit - b'0') / 10;
        part /= 10;
    }
    Some(nanoseconds)
}
