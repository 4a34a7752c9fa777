//! Functions.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::super::cost;
use super::super::fault::FaultKind;
use super::super::functions::Function;
use super::super::program::Expr;
use super::super::read;
use super::super::value::{List, Text, Value};
use super::{Outcome, Run, fault, internal, shown};

impl<'v> Run<'v> {
    pub(super) fn call(
        &mut self,
        expr: &Expr,
        function: Function,
        operands: &'v [Expr],
    ) -> Outcome<Value<'v>> {
        // No function takes more than three.
        let mut operands = operands.iter();
        let mut next = || operands.next().map(|operand| self.value(operand)).transpose();
        let values = (next()?, next()?, next()?);
        match values {
            (Some(Value::Text(text)), argument, further) => {
                self.on_text(expr, function, text, argument, further)
            }
            (Some(Value::List(list)), argument, _) => self.on_list(expr, function, &list, argument),
            (Some(Value::Map(map)), ..) if function == Function::MapSize => Ok(Value::Int(map.len() as i64)),
            (Some(Value::Ip(address)), ..) => on_ip(expr, function, address),
            (Some(Value::Cidr(range)), argument, _) => on_cidr(expr, function, range, argument),
            (Some(Value::Time(time)), ..) => on_time(expr, function, time),
            (Some(Value::Span(span)), ..) => on_span(expr, function, span),
            (Some(Value::Int(value)), ..) if function == Function::TextOfInt => {
                Ok(Value::text(value.to_string()))
            }
            (Some(Value::Bool(value)), ..) if function == Function::TextOfBool => {
                Ok(Value::Text(Text::Borrowed(if value { "true" } else { "false" })))
            }
            _ => internal(expr),
        }
    }

    fn on_text(
        &mut self,
        expr: &Expr,
        function: Function,
        text: Text<'v>,
        argument: Option<Value<'v>>,
        further: Option<Value<'v>>,
    ) -> Outcome<Value<'v>> {
        use Function as F;
        let looked_at = match (function, &argument) {
            // Only as much is looked at.
            (F::StartsWith | F::EndsWith, Some(Value::Text(part))) => part.len(),
            _ => text.len(),
        };
        self.charge(cost::bytes(looked_at as u64), expr.at)?;
        Ok(match (function, argument, further) {
            (F::StartsWith, Some(Value::Text(part)), _) => Value::Bool(text.starts_with(&*part)),
            (F::EndsWith, Some(Value::Text(part)), _) => Value::Bool(text.ends_with(&*part)),
            (F::Contains, Some(Value::Text(part)), _) => Value::Bool(text.contains(&*part)),
            (F::TextSize, ..) => Value::Int(text.chars().count() as i64),
            (F::LowerAscii, ..) => Value::text(text.to_ascii_lowercase()),
            (F::UpperAscii, ..) => Value::text(text.to_ascii_uppercase()),
            (F::Trim, ..) => cut(&text, |text| Some(text.trim())).unwrap_or(Value::Text(text)),
            (F::Split, Some(Value::Text(separator)), _) => self.split(expr, &text, &separator, None)?,
            (F::SplitAtMost, Some(Value::Text(separator)), Some(Value::Int(most))) => {
                self.split(expr, &text, &separator, Some(most))?
            }
            (F::Replace, Some(Value::Text(from)), Some(Value::Text(to))) => {
                let found = text.matches(&*from).count() as u64;
                let length = text.len() as u64 + found.saturating_mul(to.len() as u64);
                self.charge(cost::bytes(length), expr.at)?;
                Value::text(text.replace(&*from, &to))
            }
            (F::Substring, Some(Value::Int(start)), _) => self.substring(expr, &text, start, None)?,
            (F::SubstringTo, Some(Value::Int(start)), Some(Value::Int(end))) => {
                self.substring(expr, &text, start, Some(end))?
            }
            (F::IndexOf, Some(Value::Text(part)), _) => Value::Int(index(&text, text.find(&*part))),
            (F::LastIndexOf, Some(Value::Text(part)), _) => Value::Int(index(&text, text.rfind(&*part))),
            (F::CharAt, Some(Value::Int(at)), _) => self.char_at(expr, &text, at)?,
            (F::IntOfText, ..) => Value::Int(readable(expr, &text, text.parse().ok(), read::INT)?),
            (F::ReadTime, ..) => Value::Time(readable(expr, &text, read::time(&text), read::TIME)?),
            (F::ReadSpan, ..) => Value::Span(readable(expr, &text, read::span(&text), read::SPAN)?),
            (F::ReadIp, ..) => Value::Ip(readable(expr, &text, read::ip(&text), read::IP)?),
            (F::ReadCidr, ..) => Value::Cidr(readable(expr, &text, read::cidr(&text), read::CIDR)?),
            (F::IsIp, ..) => Value::Bool(read::ip(&text).is_some()),
            (F::IsCidr, ..) => Value::Bool(read::cidr(&text).is_some()),
            _ => return internal(expr),
        })
    }

    /// At most so many pieces; `None` and what is below zero are no bound.
    fn split(
        &mut self,
        expr: &Expr,
        text: &Text<'v>,
        separator: &str,
        most: Option<i64>,
    ) -> Outcome<Value<'v>> {
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        // Between all characters, without the empty pieces that Rust gives at both ends.
        let ends: Vec<usize> = if separator.is_empty() {
            text.char_indices().skip(1).map(|(at, _)| at).take(most.saturating_sub(1)).collect()
        } else {
            text.match_indices(separator).map(|(at, _)| at).take(most.saturating_sub(1)).collect()
        };
        self.charge(ends.len() as u64, expr.at)?;
        if most == 0 || text.is_empty() && separator.is_empty() {
            return Ok(Value::List(List::Shared(&[])));
        }
        let mut start = 0;
        let mut pieces = Vec::with_capacity(ends.len() + 1);
        for end in ends {
            pieces.extend(cut(text, |text| text.get(start..end)));
            start = end + separator.len();
        }
        pieces.extend(cut(text, |text| text.get(start..)));
        Ok(Value::List(List::Values(pieces.into())))
    }

    /// From a character to before another, counted from 0.
    fn substring(
        &mut self,
        expr: &Expr,
        text: &Text<'v>,
        start: i64,
        end: Option<i64>,
    ) -> Outcome<Value<'v>> {
        let bytes = |at: i64| {
            let ends = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
            usize::try_from(at).ok().and_then(|at| ends.into_iter().nth(at))
        };
        let last = end.map_or(Some(text.len()), bytes);
        let length = text.chars().count();
        let outside = |index: i64| fault(FaultKind::OutOfRange { index, length }, expr.at);
        match (bytes(start), last) {
            (Some(first), Some(last)) if first <= last => {
                cut(text, |text| text.get(first..last)).map_or_else(|| outside(start), Ok)
            }
            (Some(_), _) => outside(end.unwrap_or(start)),
            (None, _) => outside(start),
        }
    }

    /// The character at an index; nothing at the end, as in Kubernetes.
    fn char_at(&mut self, expr: &Expr, text: &Text<'v>, at: i64) -> Outcome<Value<'v>> {
        let length = text.chars().count();
        match usize::try_from(at) {
            Ok(index) if index <= length => {
                Ok(Value::text(text.chars().nth(index).map_or(String::new(), String::from)))
            }
            _ => fault(FaultKind::OutOfRange { index: at, length }, expr.at),
        }
    }

    fn on_list(
        &mut self,
        expr: &Expr,
        function: Function,
        list: &List<'v>,
        argument: Option<Value<'v>>,
    ) -> Outcome<Value<'v>> {
        let between = match (function, &argument) {
            (Function::ListSize, _) => return Ok(Value::Int(list.len() as i64)),
            (Function::Join, _) => "",
            (Function::JoinWith, Some(Value::Text(between))) => between,
            _ => return internal(expr),
        };
        let mut joined = String::new();
        for (index, value) in list.iter().enumerate() {
            let Value::Text(text) = value else { return internal(expr) };
            self.charge(1 + cost::bytes((between.len() + text.len()) as u64), expr.at)?;
            joined.push_str(if index == 0 { "" } else { between });
            joined.push_str(&text);
        }
        Ok(Value::text(joined))
    }
}

