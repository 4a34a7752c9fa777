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

/// What a fuzz target calls: an OCSP response, a certificate, and those above it, each after its length in two
/// bytes; the last is trusted. It must never panic, and what it says must be fit for a terminal. Gives the class
/// of what is wrong.
#[doc(hidden)]
pub fn fuzz_check(bytes: &[u8]) -> Option<ProblemKind> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (piece, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)).min(tail.len()));
        pieces.push(piece);
        rest = tail;
    }
    let [response, own, above @ ..] = pieces.as_slice() else { return None };
    let certificate = |bytes: &&[u8]| rustls_pki_types::CertificateDer::from(bytes.to_vec());
    let (own, above): (_, Vec<_>) = (certificate(own), above.iter().map(certificate).collect());
    let mut public = rustls::RootCertStore::empty();
    public.add_parsable_certificates(above.last().cloned());
    let tls = UpstreamTls::new(UpstreamSettings { public, ..UpstreamSettings::default() }).ok()?;
    let host = egret_core::destination::Host::parse("origin.test").ok()?;
    let name = rustls_pki_types::ServerName::try_from("origin.test").ok()?;
    // 2027, when the certificates of the corpus are valid.
    let now = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
    let all = ProblemKind::ALL.iter().copied().filter(|kind| kind.is_excusable());
    for exceptions in [Exceptions::default(), Exceptions::of(all).ok()?] {
        let (_, verifier) = tls.config(&host, &[], &exceptions).ok()?;
        let found = verifier.check(&own, &above, response, &name, now);
        let problems = match &found {
            Ok(excused) => excused.as_slice(),
            Err(problem) => std::slice::from_ref(problem),
        };
        for problem in problems {
            let shown = problem.to_string();
            assert!(!shown.contains(['\n', '\u{1b}']), "a line for a terminal: {shown:?}");
        }
        if exceptions.is_empty() {
            if let Err(problem) = found {
                return Some(problem.kind());
            }
        } else {
            assert!(found.is_ok_and(|excused| excused.is_empty()), "what is good needs no excuse");
        }
    }
    None
}
