//! A small Kubernetes API server for tests, which behaves as the recordings of a real one do.
//!
//! Objects of every built-in kind, and of what CustomResourceDefinitions add, are kept in memory.
//! There are get, list (with pages and selectors), watch (with bookmarks, initial events and `410`),
//! create, update, the four kinds of patch, delete, status, tokens and their reviews, discovery and
//! admission webhooks. What a real server has and this lacks: validation of schemas, protobuf, quotas
//! and controllers; a namespace and its content go at once, and so does a pod unless it is to linger.

mod access;
mod apply;
mod client;
mod failure;
mod handle;
mod http;
mod patch;
mod present;
mod resources;
mod review;
mod selector;
mod serve;
mod store;
mod verbs;
mod watch;
mod webhook;

#[cfg(test)]
mod tests;

pub use client::Answered;
pub use handle::{ApiServer, ApiServerBuilder, Called};
pub use resources::Resource;
