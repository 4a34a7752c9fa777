//! Reads server-sent events (`text/event-stream`, HTML Living Standard section 9.2.6) as they go by, in pieces cut
//! anywhere.
//!
//! This is for looking at what passes: the bytes themselves go on whatever is found here.

use bytes::Bytes;

/// The longest name of an event that is kept, in bytes.
const NAME: usize = 256;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name; `None` for `message`, which is what it is without one.
    pub name: Option<String>,
    /// Its data, the lines with line feeds between; as much of it as the limit lets be kept.
    pub data: Bytes,
    /// How long the data is in all.
    pub length: u64,
    /// The data is not all of it.
    pub truncated: bool,
}

/// Reads a stream of events.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    /// The line that is being read, no longer than the limit and a field's name.
    line: Vec<u8>,
    /// Bytes of the line that were not kept.
    cut: u64,
    /// The line before ended with a carriage return: a line feed belongs to it.
    after_return: bool,
    is_first: bool,
    name: Option<String>,
    data: Vec<u8>,
    length: u64,
    has_data: bool,
    truncated: bool,
}

impl Reader {
    /// A reader that keeps at most so many bytes of an event.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            cut: 0,
            after_return: false,
            is_first: true,
            name: None,
            data: Vec::new(),
            length: 0,
            has_data: false,
            truncated: false,
        }
    }

    /// Reads a piece, and gives each event that it completes.
    pub fn feed(&mut self, mut piece: &[u8], mut received: impl FnMut(Event)) {
        if std::mem::take(&mut self.after_return) {
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        while let Some(end) = memchr::memchr2(b'\r', b'\n', piece) {
            self.collect(&piece[..end]);
            let is_return = piece[end] == b'\r';
            piece = &piece[end + 1..];
            if is_return {
                self.after_return = piece.is_empty();
                piece = piece.strip_prefix(b"\n").unwrap_or(piece);
            }
            self.end_line(&mut received);
        }
        self.collect(piece);
    }

    fn collect(&mut self, bytes: &[u8]) {
        let room = (self.limit + NAME).saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
    }

    fn end_line(&mut self, received: &mut impl FnMut(Event)) {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.cut);
        // A byte order mark may stand before everything.
        let start = if std::mem::take(&mut self.is_first) { b"\xef\xbb\xbf".as_slice() } else { b"" };
        let read = line.strip_prefix(start).unwrap_or(&line);
        if read.is_empty() {
            self.dispatch(received);
        } else {
            let (field, value) = match memchr::memchr(b':', read) {
                Some(colon) => (&read[..colon], &read[colon + 1..]),
                None => (read, &b""[..]),
            };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match field {
                b"event" => {
                    let name = String::from_utf8_lossy(&value[..value.len().min(NAME)]).into_owned();
                    self.name = (!name.is_empty()).then_some(name);
                }
                b"data" => self.add_data(value, cut),
                // Comments, which keep a connection open, ids, and what nobody knows.
                _ => {}
            }
        }
        // Its memory serves the next line.
        self.line = line;
        self.line.clear();
    }

    fn add_data(&mut self, value: &[u8], cut: u64) {
        if std::mem::replace(&mut self.has_data, true) {
            self.keep(b"\n");
        }
        self.keep(value);
        self.length += cut;
        self.truncated |= cut > 0;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.data.len()).min(bytes.len());
        self.data.extend_from_slice(&bytes[..room]);
        self.length += bytes.len() as u64;
        self.truncated |= room < bytes.len();
    }

    fn dispatch(&mut self, received: &mut impl FnMut(Event)) {
        let name = self.name.take();
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        received(Event {
            name,
            data: std::mem::take(&mut self.data).into(),
            length: std::mem::take(&mut self.length),
            truncated: std::mem::take(&mut self.truncated),
        });
    }
}
