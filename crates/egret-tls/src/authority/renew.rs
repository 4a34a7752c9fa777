//! Making a certificate again: the same names, another time.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree as RcgenSubtree, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Authority, AuthorityError, CA_DAYS_MAX, Constraints, LEAF_DAYS, Subtree, Validity};
use crate::files::Identity;

/// What to make again, and with which key.
#[derive(Debug)]
pub struct Renewal<'a> {
    /// The certificate as it is now.
    pub certificate: &'a CertificateDer<'a>,
    /// Its key from now on: the same as before, or a new one.
    pub key: PrivateKeyDer<'static>,
    /// How long it is valid, in days from now; `None` is as long as it was.
    pub days: Option<u32>,
}

impl Authority {
    /// Makes a certificate of a server or client again: same subject, names and uses. It must have been
    /// signed by this CA, or by one of its name (a CA that was renewed, or made anew with a new key).
    ///
    /// # Errors
    /// It is another CA's, has something that would be lost, or names that the CA may not sign for now.
    pub fn renew(&self, renewal: Renewal<'_>, now: Timestamp) -> Result<Identity, AuthorityError> {
        let parsed = parse(renewal.certificate)?;
        let ca = parse(&self.identity.chain[0])?;
        if parsed.issuer().as_raw() != ca.subject().as_raw() {
            let issuer = crate::printable::name(parsed.issuer());
            return Err(AuthorityError::OtherCa { issuer, ca: self.subject() });
        }
        let mut params = params_of(&parsed)?;
        if matches!(params.is_ca, IsCa::Ca(_)) {
            return Err(AuthorityError::Intermediate);
        }
        params.key_identifier_method = KeyIdMethod::Sha256;
        let days = days(renewal.days, &parsed, LEAF_DAYS)?;
        let names: Vec<_> = crate::inspect::names(&parsed);
        self.check_names(&names)?;
        self.sign_leaf(params, renewal.key, days, now)
    }

    /// Makes a root again, with its key: what it signed stays valid under the new one.
    ///
    /// # Errors
    /// It is no root, or has something that would be lost.
    pub fn renew_root(&self, days_asked: Option<u32>, now: Timestamp) -> Result<Self, AuthorityError> {
        let parsed = parse(&self.identity.chain[0])?;
        if parsed.issuer().as_raw() != parsed.subject().as_raw() {
            return Err(AuthorityError::Intermediate);
        }
        let mut params = params_of(&parsed)?;
        let validity = Validity::days(days(days_asked, &parsed, CA_DAYS_MAX)?, CA_DAYS_MAX, now, None)?;
        super::finish(&mut params, validity)?;
        let key = self.identity.key.clone_key();
        let certificate = params.self_signed(&KeyPair::try_from(&key)?)?;
        Self::from_identity(Identity { chain: vec![certificate.der().clone()], key })
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, AuthorityError> {
    X509Certificate::from_der(der)
        .map(|(_, parsed)| parsed)
        .map_err(|error| AuthorityError::Encoding { detail: error.to_string() })
}

/// As long as it was, if nothing else is asked for.
fn days(asked: Option<u32>, parsed: &X509Certificate<'_>, limit: u32) -> Result<u32, AuthorityError> {
    if let Some(days) = asked {
        return Ok(days);
    }
    let validity = super::validity_of(parsed)?;
    let hours = validity.not_after.duration_since(validity.not_before).as_hours();
    Ok(u32::try_from(hours / 24).unwrap_or(limit).clamp(1, limit))
}

fn lost(what: impl Into<String>) -> AuthorityError {
    AuthorityError::Lossy { detail: what.into() }
}

/// The certificate as a template, without its times, serial number and key.
fn params_of(parsed: &X509Certificate<'_>) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name =
        super::subject::from_x509(parsed.subject()).ok_or_else(|| lost("a part of its subject"))?;
    params.is_ca = IsCa::ExplicitNoCa;
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                params.subject_alt_names = names.general_names.iter().map(san).collect::<Result<_, _>>()?;
            }
            ParsedExtension::KeyUsage(usage) => params.key_usages = key_usages(usage),
            ParsedExtension::ExtendedKeyUsage(usage) => params.extended_key_usages = purposes(usage),
            ParsedExtension::BasicConstraints(basic) if basic.ca => {
                let length = basic.path_len_constraint.map(u8::try_from).transpose();
                let length = length.map_err(|_| lost("its path length"))?;
                params.is_ca =
                    IsCa::Ca(length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
            }
            ParsedExtension::NameConstraints(_) => {
                let constraints = constraints_of(parsed);
                let subtrees =
                    |list: &[Subtree]| -> Vec<RcgenSubtree> { list.iter().map(Subtree::to_rcgen).collect() };
                if !all_known(parsed) {
                    return Err(lost("a name constraint of another kind than DNS, IP and e-mail"));
                }
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: subtrees(&constraints.permitted),
                    excluded_subtrees: subtrees(&constraints.excluded),
                });
            }
            ParsedExtension::SubjectKeyIdentifier(identifier) => {
                params.key_identifier_method = KeyIdMethod::PreSpecified(identifier.0.to_vec());
            }
            ParsedExtension::BasicConstraints(_) | ParsedExtension::AuthorityKeyIdentifier(_) => {}
            _ => return Err(lost(format!("its extension {}", crate::inspect::extension_name(extension)))),
        }
    }
    Ok(params)
}

