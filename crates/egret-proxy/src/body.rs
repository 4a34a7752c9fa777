//! Moving one body from one side to the other: read, check the framing, write, in constant memory.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::buffer::{self, Buffer};
use crate::capture::Tap;
use crate::http1::chunked::{Decoder, Emit, Ranges};
use crate::http1::{BodyLength, HeadLimits, ParseError};
use crate::rates::Pacer;

/// How the body is framed where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// As it came.
    Same,
    /// The data alone: the end is told by closing (HTTP/1.0).
    Data,
    /// Came until close, goes as chunks.
    Encode,
}

/// What ended a transfer early.
#[derive(Debug)]
pub enum PumpError {
    /// Reading failed.
    Source(io::Error),
    /// Writing failed.
    Sink(io::Error),
    /// The source closed before the body was complete.
    Truncated,
    /// The source's framing is wrong.
    Framing(ParseError),
    /// The body is longer than it may be. What is too much has not been written, nor the end.
    TooLong,
}

/// Copies the data of chunks, which goes by together with its framing.
fn copy_data(mut decoder: Decoder, bytes: &[u8], limits: &HeadLimits, tap: &mut Tap<'_>) {
    let mut rest = bytes;
    let mut ranges = Ranges::new();
    // It was read before, so it can be read again; portions are those of the decoder.
    while let Ok(progress) = decoder.advance(rest, Emit::Data, limits, &mut ranges) {
        ranges.drain(..).for_each(|range| tap.body(&rest[range]));
        rest = &rest[progress.consumed..];
        if progress.consumed == 0 || rest.is_empty() {
            break;
        }
    }
}

/// Which side a transfer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// For bytes to come.
    Source,
    /// For bytes to be taken.
    Sink,
    /// For the rate of a rule.
    Rate,
}

#[derive(Debug)]
enum Source {
    Fixed(u64),
    Chunked(Decoder),
    UntilClose,
}

/// What a rule demands of a transfer.
#[derive(Debug)]
struct Held {
    /// The longest that the body may be.
    most: Option<u64>,
    pacer: Option<Box<Pacer>>,
}

/// One transfer. The head is written before the body, in the same write where possible: that is how
/// a head and the beginning of its body become one packet.
#[derive(Debug)]
pub struct Pump {
    source: Source,
    sink: Sink,
    limits: HeadLimits,
    head: Vec<u8>,
    head_written: bool,
    /// Bytes of the head that stand in the buffer, in front of the body.
    lead: usize,
    prefix: Vec<u8>,
    ranges: Ranges,
    suffix: Vec<u8>,
    written: usize,
    queued: usize,
    consume: usize,
    complete: bool,
    primed: bool,
    begun: bool,
    unflushed: bool,
    /// What a rule demands of it. Boxed: of few transfers anything is demanded.
    held: Option<Box<Held>>,
    /// Bytes of data moved so far.
    pub data: u64,
    /// Which side it waits for.
    pub waits: Waits,
}

impl Pump {
    /// A transfer of a body of this length.
    #[must_use]
    pub fn new(length: BodyLength, sink: Sink, limits: HeadLimits, head: Vec<u8>) -> Self {
        let source = match length {
            BodyLength::None => Source::Fixed(0),
            BodyLength::Fixed(length) => Source::Fixed(length),
            BodyLength::Chunked => Source::Chunked(Decoder::default()),
            BodyLength::UntilClose => Source::UntilClose,
        };
        Self {
            source,
            sink,
            limits,
            queued: head.len(),
            head_written: head.is_empty(),
            head,
            lead: 0,
            prefix: Vec::new(),
            ranges: Ranges::new(),
            suffix: Vec::new(),
            written: 0,
            consume: 0,
            complete: matches!(length, BodyLength::None),
            primed: matches!(length, BodyLength::None),
            begun: false,
            unflushed: false,
            held: None,
            data: 0,
            waits: Waits::Source,
        }
    }

    /// Lets no longer body through, and none faster than this. Only right before a body is read.
    pub fn hold_to(&mut self, most: Option<u64>, pacer: Option<Box<Pacer>>) {
        let demands = most.is_some() || pacer.is_some();
        self.held = demands.then(|| Box::new(Held { most, pacer }));
    }

