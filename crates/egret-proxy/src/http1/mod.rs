//! HTTP/1 on the wire: one strict parser for heads, bodies and trailers, in both directions.
//!
//! Nothing here does I/O. Whatever can be read in two ways is an error (RFC 9112 sections 6.3 and 11);
//! there is no lenient mode, because a message that two programs read differently is how requests are
//! smuggled. HTTP/2 requests are written out as HTTP/1.1 and read by the same parser.

pub mod chunked;
pub mod error;
pub mod fields;
pub mod framing;
pub mod request;
pub mod response;
pub mod target;
#[cfg(test)]
mod tests;

pub use error::ParseError;
pub use fields::{Field, FieldName, Fields};
pub use framing::BodyLength;
pub use request::RequestHead;
pub use response::ResponseHead;

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes, the empty line at the end included.
    pub bytes: usize,
    /// Field lines.
    pub fields: usize,
    /// Bytes of the request target.
    pub target: usize,
}

/// What a parser says of the bytes so far.
#[derive(Debug)]
pub enum Parsed<T> {
    /// The head is whole.
    Complete(T),
    /// More bytes are needed.
    Partial,
}
