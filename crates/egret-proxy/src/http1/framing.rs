//! How long a body is (RFC 9112 section 6).

use egret_core::record::Protocol;

use super::ParseError;
use super::fields::{FieldName, Fields, list};

/// The length of a body, as the head tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// No body.
    None,
    /// So many bytes.
    Fixed(u64),
    /// Chunks until the last one.
    Chunked,
    /// Everything until the connection closes (responses only).
    UntilClose,
}

struct Stated {
    length: Option<u64>,
    chunked: bool,
}

/// What Content-Length and Transfer-Encoding say together. A Content-Length that stands twice with
/// the same value is let through where `repeated_length` is set (RFC 9110 section 8.6 leaves the choice).
fn stated(
    head: &[u8],
    fields: &Fields,
    version: Protocol,
    repeated_length: bool,
) -> Result<Stated, ParseError> {
    let mut length = None;
    let mut chunked = false;
    for field in fields {
        match field.name {
            FieldName::ContentLength => {
                let value = field.value(head);
                let mut values = value.split(|byte| *byte == b',');
                for value in &mut values {
                    let number = parse_length(super::fields::trim(value))?;
                    match length {
                        None => length = Some(number),
                        Some(before) if before == number && repeated_length => {}
                        Some(_) => return Err(ParseError::LengthTwice),
                    }
                }
            }
            FieldName::TransferEncoding => {
                let mut codings = list(field.value(head));
                let first = codings.next();
                let is_chunked = first.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
                if chunked || !is_chunked || codings.next().is_some() {
                    return Err(ParseError::EncodingUnknown);
                }
                chunked = true;
            }
            _ => {}
        }
    }
    if chunked && length.is_some() {
        return Err(ParseError::LengthAndEncoding);
    }
    if chunked && version == Protocol::Http10 {
        return Err(ParseError::EncodingOnHttp10);
    }
    Ok(Stated { length, chunked })
}

fn parse_length(digits: &[u8]) -> Result<u64, ParseError> {
    // 19 digits always fit; the limit keeps a number of many zeros from being endless.
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseError::LengthInvalid);
    }
    Ok(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// The body of a request.
///
/// # Errors
/// Framing that can be read in two ways.
pub fn request_body(head: &[u8], fields: &Fields, version: Protocol) -> Result<BodyLength, ParseError> {
    let stated = stated(head, fields, version, false)?;
    Ok(match stated {
        Stated { chunked: true, .. } => BodyLength::Chunked,
        Stated { length: Some(0) | None, .. } => BodyLength::None,
        Stated { length: Some(length), .. } => BodyLength::Fixed(length),
    })
}

/// The body of a response to a request with this method.
///
/// # Errors
/// Framing that can be read in two ways.
pub fn response_body(
    head: &[u8],
    fields: &Fields,
    version: Protocol,
    status: u16,
    to_head_request: bool,
) -> Result<BodyLength, ParseError> {
    let stated = stated(head, fields, version, true)?;
    if to_head_request || status < 200 || status == 204 || status == 304 {
        return Ok(BodyLength::None);
    }
    Ok(match stated {
        Stated { chunked: true, .. } => BodyLength::Chunked,
        Stated { length: Some(0), .. } => BodyLength::None,
        Stated { length: Some(length), .. } => BodyLength::Fixed(length),
        Stated { length: None, .. } => BodyLength::UntilClose,
    })
}
