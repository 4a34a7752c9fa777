//! gRPC frames: the messages within a body.

use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use super::decode::{self, DecodeLimits, Decoded};

/// The most frames that are told apart.
pub const MAX_FRAMES: usize = 10_000;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// It is compressed, as `grpc-encoding` says.
    pub compressed: bool,
    /// It has trailer fields (gRPC-Web).
    pub trailers: bool,
    /// How long its message is, as it says.
    pub length: u32,
    /// Where the message stands in the body.
    #[serde(skip)]
    pub message: Range<usize>,
    /// The body ends before the message does.
    pub truncated: bool,
}

/// The frames of a body, and how many bytes of it they take; the rest is no frame, or part of the head of one.
#[must_use]
pub fn frames(body: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some([flags, a, b, c, d]) = body.get(at..).and_then(|rest| rest.first_chunk::<5>()) {
        if frames.len() >= MAX_FRAMES || flags & 0x7e != 0 {
            break;
        }
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        let start = at + 5;
        let end = start.saturating_add(length as usize).min(body.len());
        let truncated = end - start < length as usize;
        frames.push(Frame {
            compressed: flags & 1 != 0,
            trailers: flags & 0x80 != 0,
            length,
            message: start..end,
            truncated,
        });
        at = end;
    }
    (frames, at)
}

/// The message of a frame, inflated as `encoding` (the value of `grpc-encoding`) says.
#[must_use]
pub fn message(body: &[u8], frame: &Frame, encoding: &str, limits: &DecodeLimits) -> Decoded {
    let bytes = &body[frame.message.clone()];
    match frame.compressed {
        true => decode::decode(encoding, bytes, limits),
        false => Decoded { bytes: Bytes::copy_from_slice(bytes), stopped: None },
    }
}
