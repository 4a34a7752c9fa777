//! HTTP/1 framing, byte by byte, through the real binary: what RFC 9110 and RFC 9112 want of requests
//! and responses, and what is refused because it could be read in two ways.
//!
//! Each module holds tables of cases; a case names its section. `{O}` in a case stands for the
//! authority of the origin, `{P}` for that of the proxy. Where an RFC leaves a choice, the case lists
//! every outcome that is allowed.

#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod case;
mod chunked;
mod connect;
mod fields;
mod hop_by_hop;
mod host;
mod limits;
mod methods;
mod pipelining;
mod reply;
mod request_body;
mod request_line;
mod request_target;
mod response_body;
mod response_connection;
mod response_head;
