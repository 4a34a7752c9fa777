//! A certificate authority: makes CAs, and certificates for servers and clients that are right in every
//! field that some client looks at (RFC 5280).
//!
//! Each certificate is verified against its CA with the verifier that rustls uses before it is given out.

mod constraints;
mod error;
mod key;
mod names;
mod renew;
mod subject;
#[cfg(test)]
mod tests;
mod validity;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::files::{Identity, Password, load_identity};
use crate::verify::{self, Usage};

pub use constraints::{Constraints, Subtree};
pub use error::AuthorityError;
pub use key::KeyType;
pub use names::{Name, NameError};
pub use renew::Renewal;
pub(crate) use renew::constraints_of;
pub use subject::Subject;
pub use validity::{CA_DAYS, CA_DAYS_MAX, CLOCK_SKEW, LEAF_DAYS, Validity};

/// The most names in one certificate. A handshake carries them all, and verifiers compare each with each
/// name constraint.
pub const NAMES: usize = 100;

/// What a CA is to be.
#[derive(Clone, Debug)]
pub struct CaRequest {
    /// Its subject. It should be no other CA's: clients find the issuer by it.
    pub subject: Subject,
    /// Its key.
    pub key_type: KeyType,
    /// How long it is valid, in days from now; [`CA_DAYS_MAX`] at most.
    pub days: u32,
    /// How many CAs may follow below it. `None` is any number.
    pub path_length: Option<u8>,
    /// Which names it may sign for.
    pub constraints: Constraints,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
}

/// What a certificate of a server or client is to be.
#[derive(Debug)]
pub struct LeafRequest {
    /// What it is for.
    pub purpose: Purpose,
    /// Its subject.
    pub subject: Subject,
    /// The names it is for; [`NAMES`] at most.
    pub names: Vec<Name>,
    /// Its key.
    pub key_type: KeyType,
    /// How long it is valid, in days from now; [`LEAF_DAYS`] at most, and not longer than its CA.
    pub days: u32,
}

/// A CA with its key.
#[derive(Debug)]
pub struct Authority {
    identity: Identity,
    issuer: Issuer<'static, KeyPair>,
    validity: Validity,
    path_length: Option<u32>,
    constraints: Constraints,
}

impl Authority {
    /// Makes a root: a CA that is signed by itself.
    ///
    /// # Errors
    /// The request cannot be met.
    pub fn create(request: &CaRequest, now: Timestamp) -> Result<Self, AuthorityError> {
        let key = request.key_type.generate()?;
        let pair = KeyPair::try_from(&key)?;
        let params =
            ca_params(request, request.path_length, Validity::days(request.days, CA_DAYS_MAX, now, None)?)?;
        let certificate = params.self_signed(&pair)?;
        Self::from_identity(Identity { chain: vec![certificate.der().clone()], key })
    }

    /// Makes a CA below this one.
    ///
    /// # Errors
    /// The request cannot be met, or this CA must not sign CAs.
    pub fn create_below(&self, request: &CaRequest, now: Timestamp) -> Result<Self, AuthorityError> {
        let path_length = match self.path_length {
            None => request.path_length,
            Some(0) => return Err(AuthorityError::PathLength { subject: self.subject() }),
            Some(most) => {
                let most = u8::try_from(most - 1).unwrap_or(u8::MAX);
                Some(request.path_length.map_or(most, |asked| asked.min(most)))
            }
        };
        let validity = Validity::days(request.days, CA_DAYS_MAX, now, Some(self.validity))?;
        let key = request.key_type.generate()?;
        let certificate =
            ca_params(request, path_length, validity)?.signed_by(&KeyPair::try_from(&key)?, &self.issuer)?;
        let chain =
            std::iter::once(certificate.der().clone()).chain(self.identity.chain.iter().cloned()).collect();
        Self::from_identity(Identity { chain, key })
    }

    /// Reads a CA from its files, as [`load_identity`] does.
    ///
    /// # Errors
    /// The files cannot be used, or hold no CA.
    pub fn load(
        certificate: &std::path::Path,
        key: Option<&std::path::Path>,
        password: Option<&Password>,
    ) -> Result<Self, AuthorityError> {
        Self::from_identity(load_identity(certificate, key, password)?)
    }

    /// Takes a certificate with its chain and key as a CA.
    ///
    /// # Errors
    /// It is no CA, or must not sign certificates.
    pub fn from_identity(identity: Identity) -> Result<Self, AuthorityError> {
        let unreadable = |detail: String| AuthorityError::Encoding { detail };
        let first = identity.chain.first().ok_or_else(|| unreadable("there is no certificate".to_owned()))?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(|error| unreadable(error.to_string()))?;
        let subject = || crate::printable::name(parsed.subject());
        let basic = parsed.basic_constraints().ok().flatten();
        let Some(basic) = basic.filter(|basic| basic.value.ca) else {
            return Err(AuthorityError::NotCa { subject: subject() });
        };
        if parsed.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(AuthorityError::CannotSign { subject: subject() });
        }
        let mut params = CertificateParams::default();
        params.distinguished_name =
            subject::from_x509(parsed.subject()).ok_or_else(|| AuthorityError::Encoding {
                detail: format!(
                    "the CA's name {} cannot be written into another certificate as it is",
                    subject()
                ),
            })?;
        if let Some(identifier) = key_identifier(&parsed) {
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        let issuer = Issuer::new(params, KeyPair::try_from(&identity.key)?);
        let (validity, path_length) = (validity_of(&parsed)?, basic.value.path_len_constraint);
        let constraints = renew::constraints_of(&parsed);
        Ok(Self { validity, path_length, constraints, issuer, identity })
    }

