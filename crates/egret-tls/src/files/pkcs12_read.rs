//! PKCS#12 (RFC 7292).

use p12_keystore::error::Error;
use p12_keystore::{Certificate, Pkcs12Archive};
use rustls_pki_types::PrivatePkcs8KeyDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::contents::{Item, ItemKind};
use super::{FileProblem, Limit, Password, key, pkcs12_work};

const WHAT: &str = "the PKCS#12 file";

/// A PFX: a sequence that begins with the version 3. Long form lengths only, for none is under 128 bytes;
/// BER's indefinite length too, as some programs write it.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let header = match bytes {
        [0x30, 0x80, ..] => 2,
        [0x30, long @ 0x81..=0x84, ..] => 2 + usize::from(long & 0x7f),
        _ => return false,
    };
    // The version, then a ContentInfo: an RSA key in PKCS#1 begins with a version too, 0 or 1.
    bytes.get(header..header + 3) == Some(&[0x02, 0x01, 0x03])
}

/// The keys, then the certificates in an order that fits the first key: its own, then the issuers.
pub(super) fn items(bytes: &[u8], password: Option<&Password>) -> Result<Vec<Item>, FileProblem> {
    if bytes.len() as u64 > Limit::PKCS12.bytes {
        return Err(FileProblem::TooLarge { name: Limit::PKCS12.name, limit: Limit::PKCS12.bytes });
    }
    if pkcs12_work::rounds(bytes) > Limit::PKCS12_ROUNDS {
        return Err(too_much_work());
    }
    // One without a password is opened with the empty one, as openssl and Java write it.
    let archive = Pkcs12Archive::from_pkcs12(bytes, password.map_or("", Password::reveal))
        .map_err(|error| problem(&error, password.is_some()))?;
    if archive.keys.len() + archive.certs.len() > Limit::ITEMS {
        return Err(FileProblem::TooMany { name: "certificate file items", limit: Limit::ITEMS });
    }
    let item = |kind| Item { line: None, kind };
    let own = archive
        .keys
        .first()
        .and_then(|bag| key::public_key(&PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()).into()).ok());
    let is_own = |certificate: &Certificate| {
        X509Certificate::from_der(certificate.as_der())
            .is_ok_and(|(_, parsed)| own.as_deref() == Some(parsed.public_key().raw))
    };
    let (first, others): (Vec<_>, Vec<_>) = archive.certs.into_iter().partition(|bag| is_own(&bag.cert));
    let keys = archive
        .keys
        .into_iter()
        .map(|bag| item(ItemKind::Key(PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()).into())));
    let certificates = first
        .into_iter()
        .chain(others)
        .map(|bag| item(ItemKind::Certificate(bag.cert.as_der().to_vec().into())));
    Ok(keys.chain(certificates).collect())
}

fn too_much_work() -> FileProblem {
    FileProblem::Pkcs12 {
        detail: "its key derivation asks for more work than the limit PKCS#12 rounds".to_owned(),
    }
}

fn problem(error: &Error, with_password: bool) -> FileProblem {
    match error {
        Error::MacError(_) if with_password => FileProblem::WrongPassword { what: WHAT },
        Error::MacError(_) => FileProblem::PasswordNeeded { what: WHAT },
        // Without a MAC, a wrong password shows as bad padding.
        Error::Pkcs5Error(_) | Error::UnpadError if with_password => {
            FileProblem::WrongPassword { what: WHAT }
        }
        Error::Pkcs5Error(_) | Error::UnpadError => FileProblem::PasswordNeeded { what: WHAT },
        Error::InvalidParameters => too_much_work(),
        other => FileProblem::Pkcs12 { detail: other.to_string() },
    }
}
