//! Captured flows: what they are ([`flow`]), how the data path hands them over ([`capture`]) without ever
//! waiting, what is taken out of them before anything is stored ([`redact`]), where they are kept and found
//! again ([`store`], [`filter`]), how they are read ([`view`]), taken along ([`export`]), sent again
//! ([`replay`]) and changed on their way: by rule ([`rules`]), or by hand ([`edit`]) while they are held. Which rules
//! and breakpoints are in force, and what is held, is in [`changes`].
//!
//! Nothing here opens a socket, and nothing here knows the data path.

pub mod capture;
pub mod changes;
pub mod edit;
pub mod events;
pub mod export;
pub mod filter;
pub mod flow;
pub mod redact;
pub mod replay;
pub mod rules;
pub mod store;
pub mod view;
pub mod websocket;
