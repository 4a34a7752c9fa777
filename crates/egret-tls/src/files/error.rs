//! What is wrong with a file of certificates or keys, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file that cannot be used. It prints as one line: the file, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file, or a name for bytes that came from elsewhere (a Secret of Kubernetes, say).
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: FileProblem,
}

impl FileError {
    pub(crate) fn new(path: &Path, problem: FileProblem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}

impl std::error::Error for FileError {}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}; {}", self.path.display(), self.problem, self.problem.advice())
    }
}

/// What is wrong with the file. `Display` says it without the file's name; [`advice`](Self::advice) says
/// what to do. Neither ever holds bytes of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// The operating system does not give it out.
    #[error("it cannot be read: {detail}")]
    Unreadable {
        /// Why, for programs.
        kind: std::io::ErrorKind,
        /// Why, in the system's words.
        detail: String,
    },
    /// It is there already, and is not replaced without being told to.
    #[error("it is there already, and a key that is lost cannot be made again")]
    Exists,
    /// The operating system does not let it be written.
    #[error("it cannot be written: {detail}")]
    Unwritable {
        /// Why, for programs.
        kind: std::io::ErrorKind,
        /// Why, in the system's words.
        detail: String,
    },
    /// It is larger than such a file can be.
    #[error("it is larger than {limit} bytes, the limit {name}")]
    TooLarge {
        /// The limit's name.
        name: &'static str,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More items are in it than such a file can have.
    #[error("it holds more than {limit} items, the limit {name}")]
    TooMany {
        /// The limit's name.
        name: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It has no bytes, or only white space.
    #[error("it is empty")]
    Empty,
    /// It is neither PEM, DER nor PKCS#12.
    #[error("it is {found}, not certificates or keys")]
    Unrecognised {
        /// What it looks like instead.
        found: &'static str,
    },
    /// The PEM is damaged.
    #[error("its PEM is damaged at line {line}: {detail}")]
    Pem {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        detail: String,
    },
    /// A certificate cannot be parsed.
    #[error("certificate {index} of it cannot be parsed: {detail}")]
    Certificate {
        /// Counted from 1.
        index: usize,
        /// Why.
        detail: String,
    },
    /// It is right, but DER where PEM is needed.
    #[error("it is {what} in DER, and PEM is needed")]
    Der {
        /// What is in it: "a certificate", "a private key".
        what: &'static str,
    },
    /// No certificate is in it.
    #[error("it holds {found}, and no certificate")]
    NoCertificate {
        /// What is in it instead.
        found: String,
    },
    /// No private key is in it.
    #[error("it holds {found}, and no private key")]
    NoKey {
        /// What is in it instead.
        found: String,
    },
    /// No revocation list is in it.
    #[error("it holds {found}, and no certificate revocation list")]
    NoCrl {
        /// What is in it instead.
        found: String,
    },
    /// There is more than one key, and no telling which is meant.
    #[error("it holds {count} private keys")]
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// The key or the PKCS#12 file is encrypted, and there is no password.
    #[error("{what} is encrypted, and no password was given")]
    PasswordNeeded {
        /// "its private key" or "the PKCS#12 file".
        what: &'static str,
    },
    /// The password does not open it.
    #[error("the password does not open {what}")]
    WrongPassword {
        /// "its private key" or "the PKCS#12 file".
        what: &'static str,
    },
    /// The key is encrypted in a way that is not supported.
    #[error("its private key is encrypted in a way that is not supported ({detail})")]
    KeyEncryption {
        /// Which way.
        detail: String,
    },
    /// The key cannot be used.
    #[error("its private key cannot be used: {detail}")]
    Key {
        /// Why.
        detail: String,
    },
    /// The PKCS#12 file is damaged, or uses something that is not supported.
    #[error("its PKCS#12 cannot be read: {detail}")]
    Pkcs12 {
        /// Why.
        detail: String,
    },
    /// The key belongs to none of the certificates.
    #[error("the private key does not belong to the certificate of {subject} in {}", certificate.display())]
    KeyMismatch {
        /// Where the certificate is.
        certificate: PathBuf,
        /// The certificate's subject.
        subject: String,
    },
    /// The key belongs to none of the certificates, in one file or several.
    #[error("the private key belongs to none of the certificates")]
    ForeignKey,
    /// Several certificates could be meant.
    #[error("it holds several certificates that issued no other, and no key says which is meant")]
    SeveralLeaves,
    /// All certificates are there, in an order that peers do not accept (RFC 5246 section 7.4.2).
    #[error("its certificates are in the wrong order: number {found} has to come at place {place}")]
    WrongOrder {
        /// The place that is wrong, counted from 1.
        place: usize,
        /// The certificate that belongs there, by its place now.
        found: usize,
    },
    /// A certificate signed none of those before it.
    #[error("certificate {index} of it ({subject}) signed none of the certificates before it")]
    Stray {
        /// Counted from 1.
        index: usize,
        /// Its subject.
        subject: String,
    },
}

impl FileProblem {
    /// What to do, as a clause in the imperative.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable { kind: std::io::ErrorKind::NotFound, .. } => {
                "check the path, or make certificates with `egret certs init DIR`"
            }
            Self::Unreadable { kind: std::io::ErrorKind::PermissionDenied, .. } => {
                "let the user that runs Egret read it (chown, or a group and mode 0640)"
            }
            Self::Unreadable { .. } => "check that it is a file",
            Self::Exists => "choose another place, or replace it with --force",
            Self::Unwritable { .. } => "check the directory, its owner and the space that is left",
            Self::TooLarge { .. } | Self::TooMany { .. } => "check that it is the file you mean",
            Self::Empty => "check what was to write it; it may have failed half-way",
            Self::Unrecognised { .. } => {
                "give a file in PEM (it has a line -----BEGIN …-----), DER or PKCS#12"
            }
            Self::Pem { .. } | Self::Certificate { .. } => {
                "copy it again from where it came from, whole lines at a time"
            }
            Self::Der { .. } => "make it PEM: `egret certs export --to pem FILE`",
            Self::NoCertificate { .. } => "name the file that has the certificate and its chain",
            Self::NoKey { .. } => {
                "name the file that has the key, or a combined one (`egret certs export --to combined`)"
            }
            Self::NoCrl { .. } => "name the file with the list that the CA publishes",
            Self::SeveralKeys { .. } => "leave the one that belongs to the first certificate",
            Self::PasswordNeeded { .. } => "give a password file, or store it without a password, mode 0600",
            Self::WrongPassword { .. } => {
                "check the password, and that its file has no more than one line end after it"
            }
            Self::KeyEncryption { .. } => {
                "convert it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`, or decrypt it: `openssl pkey -in OLD -out NEW`"
            }
            Self::Key { .. } => {
                "use an ECDSA (P-256, P-384), Ed25519 or RSA key (2048 to 8192 bits), in PKCS#8, PKCS#1 or SEC 1"
            }
            Self::Pkcs12 { .. } => {
                "write it anew with AES-256 and SHA-256: `openssl pkcs12 -export` of OpenSSL 3, or `egret certs export --to pkcs12`"
            }
            Self::SeveralLeaves => "give the key too, or a file with one chain",
            Self::KeyMismatch { .. } | Self::ForeignKey => {
                "give the key that the certificate was made with; `egret certs show` prints the public key of both"
            }
            Self::WrongOrder { .. } => {
                "put the server's or client's own certificate first, then each one's issuer; `egret certs export` writes that order"
            }
            Self::Stray { .. } => "remove it, or put the missing intermediate certificate before it",
        }
    }
}
