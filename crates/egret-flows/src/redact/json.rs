//! Redaction of JSON, as it stands: nothing but the values named is changed, not even a space, and a text
//! that is cut off is as good as a whole one up to there.

mod path;

use super::REDACTED;

use path::Step;
pub use path::{BadPath, JsonPath};

/// How deep lists and objects may stand within each other.
pub const MAX_JSON_DEPTH: usize = 128;

/// Whether a text that says nothing of itself looks like JSON that holds something.
pub(super) fn is_likely(text: &[u8]) -> bool {
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start().iter();
    let first = rest.next();
    let second = rest.find(|byte| !byte.is_ascii_whitespace());
    match (first, second) {
        (Some(b'{'), second) => matches!(second, None | Some(b'"' | b'}')),
        (Some(b'['), second) => matches!(second, None | Some(b'"' | b'{' | b'[' | b']')),
        _ => false,
    }
}

/// The same with the values at these paths replaced: `Some(None)` if none is there, `None` if it is no JSON.
/// Several values after each other (as in NDJSON) are each looked at.
pub(super) fn redact(text: &[u8], paths: &[JsonPath], truncated: bool) -> Option<Option<Vec<u8>>> {
    let mut scan = Scan { text, at: 0, out: Vec::new(), copied: 0, path: Vec::new(), paths };
    if text.starts_with(b"\xef\xbb\xbf") {
        scan.at = 3;
    }
    loop {
        scan.skip_space();
        // A record separator begins each text of a JSON sequence (RFC 7464).
        while scan.peek() == Some(0x1e) {
            scan.at += 1;
            scan.skip_space();
        }
        if scan.peek().is_none() {
            break;
        }
        match scan.value() {
            Ok(()) => {}
            Err(Stop::End) if truncated => break,
            Err(Stop::End | Stop::Invalid) => return None,
        }
    }
    if scan.copied == 0 {
        return Some(None);
    }
    scan.out.extend_from_slice(&text[scan.copied..]);
    Some(Some(scan.out))
}

enum Stop {
    /// The text ends before the value does.
    End,
    Invalid,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// How much of the text is in `out`, or was left out of it.
    copied: usize,
    path: Vec<Step>,
    paths: &'a [JsonPath],
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), Stop> {
        self.skip_space();
        let start = self.at;
        if self.paths.is_empty() || !self.paths.iter().any(|path| path.matches(&self.path)) {
            return self.any();
        }
        self.out.extend_from_slice(&self.text[self.copied..start]);
        self.out.extend_from_slice(format!("\"{REDACTED}\"").as_bytes());
        // Within a value that goes, nothing more has to be found.
        let paths = std::mem::take(&mut self.paths);
        let result = self.any();
        self.paths = paths;
        self.copied = match result {
            Ok(()) => self.at,
            Err(_) => self.text.len(),
        };
        result
    }

    fn any(&mut self) -> Result<(), Stop> {
        match self.peek().ok_or(Stop::End)? {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => self.string().map(drop),
            _ => self.word(),
        }
    }

    fn enter(&mut self, step: Step) -> Result<(), Stop> {
        if self.path.len() >= MAX_JSON_DEPTH {
            return Err(Stop::Invalid);
        }
        self.path.push(step);
        let result = self.value();
        self.path.pop();
        result
    }

    fn object(&mut self) -> Result<(), Stop> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'"') => {}
                None => return Err(Stop::End),
                Some(_) => return Err(Stop::Invalid),
            }
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.enter(Step::Key(key))?;
            if self.next_or_end(b'}')? {
                return Ok(());
            }
        }
    }

    fn list(&mut self) -> Result<(), Stop> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0.. {
            self.enter(Step::Index(index))?;
            if self.next_or_end(b']')? {
                break;
            }
        }
        Ok(())
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        match self.peek() {
            None => Err(Stop::End),
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Stop::Invalid),
        }
    }

    /// Goes past a comma, or past the end, which is said.
    fn next_or_end(&mut self, end: u8) -> Result<bool, Stop> {
        self.skip_space();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(true);
        }
        self.expect(b',').map(|()| false)
    }

    /// Goes past a string, and gives what it says.
    fn string(&mut self) -> Result<String, Stop> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek().ok_or(Stop::End)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let quoted = &self.text[start..self.at];
        if quoted.contains(&b'\\') {
            // What serde cannot read some other reader may; its raw form is compared then.
            if let Ok(text) = serde_json::from_slice(quoted) {
                return Ok(text);
            }
        }
        Ok(String::from_utf8_lossy(&quoted[1..quoted.len() - 1]).into_owned())
    }

    /// Goes past a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        if self.peek().is_none() && !word.is_empty() && !self.path.is_empty() {
            return Err(Stop::End);
        }
        let number = || serde_json::from_slice::<serde_json::Number>(word).is_ok();
        if matches!(word, b"true" | b"false" | b"null") || number() { Ok(()) } else { Err(Stop::Invalid) }
    }
}
