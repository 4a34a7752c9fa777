//! The fields of a certificate, for people and for programs.

use std::net::IpAddr;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use x509_parser::extensions::{
    DistributionPointName, ExtendedKeyUsage, GeneralName, GeneralSubtree, KeyUsage, ParsedExtension,
    X509Extension,
};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_PKIX_ACCESS_DESCRIPTOR_OCSP, OID_SIG_ED25519, OidRegistry, format_oid,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::authority::Name;
use crate::printable;

/// Names and URLs listed of one certificate, and constraints of each kind.
const LISTED: usize = 500;

/// What a certificate says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInfo {
    /// The subject, as `CN=…, O=…`.
    pub subject: String,
    /// The issuer.
    pub issuer: String,
    /// The serial number, in hexadecimal.
    pub serial: String,
    /// The first second of its validity.
    #[serde(serialize_with = "display")]
    pub not_before: Timestamp,
    /// The last second.
    #[serde(serialize_with = "display")]
    pub not_after: Timestamp,
    /// The names that it is for, each with its kind: `DNS:…`, `IP:…`, `URI:…`, `email:…`.
    pub names: Vec<String>,
    /// It is a CA (basicConstraints).
    pub ca: bool,
    /// How many CAs may follow below it; for a CA alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_length: Option<u32>,
    /// The kind of its key: `ECDSA P-256`.
    pub key: String,
    /// How it was signed: `ecdsa-with-SHA256`.
    pub signature: String,
    /// What the key may do, in the words of RFC 5280.
    pub key_usage: Vec<&'static str>,
    /// What the certificate is for, likewise.
    pub extended_key_usage: Vec<String>,
    /// Which names it may sign for; for a CA alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_constraints: Option<ConstraintsInfo>,
    /// The identifier of its key, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_key_id: Option<String>,
    /// The identifier of its issuer's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_key_id: Option<String>,
    /// Where its CA publishes revocations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crl_urls: Vec<String>,
    /// Where its CA answers questions about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ocsp_urls: Vec<String>,
    /// The SHA-256 of the whole, in hexadecimal.
    pub sha256: String,
    /// The SHA-256 of its public key (SubjectPublicKeyInfo): the same for a renewed certificate.
    pub public_key_sha256: String,
}

/// Name constraints.
#[derive(Clone, Debug, Serialize)]
pub struct ConstraintsInfo {
    /// Only these.
    pub permitted: Vec<String>,
    /// Not these.
    pub excluded: Vec<String>,
}

pub(super) fn display<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

impl CertificateInfo {
    /// Reads the fields of a certificate.
    ///
    /// # Errors
    /// What cannot be parsed.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        Ok(Self::of(&certificate))
    }

    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
        };
        let mut info = Self {
            subject: printable::name(certificate.subject()),
            issuer: printable::name(certificate.issuer()),
            serial: hex(certificate.raw_serial()),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
            names: Vec::new(),
            ca: certificate.is_ca(),
            path_length: None,
            key: key_kind(certificate.public_key()),
            signature: algorithm_name(&certificate.signature_algorithm),
            key_usage: Vec::new(),
            extended_key_usage: Vec::new(),
            name_constraints: None,
            subject_key_id: None,
            authority_key_id: None,
            crl_urls: Vec::new(),
            ocsp_urls: Vec::new(),
            sha256: sha256(certificate.as_raw()),
            public_key_sha256: sha256(certificate.public_key().raw),
        };
        for extension in certificate.extensions() {
            info.take(extension.parsed_extension());
        }
        info
    }

    fn take(&mut self, extension: &ParsedExtension<'_>) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => self.names = listed(&names.general_names),
            ParsedExtension::BasicConstraints(basic) => self.path_length = basic.path_len_constraint,
            ParsedExtension::KeyUsage(usage) => self.key_usage = key_usages(usage),
            ParsedExtension::ExtendedKeyUsage(usage) => self.extended_key_usage = purposes(usage),
            ParsedExtension::SubjectKeyIdentifier(identifier) => {
                self.subject_key_id = Some(hex(identifier.0))
            }
            ParsedExtension::AuthorityKeyIdentifier(identifier) => {
                self.authority_key_id =
                    identifier.key_identifier.as_ref().map(|identifier| hex(identifier.0));
            }
            ParsedExtension::NameConstraints(constraints) => {
                let subtrees = |list: &Option<Vec<GeneralSubtree<'_>>>| {
                    list.iter().flatten().take(LISTED).map(|subtree| general_name(&subtree.base)).collect()
                };
                self.name_constraints = Some(ConstraintsInfo {
                    permitted: subtrees(&constraints.permitted_subtrees),
                    excluded: subtrees(&constraints.excluded_subtrees),
                });
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                for point in points.points.iter().take(LISTED) {
                    if let Some(DistributionPointName::FullName(names)) = &point.distribution_point {
                        self.crl_urls.extend(names.iter().filter_map(uri));
                    }
                }
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                let ocsp = access
                    .iter()
                    .filter(|description| description.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP);
                self.ocsp_urls =
                    ocsp.take(LISTED).filter_map(|description| uri(&description.access_location)).collect();
            }
            _ => {}
        }
    }

    /// It is for servers: it says so, or says nothing of uses at all.
    #[must_use]
    pub fn for_servers(&self) -> bool {
        self.is_for("serverAuth")
    }

    /// It is for clients, likewise.
    #[must_use]
    pub fn for_clients(&self) -> bool {
        self.is_for("clientAuth")
    }

    fn is_for(&self, purpose: &str) -> bool {
        self.extended_key_usage.is_empty()
            || self.extended_key_usage.iter().any(|found| found == purpose || found == "anyExtendedKeyUsage")
    }
}

