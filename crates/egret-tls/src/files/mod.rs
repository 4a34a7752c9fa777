//! Files of certificates and keys: PEM (apart or combined), DER and PKCS#12, read with limits and with
//! errors that say which file, what is wrong, and what to do.
//!
//! [`load_identity`] is what a listener or client needs; [`load_chain`], [`load_key`], [`load_cas`] and
//! [`load_crls`] are its parts; [`Contents`] tells what is in any file. They read files and may derive keys
//! from passwords: not for the data path.

mod chain;
mod contents;
mod encode;
mod error;
mod key;
mod password;
mod pem;
mod pkcs12_read;
mod pkcs12_work;
#[cfg(test)]
mod tests;
mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

pub use contents::{Contents, Format, Item, ItemKind};
pub use encode::{certificate_pem, chain_pem, combined_pem, key_pem, pkcs12, pkcs12_truststore};
pub use error::{FileError, FileProblem};
pub use key::public_key;
pub use password::Password;
pub use write::{Access, Existing, NewFile, write_all};

/// How large a file may be. Each limit strikes with its name in the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: &'static str,
    /// In bytes.
    pub bytes: u64,
}

impl Limit {
    /// A certificate with its chain, a key, or both. Real ones are under 20 kB.
    pub const IDENTITY: Self = Self { name: "identity file size", bytes: 1 << 20 };
    /// A bundle of CAs. That of a system is a quarter of a megabyte.
    pub const BUNDLE: Self = Self { name: "CA bundle size", bytes: 16 << 20 };
    /// Revocation lists. Those of large CAs have tens of megabytes.
    pub const CRL: Self = Self { name: "CRL file size", bytes: 64 << 20 };
    /// A PKCS#12 archive. Java's own truststore has 200 kB.
    pub const PKCS12: Self = Self { name: "PKCS#12 file size", bytes: 512 << 10 };
    /// A password.
    pub const PASSWORD: Self = Self { name: "password file size", bytes: 4096 };
    /// Rounds of all key derivations of a PKCS#12 archive together: a second or two.
    pub const PKCS12_ROUNDS: u64 = 5_000_000;
    /// Certificates in a chain. TLS libraries verify ten at most.
    pub const CHAIN: usize = 16;
    /// Things in one file.
    pub const ITEMS: usize = 10_000;
    /// Certificates that are put in order; they are compared with each other.
    pub const GATHERED: usize = 500;
    /// Characters of a PEM label.
    const LABEL: usize = 64;
    /// Of PBKDF2, for an encrypted key. OWASP asks for 600,000; ten million take seconds.
    const ITERATIONS: u32 = 10_000_000;
    /// Of scrypt, for an encrypted key. openssl's own default is 16 MiB.
    const SCRYPT_BYTES: u64 = 64 << 20;
}

/// A certificate with its chain, and the key that belongs to it: what one side of TLS proves itself with.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, then each one's issuer. Never empty.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate. Its `Debug` shows nothing of it.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Reads a certificate with its chain and its key: from two PEM files, or without a `key` file from one
/// that has both (combined PEM, or PKCS#12). The format is told from the bytes, not from the name.
///
/// The password is for PKCS#12, and for a key that is encrypted (PKCS#8); it is not looked at otherwise.
///
/// # Errors
/// The first thing that is wrong: unreadable, damaged, of another kind, encrypted without a password, the
/// chain in the wrong order, or the key of another certificate. Validity in time is not looked at: a server
/// starts with an expired certificate, and says so.
pub fn load_identity(
    certificate: &Path,
    key: Option<&Path>,
    password: Option<&Password>,
) -> Result<Identity, FileError> {
    let first = Zeroizing::new(read(certificate, Limit::IDENTITY)?);
    let second = match key {
        Some(path) => Some((path, Zeroizing::new(read(path, Limit::IDENTITY)?))),
        None => None,
    };
    let second = second.as_ref().map(|(path, bytes)| (*path, bytes.as_slice()));
    identity_from_bytes((certificate, &first), second, password)
}

