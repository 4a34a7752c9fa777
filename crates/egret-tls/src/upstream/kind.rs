//! The classes of what can be wrong with an origin.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $excusable:literal;)*) => {
        /// What class of thing is wrong with an origin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemKind {
            $($(#[$doc])* $variant,)*
        }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code, for policy, records and metrics.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whether policy may excuse it for a host. What is left is damage, or cryptography that the
            /// program does not have.
            #[must_use]
            pub const fn is_excusable(self) -> bool {
                match self { $(Self::$variant => $excusable,)* }
            }
        }
    };
}

kinds! {
    /// The certificate, or one above it, is past its end.
    Expired = "expired", true;
    /// The certificate, or one above it, is not valid yet.
    NotYetValid = "not-yet-valid", true;
    /// The certificate is for other names.
    WrongName = "wrong-name", true;
    /// The certificate has its name in the subject alone, or none.
    NoSan = "no-san", true;
    /// Who signed it is not trusted.
    UnknownIssuer = "unknown-issuer", true;
    /// It is signed by itself.
    SelfSigned = "self-signed", true;
    /// It leads up to a root that is not trusted.
    UnknownRoot = "unknown-root", true;
    /// The origin does not send the certificate above its own.
    MissingIntermediate = "missing-intermediate", true;
    /// Its CA has taken it back.
    Revoked = "revoked", true;
    /// A key is too short, or of a kind that is not used.
    WeakKey = "weak-key", false;
    /// A certificate is signed with a broken algorithm.
    WeakSignature = "weak-signature", true;
    /// A signature does not fit.
    BadSignature = "bad-signature", false;
    /// A CA above it must not sign for this name.
    NameConstraint = "name-constraint", true;
    /// What signed it is no CA.
    NotACa = "not-a-ca", true;
    /// More CAs stand below one than it allows.
    PathLength = "path-length", true;
    /// It is not for servers.
    WrongUse = "wrong-use", true;
    /// The certificate of a CA is used as a server's.
    CaAsServer = "ca-as-server", true;
    /// It cannot be read, or has something in it that must be understood and is not.
    BadEncoding = "bad-encoding", false;
    /// There is no certificate.
    NoCertificate = "no-certificate", false;
    /// Only versions of TLS are spoken that are not any more.
    OldVersion = "old-version", false;
    /// There is no common cipher, group or signature.
    NothingInCommon = "nothing-in-common", false;
    /// ALPN was answered with something that was not offered, or refused.
    Alpn = "alpn", false;
    /// The origin wants a certificate of the client, or refuses the one it got.
    ClientCertificate = "client-certificate", false;
    /// What comes is no TLS.
    NotTls = "not-tls", false;
    /// The origin broke the protocol.
    Misbehaved = "misbehaved", false;
    /// The origin ended the handshake with an alert.
    Alert = "alert", false;
    /// The connection was reset in the handshake.
    Reset = "reset", false;
    /// The connection was closed in the handshake.
    Closed = "closed", false;
    /// Something else.
    Other = "other", false;
}

impl ProblemKind {
    /// The certificate is at fault, not the protocol.
    #[must_use]
    pub fn is_certificate(self) -> bool {
        self <= Self::NoCertificate
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl FromStr for ProblemKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.code() == text).ok_or_else(|| {
            let codes: Vec<_> =
                Self::ALL.iter().filter(|kind| kind.is_excusable()).map(|kind| kind.code()).collect();
            format!(
                "{text:?} is nothing that can be wrong with a certificate; take one of {}",
                codes.join(", ")
            )
        })
    }
}
