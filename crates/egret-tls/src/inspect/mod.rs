//! What a certificate says ([`CertificateInfo`]), and what it is worth: who signed it, whether the key and the
//! chain fit, and what clients will say about it ([`Report`]).

#[cfg(test)]
mod alerts_tests;
mod certificate;
mod judge;
mod links;
mod report;
#[cfg(test)]
mod tests;
mod words;

pub use certificate::{CertificateInfo, ConstraintsInfo};
pub(crate) use certificate::{address, extension_name, names};
pub use links::SignedBy;
pub use report::{Chain, Entry, Expectations, Judgement, KeyInfo, Report, Role, SOON, Trust, Verdict};
pub use words::{Client, Refusal, Saying};
