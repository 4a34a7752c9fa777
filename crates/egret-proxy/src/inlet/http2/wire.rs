//! What passes between the client and the frame layer, as far as the frame layer does not tell: requests
//! that it refuses by itself, and frames that only cost time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// The bytes that a client begins with (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// The bytes of a frame's header (RFC 9113 section 4.1).
const HEADER: usize = 9;

/// Refusals that wait to be looked at. The frame layer ends a connection that has more of them.
const REFUSALS: usize = 2048;

/// Types of frames (RFC 9113 section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// How the frame layer answered a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// With a head.
    Head,
    /// With RST_STREAM and this code (RFC 9113 section 7).
    Reset(u32),
}

/// What was seen and not yet looked at.
#[derive(Debug, Default)]
pub(super) struct Wire {
    idle_frames: AtomicU32,
    answers: Mutex<Vec<(u32, Answer)>>,
}

impl Wire {
    /// Takes the number of frames that came and moved nothing on: SETTINGS, PING, PRIORITY and unknown ones.
    pub(super) fn take_idle_frames(&self) -> u32 {
        self.idle_frames.swap(0, Ordering::Relaxed)
    }

    /// Takes the answers that went out, by stream.
    pub(super) fn take_answers(&self) -> Vec<(u32, Answer)> {
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what a client has sent.
    pub(super) fn came(&self, frame: Frame) {
        let moves = matches!(
            frame.kind,
            kind::DATA | kind::HEADERS | kind::RST_STREAM | kind::WINDOW_UPDATE | kind::CONTINUATION
        );
        if !moves {
            self.idle_frames.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes what a client is sent.
    pub(super) fn went(&self, frame: Frame) {
        let answer = match frame.kind {
            kind::HEADERS => Answer::Head,
            kind::RST_STREAM => Answer::Reset(frame.code),
            _ => return,
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() < REFUSALS {
            answers.push((frame.stream, answer));
        }
    }
}

/// A frame, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    kind: u8,
    stream: u32,
    /// The code of RST_STREAM, else 0.
    code: u32,
}

/// Finds the frames in bytes that pass in pieces.
#[derive(Debug)]
pub(super) struct Scanner {
    /// The header, and the code behind it where there is one.
    head: [u8; HEADER + 4],
    have: usize,
    skip: usize,
}

impl Scanner {
    /// For what a client sends.
    pub(super) fn of_client() -> Self {
        Self { skip: PREFACE, ..Self::of_server() }
    }

    /// For what a client is sent.
    pub(super) fn of_server() -> Self {
        Self { head: [0; HEADER + 4], have: 0, skip: 0 }
    }

    /// Looks at the bytes that come next.
    pub(super) fn look(&mut self, mut bytes: &[u8], mut see: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let count = (self.needed() - self.have).min(bytes.len());
            self.head[self.have..self.have + count].copy_from_slice(&bytes[..count]);
            self.have += count;
            bytes = &bytes[count..];
            if self.have < self.needed() {
                continue;
            }
            let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|offset| self.head[at + offset]));
            let code = if self.have > HEADER { word(HEADER) } else { 0 };
            see(Frame { kind: self.head[3], stream: word(5) & 0x7fff_ffff, code });
            self.skip = self.length() + HEADER - self.have;
            self.have = 0;
        }
    }

    /// How much of a frame is looked at, as far as that is known.
    fn needed(&self) -> usize {
        let has_code = self.have >= HEADER && self.head[3] == kind::RST_STREAM && self.length() >= 4;
        if has_code { HEADER + 4 } else { HEADER }
    }

    fn length(&self) -> usize {
        let [high, middle, low, ..] = self.head.map(usize::from);
        high << 16 | middle << 8 | low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: &[u8] = b"\0\0\x05\0\0\0\0\0\x01hello\
        \0\0\x04\x03\0\x80\0\0\x05\0\0\0\x08\
        \0\0\x08\x06\0\0\0\0\x0012345678\
        \0\0\0\x04\x01\0\0\0\0";

    #[test]
    fn frames_are_found_however_they_are_cut() {
        for size in 1..=FRAMES.len() {
            let mut scanner = Scanner::of_server();
            let mut seen = Vec::new();
            for piece in FRAMES.chunks(size) {
                scanner.look(piece, |frame| seen.push((frame.kind, frame.stream, frame.code)));
            }
            assert_eq!(seen, [(0, 1, 0), (3, 5, 8), (6, 0, 0), (4, 0, 0)], "pieces of {size}");
        }
    }

    #[test]
    fn frames_that_move_nothing_are_counted() {
        let (wire, mut scanner) = (Wire::default(), Scanner::of_client());
        scanner.look(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", |frame| panic!("{frame:?}"));
        scanner.look(FRAMES, |frame| wire.came(frame));
        assert_eq!((wire.take_idle_frames(), wire.take_idle_frames()), (2, 0));
        scanner.look(FRAMES, |frame| wire.went(frame));
        assert_eq!(wire.take_answers(), [(5, Answer::Reset(8))]);
    }
}