/// [`load_identity`] from bytes, each with a name for the errors.
///
/// # Errors
/// As [`load_identity`].
pub fn identity_from_bytes(
    certificate: (&Path, &[u8]),
    key: Option<(&Path, &[u8])>,
    password: Option<&Password>,
) -> Result<Identity, FileError> {
    let (path, bytes) = certificate;
    let in_certificate = |problem| FileError::new(path, problem);
    let mut contents = Contents::parse(bytes, password).map_err(in_certificate)?;
    let chain = chain_of(&contents).map_err(in_certificate)?;
    let (key_path, private) = match key {
        Some((key_path, bytes)) => (key_path, key_from_bytes(key_path, bytes, password)?),
        None => {
            contents.decrypt(password).map_err(in_certificate)?;
            (path, only_key(&contents).map_err(in_certificate)?)
        }
    };
    // A key of another certificate is told before a wrong order: it may be the wrong file altogether.
    chain::check_key(&chain, &private, path).map_err(|problem| match problem {
        FileProblem::Key { .. } | FileProblem::KeyMismatch { .. } => FileError::new(key_path, problem),
        other => in_certificate(other),
    })?;
    chain::check_order(&chain).map_err(in_certificate)?;
    Ok(Identity { chain, key: private })
}

/// Puts together what is in some files, whatever their formats and whatever the order: the certificate of the
/// key, then its issuers as far as they are there. Without a key the certificate that issued no other is the
/// first. What belongs to neither is left out.
///
/// # Errors
/// There is no certificate, it cannot be told which is meant, or the key belongs to none.
pub fn gather(
    contents: &[&Contents],
    key: Option<&PrivateKeyDer<'_>>,
) -> Result<Vec<CertificateDer<'static>>, FileProblem> {
    let mut all: Vec<CertificateDer<'static>> = Vec::new();
    for der in contents.iter().flat_map(|contents| contents.certificates()) {
        if !all.contains(der) {
            all.push(der.clone());
        }
        if all.len() > Limit::GATHERED {
            return Err(FileProblem::TooMany {
                name: "certificates to put in order",
                limit: Limit::GATHERED,
            });
        }
    }
    if all.is_empty() {
        let found = contents.first().map_or_else(|| "nothing".to_owned(), |contents| contents.summary());
        return Err(FileProblem::NoCertificate { found });
    }
    let own = match key {
        Some(key) => chain::of_key(&all, key)?,
        None => chain::only_leaf_of(&all)?,
    };
    all.swap(0, own);
    chain::sort(&mut all);
    Ok(all)
}

/// Reads a certificate and its chain from PEM (which may hold the key too), in the right order.
///
/// # Errors
/// As [`load_identity`], of the certificates alone.
pub fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = Zeroizing::new(read(path, Limit::IDENTITY)?);
    let in_file = |problem| FileError::new(path, problem);
    let chain = Contents::parse(&bytes, None).and_then(|contents| chain_of(&contents)).map_err(in_file)?;
    chain::check_order(&chain).map_err(in_file)?;
    Ok(chain)
}

/// Reads a private key from PEM (which may hold certificates too).
///
/// # Errors
/// As [`load_identity`], of the key alone.
pub fn load_key(path: &Path, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, FileError> {
    let bytes = Zeroizing::new(read(path, Limit::IDENTITY)?);
    key_from_bytes(path, &bytes, password)
}

/// Reads a bundle of CA certificates from PEM, in any order. Keys beside them are passed over; that a
/// certificate is a CA is not checked, so that a self-signed server certificate can be trusted.
///
/// # Errors
/// Unreadable, damaged, of another kind, or without a certificate.
pub fn load_cas(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = Zeroizing::new(read(path, Limit::BUNDLE)?);
    cas_from_bytes(path, &bytes)
}

/// [`load_cas`] from bytes, with a name for the errors.
///
/// # Errors
/// As [`load_cas`].
pub fn cas_from_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let in_file = |problem| FileError::new(path, problem);
    let contents = Contents::parse(bytes, None).map_err(in_file)?;
    needs_pem(&contents).map_err(in_file)?;
    let cas: Vec<_> = contents.certificates().cloned().collect();
    if cas.is_empty() {
        return Err(in_file(FileProblem::NoCertificate { found: contents.summary() }));
    }
    for (index, der) in cas.iter().enumerate() {
        chain::parse(der, index).map_err(in_file)?;
    }
    Ok(cas)
}

/// Reads certificate revocation lists from PEM, or one from DER (as CAs publish them, RFC 5280 section
/// 4.2.1.13).
///
/// # Errors
/// Unreadable, damaged, of another kind, or without a list.
pub fn load_crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, FileError> {
    let in_file = |problem| FileError::new(path, problem);
    let contents = Contents::parse(&read(path, Limit::CRL)?, None).map_err(in_file)?;
    let crls: Vec<_> = contents.crls().cloned().collect();
    if crls.is_empty() {
        return Err(in_file(FileProblem::NoCrl { found: contents.summary() }));
    }
    Ok(crls)
}

