//! Redaction of `multipart/form-data` (RFC 7578).

use super::REDACTED;
use crate::filter::Glob;
use crate::view::multipart;

/// The same with the contents of these fields replaced: `Some(None)` if none is there, `None` if it cannot be
/// read. A part that is cut off is one all the same.
pub(super) fn redact(kind: &str, body: &[u8], names: &[Glob]) -> Option<Option<Vec<u8>>> {
    let parts = multipart::parts(kind, body)?;
    let mut out = Vec::with_capacity(body.len());
    let mut copied = 0;
    for part in parts {
        let named =
            part.name.as_deref().is_none_or(|name| names.iter().any(|glob| glob.matches(name.as_bytes())));
        if named && !part.content.is_empty() {
            out.extend_from_slice(&body[copied..part.content.start]);
            out.extend_from_slice(REDACTED.as_bytes());
            copied = part.content.end;
        }
    }
    if copied == 0 {
        return Some(None);
    }
    out.extend_from_slice(&body[copied..]);
    Some(Some(out))
}