    /// Makes a certificate with a new key. Its chain has the CAs below the root, as servers send it.
    ///
    /// # Errors
    /// The request cannot be met.
    pub fn issue(&self, request: &LeafRequest, now: Timestamp) -> Result<Identity, AuthorityError> {
        if request.purpose == Purpose::Server && request.names.is_empty() {
            return Err(AuthorityError::NoName);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = request.subject.to_rcgen()?;
        params.subject_alt_names = request.names.iter().map(san).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if request.key_type.is_rsa() && request.purpose == Purpose::Server {
            // The key exchange that TLS 1.2 had with RSA keys alone.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![match request.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        self.check_names(&request.names)?;
        self.sign_leaf(params, request.key_type.generate()?, request.days, now)
    }

    fn check_names(&self, names: &[Name]) -> Result<(), AuthorityError> {
        if names.len() > NAMES {
            return Err(AuthorityError::TooManyNames { count: names.len(), limit: NAMES });
        }
        let forbidden: Vec<Name> =
            names.iter().filter(|name| !self.constraints.permit(name)).cloned().collect();
        if forbidden.is_empty() { Ok(()) } else { Err(AuthorityError::NotPermitted { names: forbidden }) }
    }

    /// Fills in what all leaves share, signs, and verifies.
    fn sign_leaf(
        &self,
        mut params: CertificateParams,
        key: PrivateKeyDer<'static>,
        days: u32,
        now: Timestamp,
    ) -> Result<Identity, AuthorityError> {
        let validity = Validity::days(days, LEAF_DAYS, now, Some(self.validity))?;
        let usage = match params.extended_key_usages.as_slice() {
            [ExtendedKeyUsagePurpose::ClientAuth] => Usage::Client,
            _ => Usage::Server,
        };
        // Says CA:FALSE, and writes the subject key identifier.
        params.is_ca = IsCa::ExplicitNoCa;
        finish(&mut params, validity)?;
        let certificate = params.signed_by(&KeyPair::try_from(&key)?, &self.issuer)?.der().clone();
        let signed = verify::chain(&certificate, &[], &self.identity.chain[..1], usage, now);
        signed.map_err(|error| AuthorityError::Unverified { detail: error.to_string() })?;
        let chain = std::iter::once(certificate)
            .chain(self.identity.chain.iter().filter(|ca| !is_self_issued(ca)).cloned())
            .collect();
        Ok(Identity { chain, key })
    }

    /// The CA's certificate, and those of the CAs above it.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.identity.chain
    }

    /// The CA's certificate and its key, to be stored.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Which names it may sign for, as far as the constraints are on DNS names, addresses and e-mail.
    #[must_use]
    pub fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// From when and until when it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What signs, for certificates that are made elsewhere.
    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// Its subject, for people.
    #[must_use]
    pub fn subject(&self) -> String {
        X509Certificate::from_der(&self.identity.chain[0])
            .map_or_else(|_| String::new(), |(_, parsed)| crate::printable::name(parsed.subject()))
    }
}

/// The names of Egret as a server when nothing else is said: this machine, and the service of that name in
/// that namespace of a cluster.
#[must_use]
pub fn default_server_names(service: &str, namespace: &str) -> Vec<Name> {
    let hosts = [
        "localhost".to_owned(),
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ];
    let loopback = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    hosts.into_iter().map(Name::Dns).chain(loopback.map(Name::Ip)).collect()
}

fn ca_params(
    request: &CaRequest,
    path_length: Option<u8>,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = request.subject.to_rcgen()?;
    params.is_ca =
        IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let subtrees = |list: &[Subtree]| list.iter().map(Subtree::to_rcgen).collect();
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: subtrees(&request.constraints.permitted),
        excluded_subtrees: subtrees(&request.constraints.excluded),
    });
    finish(&mut params, validity)?;
    Ok(params)
}

/// What every certificate has.
fn finish(params: &mut CertificateParams, validity: Validity) -> Result<(), AuthorityError> {
    params.not_before = std::time::SystemTime::from(validity.not_before).into();
    params.not_after = std::time::SystemTime::from(validity.not_after).into();
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(random_serial()?);
    Ok(())
}

/// 128 bits, positive, and always of the same length (RFC 5280 section 4.1.2.2).
pub(crate) fn random_serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::Random)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

pub(crate) fn san(name: &Name) -> Result<SanType, AuthorityError> {
    Ok(match name {
        Name::Ip(address) => SanType::IpAddress(*address),
        Name::Dns(text) => SanType::DnsName(text.as_str().try_into()?),
        Name::Uri(text) => SanType::URI(text.as_str().try_into()?),
        Name::Email(text) => SanType::Rfc822Name(text.as_str().try_into()?),
    })
}

pub(crate) fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, parsed)| parsed.subject().as_raw() == parsed.issuer().as_raw())
}

fn key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

fn validity_of(certificate: &X509Certificate<'_>) -> Result<Validity, AuthorityError> {
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp())
            .map_err(|error| AuthorityError::Encoding { detail: error.to_string() })
    };
    let validity = certificate.validity();
    Ok(Validity { not_before: time(validity.not_before)?, not_after: time(validity.not_after)? })
}
