//! The parts of `multipart/form-data` (RFC 7578).

use std::ops::Range;

use memchr::memmem;

/// The most parts that are told apart.
pub const MAX_PARTS: usize = 1000;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name; `None` if the part does not say.
    pub name: Option<String>,
    /// The name of the file.
    pub filename: Option<String>,
    /// Its content type.
    pub content_type: Option<String>,
    /// Where its content stands in the body.
    pub content: Range<usize>,
    /// The body ends before the part does.
    pub truncated: bool,
}

/// The parts of a body; `None` if it is none of this kind. A part that is cut off is the last.
#[must_use]
pub fn parts(content_type: &str, body: &[u8]) -> Option<Vec<Part>> {
    let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())?;
    let dashes = format!("--{boundary}");
    let delimiter = format!("\r\n{dashes}");
    let mut at = match body.strip_prefix(dashes.as_bytes()) {
        Some(_) => dashes.len(),
        None => memmem::find(body, delimiter.as_bytes())? + delimiter.len(),
    };
    let mut parts = Vec::new();
    let finder = memmem::Finder::new(delimiter.as_bytes());
    while parts.len() < MAX_PARTS {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        // White space may stand between the boundary and the end of its line.
        let Some(line) = memmem::find(rest, b"\r\n") else { return Some(parts) };
        // From the line feed of the boundary's line, so that a part without fields has an empty line too.
        let head_start = at + line;
        let Some(head) = memmem::find(&body[head_start..], b"\r\n\r\n") else {
            parts.push(part(&[], body.len()..body.len(), true));
            return Some(parts);
        };
        let content_start = head_start + head + 4;
        let end = finder.find(&body[content_start..]);
        let content = content_start..end.map_or(body.len(), |end| content_start + end);
        parts.push(part(&body[head_start..head_start + head], content.clone(), end.is_none()));
        if end.is_none() {
            return Some(parts);
        }
        at = content.end + delimiter.len();
    }
    // More than this is no form that a person looks at; and unseen parts must not pass for absent ones.
    None
}

fn part(head: &[u8], content: Range<usize>, truncated: bool) -> Part {
    let head = String::from_utf8_lossy(head);
    let field = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    };
    let disposition = field("content-disposition").unwrap_or_default();
    Part {
        name: parameter(disposition, "name"),
        filename: parameter(disposition, "filename"),
        content_type: field("content-type").map(str::to_owned),
        content,
        truncated,
    }
}

/// A parameter of a header field, its quotes taken off.
#[must_use]
pub fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (this, after) = rest.split_once('=')?;
        let this = this.rsplit(';').next().unwrap_or_default().trim();
        let after = after.trim_start();
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut chars = quoted.char_indices();
                let mut end = after.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '"' => {
                            end = at + 2;
                            break;
                        }
                        // Browsers write a backslash of a file's name as it is, so only quotes are escaped.
                        '\\' if quoted[at + 1..].starts_with('"') => {
                            value.push('"');
                            chars.next();
                        }
                        c => value.push(c),
                    }
                }
                (value, end)
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), end)
            }
        };
        if this.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.get(end..)?;
    }
}
