//! Looking inside TLS, towards the client: the CA that signs for origins ([`InterceptionCa`]), where it is kept
//! and how it is changed ([`CaStore`]), the certificates that it signs ([`Minter`]), and the server side of the
//! handshake that they are used in ([`InterceptServer`]); and why a client did not go on ([`classify`]),
//! and how often ([`Rejections`]).

mod ca;
mod error;
mod leaf;
mod minter;
mod rejection;
mod rejections;
mod serve;
mod store;
#[cfg(test)]
mod tests;

pub use ca::{CA_RENEW_DAYS, InterceptionCa};
pub use error::{CaError, MintError};
pub use leaf::{Leaf, LeafNames};
pub use minter::{MintCounts, MintSettings, Minter};
pub use rejection::{Cause, End, Observed, Rejection, Stage, classify};
pub use rejections::{Refused, RejectionSettings, Rejections};
pub use serve::InterceptServer;
pub use store::{CaSet, CaStore};
