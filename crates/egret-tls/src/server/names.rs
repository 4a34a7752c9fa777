//! The names of a certificate.

use egret_core::identity::{CertificateName, ClientCertificate, NameKind};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Names that are looked at, and the longest: what an identity may take of memory. Whoever has more or
/// longer ones has them in vain.
const MOST: usize = 64;
const LONGEST: usize = 1024;

/// The names of a client certificate: SAN entries and subject, and the organizations in that.
pub(super) fn of_client(der: &CertificateDer<'_>) -> ClientCertificate {
    let Some(certificate) = parse(der) else { return ClientCertificate::new(Vec::new()) };
    let mut names = alternative(&certificate);
    if certificate.subject().iter_rdn().next().is_some() {
        names.push(CertificateName::new(NameKind::Subject, &clipped(rfc4514(certificate.subject()))));
    }
    let organizations = certificate.subject().iter_organization().filter_map(|one| one.as_str().ok());
    let organizations = organizations.filter(|text| !text.is_empty() && text.len() <= LONGEST);
    ClientCertificate::new(names).with_organizations(organizations.take(MOST).map(Into::into).collect())
}

/// Parses a certificate. `None` for what webpki would not take either.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// The DNS names that a server certificate is for, in lower case.
pub(super) fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = alternative(certificate).into_iter();
    names.filter(|name| name.kind == NameKind::Dns).map(|name| name.value.to_string()).collect()
}

fn alternative(certificate: &X509Certificate<'_>) -> Vec<CertificateName> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::URI(text) => Some((NameKind::Uri, text.to_string())),
        GeneralName::DNSName(text) => Some((NameKind::Dns, text.to_string())),
        GeneralName::RFC822Name(text) => Some((NameKind::Email, text.to_string())),
        _ => None,
    };
    let names = extension.value.general_names.iter().filter_map(name);
    let names = names.filter(|(_, text)| !text.is_empty() && text.len() <= LONGEST);
    names.take(MOST).map(|(kind, text)| CertificateName::new(kind, &text)).collect()
}

fn clipped(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate((0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    }
    text
}

/// A distinguished name as RFC 4514 writes it: the most specific part first.
pub(super) fn rfc4514(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut out = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            out.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                out.push('+');
            }
            push_attribute(&mut out, attribute);
        }
    }
    out
}

/// The short names of RFC 4514 section 3, and those that OpenSSL adds.
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

fn push_attribute(out: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == oid);
    out.push_str(short.map_or(oid.as_str(), |(_, short)| short));
    out.push('=');
    match attribute.as_str() {
        Ok(value) => push_escaped(out, value),
        // Not text (section 2.4): the value in hexadecimal.
        Err(_) => {
            out.push('#');
            for byte in attribute.attr_value().data {
                out.push_str(&format!("{byte:02x}"));
            }
        }
    }
}

fn push_escaped(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => out.extend(['\\', character]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    out.push_str(&format!("\\{byte:02x}"));
                }
            }
            other => out.push(other),
        }
    }
}

/// A certificate in a few words, for people: its name and who signed it.
pub(super) fn describe(der: &CertificateDer<'_>) -> Option<(String, String)> {
    let certificate = parse(der)?;
    let named = of_client(der);
    let name = if named.name().is_empty() { "(no name)" } else { named.name() };
    Some((clipped(name.to_owned()), clipped(rfc4514(certificate.issuer()))))
}
