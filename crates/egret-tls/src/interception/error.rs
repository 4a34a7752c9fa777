//! Why a CA cannot be used for interception, or a certificate not be made.

use std::path::PathBuf;

use egret_core::destination::Host;
use jiff::Timestamp;

use crate::authority::AuthorityError;
use crate::files::FileError;

/// Why a CA cannot be used for interception. It prints as one line: what is wrong, why, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// A file of it cannot be used.
    #[error("the interception CA cannot be read: {0}")]
    File(#[from] FileError),
    /// It is no CA, must not sign, or cannot be made.
    #[error("the interception CA cannot be used: {0}")]
    Authority(#[from] AuthorityError),
    /// It is past its end.
    #[error(
        "the interception CA {subject} expired at {at}, and no client would accept what it signs; give another one, or make a new one with `egret ca rotate --now`"
    )]
    Expired {
        /// Its subject.
        subject: String,
        /// Its end.
        at: Timestamp,
    },
    /// It is not valid yet.
    #[error(
        "the interception CA {subject} is not valid before {from}; check this machine's clock, or give another CA"
    )]
    NotYetValid {
        /// Its subject.
        subject: String,
        /// Its beginning.
        from: Timestamp,
    },
    /// Its extended key usage leaves servers out.
    #[error(
        "the interception CA {subject} may not sign for servers (its extendedKeyUsage lacks serverAuth); give another CA"
    )]
    NotForServers {
        /// Its subject.
        subject: String,
    },
    /// Its key is too weak.
    #[error(
        "the key of the interception CA {subject} is too weak ({key}), and clients refuse what it signs; give a CA with ECDSA P-256 or RSA of 2048 bits or more"
    )]
    WeakKey {
        /// Its subject.
        subject: String,
        /// What it is.
        key: String,
    },
    /// A CA above it must not sign as many CAs in a row as there are.
    #[error(
        "{subject} allows {allowed} CAs below it, and the chain of the interception CA has {found}; clients refuse it; have the CA signed anew with a greater path length"
    )]
    PathLength {
        /// The CA above.
        subject: String,
        /// What it allows.
        allowed: u32,
        /// What there is.
        found: usize,
    },
    /// What it signs does not verify.
    #[error("what the interception CA {subject} signs does not verify ({detail}); give another CA")]
    Unverified {
        /// Its subject.
        subject: String,
        /// What the verifier says.
        detail: String,
    },
    /// There is none in the state directory.
    #[error(
        "there is no interception CA in {}; `egret proxy` makes one at its first start with interception, `egret ca export` at once", dir.display()
    )]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A next CA is there already.
    #[error(
        "a next CA is waiting already: {subject}; when clients trust it, let it sign with `egret ca rotate --activate`, or drop it with `egret ca rotate --cancel`"
    )]
    NextExists {
        /// Its subject.
        subject: String,
    },
    /// There is no next CA.
    #[error("there is no next CA in {}; make one with `egret ca rotate`", dir.display())]
    NoNext {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be locked or changed.
    #[error("{}: the interception CA cannot be changed: {detail}; see that this user may write there", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// Why, in the system's words.
        detail: String,
    },
}

/// Why no certificate could be made for a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The CA's name constraints forbid it.
    #[error(
        "the interception CA may not sign for {host}: its name constraints forbid it; leave the host out of interception, or use another CA"
    )]
    NotPermitted {
        /// The host.
        host: Host,
    },
    /// The name cannot stand in a certificate.
    #[error("no certificate can be for {host}: {detail}")]
    Name {
        /// The host.
        host: Host,
        /// Why.
        detail: String,
    },
    /// The CA has come to its end while the proxy ran.
    #[error(
        "the interception CA expired at {at}; change it with `egret ca rotate --now`, and give clients the new one"
    )]
    CaExpired {
        /// Its end.
        at: Timestamp,
    },
    /// It could not be signed.
    #[error("the certificate cannot be made: {detail}")]
    Signing {
        /// Why.
        detail: String,
    },
}
