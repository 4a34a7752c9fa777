//! A lenient reader of HTTP/1 messages, for looking at what came out of the proxy.
//!
//! It judges nothing: a test compares what it returns with what the RFC wants. Text is Latin-1, so
//! that every byte survives.

/// Field lines in order, names in the case they came in, values without surrounding whitespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The first value of a field; the name in any case.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// All values of a field, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether a field is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Whether a comma-separated field lists a token, in any case.
    #[must_use]
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    fn parse(text: &str) -> Self {
        let lines = text.split("\r\n").filter(|line| !line.is_empty());
        Self(
            lines
                .map(|line| match line.split_once(':') {
                    Some((name, value)) => (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()),
                    None => (line.to_owned(), String::new()),
                })
                .collect(),
        )
    }
}

/// How the end of a message's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// One message, perhaps unfinished.
#[derive(Clone, Debug)]
pub struct Message {
    /// The first line.
    pub start_line: String,
    /// The header section.
    pub fields: Fields,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// The trailer section.
    pub trailers: Fields,
    /// How the body ends.
    pub framing: Framing,
    /// The message came to its proper end.
    pub complete: bool,
    /// Bytes it took.
    pub consumed: usize,
}

impl Message {
    /// The status code of a response, 0 if the line has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.start_line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// The reason phrase of a response.
    #[must_use]
    pub fn reason_phrase(&self) -> &str {
        self.start_line.splitn(3, ' ').nth(2).unwrap_or("")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.text()))
    }
}

/// Bytes as text that loses nothing.
#[must_use]
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| b as char).collect()
}

/// The other way round; characters above U+00FF become their UTF-8 bytes.
#[must_use]
pub fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c as u32) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(c.to_string().as_bytes()),
        }
    }
    bytes
}

/// Reads one request; `None` while its head is not there.
#[must_use]
pub fn request(bytes: &[u8]) -> Option<Message> {
    let (start_line, fields, head) = head(bytes)?;
    let framing = if fields.lists("Transfer-Encoding", "chunked") {
        Framing::Chunked
    } else {
        match fields.first("Content-Length").map(str::parse) {
            Some(Ok(length)) => Framing::Length(length),
            _ => Framing::None,
        }
    };
    Some(with_body(start_line, fields, framing, head, bytes, false))
}

/// Reads all complete requests and whether bytes are left over.
#[must_use]
pub fn requests(mut bytes: &[u8]) -> (Vec<Message>, Vec<u8>) {
    let mut found = Vec::new();
    while let Some(message) = request(bytes) {
        if !message.complete {
            break;
        }
        bytes = &bytes[message.consumed..];
        found.push(message);
    }
    (found, bytes.to_vec())
}

/// Reads one response to a request with `method`; `None` while its head is not there.
#[must_use]
pub fn response(bytes: &[u8], method: &str, at_end: bool) -> Option<Message> {
    let (start_line, fields, head) = head(bytes)?;
    let status: u16 = start_line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let bodyless = method == "HEAD"
        || (100..200).contains(&status)
        || status == 204
        || status == 304
        || (method == "CONNECT" && (200..300).contains(&status));
    let framing = if bodyless {
        Framing::None
    } else if fields.lists("Transfer-Encoding", "chunked") {
        Framing::Chunked
    } else {
        match fields.first("Content-Length").map(str::parse) {
            Some(Ok(length)) => Framing::Length(length),
            _ => Framing::UntilClose,
        }
    };
    Some(with_body(start_line, fields, framing, head, bytes, at_end))
}

/// Reads interim responses and the final one.
#[must_use]
pub fn responses(mut bytes: &[u8], method: &str, at_end: bool) -> (Vec<Message>, Vec<u8>) {
    let mut found: Vec<Message> = Vec::new();
    while let Some(message) = response(bytes, method, at_end) {
        let last = !(100..200).contains(&message.status()) || message.status() == 101 || !message.complete;
        bytes = &bytes[message.consumed..];
        found.push(message);
        if last {
            break;
        }
    }
    (found, bytes.to_vec())
}

fn head(bytes: &[u8]) -> Option<(String, Fields, usize)> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text = latin1(&bytes[..end]);
    let (start_line, rest) = text.split_once("\r\n").unwrap_or((text.as_str(), ""));
    Some((start_line.to_owned(), Fields::parse(rest), end + 4))
}

fn with_body(
    start_line: String,
    fields: Fields,
    framing: Framing,
    head: usize,
    bytes: &[u8],
    at_end: bool,
) -> Message {
    let rest = &bytes[head..];
    let (body, trailers, complete, used) = match framing {
        Framing::None => (Vec::new(), Fields::default(), true, 0),
        Framing::Length(length) => {
            let there = rest.len().min(length);
            (rest[..there].to_vec(), Fields::default(), there == length, there)
        }
        Framing::UntilClose => (rest.to_vec(), Fields::default(), at_end, rest.len()),
        Framing::Chunked => chunked(rest),
    };
    Message { start_line, fields, body, trailers, framing, complete, consumed: head + used }
}

/// Decodes chunks: body, trailers, whether the end was there, bytes used.
fn chunked(bytes: &[u8]) -> (Vec<u8>, Fields, bool, usize) {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = bytes[at..].windows(2).position(|w| w == b"\r\n") else {
            return (body, Fields::default(), false, bytes.len());
        };
        let text = latin1(&bytes[at..at + line]);
        let size = text.split(';').next().unwrap_or("").trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            return (body, Fields::default(), false, bytes.len());
        };
        at += line + 2;
        if size == 0 {
            if bytes[at..].starts_with(b"\r\n") {
                return (body, Fields::default(), true, at + 2);
            }
            return match bytes[at..].windows(4).position(|w| w == b"\r\n\r\n") {
                Some(end) => (body, Fields::parse(&latin1(&bytes[at..at + end])), true, at + end + 4),
                None => (body, Fields::default(), false, bytes.len()),
            };
        }
        let end = at.saturating_add(size);
        if end + 2 > bytes.len() {
            body.extend_from_slice(&bytes[at..bytes.len().min(end)]);
            return (body, Fields::default(), false, bytes.len());
        }
        body.extend_from_slice(&bytes[at..end]);
        if &bytes[end..end + 2] != b"\r\n" {
            return (body, Fields::default(), false, bytes.len());
        }
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_chunks_and_trailers() {
        let bytes =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\nGET";
        let message = request(bytes).unwrap();
        assert!(message.complete);
        assert_eq!(message.body, b"abc");
        assert_eq!(message.trailers.first("a"), Some("b"));
        assert_eq!(&bytes[message.consumed..], b"GET");
    }

    #[test]
    fn a_truncated_body_is_not_complete() {
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
        assert!(!response(cut, "GET", true).unwrap().complete);
        let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        assert!(!response(cut, "GET", true).unwrap().complete);
    }
}
