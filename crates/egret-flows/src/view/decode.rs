//! Content encodings undone for viewing (RFC 9110 section 8.4): gzip, deflate, br, zstd. What is decoded is
//! bounded, because a few bytes can stand for a great many.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// How far decoding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most bytes that come out.
    pub bytes: usize,
    /// The most encodings on top of each other.
    pub layers: usize,
}

/// The most bytes that decoding for view gives, when nobody says otherwise.
pub const MAX_DECODED_BYTES: usize = 8 << 20;
/// The largest window of zstd: what RFC 9659 allows for content encodings.
const MAX_ZSTD_WINDOW: u64 = 8 << 20;

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { bytes: MAX_DECODED_BYTES, layers: 4 }
    }
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What came out.
    pub bytes: Bytes,
    /// Why that is not all of it.
    pub stopped: Option<Stop>,
}

/// Why decoding stopped before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// So many bytes came out, and there were more.
    Limit(usize),
    /// The encoded bytes end early, as those of a body that was cut off do.
    Early,
    /// They are not what they are said to be.
    Corrupt(&'static str),
    /// An encoding that is not known, or too many of them. The bytes are as they were before it.
    Unknown(String),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit(bytes) => write!(f, "decoding stopped after {bytes} bytes; there is more"),
            Self::Early => f.write_str("the encoded body ends early; this is what it has"),
            Self::Corrupt(encoding) => {
                write!(f, "the body is not valid {encoding}; this is what could be decoded")
            }
            Self::Unknown(encoding) => {
                write!(f, "the body is encoded as {encoding}, which cannot be decoded here")
            }
        }
    }
}

/// Undoes what `Content-Encoding` says.
#[must_use]
pub fn decode(encodings: &str, body: &[u8], limits: &DecodeLimits) -> Decoded {
    let encodings = encodings.split(',').map(|name| name.trim().to_ascii_lowercase());
    let encodings: Vec<String> = encodings.filter(|name| !matches!(name.as_str(), "" | "identity")).collect();
    let mut current = None;
    let mut stopped = None;
    if encodings.len() > limits.layers {
        stopped = Some(Stop::Unknown(encodings.join(", ").chars().take(40).collect()));
    } else {
        // The last one listed was put on last.
        for encoding in encodings.iter().rev() {
            let input = current.as_deref().unwrap_or(body);
            if input.is_empty() {
                break;
            }
            let Some((out, stop)) = layer(encoding, input, limits.bytes) else {
                stopped = stopped.or(Some(Stop::Unknown(encoding.chars().take(40).collect())));
                break;
            };
            current = Some(out);
            stopped = stopped.or(stop);
        }
    }
    if current.is_none() && body.len() > limits.bytes {
        stopped = stopped.or(Some(Stop::Limit(limits.bytes)));
    }
    let bytes =
        current.map_or_else(|| Bytes::copy_from_slice(&body[..body.len().min(limits.bytes)]), Bytes::from);
    Decoded { bytes, stopped }
}

/// Undoes one encoding; `None` if it is not known.
fn layer(encoding: &str, input: &[u8], limit: usize) -> Option<(Vec<u8>, Option<Stop>)> {
    Some(match encoding {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(input), "gzip", limit),
        // Half of the world sends it without the frame of RFC 1950 that RFC 9110 asks for.
        "deflate" if is_zlib(input) => read(ZlibDecoder::new(input), "deflate", limit),
        "deflate" => read(DeflateDecoder::new(input), "deflate", limit),
        "br" => read(brotli_decompressor::Decompressor::new(input, 4096), "br", limit),
        "zstd" => zstd(input, limit),
        _ => return None,
    })
}

fn is_zlib(input: &[u8]) -> bool {
    matches!(input, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// Reads until the end, the limit or an error.
fn read(reader: impl Read, encoding: &'static str, limit: usize) -> (Vec<u8>, Option<Stop>) {
    let mut out = Vec::new();
    // One byte more, to know whether there is more.
    let result = reader.take(limit as u64 + 1).read_to_end(&mut out);
    if out.len() > limit {
        out.truncate(limit);
        return (out, Some(Stop::Limit(limit)));
    }
    let stop = match result {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(Stop::Early),
        Err(_) => Some(Stop::Corrupt(encoding)),
    };
    (out, stop)
}

/// Reads the frames of zstd (RFC 8878) one after the other. A frame says itself how large a window it needs.
fn zstd(mut input: &[u8], limit: usize) -> (Vec<u8>, Option<Stop>) {
    let mut out = Vec::new();
    while !input.is_empty() {
        if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, rest @ ..] = input {
            // A frame to skip.
            let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            let Some(after) = rest.get(length..) else { return (out, Some(Stop::Early)) };
            input = after;
            continue;
        }
        match zstd_window(input) {
            None if input.len() < 18 => return (out, Some(Stop::Early)),
            Some(window) if window <= MAX_ZSTD_WINDOW => {}
            None | Some(_) => return (out, Some(Stop::Corrupt("zstd"))),
        }
        let whole = input.len();
        let Ok(mut decoder) = ruzstd::decoding::StreamingDecoder::new(&mut input) else {
            return (out, Some(Stop::Corrupt("zstd")));
        };
        let (frame, stop) = read(&mut decoder, "zstd", limit - out.len());
        drop(decoder);
        out.extend_from_slice(&frame);
        match stop {
            None if input.len() < whole => {}
            None => return (out, Some(Stop::Corrupt("zstd"))),
            // The library wraps what the reader said: an input that is used up ended early.
            Some(Stop::Corrupt(_)) if input.is_empty() => return (out, Some(Stop::Early)),
            Some(Stop::Limit(_)) => return (out, Some(Stop::Limit(limit))),
            stop => return (out, stop),
        }
    }
    (out, None)
}

/// The window of a frame (RFC 8878 section 3.1.1.1).
fn zstd_window(input: &[u8]) -> Option<u64> {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = input else { return None };
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = rest.get(dictionary..)?;
    Some(match descriptor >> 6 {
        0 => u64::from(*size.first()?),
        1 => u64::from(u16::from_le_bytes(*size.first_chunk()?)) + 256,
        2 => u64::from(u32::from_le_bytes(*size.first_chunk()?)),
        _ => u64::from_le_bytes(*size.first_chunk()?),
    })
}
