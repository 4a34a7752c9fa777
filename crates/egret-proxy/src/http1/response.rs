//! The head of a response (RFC 9112 section 4).

use std::ops::Range;

use egret_core::record::Protocol;

use super::fields::{FieldName, Fields, is_field_value, list, parse_fields};
use super::framing::{BodyLength, response_body};
use super::request::version;
use super::{HeadLimits, ParseError, Parsed};

/// The head of a response, as positions in the buffer it was read into.
#[derive(Debug)]
pub struct ResponseHead {
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Protocol,
    /// The status, 100 to 999.
    pub status: u16,
    /// The reason phrase, may be empty.
    pub reason: Range<usize>,
    /// The fields, in order.
    pub fields: Fields,
    /// The length of the body.
    pub body: BodyLength,
    /// Whether the connection can be kept after the body.
    pub keep_alive: bool,
    /// The length of the head in bytes, the empty line included.
    pub length: usize,
}

/// What the request was, as far as the response's framing depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// The method was HEAD.
    pub head: bool,
    /// An upgrade was asked for.
    pub upgrade: bool,
}

/// Reads a response head from the front of `input`. `fields` is given back in the head.
///
/// # Errors
/// What is wrong with it. The connection cannot be used any more.
pub fn parse(
    input: &[u8],
    limits: &HeadLimits,
    asked: Asked,
    mut fields: Fields,
) -> Result<Parsed<ResponseHead>, ParseError> {
    fields.clear();
    let Some(line_feed) = memchr::memchr(b'\n', input) else {
        const START: &[u8] = b"HTTP/";
        let shown = input.len().min(START.len());
        if input[..shown] != START[..shown] {
            return Err(ParseError::StatusLine);
        }
        return if input.len() >= limits.bytes { Err(ParseError::HeadTooLarge) } else { Ok(Parsed::Partial) };
    };
    if line_feed == 0 || input[line_feed - 1] != b'\r' {
        return Err(ParseError::BareLf);
    }
    let (version, status, reason) = status_line(&input[..line_feed - 1])?;
    let Some(length) = parse_fields(input, line_feed + 1, limits, &mut fields)? else {
        return if input.len() >= limits.bytes { Err(ParseError::HeadTooLarge) } else { Ok(Parsed::Partial) };
    };
    if length > limits.bytes {
        return Err(ParseError::HeadTooLarge);
    }
    if status == 101 && !asked.upgrade {
        return Err(ParseError::UpgradeResponse);
    }
    let body = response_body(input, &fields, version, status, asked.head)?;
    let mut keep_alive = version == Protocol::Http11;
    let mut close = false;
    for field in &fields {
        match field.name {
            FieldName::Connection | FieldName::ProxyConnection => {
                for option in list(field.value(input)) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            // No body belongs to a 204, so framing fields there say that something is wrong with the
            // origin; whatever follows is not taken for a response (RFC 9110 section 15.3.5).
            FieldName::TransferEncoding | FieldName::ContentLength if status == 204 => close = true,
            _ => {}
        }
    }
    keep_alive &= !close && body != BodyLength::UntilClose;
    Ok(Parsed::Complete(ResponseHead { version, status, reason, fields, body, keep_alive, length }))
}

fn status_line(line: &[u8]) -> Result<(Protocol, u16, Range<usize>), ParseError> {
    if line.len() < 12 || line[8] != b' ' {
        return Err(ParseError::StatusLine);
    }
    let version = version(&line[..8])?;
    let digits = &line[9..12];
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return Err(ParseError::StatusLine);
    }
    let status = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    // The space before an empty reason is often left out, and nothing is ambiguous without it.
    let reason = match line.get(12) {
        None => 12..12,
        Some(b' ') => 13..line.len(),
        Some(_) => return Err(ParseError::StatusLine),
    };
    if !is_field_value(&line[reason.clone()]) {
        return Err(if memchr::memchr(b'\r', line).is_some() {
            ParseError::BareCr
        } else {
            ParseError::StatusLine
        });
    }
    Ok((version, status, reason))
}
