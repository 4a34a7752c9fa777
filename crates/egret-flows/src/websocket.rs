//! Reads the frames of a WebSocket (RFC 6455) as they go by, in one direction, in pieces cut anywhere.
//!
//! This is for looking at what others say to each other: it never answers, and the bytes themselves pass
//! whatever is found here. After an error nothing more can be told apart, so the reader stays silent.

mod deflate;

use bytes::Bytes;

use crate::flow::MessageKind;

use deflate::Inflater;
pub use deflate::{Deflate, MAX_INFLATED_BYTES};

/// A message, its fragments put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it is.
    pub kind: MessageKind,
    /// Its payload, unmasked and inflated; as much of it as the limit lets be kept.
    pub payload: Bytes,
    /// How long it is in all, as far as that is known.
    pub length: u64,
    /// The payload is not all of it.
    pub truncated: bool,
}

/// Why the frames cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// RFC 6455 section 5.2.
    #[error("a frame with an opcode that is reserved")]
    Opcode,
    /// RFC 6455 section 5.2: bits that no extension agreed on gives a meaning.
    #[error("a frame with bits set that no extension has agreed on")]
    ReservedBits,
    /// RFC 6455 section 5.5.
    #[error("a control frame that is fragmented, or longer than 125 bytes")]
    Control,
    /// RFC 6455 section 5.4.
    #[error("a continuation of nothing, or a new message within another")]
    Fragment,
    /// RFC 6455 section 5.2: the most significant bit of a length must be zero.
    #[error("a length that is not allowed")]
    Length,
}

/// Reads one direction.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    deflate: Option<Inflater>,
    head: [u8; 14],
    head_length: usize,
    frame: Option<Frame>,
    message: Option<Collected>,
    control: Collected,
    failed: Option<FrameError>,
}

/// The frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    last: bool,
    control: bool,
    left: u64,
    mask: Option<[u8; 4]>,
    /// How far the mask has been used.
    turn: usize,
}

#[derive(Debug)]
struct Collected {
    kind: MessageKind,
    compressed: bool,
    payload: Vec<u8>,
    length: u64,
    truncated: bool,
}

impl Collected {
    fn new(kind: MessageKind, compressed: bool) -> Self {
        Self { kind, compressed, payload: Vec::new(), length: 0, truncated: false }
    }

    fn received(self) -> Received {
        let Self { kind, payload, length, truncated, .. } = self;
        Received { kind, payload: payload.into(), length, truncated }
    }
}

impl Reader {
    /// A reader that keeps at most so many bytes of a message. `deflate` says what the two sides agreed on
    /// about compression (RFC 7692), for this direction.
    #[must_use]
    pub fn new(limit: usize, deflate: Option<Deflate>) -> Self {
        Self {
            limit,
            deflate: deflate.map(Inflater::new),
            head: [0; 14],
            head_length: 0,
            frame: None,
            message: None,
            control: Collected::new(MessageKind::Ping, false),
            failed: None,
        }
    }

