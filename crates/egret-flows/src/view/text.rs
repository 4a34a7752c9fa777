//! Bytes as text, and as hexadecimal digits.

use std::borrow::Cow;
use std::fmt::Write as _;

use encoding_rs::{Encoding, UTF_8};

use super::multipart::parameter;

/// The text that bytes are, by the charset that their content type names, else by a byte order mark, else
/// UTF-8. `None` if they look like no text.
#[must_use]
pub fn text<'a>(content_type: &str, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    let named = parameter(content_type, "charset").and_then(|label| Encoding::for_label(label.as_bytes()));
    if named.is_none() && Encoding::for_bom(bytes).is_none() && is_binary(bytes) {
        return None;
    }
    let (text, _, _) = named.unwrap_or(UTF_8).decode(bytes);
    Some(text)
}

/// Whether bytes are no text: a zero byte, or many that are neither UTF-8 nor signs.
#[must_use]
pub fn is_binary(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(4096)];
    let strange =
        sample.iter().filter(|byte| **byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n' | 0x0c | 0x1b));
    let valid = match std::str::from_utf8(sample) {
        Ok(_) => true,
        // Cut off within a character.
        Err(error) => error.error_len().is_none(),
    };
    sample.contains(&0) || strange.count() * 20 > sample.len() || !valid
}

/// A dump of sixteen bytes a line, at most so many bytes.
#[must_use]
pub fn hex(bytes: &[u8], limit: usize) -> String {
    let mut out = String::new();
    for (index, line) in bytes[..bytes.len().min(limit)].chunks(16).enumerate() {
        let _ = write!(out, "{:08x} ", index * 16);
        for column in 0..16 {
            let gap = if column == 8 { "  " } else { " " };
            let _ = match line.get(column) {
                Some(byte) => write!(out, "{gap}{byte:02x}"),
                None => write!(out, "{gap}  "),
            };
        }
        let shown: String = line
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
            .collect();
        let _ = writeln!(out, "  |{shown}|");
    }
    out
}
