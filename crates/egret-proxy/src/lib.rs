//! The data path: everything that happens to a flow between `accept` and its record.
//!
//! A connection meets the modules in this order: [`listener`], [`inlet`] (by [`detect`]), [`credentials`],
//! [`gate`],
//! [`tunnel`], [`forward`] or [`intercept`], [`upstream`], [`relay`], and [`flow`], which leaves the record.
//! [`refuse`] turns every failure into a reply.

pub mod access_log;
pub mod body;
pub mod buffer;
pub mod capture;
pub mod client;
pub mod control;
pub mod credentials;
pub mod deadline;
pub mod detect;
pub mod enforce;
pub mod flow;
pub mod forward;
pub mod gate;
pub mod http1;
pub mod inlet;
pub mod inspect;
pub mod intercept;
pub mod listener;
pub mod local;
pub mod metrics;
pub mod rates;
pub mod refuse;
pub mod relay;
pub mod replay;
pub mod server;
#[cfg(test)]
mod sizes;
pub mod splice;
pub mod stall;
pub mod stream;
pub mod throttle;
pub mod tls_stream;
pub mod trace;
pub mod tunnel;
pub mod upstream;
pub mod worker;
mod workload;
