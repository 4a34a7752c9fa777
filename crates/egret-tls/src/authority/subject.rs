//! Subjects of certificates, to and from what rcgen writes.

use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString, UniversalString};
use rcgen::{DistinguishedName, DnType, DnValue};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::x509::X509Name;

use super::AuthorityError;

/// The longest common name and organization, in characters (RFC 5280 appendix A.1, `ub-common-name`).
const CHARACTERS: usize = 64;

/// Whom a certificate names as its holder. Clients go by the other names; this is for people, and for
/// servers that know clients by their subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// CN.
    pub common_name: String,
    /// O.
    pub organization: Option<String>,
}

impl Subject {
    pub(super) fn to_rcgen(&self) -> Result<DistinguishedName, AuthorityError> {
        let mut name = DistinguishedName::new();
        if let Some(organization) = &self.organization {
            name.push(DnType::OrganizationName, checked("organization", organization)?);
        }
        name.push(DnType::CommonName, checked("common name", &self.common_name)?);
        Ok(name)
    }
}

fn checked<'a>(field: &'static str, value: &'a str) -> Result<&'a str, AuthorityError> {
    let refused = |detail| Err(AuthorityError::Subject { field, value: value.to_owned(), detail });
    if value.trim().is_empty() {
        return refused("it is empty");
    }
    if value.chars().count() > CHARACTERS {
        return refused("it has more than 64 characters; names that are longer go into --san");
    }
    if value.chars().any(char::is_control) {
        return refused("it has control characters");
    }
    Ok(value)
}

/// A name of a certificate as rcgen writes it. `None` if it would not come out the same: rcgen knows one
/// attribute of each type, one to a set, in the usual types of strings.
pub(super) fn from_x509(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut result = DistinguishedName::new();
    for set in name.iter_rdn() {
        let mut attributes = set.iter();
        let attribute = attributes.next().filter(|_| attributes.next().is_none())?;
        let kind = DnType::from_oid(&attribute.attr_type().iter()?.collect::<Vec<u64>>());
        let value = attribute.attr_value();
        let text = std::str::from_utf8(value.data);
        let value = match value.header.tag() {
            Tag::Utf8String => DnValue::Utf8String(text.ok()?.to_owned()),
            Tag::PrintableString => DnValue::PrintableString(PrintableString::try_from(text.ok()?).ok()?),
            Tag::Ia5String => DnValue::Ia5String(Ia5String::try_from(text.ok()?).ok()?),
            Tag::T61String => DnValue::TeletexString(TeletexString::try_from(text.ok()?).ok()?),
            Tag::BmpString => DnValue::BmpString(BmpString::from_utf16be(value.data.to_vec()).ok()?),
            Tag::UniversalString => {
                DnValue::UniversalString(UniversalString::from_utf32be(value.data.to_vec()).ok()?)
            }
            _ => return None,
        };
        if result.get(&kind).is_some() {
            return None;
        }
        result.push(kind, value);
    }
    Some(result)
}
