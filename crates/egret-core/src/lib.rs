//! What Egret decides, apart from any socket: who speaks ([`identity`]), where to ([`destination`]),
//! whether that may be ([`gate`]), by which way ([`route`]), and what is left on record
//! ([`record`], [`reason`]).
//!
//! Nothing in this crate does I/O or knows a runtime, so every rule in it can be tested with a table.

pub mod address;
pub mod authentication;
pub mod destination;
pub mod flow_id;
pub mod gate;
pub mod group_file;
pub mod htpasswd;
pub mod identity;
pub mod pattern;
pub mod policy;
pub mod reason;
pub mod record;
pub mod route;
pub mod settings;
pub mod trace_context;
