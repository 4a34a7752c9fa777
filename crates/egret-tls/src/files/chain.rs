//! The order of a chain, and whether it belongs to a key.

use std::path::Path;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{FileProblem, key};

/// Parses one certificate, whole.
pub(super) fn parse<'a>(
    der: &'a CertificateDer<'_>,
    index: usize,
) -> Result<X509Certificate<'a>, FileProblem> {
    let broken = |detail: String| FileProblem::Certificate { index: index + 1, detail };
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| broken(error.to_string()))?;
    if rest.is_empty() { Ok(certificate) } else { Err(broken("bytes follow after its end".to_owned())) }
}

/// Checks that each certificate after the first issued one before it, by name. Signatures are the peer's to
/// check; a chain with a gap or a stray is what people get wrong.
pub(super) fn check_order(chain: &[CertificateDer<'_>]) -> Result<(), FileProblem> {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().enumerate().map(|(index, der)| parse(der, index)).collect::<Result<_, _>>()?;
    for place in 1..parsed.len() {
        let issued_one_of = |candidate: &X509Certificate<'_>, before: &[X509Certificate<'_>]| {
            before.iter().any(|certificate| certificate.issuer().as_raw() == candidate.subject().as_raw())
        };
        if issued_one_of(&parsed[place], &parsed[..place]) {
            continue;
        }
        let belongs =
            (place + 1..parsed.len()).find(|later| issued_one_of(&parsed[*later], &parsed[..place]));
        if let Some(found) = belongs {
            return Err(FileProblem::WrongOrder { place: place + 1, found: found + 1 });
        }
        // It may be the other way round: the file begins with the root.
        if let Some(leaf) = only_leaf(&parsed).filter(|leaf| *leaf > 0) {
            return Err(FileProblem::WrongOrder { place: 1, found: leaf + 1 });
        }
        return Err(FileProblem::Stray {
            index: place + 1,
            subject: crate::printable::name(parsed[place].subject()),
        });
    }
    Ok(())
}

/// The certificate that issued none of the others, if there is exactly one.
fn only_leaf(parsed: &[X509Certificate<'_>]) -> Option<usize> {
    let issued_nothing = |index: usize| {
        !parsed.iter().enumerate().any(|(other, certificate)| {
            other != index && certificate.issuer().as_raw() == parsed[index].subject().as_raw()
        })
    };
    let mut leaves = (0..parsed.len()).filter(|index| issued_nothing(*index));
    leaves.next().filter(|_| leaves.next().is_none())
}

/// The place of the certificate that this key belongs to.
pub(super) fn of_key(
    certificates: &[CertificateDer<'_>],
    key: &PrivateKeyDer<'_>,
) -> Result<usize, FileProblem> {
    let public = key::public_key(key)?;
    for (index, der) in certificates.iter().enumerate() {
        if parse(der, index)?.public_key().raw == public {
            return Ok(index);
        }
    }
    Err(FileProblem::ForeignKey)
}

/// The place of the certificate that issued none of the others. One alone is it in any case.
pub(super) fn only_leaf_of(certificates: &[CertificateDer<'_>]) -> Result<usize, FileProblem> {
    let parsed: Vec<X509Certificate<'_>> =
        certificates.iter().enumerate().map(|(index, der)| parse(der, index)).collect::<Result<_, _>>()?;
    only_leaf(&parsed).ok_or(FileProblem::SeveralLeaves)
}

/// Checks that the key belongs to the first certificate.
pub(super) fn check_key(
    chain: &[CertificateDer<'_>],
    key: &PrivateKeyDer<'_>,
    certificate: &Path,
) -> Result<(), FileProblem> {
    let public = key::public_key(key)?;
    for (index, der) in chain.iter().enumerate() {
        if parse(der, index)?.public_key().raw == public {
            return match index {
                0 => Ok(()),
                _ => Err(FileProblem::WrongOrder { place: 1, found: index + 1 }),
            };
        }
    }
    let subject = match chain.first() {
        Some(der) => crate::printable::name(parse(der, 0)?.subject()),
        None => String::new(),
    };
    Err(FileProblem::KeyMismatch { certificate: certificate.to_owned(), subject })
}

/// Brings a set of certificates, the first of which is right, into the order of issue. Those that issued
/// none of them are left out.
pub(super) fn sort(chain: &mut Vec<CertificateDer<'static>>) {
    let mut sorted: Vec<CertificateDer<'static>> = Vec::with_capacity(chain.len());
    let mut rest = std::mem::take(chain).into_iter();
    let Some(first) = rest.next() else { return };
    sorted.push(first);
    let mut rest: Vec<_> = rest.collect();
    loop {
        let issuer = sorted.last().and_then(|last| Some(parse(last, 0).ok()?.issuer().as_raw().to_vec()));
        let found = rest.iter().position(|candidate| {
            parse(candidate, 0).is_ok_and(|candidate| Some(candidate.subject().as_raw()) == issuer.as_deref())
        });
        match found {
            Some(index) => sorted.push(rest.remove(index)),
            None => break,
        }
    }
    *chain = sorted;
}
