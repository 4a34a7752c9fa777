//! Squid's native format: `end elapsed client code/status bytes method url user hierarchy/address type`.

use std::borrow::Cow;

use super::{Fields, address};

pub(super) fn fields(text: &str) -> Option<Fields<'_>> {
    let mut words = text.split_ascii_whitespace();
    let mut word = || words.next();
    let (end, elapsed, client, code) = (word()?, word()?, word()?, word()?);
    let (bytes, method, url, user, hierarchy) = (word()?, word()?, word()?, word()?, word()?);
    let time = millis(end)?;
    elapsed.parse::<i64>().ok()?;
    bytes.parse::<i64>().ok()?;
    let (code, status) = code.split_once('/')?;
    let status = status.parse().ok()?;
    let dialled = hierarchy.split_once('/').and_then(|(_, dialled)| address(dialled));
    let is_direct = hierarchy.contains("DIRECT/");
    let is_denied = code.contains("DENIED");
    let is_local = code.starts_with("NONE") || code.starts_with("TAG_NONE");
    // A challenge for credentials is no decision.
    let (reason, blame) = match (is_denied, status) {
        (true, 407 | 401) => (Some("proxy-auth-required"), Some("client")),
        (true, _) => (Some("denied-by-rule"), Some("policy")),
        (false, 500..) if dialled.is_none() && !is_local => (Some("failed"), Some("upstream")),
        _ => (None, None),
    };
    let name = Some(user).filter(|user| *user != "-").map(decoded);
    let (user, certificate) = match name {
        Some(name) if name.starts_with("spiffe://") => (None, Some(name)),
        name => (name, None),
    };
    Some(Fields {
        time: Some(time),
        client: address(client),
        user,
        certificate,
        method: Cow::Borrowed(method),
        target: Cow::Borrowed(url),
        status,
        reason: reason.map(Cow::Borrowed),
        blame: blame.map(Cow::Borrowed),
        dialled: dialled.filter(|_| is_direct),
        connected: dialled.is_some(),
        local: is_local,
        ..Fields::default()
    })
}

/// `1795264591.870` in milliseconds.
fn millis(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let digits =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let thousandths = digits(&format!("{fraction:0<3}")[..3])?;
    digits(seconds)?.checked_mul(1000)?.checked_add(thousandths)
}

/// A word whose other characters are percent-encoded.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        match (first, behind) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let value = hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or(b'?'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
