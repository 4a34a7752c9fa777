//! Why a certificate cannot be made.

use jiff::Timestamp;

use super::names::{Name, NameError};
use crate::files::FileError;

/// Why a certificate cannot be made. It prints as one line: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The system gives no random bytes.
    #[error("no key can be made: the system gives no random bytes; check /dev/urandom")]
    Random,
    /// The validity asked for is nothing, or too long.
    #[error(
        "{days} days cannot be: a certificate of this kind is valid for 1 to {limit} days; give --days in that range"
    )]
    Days {
        /// What was asked for.
        days: u32,
        /// The most.
        limit: u32,
    },
    /// The CA is past its end.
    #[error("the CA expired at {at}; renew it (`egret certs renew ca.crt`), and give clients the new one")]
    CaExpired {
        /// Its end.
        at: Timestamp,
    },
    /// What is to sign is no CA.
    #[error(
        "{subject} is not a CA (basicConstraints), and cannot sign certificates; give the certificate of the CA"
    )]
    NotCa {
        /// Its subject.
        subject: String,
    },
    /// The CA must not sign certificates.
    #[error("{subject} must not sign certificates (its keyUsage lacks keyCertSign); give another CA")]
    CannotSign {
        /// Its subject.
        subject: String,
    },
    /// The CA must not sign CAs.
    #[error(
        "{subject} must not sign another CA (its path length is 0); make it with a greater --path-length"
    )]
    PathLength {
        /// Its subject.
        subject: String,
    },
    /// The names are outside the CA's constraints.
    #[error(
        "the CA may not sign for {}: its name constraints forbid it; leave it out, or use another CA",
        list(names)
    )]
    NotPermitted {
        /// The names.
        names: Vec<Name>,
    },
    /// There is no name at all.
    #[error("a server's certificate needs a name that clients reach it by; give one with --san")]
    NoName,
    /// There are too many names.
    #[error("{count} names are too many for one certificate: the limit is {limit}; make several")]
    TooManyNames {
        /// How many there are.
        count: usize,
        /// The most.
        limit: usize,
    },
    /// The subject cannot be.
    #[error("the subject's {field} cannot be {value:?}: {detail}")]
    Subject {
        /// `common name` or `organization`.
        field: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The certificate cannot be made again as it is.
    #[error("it cannot be renewed here, for {detail} would be lost; renew it where it was made")]
    Lossy {
        /// What would be lost.
        detail: String,
    },
    /// A CA below another CA is to be renewed.
    #[error(
        "it is a CA below another CA, and such a one is made anew: `egret certs ca --parent DIR`, then its leaves"
    )]
    Intermediate,
    /// The certificate was signed by another CA than the one given.
    #[error("the certificate was signed by {issuer}, and the CA is {ca}; give the right one with --ca")]
    OtherCa {
        /// Who signed it.
        issuer: String,
        /// Who is to sign.
        ca: String,
    },
    /// The finished certificate does not verify.
    #[error(
        "the certificate that was made does not verify against its CA ({detail}), and is not given out; use another CA"
    )]
    Unverified {
        /// What the verifier says.
        detail: String,
    },
    /// It cannot be encoded or signed.
    #[error("the certificate cannot be made: {detail}")]
    Encoding {
        /// Why.
        detail: String,
    },
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Encoding { detail: error.to_string() }
    }
}

fn list(names: &[Name]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
