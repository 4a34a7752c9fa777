//! TLS towards upstreams: whom to trust ([`roots`]), the client configurations that follow from it
//! ([`client`]), and what to tell people when a handshake fails ([`explain`]).
//!
//! There is no way to switch verification off (invariant 7).

pub mod client;
pub mod explain;
pub mod roots;
