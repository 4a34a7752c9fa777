//! What the black-box tests stand on: the real `egret` binary as a child process, origins that are
//! good, bad and hostile, raw clients, a private CA and a name server that lies.
//!
//! Everything blocks and everything is bounded: a test that waits does so through [`wait::wait_for`] or
//! a socket timeout, so that a bug shows as a failed assertion and never as a hung run. Every socket
//! is on loopback.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // a test helper fails by panicking
#![allow(clippy::disallowed_methods, reason = "these helpers block by design")]

pub mod api_server;
pub mod bad_origin;
pub mod ca;
pub mod dns;
pub mod egret;
pub mod http_origin;
pub mod message;
pub mod raw;
pub mod scripted;
pub mod server;
pub mod tls_client;
pub mod tools;
pub mod wait;

pub use api_server::ApiServer;
pub use bad_origin::{BadOrigin, BadOrigins, Fault};
pub use ca::{TestCa, TestLeaf};
pub use dns::{DnsAnswer, DnsServer};
pub use egret::{Egret, EgretBuilder, Record};
pub use http_origin::HttpOrigin;
pub use message::{Fields, Message};
pub use raw::{Ended, RawClient};
pub use scripted::{RecordingOrigin, ScriptedOrigin, Step};
pub use server::Server;
pub use tls_client::{TlsClient, TlsClients};
pub use wait::wait_for;
