//! The promises of `egret-core`, as tables and as properties.
//!
//! A case that a property test finds is added to the table beside it, where it says what it is about;
//! that is why no regression files are kept.

mod address;
mod gate;
mod gate_properties;
mod host;
mod no_proxy;
mod pattern;
mod policy;
mod when;
mod when_manual;
mod when_properties;

use proptest::prelude::ProptestConfig;

/// The settings of every property test.
fn properties() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
