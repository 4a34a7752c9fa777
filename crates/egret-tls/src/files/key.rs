//! Private keys: decrypting them, and which certificate one belongs to.

use std::sync::Arc;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{FileProblem, Limit, Password};

/// The key as rustls signs with it.
pub(super) fn signing(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, FileProblem> {
    any_supported_type(key).map_err(|error| FileProblem::Key { detail: error.to_string() })
}

/// The public key of a private one, as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), in DER.
///
/// # Errors
/// The key cannot be used.
pub fn public_key(key: &PrivateKeyDer<'_>) -> Result<Vec<u8>, FileProblem> {
    let public = signing(key)?.public_key().map(|public| public.to_vec());
    public.ok_or_else(|| FileProblem::Key { detail: "it has no public key".to_owned() })
}

/// Decrypts a key (PKCS#8, PBES2).
pub(super) fn decrypt(
    der: &[u8],
    password: Option<&Password>,
) -> Result<PrivateKeyDer<'static>, FileProblem> {
    const WHAT: &str = "its private key";
    let Some(password) = password else { return Err(FileProblem::PasswordNeeded { what: WHAT }) };
    let unsupported = |detail: &str| FileProblem::KeyEncryption { detail: detail.to_owned() };
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| unsupported("an unknown scheme"))?;
    match &info.encryption_algorithm {
        EncryptionScheme::Pbes2(parameters) => match &parameters.kdf {
            Kdf::Pbkdf2(kdf) if kdf.iteration_count <= Limit::ITERATIONS => {}
            Kdf::Pbkdf2(_) => return Err(unsupported("PBKDF2 with more than 10 million iterations")),
            Kdf::Scrypt(kdf) if scrypt_bytes(kdf.cost_parameter, kdf.block_size) <= Limit::SCRYPT_BYTES => {}
            _ => return Err(unsupported("scrypt with more than 64 MiB")),
        },
        _ => return Err(unsupported("PKCS#5 version 1.5")),
    }
    let plain = info.decrypt(password.reveal()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { oid }) => {
            unsupported(&format!("algorithm {oid}"))
        }
        // A wrong password shows as bad padding, or as a key that is no DER.
        _ => FileProblem::WrongPassword { what: WHAT },
    })?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

fn scrypt_bytes(cost: u64, block: u16) -> u64 {
    cost.saturating_mul(u64::from(block)).saturating_mul(128)
}
