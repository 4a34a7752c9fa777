//! TLS: whom to trust as an upstream ([`roots`]), the client configurations that follow from it ([`client`]),
//! what to tell people when a handshake fails ([`explain`]); TLS towards clients ([`server`]),
//! and what an unknown client says first ([`hello`]); the files that
//! certificates and keys are in ([`files`]), making them ([`authority`], [`bundle`]), and looking at them
//! ([`inspect`], [`verify`]).
//!
//! There is no way to switch verification off (invariant 7).

pub mod authority;
pub mod bundle;
pub mod client;
pub mod explain;
pub mod files;
pub mod hello;
pub mod inspect;
pub mod interception;
mod printable;
pub mod roots;
pub mod server;
pub mod upstream;
pub mod verify;
