//! What is in a file, whatever its format: the one reader that everything here is built on.

use std::collections::BTreeMap;
use std::fmt;

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, CertificateSigningRequestDer, PrivateKeyDer,
    PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer, SubjectPublicKeyInfoDer,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{FileProblem, Password, key, pem, pkcs12_read};

/// How the bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with sections (RFC 7468).
    Pem,
    /// One thing in DER.
    Der,
    /// A PKCS#12 archive (RFC 7292): `.p12`, `.pfx`.
    Pkcs12,
}

/// One thing in a file.
#[derive(Debug)]
pub struct Item {
    /// Its first line, counted from 1, in PEM.
    pub line: Option<usize>,
    /// What it is.
    pub kind: ItemKind,
}

/// What one thing in a file is. Only PEM and DER have been undone: a certificate here may still be one
/// that cannot be parsed.
#[derive(Debug)]
pub enum ItemKind {
    /// An X.509 certificate.
    Certificate(CertificateDer<'static>),
    /// A private key. Its `Debug` shows nothing of it.
    Key(PrivateKeyDer<'static>),
    /// A private key that is encrypted with a password (PKCS#8, RFC 5958 section 3).
    EncryptedKey(Vec<u8>),
    /// A private key in PEM's own encryption (RFC 1421), which is not supported.
    LegacyEncryptedKey,
    /// A certificate signing request.
    Csr(CertificateSigningRequestDer<'static>),
    /// A certificate revocation list.
    Crl(CertificateRevocationListDer<'static>),
    /// A public key.
    PublicKey(SubjectPublicKeyInfoDer<'static>),
    /// A PEM section with another label, which is passed over.
    Other(String),
}

impl ItemKind {
    pub(super) fn noun(&self) -> (&'static str, &'static str) {
        match self {
            Self::Certificate(_) => ("a certificate", "certificates"),
            Self::Key(_) => ("a private key", "private keys"),
            Self::EncryptedKey(_) | Self::LegacyEncryptedKey => {
                ("an encrypted private key", "encrypted private keys")
            }
            Self::Csr(_) => ("a certificate signing request", "certificate signing requests"),
            Self::Crl(_) => ("a certificate revocation list", "certificate revocation lists"),
            Self::PublicKey(_) => ("a public key", "public keys"),
            Self::Other(_) => ("a PEM section of another kind", "PEM sections of other kinds"),
        }
    }
}

/// What is in a file.
#[derive(Debug)]
pub struct Contents {
    /// How the file is written.
    pub format: Format,
    /// The things in it, in order.
    pub items: Vec<Item>,
}

impl Contents {
    /// Reads what is in these bytes. The password is for PKCS#12; encrypted keys in PEM are left as they
    /// are, see [`Contents::decrypt`].
    ///
    /// # Errors
    /// The bytes are nothing known, are damaged, or need a password.
    pub fn parse(bytes: &[u8], password: Option<&Password>) -> Result<Self, FileProblem> {
        let trimmed = bytes.trim_ascii();
        if trimmed.is_empty() {
            return Err(FileProblem::Empty);
        }
        // All kinds of DER begin with a SEQUENCE; text may begin with the same byte, which is a zero.
        if bytes[0] == 0x30 && (is_short_sequence(bytes) || std::str::from_utf8(bytes).is_err()) {
            return binary(bytes, password);
        }
        let items = pem::items(bytes)?;
        if items.is_empty() {
            return Err(FileProblem::Unrecognised { found: unknown(trimmed) });
        }
        Ok(Self { format: Format::Pem, items })
    }

    /// What it holds, for people: "2 certificates and a private key".
    #[must_use]
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for item in &self.items {
            *counts.entry(item.kind.noun()).or_default() += 1;
        }
        let parts: Vec<String> = counts
            .into_iter()
            .map(|((one, many), count)| if count == 1 { one.to_owned() } else { format!("{count} {many}") })
            .collect();
        match parts.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }

    /// Decrypts the encrypted keys.
    ///
    /// # Errors
    /// There is one and no password, the password is wrong, or the encryption is not supported.
    pub fn decrypt(&mut self, password: Option<&Password>) -> Result<(), FileProblem> {
        for item in &mut self.items {
            match &item.kind {
                ItemKind::EncryptedKey(der) => item.kind = ItemKind::Key(key::decrypt(der, password)?),
                ItemKind::LegacyEncryptedKey => {
                    return Err(FileProblem::KeyEncryption { detail: "Proc-Type: 4,ENCRYPTED".to_owned() });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The certificates, in order.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Certificate(der) => Some(der),
            _ => None,
        })
    }

    /// The private keys that are not encrypted, in order.
    pub fn keys(&self) -> impl Iterator<Item = &PrivateKeyDer<'static>> {
        self.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Key(key) => Some(key),
            _ => None,
        })
    }

    /// The revocation lists, in order.
    pub fn crls(&self) -> impl Iterator<Item = &CertificateRevocationListDer<'static>> {
        self.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Crl(der) => Some(der),
            _ => None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pem => "PEM",
            Self::Der => "DER",
            Self::Pkcs12 => "PKCS#12",
        })
    }
}