/// Reads a file up to a limit.
///
/// # Errors
/// The system does not give it out, or it is larger.
pub fn read(path: &Path, limit: Limit) -> Result<Vec<u8>, FileError> {
    let unreadable = |error: std::io::Error| {
        FileError::new(path, FileProblem::Unreadable { kind: error.kind(), detail: error.to_string() })
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit.bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit.bytes {
        return Err(FileError::new(path, FileProblem::TooLarge { name: limit.name, limit: limit.bytes }));
    }
    Ok(bytes)
}

/// What a fuzz target calls: reads whatever bytes these are as a file of certificates and keys, and looks at
/// what is in it. It must never panic.
#[doc(hidden)]
pub fn fuzz_check(bytes: &[u8]) {
    // Key derivations are slow, and not what is looked for; without a password those of keys are not begun.
    if pkcs12_work::rounds(bytes) > 1000 {
        return;
    }
    let path = Path::new("fuzz");
    for result in [
        identity_from_bytes((path, bytes), None, None).map(drop),
        cas_from_bytes(path, bytes).map(drop),
        key_from_bytes(path, bytes, None).map(drop),
    ] {
        if let Err(error) = result {
            let shown = error.to_string();
            assert!(!shown.contains('\u{1b}') && !shown.contains('\n'), "a line for a terminal: {shown:?}");
        }
    }
    if let Ok(identity) = identity_from_bytes((path, bytes), None, None) {
        let text = combined_pem(&identity).expect("a key that was read can be written");
        let again =
            identity_from_bytes((path, text.as_bytes()), None, None).expect("what is written can be read");
        assert_eq!(again.chain, identity.chain);
    }
    let Ok(contents) = Contents::parse(bytes, None) else { return };
    let _ = gather(&[&contents], contents.keys().next());
    let trust = crate::inspect::Trust {
        certificates: contents.certificates().take(4).cloned().collect(),
        source: "fuzz".to_owned(),
        explicit: true,
    };
    for role in [None, Some(crate::inspect::Role::Server), Some(crate::inspect::Role::Client)] {
        let expected = crate::inspect::Expectations {
            trust: &trust,
            host: Some("localhost"),
            role,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let _ = crate::inspect::Report::new(&contents, None, &expected);
    }
}

fn key_from_bytes(
    path: &Path,
    bytes: &[u8],
    password: Option<&Password>,
) -> Result<PrivateKeyDer<'static>, FileError> {
    let in_file = |problem| FileError::new(path, problem);
    let mut contents = Contents::parse(bytes, password).map_err(in_file)?;
    needs_pem(&contents).map_err(in_file)?;
    contents.decrypt(password).map_err(in_file)?;
    let key = only_key(&contents).map_err(in_file)?;
    key::signing(&key).map_err(in_file)?;
    Ok(key)
}

/// DER is told apart from damage, but not taken: other programs that read the same file would not either.
fn needs_pem(contents: &Contents) -> Result<(), FileProblem> {
    match (contents.format, contents.items.first()) {
        (Format::Der, Some(item)) => Err(FileProblem::Der { what: item.kind.noun().0 }),
        _ => Ok(()),
    }
}

fn chain_of(contents: &Contents) -> Result<Vec<CertificateDer<'static>>, FileProblem> {
    needs_pem(contents)?;
    let mut chain: Vec<_> = contents.certificates().cloned().collect();
    if chain.is_empty() {
        return Err(FileProblem::NoCertificate { found: contents.summary() });
    }
    if chain.len() > Limit::CHAIN {
        return Err(FileProblem::TooMany { name: "chain length", limit: Limit::CHAIN });
    }
    for (index, der) in chain.iter().enumerate() {
        chain::parse(der, index)?;
    }
    if contents.format == Format::Pkcs12 {
        // Its certificates are a set; only the one of the key is marked.
        chain::sort(&mut chain);
    }
    Ok(chain)
}

fn only_key(contents: &Contents) -> Result<PrivateKeyDer<'static>, FileProblem> {
    let mut keys = contents.keys();
    match (keys.next(), keys.count()) {
        (Some(key), 0) => Ok(key.clone_key()),
        (Some(_), others) => Err(FileProblem::SeveralKeys { count: others + 1 }),
        (None, _) => Err(FileProblem::NoKey { found: contents.summary() }),
    }
}
