//! What a condition is decided over.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::destination::Destination;
use crate::identity::Identity;

/// What is known of a flow when it is decided.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// What is asked for.
    pub destination: &'a Destination,
    /// The address that would be dialled, once it is known.
    pub address: Option<IpAddr>,
    /// The request, where one is seen; `None` on a tunnel.
    pub request: Option<&'a RequestFacts<'a>>,
    /// The time of the decision.
    pub now: SystemTime,
}

/// What is known of a request.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The path, without the query, as it was sent: nothing is decoded.
    pub path: &'a str,
    /// The query, without its question mark, as it was sent.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a dyn Headers,
    /// The length of the body in bytes, where it is known beforehand: not with chunked transfer.
    pub body_length: Option<u64>,
}

/// Header fields, whoever holds them.
pub trait Headers {
    /// Calls `f` with the name (in any case) and the value of each field, in the order in which they were sent.
    fn for_each(&self, f: &mut dyn FnMut(&str, &[u8]));
}
