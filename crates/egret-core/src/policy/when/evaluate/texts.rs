//! What is read of a request: headers and the query.

use super::super::cost;
use super::super::fault::FaultKind;
use super::super::program::Expr;
use super::super::value::{List, Map, Value};
use super::{Outcome, Run, fault};

/// What stands between the values of headers of one name (RFC 9110 section 5.3).
const BETWEEN: &str = ", ";

impl<'v> Run<'v> {
    /// The value of a header, given its name in lower case: the values of all of that name, joined.
    pub(super) fn header(&mut self, expr: &Expr, name: &str) -> Outcome<Option<String>> {
        let mut found: Option<String> = None;
        let mut fields = 0;
        self.request(expr)?.headers.for_each(&mut |known, value| {
            fields += 1;
            if known.eq_ignore_ascii_case(name) {
                append(&mut found, value);
            }
        });
        let length = found.as_ref().map_or(0, String::len);
        self.charge(fields + cost::bytes(length as u64), expr.at)?;
        Ok(found)
    }

    pub(super) fn has_header(&mut self, expr: &Expr, name: &str) -> Outcome<bool> {
        let mut found = false;
        let mut fields = 0;
        self.request(expr)?.headers.for_each(&mut |known, _| {
            fields += 1;
            found |= known.eq_ignore_ascii_case(name);
        });
        self.charge(fields, expr.at)?;
        Ok(found)
    }

    pub(super) fn headers(&mut self, expr: &Expr) -> Outcome<Map<'v>> {
        if let Some(headers) = &self.headers {
            return Ok(headers.clone());
        }
        let mut made: Vec<(String, Option<String>)> = Vec::new();
        let mut left = self.budget;
        self.request(expr)?.headers.for_each(&mut |name, value| {
            // One name after another is compared with those before it.
            let units = 1 + made.len() as u64 / 4 + cost::bytes(value.len() as u64);
            left = left.saturating_sub(units);
            if left == 0 {
                return;
            }
            match made.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, values)) => append(values, value),
                None => {
                    let mut first = None;
                    append(&mut first, value);
                    made.push((name.to_ascii_lowercase(), first));
                }
            }
        });
        if left == 0 {
            return fault(FaultKind::TooExpensive, expr.at);
        }
        self.budget = left;
        let entries =
            made.into_iter().map(|(name, value)| (Value::text(name), Value::text(value.unwrap_or_default())));
        let map = Map::Values(entries.collect());
        self.headers = Some(map.clone());
        Ok(map)
    }

    pub(super) fn query(&mut self, expr: &Expr) -> Outcome<Map<'v>> {
        if let Some(query) = &self.query {
            return Ok(query.clone());
        }
        let text = self.request(expr)?.query.unwrap_or_default();
        self.charge(cost::bytes(text.len() as u64), expr.at)?;
        let mut made: Vec<(String, Vec<Value<'v>>)> = Vec::new();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            self.charge(1 + made.len() as u64 / 4, expr.at)?;
            let value = Value::text(&*value);
            match made.iter_mut().find(|(known, _)| **known == *key) {
                Some((_, values)) => values.push(value),
                None => made.push((key.into_owned(), vec![value])),
            }
        }
        let entries = made
            .into_iter()
            .map(|(key, values)| (Value::text(key), Value::List(List::Values(values.into()))));
        let map = Map::Values(entries.collect());
        self.query = Some(map.clone());
        Ok(map)
    }
}

/// Adds a value to those before it. What is no UTF-8 becomes U+FFFD.
fn append(values: &mut Option<String>, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    match values {
        Some(values) => {
            values.push_str(BETWEEN);
            values.push_str(&value);
        }
        None => *values = Some(value.into_owned()),
    }
}
