//! Keys that certificates are made for.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{KeyPair, RsaKeySize};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::AuthorityError;

/// What kind of key is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256: small, quick, and known to every client.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519 (RFC 8410). Browsers, and the TLS of Windows and macOS, do not know it.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits: as strong as P-256.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl KeyType {
    /// All of them, the default first.
    pub const ALL: [Self; 6] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519, Self::Rsa3072, Self::Rsa2048, Self::Rsa4096];

    /// The name on the command line. Plain `rsa` has 3072 bits.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// It is RSA, of whatever size.
    #[must_use]
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Makes a key, in PKCS#8.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate(self) -> Result<PrivateKeyDer<'static>, AuthorityError> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match self {
            Self::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Rsa2048 => rsa(RsaKeySize::_2048),
            Self::Rsa3072 => rsa(RsaKeySize::_3072),
            Self::Rsa4096 => rsa(RsaKeySize::_4096),
            Self::Ed25519 => {
                // Version 1 of the encoding: OpenSSL up to 3.1 and Java read no version 2 (RFC 5958).
                let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
                    .map_err(|_| AuthorityError::Random)?;
                return Ok(PrivatePkcs8KeyDer::from(document.as_ref().to_vec()).into());
            }
        };
        Ok(PrivatePkcs8KeyDer::from(pair.map_err(|_| AuthorityError::Random)?.serialize_der()).into())
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for KeyType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.map(Self::name).to_vec();
            format!("{text:?} is no kind of key; take one of {}", names.join(", "))
        })
    }
}
