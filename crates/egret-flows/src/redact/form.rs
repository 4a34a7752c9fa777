//! Redaction of `name=value&name=value`: queries and forms.

use super::REDACTED_IN_URL;
use crate::filter::Glob;

/// The same with the values of these names replaced; `None` if none is there.
pub(super) fn redact(form: &[u8], names: &[Glob]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(form.len());
    let mut changed = false;
    let mut rest = form;
    loop {
        // Some servers part fields at `;` as well.
        let end = rest.iter().position(|byte| matches!(byte, b'&' | b';')).unwrap_or(rest.len());
        let field = &rest[..end];
        let equals = field.iter().position(|byte| *byte == b'=');
        match equals {
            Some(equals) if named(&field[..equals], names) => {
                out.extend_from_slice(&field[..=equals]);
                out.extend_from_slice(REDACTED_IN_URL.as_bytes());
                changed = true;
            }
            _ => out.extend_from_slice(field),
        }
        let Some(separator) = rest.get(end) else { return changed.then_some(out) };
        out.push(*separator);
        rest = &rest[end + 1..];
    }
}

fn named(name: &[u8], names: &[Glob]) -> bool {
    let name = percent_decoded(name);
    // `user[password]`, as some frameworks write it.
    let inner =
        name.strip_suffix(b"]").and_then(|name| Some(&name[name.iter().rposition(|b| *b == b'[')? + 1..]));
    names.iter().any(|glob| glob.matches(&name) || inner.is_some_and(|inner| glob.matches(inner)))
}

pub(crate) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    out
}
