//! Policy: who may go where, and how.
//!
//! Policies of the cluster come first, in the order of their priorities; the first of their rules that
//! matches decides, or passes on ([`model::Action::Pass`]). Then those of the client's namespace: a rule that denies
//! wins over every rule that allows. Then the default.

pub mod ask;
pub mod list;
pub mod model;
mod names;
mod networks;
pub mod selector;
pub mod when;

pub use ask::{Ask, Headers, RequestFacts, RuleFacts, Seen, Verdict};
pub use list::NameList;