fn san(name: &GeneralName<'_>) -> Result<SanType, AuthorityError> {
    Ok(match name {
        GeneralName::DNSName(text) => SanType::DnsName((*text).try_into()?),
        GeneralName::URI(text) => SanType::URI((*text).try_into()?),
        GeneralName::RFC822Name(text) => SanType::Rfc822Name((*text).try_into()?),
        GeneralName::IPAddress(bytes) => {
            SanType::IpAddress(crate::inspect::address(bytes).ok_or_else(|| lost("a damaged IP address"))?)
        }
        _ => return Err(lost("a name of another kind than DNS, IP, URI and e-mail")),
    })
}

fn key_usages(usage: &KeyUsage) -> Vec<KeyUsagePurpose> {
    [
        (usage.digital_signature(), KeyUsagePurpose::DigitalSignature),
        (usage.non_repudiation(), KeyUsagePurpose::ContentCommitment),
        (usage.key_encipherment(), KeyUsagePurpose::KeyEncipherment),
        (usage.data_encipherment(), KeyUsagePurpose::DataEncipherment),
        (usage.key_agreement(), KeyUsagePurpose::KeyAgreement),
        (usage.key_cert_sign(), KeyUsagePurpose::KeyCertSign),
        (usage.crl_sign(), KeyUsagePurpose::CrlSign),
        (usage.encipher_only(), KeyUsagePurpose::EncipherOnly),
        (usage.decipher_only(), KeyUsagePurpose::DecipherOnly),
    ]
    .into_iter()
    .filter_map(|(set, purpose)| set.then_some(purpose))
    .collect()
}

fn purposes(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Vec<ExtendedKeyUsagePurpose> {
    let known = [
        (usage.any, ExtendedKeyUsagePurpose::Any),
        (usage.server_auth, ExtendedKeyUsagePurpose::ServerAuth),
        (usage.client_auth, ExtendedKeyUsagePurpose::ClientAuth),
        (usage.code_signing, ExtendedKeyUsagePurpose::CodeSigning),
        (usage.email_protection, ExtendedKeyUsagePurpose::EmailProtection),
        (usage.time_stamping, ExtendedKeyUsagePurpose::TimeStamping),
        (usage.ocsp_signing, ExtendedKeyUsagePurpose::OcspSigning),
    ];
    let known = known.into_iter().filter_map(|(set, purpose)| set.then_some(purpose));
    let others =
        usage.other.iter().filter_map(|oid| Some(ExtendedKeyUsagePurpose::Other(oid.iter()?.collect())));
    known.chain(others).collect()
}

/// The constraints of a CA, of the kinds that are known here.
pub(crate) fn constraints_of(parsed: &X509Certificate<'_>) -> Constraints {
    let Ok(Some(found)) = parsed.name_constraints() else { return Constraints::default() };
    let known = |list: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
        list.iter().flatten().filter_map(|entry| subtree(&entry.base)).collect()
    };
    Constraints {
        permitted: known(&found.value.permitted_subtrees),
        excluded: known(&found.value.excluded_subtrees),
    }
}

fn all_known(parsed: &X509Certificate<'_>) -> bool {
    let Ok(Some(found)) = parsed.name_constraints() else { return false };
    [&found.value.permitted_subtrees, &found.value.excluded_subtrees]
        .into_iter()
        .all(|list| list.iter().flatten().all(|entry| subtree(&entry.base).is_some()))
}

fn subtree(name: &GeneralName<'_>) -> Option<Subtree> {
    match name {
        GeneralName::DNSName(text) => Some(Subtree::Dns(text.to_ascii_lowercase())),
        GeneralName::RFC822Name(text) => Some(Subtree::Email(text.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => {
            let (address, mask) = bytes.split_at(bytes.len() / 2);
            let (address, mask): (IpAddr, IpAddr) =
                (crate::inspect::address(address)?, crate::inspect::address(mask)?);
            IpNet::with_netmask(address, mask).ok().map(Subtree::Ip)
        }
        _ => None,
    }
}