fn uri(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(text) => Some(printable::text(text)),
        _ => None,
    }
}

fn listed(names: &[GeneralName<'_>]) -> Vec<String> {
    let mut list: Vec<String> = names.iter().take(LISTED).map(general_name).collect();
    if names.len() > LISTED {
        list.push(format!("{} more", names.len() - LISTED));
    }
    list
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) => format!("DNS:{}", printable::text(text)),
        GeneralName::URI(text) => format!("URI:{}", printable::text(text)),
        GeneralName::RFC822Name(text) => format!("email:{}", printable::text(text)),
        GeneralName::DirectoryName(name) => format!("DirName:{}", printable::name(name)),
        GeneralName::IPAddress(bytes) => network(bytes),
        other => printable::text(&other.to_string()),
    }
}

/// An address, or in a constraint a network.
fn network(bytes: &[u8]) -> String {
    if let Some(address) = address(bytes) {
        return format!("IP:{address}");
    }
    let (left, right) = bytes.split_at(bytes.len() / 2);
    match (address(left), address(right)) {
        (Some(address), Some(mask)) => match ipnet::ip_mask_to_prefix(mask) {
            Ok(prefix) => format!("IP:{address}/{prefix}"),
            Err(_) => format!("IP:{address}/{mask}"),
        },
        _ => format!("IP:{} (damaged)", hex(&bytes[..bytes.len().min(32)])),
    }
}

/// The address in a certificate: four bytes, or sixteen.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// The names of a certificate, of the kinds that are used.
pub(crate) fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let names = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) => Some(Name::Dns(text.to_ascii_lowercase())),
        GeneralName::URI(text) => Some(Name::Uri((*text).to_owned())),
        GeneralName::RFC822Name(text) => Some(Name::Email((*text).to_owned())),
        GeneralName::IPAddress(bytes) => address(bytes).map(Name::Ip),
        _ => None,
    };
    names.into_iter().flatten().filter_map(name).collect()
}

pub(super) fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return "Ed25519".to_owned();
    }
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return format!("RSA {}", key.parsed().map_or(0, |key| key.key_size()));
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => "ECDSA P-256".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P384 => "ECDSA P-384".to_owned(),
            Some(curve) if curve == OID_NIST_EC_P521 => "ECDSA P-521".to_owned(),
            Some(curve) => format!("ECDSA on the curve {curve}"),
            None => "ECDSA on a curve of its own".to_owned(),
        };
    }
    algorithm_name(&key.algorithm)
}

fn algorithm_name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    format_oid(&algorithm.algorithm, &OidRegistry::default().with_all_crypto().with_x509())
}

/// What an extension is called.
pub(crate) fn extension_name(extension: &X509Extension<'_>) -> String {
    format_oid(&extension.oid, &OidRegistry::default().with_x509())
}

fn key_usages(usage: &KeyUsage) -> Vec<&'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = known.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.to_owned());
    known.chain(usage.other.iter().take(LISTED).map(ToString::to_string)).collect()
}

/// SHA-256, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