/// A part of a text, borrowed where the text is.
fn cut<'v>(text: &Text<'v>, part: impl for<'t> Fn(&'t str) -> Option<&'t str>) -> Option<Value<'v>> {
    match text {
        Text::Borrowed(text) => part(text).map(|part| Value::Text(Text::Borrowed(part))),
        Text::Shared(text) => part(text).map(Value::text),
    }
}

/// A byte's index counted in characters; -1 for none.
fn index(text: &str, byte: Option<usize>) -> i64 {
    byte.and_then(|byte| text.get(..byte)).map_or(-1, |before| before.chars().count() as i64)
}

fn readable<T>(expr: &Expr, text: &Text<'_>, read: Option<T>, what: &'static str) -> Outcome<T> {
    let kind = || FaultKind::Unreadable { what, text: shown(&Value::Text(text.clone())) };
    read.map_or_else(|| fault(kind(), expr.at), Ok)
}

fn on_ip<'v>(expr: &Expr, function: Function, address: IpAddr) -> Outcome<Value<'v>> {
    Ok(Value::Bool(match function {
        Function::Family => return Ok(Value::Int(if address.is_ipv4() { 4 } else { 6 })),
        Function::TextOfIp => return Ok(Value::text(address.to_string())),
        Function::IsLoopback => address.is_loopback(),
        Function::IsUnspecified => address.is_unspecified(),
        Function::IsLinkLocal => is_link_local(address),
        Function::IsGlobalUnicast => {
            let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || is_link_local(address)
                || broadcast)
        }
        _ => return internal(expr),
    }))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn on_cidr<'v>(
    expr: &Expr,
    function: Function,
    range: IpNet,
    argument: Option<Value<'v>>,
) -> Outcome<Value<'v>> {
    use Function as F;
    Ok(match (function, argument) {
        (F::ContainsIp, Some(Value::Ip(address))) => Value::Bool(range.contains(&address)),
        (F::ContainsIpText, Some(Value::Text(text))) => {
            Value::Bool(range.contains(&readable(expr, &text, read::ip(&text), read::IP)?))
        }
        (F::ContainsCidr, Some(Value::Cidr(inner))) => Value::Bool(range.contains(&inner)),
        (F::ContainsCidrText, Some(Value::Text(text))) => {
            Value::Bool(range.contains(&readable(expr, &text, read::cidr(&text), read::CIDR)?))
        }
        (F::NetworkAddress, _) => Value::Ip(range.addr()),
        (F::Masked, _) => Value::Cidr(range.trunc()),
        (F::PrefixLength, _) => Value::Int(range.prefix_len().into()),
        (F::TextOfCidr, _) => Value::text(range.to_string()),
        _ => return internal(expr),
    })
}

