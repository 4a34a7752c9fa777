//! The CAs that pods trust: where they come from ([`sources`], [`own_ca`], [`cluster`]), the files they come to
//! ([`built`]), and how these get into every selected namespace ([`publish`], [`openshift`]).

pub(crate) mod built;
pub(crate) mod cluster;
pub(crate) mod keep;
pub(crate) mod openshift;
pub(crate) mod own_ca;
pub(crate) mod publish;
pub(crate) mod sources;

use rustls_pki_types::CertificateDer;

/// A CA, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ca {
    /// The certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// As in `configMap egret-system/corp-ca`.
    pub(crate) source: String,
}

/// Why CAs are not to be had, or cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// One word, for a condition.
    pub(crate) reason: &'static str,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
