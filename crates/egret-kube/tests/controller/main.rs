//! The controller against the replaying API server: what it makes, keeps and repairs.

#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "tests speak to servers of their own on loopback")]

mod bundles;
mod harness;
mod leases;
mod rollouts;
mod statuses;
mod webhooks;
