//! How much work a PKCS#12 archive asks for, before any of it is done: whoever wrote it chose the rounds of
//! each key derivation.

use x509_parser::der_parser::ber::{BerObject, BerObjectContent};
use x509_parser::der_parser::der::parse_der;

/// Nested structures that are looked into. Real archives have about twelve.
const DEPTH: usize = 24;

/// PBKDF2 (RFC 8018), and the key derivations of PKCS#12 itself (RFC 7292 appendix C) and of PKCS#5 version 1.5.
const WITH_ROUNDS: [&str; 2] = ["1.2.840.113549.1.5.", "1.2.840.113549.1.12.1."];
/// scrypt (RFC 7914), whose memory grows with its parameters. No program writes it into PKCS#12.
const SCRYPT: &str = "1.3.6.1.4.1.11591.4.11";

/// The rounds of all key derivations that stand in the open, together. What is encrypted may ask for more, and
/// cannot be seen; only who knows the password can have put it there.
pub(super) fn rounds(bytes: &[u8]) -> u64 {
    in_bytes(bytes, DEPTH)
}

fn in_bytes(mut bytes: &[u8], depth: usize) -> u64 {
    let mut sum = 0u64;
    while depth > 0 && !bytes.is_empty() {
        let Ok((rest, object)) = parse_der(bytes) else { break };
        sum = sum.saturating_add(in_object(&object, depth - 1));
        bytes = rest;
    }
    sum
}

fn in_object(object: &BerObject<'_>, depth: usize) -> u64 {
    if depth == 0 {
        return 0;
    }
    match &object.content {
        BerObjectContent::Sequence(items) | BerObjectContent::Set(items) => {
            let own = of_algorithm(items).or_else(|| of_mac(items)).unwrap_or(0);
            items.iter().fold(own, |sum, item| sum.saturating_add(in_object(item, depth - 1)))
        }
        BerObjectContent::OctetString(bytes) => in_bytes(bytes, depth),
        BerObjectContent::Unknown(any) => in_bytes(any.data, depth),
        _ => 0,
    }
}

/// An AlgorithmIdentifier: `SEQUENCE { OID, SEQUENCE { salt, rounds, … } }`.
fn of_algorithm(items: &[BerObject<'_>]) -> Option<u64> {
    let [algorithm, parameters, ..] = items else { return None };
    let algorithm = algorithm.as_oid().ok()?.to_id_string();
    if algorithm == SCRYPT {
        return Some(u64::MAX);
    }
    if !WITH_ROUNDS.iter().any(|prefix| algorithm.starts_with(prefix)) {
        return None;
    }
    parameters.as_sequence().ok()?.iter().find_map(|item| item.as_u64().ok())
}

/// MacData: `SEQUENCE { DigestInfo, salt, rounds }` (RFC 7292 section 4).
fn of_mac(items: &[BerObject<'_>]) -> Option<u64> {
    match items {
        [digest, salt, rounds] if digest.as_sequence().is_ok() && salt.as_slice().is_ok() => {
            rounds.as_u64().ok()
        }
        _ => None,
    }
}
