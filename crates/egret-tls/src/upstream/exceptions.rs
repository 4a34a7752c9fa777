//! What policy excuses for a host.

use std::collections::BTreeSet;

use rustls_pki_types::CertificateDer;

use super::{Problem, ProblemKind};

/// What a line of policy excuses for a host. The default excuses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exceptions {
    kinds: BTreeSet<ProblemKind>,
    /// SHA-256 of certificates that are taken for the host whoever signed them.
    pins: BTreeSet<[u8; 32]>,
}

/// A class that cannot be excused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be excused: the program has no way to speak with such an origin; tunnel the host instead"
)]
pub struct NotExcusable(pub ProblemKind);

impl Exceptions {
    /// Excuses these classes, and no others.
    ///
    /// # Errors
    /// One of them cannot be excused.
    pub fn of(kinds: impl IntoIterator<Item = ProblemKind>) -> Result<Self, NotExcusable> {
        let kinds: BTreeSet<_> = kinds.into_iter().collect();
        match kinds.iter().find(|kind| !kind.is_excusable()) {
            Some(kind) => Err(NotExcusable(*kind)),
            None => Ok(Self { kinds, pins: BTreeSet::new() }),
        }
    }

    /// And takes the certificate with this SHA-256, whoever signed it; safer than a class, for it names the one
    /// that is meant. It still must be for the host, and must not have been revoked.
    #[must_use]
    pub fn with_pin(mut self, sha256: [u8; 32]) -> Self {
        self.pins.insert(sha256);
        self
    }

    /// Whether nothing is excused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.pins.is_empty()
    }

    /// Whether this problem of this certificate is excused.
    pub(super) fn excuse(&self, problem: &Problem, certificate: &CertificateDer<'_>) -> bool {
        let kind = problem.kind();
        if self.kinds.contains(&kind) {
            return true;
        }
        let of_the_name = [ProblemKind::WrongName, ProblemKind::NoSan, ProblemKind::Revoked].contains(&kind);
        kind.is_excusable() && !of_the_name && !self.pins.is_empty() && {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
            self.pins.iter().any(|pin| pin[..] == *digest.as_ref())
        }
    }
}
