//! The keys of a JWK set (RFC 7517) that may sign tokens.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// The largest set, in bytes.
pub(super) const MAX_SET_BYTES: usize = 256 * 1024;

/// Keys of a set that are looked at; providers have two or three.
const MAX_KEYS: usize = 64;

/// A key, and what it may have signed with. Public keys alone: a set with a shared secret would make
/// everybody who can read it a signer, and a public key taken for a secret is how tokens are forged.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

/// The keys of a set.
#[derive(Clone, Default)]
pub(super) struct Keys(pub(super) Vec<Key>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// Reads a set. Keys that cannot be used are passed over (RFC 7517 section 5).
    ///
    /// # Errors
    /// Why there is no key in it that could be used.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_SET_BYTES {
            return Err(format!("it is larger than {MAX_SET_BYTES} bytes"));
        }
        let set: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let list = set.get("keys").and_then(serde_json::Value::as_array);
        let list = list.ok_or("it has no list `keys` (RFC 7517 section 5)")?;
        if list.iter().any(|key| key.get("d").is_some()) {
            return Err("it holds a private key, which has no place where keys are given out".to_owned());
        }
        let keys: Vec<Key> = list.iter().take(MAX_KEYS).filter_map(read).collect();
        if keys.is_empty() {
            return Err(format!(
                "none of its {} keys is an RSA, EC (P-256, P-384) or Ed25519 public key for signatures",
                list.len()
            ));
        }
        Ok(Self(keys))
    }

    /// The keys that may have signed a token with this header: those of the name, or all where the
    /// token names none.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            id.is_none_or(|id| key.id.as_deref() == Some(id)) && key.algorithms.contains(&algorithm)
        })
    }

    /// Whether there is a key of this name.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

fn read(value: &serde_json::Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let common = &jwk.common;
    let for_signatures = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    let algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => vec![Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    // A key that says what it is for is for nothing else.
    let algorithms = match &common.key_algorithm {
        None => algorithms,
        Some(said) => algorithms.into_iter().filter(|ours| is(*said, *ours)).collect(),
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let usable = for_signatures && !algorithms.is_empty();
    usable.then(|| Key { id: common.key_id.clone(), algorithms, key })
}

fn is(said: KeyAlgorithm, ours: Algorithm) -> bool {
    said.to_string().parse::<Algorithm>().is_ok_and(|said| said == ours)
}
