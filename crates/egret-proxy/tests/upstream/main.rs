//! The way to an upstream, over real sockets on loopback.
// Tests speak to loopback, with grants of nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod dial;
mod dns;
mod parents;
mod support;
mod tls;
