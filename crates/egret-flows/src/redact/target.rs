//! Redaction of URLs.

use std::borrow::Cow;

use super::{REDACTED_IN_URL, form};
use crate::filter::Glob;

pub(super) fn redact<'a>(target: &'a str, keys: &[Glob]) -> Cow<'a, str> {
    let (before, rest) = match target.split_once('?') {
        Some((before, rest)) => (before, Some(rest)),
        None => (target, None),
    };
    let before = without_user(before);
    let query = rest.and_then(|rest| {
        let (query, fragment) = match rest.split_once('#') {
            Some((query, fragment)) => (query, Some(fragment)),
            None => (rest, None),
        };
        let query = form::redact(query.as_bytes(), keys)?;
        let query = String::from_utf8_lossy(&query).into_owned();
        Some(fragment.map_or_else(|| query.clone(), |fragment| format!("{query}#{fragment}")))
    });
    match (before, query, rest) {
        (Cow::Borrowed(_), None, _) => Cow::Borrowed(target),
        (before, Some(query), _) => format!("{before}?{query}").into(),
        (before, None, Some(rest)) => format!("{before}?{rest}").into(),
        (before, None, None) => before,
    }
}

/// The part before the query without user information (RFC 3986 section 3.2.1).
fn without_user(before: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = before.split_once("://") else { return before.into() };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED_IN_URL}@{}", &rest[at + 1..]).into(),
        None => before.into(),
    }
}
