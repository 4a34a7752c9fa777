//! TLS towards origins, as strict as a browser: whom a host may be signed by, what has been revoked, which
//! versions and protocols are spoken, which certificate is shown ([`UpstreamTls`]); and what is wrong with an
//! origin, told so that people understand it and programs can count it ([`Problem`]).
//!
//! A bad certificate never becomes a good one (invariant 7). What may be excused for a host is handed in with
//! each configuration ([`Exceptions`]), comes from a line of policy, and is told for each connection
//! ([`Verifier::check`]).

mod chain;
mod exceptions;
mod factory;
mod handshake;
mod kind;
mod ocsp;
mod problem;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "real connections, on loopback")]
mod tests;
mod verifier;

pub use exceptions::{Exceptions, NotExcusable};
pub use factory::{
    AlpnRule, ClientCertificate, MinVersion, PrivateCa, UpstreamSettings, UpstreamSettingsError, UpstreamTls,
    VersionRule,
};
pub use kind::ProblemKind;
pub use problem::Problem;
pub use verifier::Verifier;
