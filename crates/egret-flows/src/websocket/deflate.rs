//! Compression of messages: permessage-deflate (RFC 7692).

use flate2::{Decompress, FlushDecompress, Status};

use crate::flow::{Headers, Side};

/// The most bytes that one message is inflated to, kept or not. What is not kept has to be inflated all the
/// same, because later messages refer to it; a message that is larger ends inflating for its connection.
pub const MAX_INFLATED_BYTES: u64 = 64 << 20;

/// What was agreed for one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflate {
    /// Each message is compressed by itself.
    pub no_context_takeover: bool,
}

impl Deflate {
    /// What the response to an upgrade agreed to, for the direction from this side.
    #[must_use]
    pub fn agreed(response: &Headers, from: Side) -> Option<Self> {
        let mut extensions =
            response.all(b"sec-websocket-extensions").flat_map(|value| value.split(|byte| *byte == b','));
        let parameter = match from {
            Side::Request => "client_no_context_takeover",
            Side::Response => "server_no_context_takeover",
        };
        extensions.find_map(|extension| {
            let text = std::str::from_utf8(extension).ok()?;
            let mut parts = text.split(';').map(str::trim);
            (parts.next()? == "permessage-deflate")
                .then(|| Self { no_context_takeover: parts.any(|part| part == parameter) })
        })
    }
}

/// Inflates the messages of one direction.
#[derive(Debug)]
pub(super) struct Inflater {
    agreed: Deflate,
    /// `None` once something could not be inflated: what follows refers to it.
    state: Option<Decompress>,
}

impl Inflater {
    pub(super) fn new(agreed: Deflate) -> Self {
        Self { agreed, state: Some(Decompress::new(false)) }
    }

    /// Inflates a piece of a message.
    pub(super) fn feed(
        &mut self,
        mut piece: &[u8],
        payload: &mut Vec<u8>,
        length: &mut u64,
        truncated: &mut bool,
        limit: usize,
    ) {
        let mut buffer = [0; 8192];
        // Ends: each round uses up input or gives output, and output is bounded.
        loop {
            let Some(state) = &mut self.state else {
                *truncated = true;
                return;
            };
            let (in_before, out_before) = (state.total_in(), state.total_out());
            let result = state.decompress(piece, &mut buffer, FlushDecompress::Sync);
            let used = (state.total_in() - in_before) as usize;
            let given = (state.total_out() - out_before) as usize;
            piece = &piece[used.min(piece.len())..];
            let room = limit.saturating_sub(payload.len()).min(given);
            payload.extend_from_slice(&buffer[..room]);
            *length += given as u64;
            *truncated |= room < given;
            match result {
                Err(_) => self.state = None,
                Ok(_) if *length > MAX_INFLATED_BYTES => self.state = None,
                // A block that says it is the last; RFC 7692 section 7.2.3.4 lets that be.
                Ok(Status::StreamEnd) => state.reset(false),
                Ok(_) if given < buffer.len() && (piece.is_empty() || (used == 0 && given == 0)) => return,
                Ok(_) => {}
            }
            if piece.is_empty() && matches!(result, Ok(Status::StreamEnd)) {
                return;
            }
        }
    }

    /// Ends a message (RFC 7692 section 7.2.2).
    pub(super) fn finish(
        &mut self,
        payload: &mut Vec<u8>,
        length: &mut u64,
        truncated: &mut bool,
        limit: usize,
    ) {
        self.feed(&[0, 0, 0xff, 0xff], payload, length, truncated, limit);
        if self.agreed.no_context_takeover
            && let Some(state) = &mut self.state
        {
            state.reset(false);
        }
    }
}
