//! The promises of `egret-flows`.
//!
//! A case that a property test finds is added to the table beside it, where it says what it is about;
//! that is why no regression files are kept.

#![allow(clippy::disallowed_methods, reason = "tests speak to loopback, and wait on threads of their own")]

mod capture;
mod changes;
mod events;
mod export;
mod filter;
mod filter_properties;
mod model;
mod redact;
mod replay;
mod rules;
mod some;
mod store;
mod view;
mod websocket;

use proptest::prelude::ProptestConfig;

/// The settings of every property test.
fn properties() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
