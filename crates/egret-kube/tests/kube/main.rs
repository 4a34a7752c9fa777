//! What the API server is told, and what it tells.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod admits;
mod crds;
mod import;
mod policies;
mod structural;
mod validate;
