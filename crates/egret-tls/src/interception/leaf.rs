//! What a certificate for an origin is to be.

use std::sync::Arc;

use egret_core::destination::Host;
use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, ServerName};
use smallvec::SmallVec;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::authority::Name;
use crate::verify;

/// The names that a certificate is made for; certificates of the same names are the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeafNames {
    pub(super) host: Host,
    /// Wildcards that stand in the certificate in place of the host.
    pub(super) wildcards: SmallVec<[String; 1]>,
}

impl LeafNames {
    /// A certificate for this host: a name or an address.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self { host: host.clone(), wildcards: SmallVec::new() }
    }

    /// A certificate for this host, with the wildcard that the origin's own certificate has for it
    /// (`*.example.com`) in place of the host, so that one certificate is enough for all of its hosts.
    ///
    /// Clients may then send requests for several hosts over one connection (RFC 9113 section 9.1.1), as they
    /// may to the origin.
    #[must_use]
    pub fn like_origin(host: &Host, origin: &CertificateDer<'_>) -> Self {
        let plain = Self::of(host);
        let Host::Name(name) = host else { return plain };
        let Some((_, above)) = name.split_once('.') else { return plain };
        let wildcard = format!("*.{above}");
        // As a verifier reads it; and not beneath a public suffix, where no client would take it, or where each
        // name is somebody else's.
        let has = above.contains('.')
            && !is_public_suffix(above)
            && has_name(origin, &wildcard)
            && ServerName::try_from(&**name).is_ok_and(|name| verify::host(origin, &name).is_ok());
        if !has {
            return plain;
        }
        // The key is the wildcard alone, or each host would have a certificate again.
        Self { host: Host::Name(above.into()), wildcards: SmallVec::from_iter([wildcard]) }
    }

    /// The names in subjectAltName.
    pub(super) fn sans(&self) -> SmallVec<[Name; 1]> {
        if !self.wildcards.is_empty() {
            return self.wildcards.iter().cloned().map(Name::Dns).collect();
        }
        let name = match &self.host {
            Host::Name(name) => Name::Dns(name.to_string()),
            Host::Address(address) => Name::Ip(*address),
        };
        SmallVec::from_iter([name])
    }
}

/// Whether names below this one are given to anybody: `co.uk`, `github.io`.
fn is_public_suffix(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.as_bytes() == name.as_bytes())
}

/// Whether this very name is in subjectAltName.
fn has_name(certificate: &CertificateDer<'_>, wanted: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let is_wanted = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => name.eq_ignore_ascii_case(wanted),
        _ => false,
    };
    names.value.general_names.iter().any(is_wanted)
}

/// A certificate for an origin, ready for a handshake.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate with its chain and key, as rustls takes it.
    pub certified: Arc<CertifiedKey>,
    /// Its first second.
    pub not_before: Timestamp,
    /// Its last second.
    pub not_after: Timestamp,
    /// When it is not given out any more, well before its end.
    pub use_until: Timestamp,
}

impl Leaf {
    /// The certificate itself.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certified.cert[0]
    }
}