/// One with a length of a single byte, as an Ed25519 key is: it may be valid UTF-8.
fn is_short_sequence(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|length| usize::from(*length) + 2 == bytes.len())
}

/// DER says nowhere what it is: the parsers are asked in turn. Their structures differ enough that no two
/// take the same bytes.
fn binary(bytes: &[u8], password: Option<&Password>) -> Result<Contents, FileProblem> {
    if pkcs12_read::looks_like(bytes) {
        return Ok(Contents { format: Format::Pkcs12, items: pkcs12_read::items(bytes, password)? });
    }
    let whole = |rest: &[u8]| rest.is_empty();
    let owned = || bytes.to_vec();
    let kind = if X509Certificate::from_der(bytes).is_ok_and(|(rest, _)| whole(rest)) {
        ItemKind::Certificate(owned().into())
    } else if CertificateRevocationList::from_der(bytes).is_ok_and(|(rest, _)| whole(rest)) {
        ItemKind::Crl(owned().into())
    } else if X509CertificationRequest::from_der(bytes).is_ok_and(|(rest, _)| whole(rest)) {
        ItemKind::Csr(owned().into())
    } else if SubjectPublicKeyInfo::from_der(bytes).is_ok_and(|(rest, _)| whole(rest)) {
        ItemKind::PublicKey(owned().into())
    } else if pkcs8::EncryptedPrivateKeyInfoRef::try_from(bytes).is_ok() {
        ItemKind::EncryptedKey(owned())
    } else if let Some(key) = key_in_der(bytes) {
        ItemKind::Key(key)
    } else {
        return Err(FileProblem::Unrecognised { found: "damaged DER, or DER of another kind" });
    };
    Ok(Contents { format: Format::Der, items: vec![Item { line: None, kind }] })
}

/// Tells the three encodings of a key apart by whether a signing key can be made of it.
fn key_in_der(bytes: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let candidates = [
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(bytes.to_vec())),
        PrivatePkcs1KeyDer::from(bytes.to_vec()).into(),
        PrivateSec1KeyDer::from(bytes.to_vec()).into(),
    ];
    candidates.into_iter().find(|candidate| key::signing(candidate).is_ok())
}

/// What bytes look like that are neither PEM nor DER.
fn unknown(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] => "a Java keystore in the old format JKS",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "text in UTF-16",
        _ if bytes.starts_with(b"ssh-") || bytes.starts_with(b"ecdsa-sha2-") => "a public key of SSH",
        _ if bytes.starts_with(b"MII") => "base64 without BEGIN and END lines",
        _ if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => "text without a PEM section",
        _ => "binary data of another kind",
    }
}