    /// Reads a piece, and gives each message that it completes.
    ///
    /// # Errors
    /// What is wrong with the frames. It stays so.
    pub fn feed(&mut self, mut piece: &[u8], mut received: impl FnMut(Received)) -> Result<(), FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        loop {
            if self.frame.is_none() {
                match self.read_head(&mut piece) {
                    Ok(Some(frame)) => self.frame = Some(frame),
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        self.failed = Some(error);
                        return Err(error);
                    }
                }
            }
            let Some(frame) = &mut self.frame else { return Ok(()) };
            let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(piece.len());
            let (mine, rest) = piece.split_at(length);
            piece = rest;
            frame.left -= length as u64;
            let to = if frame.control {
                &mut self.control
            } else {
                self.message.get_or_insert_with(|| Collected::new(MessageKind::Binary, false))
            };
            collect(to, mine, frame, self.limit, self.deflate.as_mut());
            if frame.left > 0 {
                return Ok(());
            }
            let (last, control) = (frame.last, frame.control);
            self.frame = None;
            if control {
                let done = std::mem::replace(&mut self.control, Collected::new(MessageKind::Ping, false));
                received(done.received());
            } else if last && let Some(mut done) = self.message.take() {
                if done.compressed
                    && let Some(inflater) = &mut self.deflate
                {
                    inflater.finish(&mut done.payload, &mut done.length, &mut done.truncated, self.limit);
                }
                received(done.received());
            }
        }
    }

    /// Reads on in the head of a frame; gives the frame once its head is complete.
    fn read_head(&mut self, piece: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        loop {
            let head = &self.head[..self.head_length];
            // What is wrong is said as soon as it can be seen, however the bytes are cut.
            if let [first, second, ..] = head
                && head.len() == 2
            {
                self.check(*first, *second)?;
            }
            if head.len() >= 2 && head.len() == head_length(head[1]) {
                return self.begin().map(Some);
            }
            let Some((byte, rest)) = piece.split_first() else { return Ok(None) };
            self.head[self.head_length] = *byte;
            self.head_length += 1;
            *piece = rest;
        }
    }

    fn check(&self, first: u8, second: u8) -> Result<(), FrameError> {
        let (last, opcode, reserved) = (first & 0x80 != 0, first & 0x0f, first & 0x70);
        let control = opcode & 8 != 0;
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(FrameError::Opcode);
        }
        // Only the first frame of a message says that it is compressed (RFC 7692 section 6).
        let may_compress = self.deflate.is_some() && !control && opcode != 0;
        if reserved & !(if may_compress { 0x40 } else { 0 }) != 0 {
            return Err(FrameError::ReservedBits);
        }
        if control && (!last || second & 0x7f > 125) {
            return Err(FrameError::Control);
        }
        if !control && (opcode == 0) != self.message.is_some() {
            return Err(FrameError::Fragment);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Frame, FrameError> {
        let head = &self.head[..std::mem::take(&mut self.head_length)];
        let (first, second) = (head[0], head[1]);
        let (left, mask) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([head[2], head[3]])), &head[4..]),
            127 => (
                u64::from_be_bytes([head[2], head[3], head[4], head[5], head[6], head[7], head[8], head[9]]),
                &head[10..],
            ),
            length => (u64::from(length), &head[2..]),
        };
        if left >> 63 != 0 {
            return Err(FrameError::Length);
        }
        let kind = match first & 0x0f {
            1 => MessageKind::Text,
            8 => MessageKind::Close,
            9 => MessageKind::Ping,
            10 => MessageKind::Pong,
            _ => MessageKind::Binary,
        };
        let control = first & 8 != 0;
        if control {
            self.control = Collected::new(kind, false);
        } else if first & 0x0f != 0 {
            self.message = Some(Collected::new(kind, first & 0x40 != 0));
        }
        Ok(Frame { last: first & 0x80 != 0, control, left, mask: mask.first_chunk().copied(), turn: 0 })
    }
}

/// How long the head of a frame is, by its second byte.
fn head_length(second: u8) -> usize {
    let length = match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    if second & 0x80 != 0 { length + 4 } else { length }
}

/// Adds a piece of payload to a message.
fn collect(
    to: &mut Collected,
    piece: &[u8],
    frame: &mut Frame,
    limit: usize,
    inflater: Option<&mut Inflater>,
) {
    let unmasked =
        |byte: u8, index: usize| frame.mask.map_or(byte, |mask| byte ^ mask[(frame.turn + index) % 4]);
    match inflater {
        Some(inflater) if to.compressed => {
            let mut buffer = [0; 4096];
            for (index, part) in piece.chunks(buffer.len()).enumerate() {
                for (offset, byte) in part.iter().enumerate() {
                    buffer[offset] = unmasked(*byte, index * 4096 + offset);
                }
                inflater.feed(
                    &buffer[..part.len()],
                    &mut to.payload,
                    &mut to.length,
                    &mut to.truncated,
                    limit,
                );
            }
        }
        _ => {
            let room = limit.saturating_sub(to.payload.len()).min(piece.len());
            to.payload.extend(piece[..room].iter().enumerate().map(|(index, byte)| unmasked(*byte, index)));
            to.length += piece.len() as u64;
            to.truncated |= room < piece.len();
        }
    }
    frame.turn = (frame.turn + piece.len()) % 4;
}
