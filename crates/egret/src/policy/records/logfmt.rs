//! `key=value` lines. Values that are no plain word are quoted and escaped as in JSON.

use std::borrow::Cow;

use super::{Fields, address, millis};

/// More pairs than any record has.
const MOST_PAIRS: usize = 256;

pub(super) fn fields(text: &str) -> Option<Fields<'_>> {
    let mut fields = Fields::default();
    let mut has_target = false;
    let mut is_direct = true;
    let mut rest = text.trim_start();
    let mut pairs = 0;
    while !rest.is_empty() {
        pairs += 1;
        let (key, behind) = rest.split_once('=').filter(|_| pairs <= MOST_PAIRS)?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let (value, behind) = value(behind)?;
        rest = behind.trim_start();
        match key {
            "time" => fields.time = millis(&value),
            "client" => fields.client = address(&value),
            "user" => fields.user = Some(value),
            "clientName" => fields.certificate = Some(value),
            "namespace" => fields.namespace = Some(value),
            "serviceAccount" => fields.service_account = Some(value),
            "method" => fields.method = value,
            "target" => {
                fields.target = value;
                has_target = true;
            }
            "treatment" => fields.local = value == "local",
            "status" => fields.status = value.parse().ok()?,
            "reason" => fields.reason = Some(value),
            "blame" => fields.blame = Some(value),
            "route" => is_direct = value == "direct",
            "dialled" => fields.dialled = address(&value),
            "auditPolicy" => fields.audit_policy = Some(value),
            "auditRule" => fields.audit_rule = Some(value),
            "userAgent" => fields.user_agent = Some(value),
            "bytesUp" => fields.bytes_up = value.parse().unwrap_or(0),
            "interim" => fields.interim = value == "true",
            _ => {}
        }
    }
    fields.connected = fields.dialled.is_some();
    if !is_direct {
        fields.dialled = None;
    }
    has_target.then_some(fields)
}

/// A value, and what stands behind it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if !text.starts_with('"') {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((Cow::Borrowed(&text[..end]), &text[end..]));
    }
    let bytes = text.as_bytes();
    let mut at = 1;
    let mut is_escaped = false;
    loop {
        match bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                is_escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    let (quoted, behind) = (text.get(..=at)?, text.get(at + 1..)?);
    let value = match is_escaped {
        true => Cow::Owned(serde_json::from_str::<String>(quoted).ok()?),
        false => Cow::Borrowed(&quoted[1..at]),
    };
    Some((value, behind))
}