fn on_time<'v>(expr: &Expr, function: Function, time: Timestamp) -> Outcome<Value<'v>> {
    use Function as F;
    let civil = Offset::UTC.to_datetime(time);
    Ok(Value::Int(match function {
        F::IntOfTime => time.as_second(),
        F::TextOfTime => return Ok(Value::text(time.to_string())),
        F::FullYear => civil.year().into(),
        // CEL counts months, days of the month, of the week (from Sunday) and of the year from 0; `getDate` from 1.
        F::Month => i64::from(civil.month()) - 1,
        F::Date => civil.day().into(),
        F::DayOfMonth => i64::from(civil.day()) - 1,
        F::DayOfWeek => civil.weekday().to_sunday_zero_offset().into(),
        F::DayOfYear => i64::from(civil.day_of_year()) - 1,
        F::Hours => civil.hour().into(),
        F::Minutes => civil.minute().into(),
        F::Seconds => civil.second().into(),
        F::Milliseconds => civil.millisecond().into(),
        _ => return internal(expr),
    }))
}

fn on_span<'v>(expr: &Expr, function: Function, span: SignedDuration) -> Outcome<Value<'v>> {
    use Function as F;
    Ok(Value::Int(match function {
        F::SpanHours => span.as_hours(),
        F::SpanMinutes => span.as_mins(),
        F::SpanSeconds => span.as_secs(),
        F::SpanMilliseconds => i64::from(span.subsec_millis()),
        F::TextOfSpan => {
            let (sign, whole) = (if span.is_negative() { "-" } else { "" }, span.unsigned_abs());
            let (seconds, nanoseconds) = (whole.as_secs(), whole.subsec_nanos());
            let fraction = format!("{nanoseconds:09}");
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            return Ok(Value::text(format!("{sign}{seconds}{point}{fraction}s")));
        }
        _ => return internal(expr),
    }))
}
