//! What the CA, its place and its certificates promise.

mod ca;
mod minter;
mod rejection;
mod rejections;
mod serve;
mod store;

use std::sync::Arc;

use egret_core::destination::Host;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::authority::{Authority, CaRequest, Constraints, KeyType, Subject};

fn now() -> Timestamp {
    Timestamp::now()
}

fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// A CA as others make them.
fn request(name: &str) -> CaRequest {
    CaRequest {
        subject: Subject { common_name: name.to_owned(), organization: None },
        key_type: KeyType::EcdsaP256,
        days: 365,
        path_length: None,
        constraints: Constraints::default(),
    }
}

fn interception(authority: &Authority) -> InterceptionCa {
    InterceptionCa::from_identity(authority.identity().clone(), now()).unwrap()
}

fn minter(ca: InterceptionCa, settings: MintSettings) -> Minter {
    Minter::new(Arc::new(ca), settings).unwrap()
}
