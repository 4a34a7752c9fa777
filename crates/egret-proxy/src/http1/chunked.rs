//! The chunked transfer coding (RFC 9112 section 7.1), read strictly and passed on without copying.

use std::ops::Range;

use smallvec::SmallVec;

use super::fields::{Fields, is_token, parse_fields};
use super::{HeadLimits, ParseError};

/// The longest line of a chunk size with its extensions.
const MAX_LINE: usize = 4096;

/// Bytes of chunk extensions forgiven in one body. They are dropped, and a sender that sends more of
/// them than data only wants to keep us busy.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// The largest trailer section.
const MAX_TRAILERS: usize = 16 * 1024;

/// Ranges given out at once.
const MAX_RANGES: usize = 64;

/// Whether the framing is passed on with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Chunk sizes, data and line ends; extensions left out.
    Chunks,
    /// The data alone.
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// Ranges of the input that are to be written out. A body without chunk extensions gives a single one.
pub type Ranges = SmallVec<[Range<usize>; 2]>;

/// Reads one chunked body.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    extensions: usize,
}

/// What one call made of the input.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the input that are done with. What follows has to be given again, with more behind it.
    pub consumed: usize,
    /// Bytes of data among them.
    pub data: u64,
    /// The body is complete. Where the last chunk was passed on with the rest there is nothing left to
    /// write; otherwise `trailers` says what is.
    pub done: bool,
    /// The last chunk's lines are still to be written (`0`, trailers, empty line).
    pub end_unwritten: bool,
    /// The trailer section as a range of the input, its empty line included.
    pub trailers: Option<(Range<usize>, Fields)>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Size, extensions: 0 }
    }
}

impl Decoder {
    /// Whether the last chunk and the trailers were read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on, and adds what is to be written to `out`.
    ///
    /// # Errors
    /// What is wrong with the framing. What was added to `out` before is good.
    pub fn advance(
        &mut self,
        input: &[u8],
        emit: Emit,
        limits: &HeadLimits,
        out: &mut Ranges,
    ) -> Result<Progress, ParseError> {
        let mut progress = Progress::default();
        loop {
            // Tiny chunks come in great numbers only from those who want to keep us busy: they are
            // written in portions, so that the list of ranges stays short.
            if out.len() >= MAX_RANGES {
                return Ok(progress);
            }
            let position = progress.consumed;
            let rest = &input[position..];
            match self.state {
                State::Size => {
                    let Some(line) = self.line(rest)? else { return Ok(progress) };
                    let (size, digits) = parse_size(&rest[..line])?;
                    let extension = line - digits;
                    self.extensions += extension;
                    if self.extensions > MAX_EXTENSIONS {
                        return Err(ParseError::ChunkExtension);
                    }
                    progress.consumed += line + 2;
                    if size == 0 {
                        self.state = State::Trailers;
                        // The end in its plainest form is passed on as it came, in one piece with the data.
                        if emit == Emit::Chunks && rest.starts_with(b"0\r\n\r\n") {
                            push(out, position..position + 5);
                            progress.consumed = position + 5;
                            self.state = State::Done;
                            progress.done = true;
                            return Ok(progress);
                        }
                        continue;
                    }
                    if emit == Emit::Chunks {
                        push(out, position..position + digits);
                        push(out, position + line..position + line + 2);
                    }
                    self.state = State::Data(size);
                }
                State::Data(remaining) => {
                    if rest.is_empty() {
                        return Ok(progress);
                    }
                    let taken = remaining.min(rest.len() as u64);
                    push(out, position..position + taken as usize);
                    progress.consumed += taken as usize;
                    progress.data += taken;
                    self.state =
                        if taken == remaining { State::DataEnd } else { State::Data(remaining - taken) };
                }
                State::DataEnd => {
                    match rest {
                        [] | [b'\r'] => return Ok(progress),
                        [b'\r', b'\n', ..] => {}
                        _ => return Err(ParseError::ChunkEnd),
                    }
                    if emit == Emit::Chunks {
                        push(out, position..position + 2);
                    }
                    progress.consumed += 2;
                    self.state = State::Size;
                }
                State::Trailers => {
                    let mut fields = Fields::new();
                    match parse_fields(rest, 0, limits, &mut fields)? {
                        None if rest.len() > MAX_TRAILERS => return Err(ParseError::TrailersTooLarge),
                        None => return Ok(progress),
                        Some(end) if end > MAX_TRAILERS => return Err(ParseError::TrailersTooLarge),
                        Some(end) => {
                            progress.consumed += end;
                            progress.done = true;
                            progress.end_unwritten = true;
                            progress.trailers = Some((position..position + end, fields));
                            self.state = State::Done;
                            return Ok(progress);
                        }
                    }
                }
                State::Done => {
                    progress.done = true;
                    return Ok(progress);
                }
            }
        }
    }

    /// The length of the line at the front, its CRLF left out.
    fn line(&self, rest: &[u8]) -> Result<Option<usize>, ParseError> {
        let window = &rest[..rest.len().min(MAX_LINE)];
        match memchr::memchr(b'\n', window) {
            None if rest.len() >= MAX_LINE => Err(ParseError::ChunkExtension),
            None => {
                // Judge early: a body that can no longer be right is not waited for.
                if window.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
                    return Err(ParseError::ChunkSize);
                }
                Ok(None)
            }
            Some(0) => Err(ParseError::ChunkSize),
            Some(end) if window[end - 1] != b'\r' => Err(ParseError::BareLf),
            Some(end) => Ok(Some(end - 1)),
        }
    }
}

fn push(out: &mut Ranges, range: Range<usize>) {
    match out.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => out.push(range),
    }
}

/// The size, and how many digits it has.
fn parse_size(line: &[u8]) -> Result<(u64, usize), ParseError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // 15 digits are an exabyte and cannot overflow anything that the size is added to.
    if digits == 0 || digits > 15 {
        return Err(ParseError::ChunkSize);
    }
    let mut size = 0;
    for byte in &line[..digits] {
        size = size << 4 | u64::from((*byte as char).to_digit(16).unwrap_or(0));
    }
    if line.len() > digits {
        check_extensions(&line[digits..])?;
    }
    Ok((size, digits))
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
fn check_extensions(mut rest: &[u8]) -> Result<(), ParseError> {
    const WRONG: ParseError = ParseError::ChunkExtension;
    loop {
        rest = skip_space(rest);
        let [b';', after @ ..] = rest else { return Err(WRONG) };
        rest = skip_space(after);
        let name = rest.iter().position(|byte| !is_token(std::slice::from_ref(byte))).unwrap_or(rest.len());
        if name == 0 {
            return Err(WRONG);
        }
        rest = &rest[name..];
        let value = skip_space(rest);
        if let [b'=', after @ ..] = value {
            rest = skip_value(skip_space(after)).ok_or(WRONG)?;
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    rest
}

fn skip_value(rest: &[u8]) -> Option<&[u8]> {
    let Some((b'"', mut rest)) = rest.split_first() else {
        let length = rest.iter().position(|byte| !is_token(std::slice::from_ref(byte))).unwrap_or(rest.len());
        return (length > 0).then(|| &rest[length..]);
    };
    loop {
        match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, after @ ..] if super::fields::is_field_value(&[*escaped]) => rest = after,
            [b'\\', ..] | [] => return None,
            [byte, after @ ..] if super::fields::is_field_value(&[*byte]) => rest = after,
            _ => return None,
        }
    }
}