    /// Everything was read and written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.complete && self.written == self.queued && !self.unflushed
    }

    /// Everything was read; perhaps not yet written.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.complete
    }

    /// The sink has got something, were it a part of the head.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Begins with another head. Only right before a body is read, or where there is none.
    pub fn restart(&mut self, head: Vec<u8>) {
        self.queued = head.len();
        self.head_written = head.is_empty();
        self.head = head;
        self.written = 0;
        self.unflushed = false;
    }

    /// The head, as it is written.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Gives the head back: to send it again, or to use its memory again.
    #[must_use]
    pub fn take_head(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.head)
    }

    /// Moves as much as can be moved.
    ///
    /// # Errors
    /// What ended the transfer.
    pub fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        source: &mut R,
        input: &mut Option<Buffer>,
        sink: &mut W,
        tap: &mut Tap<'_>,
    ) -> Poll<Result<(), PumpError>> {
        if !self.primed {
            self.primed = true;
            self.lead_in(input);
            self.decode_within(input, tap)?;
        }
        loop {
            ready!(self.poll_write(context, input, sink))?;
            if self.complete {
                return self.poll_flush(context, sink);
            }
            if let Some(pacer) = self.held.as_mut().and_then(|held| held.pacer.as_mut())
                && pacer.poll(context, self.data).is_pending()
            {
                self.waits = Waits::Rate;
                ready!(self.poll_flush(context, sink))?;
                return Poll::Pending;
            }
            if self.decode_within(input, tap)? {
                continue;
            }
            match buffer::poll_fill(context, source, input) {
                Poll::Pending => {
                    self.waits = Waits::Source;
                    ready!(self.poll_flush(context, sink))?;
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(PumpError::Source(error))),
                Poll::Ready(Ok(0)) => self.end_of_input()?,
                Poll::Ready(Ok(_)) => {}
            }
        }
    }

    /// Queues what the buffer holds of the body, counts it, and stops where it is too much.
    fn decode_within(&mut self, input: &mut Option<Buffer>, tap: &mut Tap<'_>) -> Result<bool, PumpError> {
        let more = self.decode(input, tap)?;
        let Some(held) = &mut self.held else { return Ok(more) };
        if held.most.is_some_and(|most| self.data > most) {
            return Err(PumpError::TooLong);
        }
        if let Some(pacer) = &mut held.pacer {
            pacer.count(self.data);
        }
        Ok(more)
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        input: &mut Option<Buffer>,
        sink: &mut W,
    ) -> Poll<Result<(), PumpError>> {
        while self.written < self.queued {
            let outcome = {
                let bytes = buffer::filled(input);
                if let Some(piece) = self.only_piece(bytes) {
                    Pin::new(&mut *sink).poll_write(context, &piece[self.written..])
                } else {
                    let mut slices = [IoSlice::new(&[]); 10];
                    let count = self.fill_slices(bytes, &mut slices);
                    Pin::new(&mut *sink).poll_write_vectored(context, &slices[..count])
                }
            };
            match outcome {
                Poll::Pending => {
                    self.waits = Waits::Sink;
                    if let Some(buffer) = input {
                        buffer.shrink();
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(PumpError::Sink(error))),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(PumpError::Sink(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(count)) => self.written += count,
            }
            self.unflushed = true;
            self.begun = true;
        }
        if self.consume > 0 {
            if let Some(buffer) = input {
                buffer.consume(self.consume);
            }
            self.consume = 0;
        }
        buffer::release_empty(input);
        if self.queued > 0 {
            self.head_written = true;
            self.prefix.clear();
            self.suffix.clear();
            self.ranges.clear();
            (self.written, self.queued) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }

    /// What is queued, where it is in one piece: a head alone, or what the buffer holds.
    fn only_piece<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let plain = self.prefix.is_empty() && self.suffix.is_empty();
        match self.ranges.as_slice() {
            [] if plain => Some(self.unwritten_head()),
            [range] if plain && self.head_written => Some(&bytes[range.clone()]),
            _ => None,
        }
    }

    /// What is left to write, as slices; gives how many.
    fn fill_slices<'a>(&'a self, bytes: &'a [u8], slices: &mut [IoSlice<'a>; 10]) -> usize {
        let pieces = [self.unwritten_head(), self.prefix.as_slice()]
            .into_iter()
            .chain(self.ranges.iter().map(|range| &bytes[range.clone()]))
            .chain(std::iter::once(self.suffix.as_slice()));
        let mut skip = self.written;
        let mut count = 0;
        for piece in pieces {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            if count == slices.len() {
                break;
            }
            slices[count] = IoSlice::new(&piece[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<Result<(), PumpError>> {
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(context)).map_err(PumpError::Sink)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Puts the head into the buffer where that makes it one piece with the body: a plain write costs
    /// the system less than one that gathers, and heads are short.
    fn lead_in(&mut self, input: &mut Option<Buffer>) {
        if self.sink == Sink::Same
            && !self.head_written
            && let Some(buffer) = input
            && buffer.prepend(&self.head)
        {
            self.lead = self.head.len();
            self.head_written = true;
        }
    }

    /// Queues what the buffer holds of the body. True when there is something to write or the body is
    /// complete.
    fn decode(&mut self, input: &mut Option<Buffer>, tap: &mut Tap<'_>) -> Result<bool, PumpError> {
        let lead = std::mem::take(&mut self.lead);
        let bytes = &buffer::filled(input)[lead..];
        match &mut self.source {
            Source::Fixed(remaining) => {
                let count = (*remaining).min(bytes.len() as u64) as usize;
                *remaining -= count as u64;
                self.complete = *remaining == 0;
                self.data += count as u64;
                tap.body(&bytes[..count]);
                self.queue_range(0..lead + count);
            }
            Source::UntilClose => {
                let count = bytes.len();
                self.data += count as u64;
                tap.body(bytes);
                if self.sink == Sink::Encode && count > 0 {
                    use std::io::Write as _;
                    // Writing to memory cannot fail.
                    let _ = write!(self.prefix, "{count:x}\r\n");
                    self.suffix.extend_from_slice(b"\r\n");
                }
                self.queue_range(0..lead + count);
            }
            Source::Chunked(decoder) => {
                let emit = if self.sink == Sink::Data { Emit::Data } else { Emit::Chunks };
                let before = tap.is_on().then(|| decoder.clone());
                let progress = decoder
                    .advance(bytes, emit, &self.limits, &mut self.ranges)
                    .map_err(PumpError::Framing)?;
                self.data += progress.data;
                if let Some(before) = before {
                    copy_data(before, &bytes[..progress.consumed], &self.limits, tap);
                    if let Some((range, _)) = &progress.trailers {
                        tap.trailers(&bytes[range.clone()]);
                    }
                }
                self.consume = lead + progress.consumed;
                self.shift_ranges(lead);
                self.complete = progress.done;
                if progress.end_unwritten && emit == Emit::Chunks {
                    self.suffix.extend_from_slice(b"0\r\n");
                    if let Some((range, fields)) = progress.trailers {
                        let section = &bytes[range];
                        for field in fields.iter().filter(|field| !field.is_forbidden_in_trailers(section)) {
                            self.suffix.extend_from_slice(field.line(section));
                            self.suffix.extend_from_slice(b"\r\n");
                        }
                    }
                    self.suffix.extend_from_slice(b"\r\n");
                }
                let consumed_without_output = self.consume > 0 && self.ranges.is_empty();
                self.count_queued();
                return Ok(self.queued > 0 || self.complete || consumed_without_output);
            }
        }
        self.count_queued();
        Ok(self.queued > 0 || self.complete)
    }

    /// Makes room in front of the ranges for a head that stands there.
    fn shift_ranges(&mut self, lead: usize) {
        if lead == 0 {
            return;
        }
        for range in &mut self.ranges {
            *range = range.start + lead..range.end + lead;
        }
        match self.ranges.first_mut() {
            Some(first) if first.start == lead => first.start = 0,
            _ => self.ranges.insert(0, 0..lead),
        }
    }

    fn unwritten_head(&self) -> &[u8] {
        if self.head_written { &[] } else { &self.head }
    }

    fn queue_range(&mut self, range: std::ops::Range<usize>) {
        self.consume = range.end;
        if !range.is_empty() {
            self.ranges.push(range);
        }
    }

    fn count_queued(&mut self) {
        self.queued = self.unwritten_head().len()
            + self.prefix.len()
            + self.suffix.len()
            + self.ranges.iter().map(std::ops::Range::len).sum::<usize>();
    }

    fn end_of_input(&mut self) -> Result<(), PumpError> {
        if !matches!(self.source, Source::UntilClose) {
            return Err(PumpError::Truncated);
        }
        if self.sink == Sink::Encode {
            self.suffix.extend_from_slice(b"0\r\n\r\n");
            self.count_queued();
        }
        self.complete = true;
        Ok(())
    }
}
