//! What a file of certificates is worth.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::{CertificateInfo, key_kind, sha256};
use super::links::{SignedBy, signed_by};
use super::words::{Refusal, Saying};
use crate::files::{Contents, ItemKind, Limit, public_key};
use crate::printable;
use crate::verify::Usage;

/// A certificate that ends within this time is warned about: long enough to renew it before anybody notices.
pub const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Whom a client trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The CAs.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Where they are from, for people: `ca.crt`, `the system's roots`.
    pub source: String,
    /// Somebody said so. A certificate that the public roots do not know is no problem if nobody did.
    pub explicit: bool,
}

/// Which side of TLS a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A server, known by clients.
    Server,
    /// A client, known by servers.
    Client,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    pub(super) fn usage(self) -> Usage {
        match self {
            Self::Server => Usage::Server,
            Self::Client => Usage::Client,
        }
    }
}

/// What a certificate is measured by.
#[derive(Clone, Debug)]
pub struct Expectations<'a> {
    /// Whom the peer trusts.
    pub trust: &'a Trust,
    /// The name that clients reach the server by.
    pub host: Option<&'a str>,
    /// The side it is for; `None` is what the certificate says, a server first.
    pub role: Option<Role>,
    /// The time it is.
    pub now: Timestamp,
}

/// A certificate in a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its place among the certificates, counted from 1.
    pub number: usize,
    /// Its first line, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What it says.
    #[serde(flatten)]
    pub info: CertificateInfo,
    /// Who signed it.
    pub signed_by: SignedBy,
    /// Whole days until it ends; negative after that.
    pub days_left: i64,
}

/// A private key in a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// Its kind: `ECDSA P-256`.
    pub kind: String,
    /// The SHA-256 of its public key, as in [`CertificateInfo::public_key_sha256`].
    pub public_key_sha256: String,
    /// The certificate that it belongs to, by its number.
    pub belongs_to: Option<usize>,
}

/// How far a chain goes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// The certificates from the server's or client's own upwards, by their numbers.
    pub path: Vec<usize>,
    /// It ends in a root, in the file or trusted.
    pub whole: bool,
    /// The last issuer: the root, or the one that is missing.
    pub end: String,
    /// The certificates are in the order that peers accept, the own one first.
    pub in_order: bool,
}

/// Why a certificate is refused, and who says what.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Why.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// The same as a sentence, with what to do.
    pub message: String,
    /// What other programs say.
    pub sayings: Vec<Saying>,
}

/// What the peer says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// The certificate that is meant, by its number.
    pub certificate: usize,
    /// As what it was looked at.
    pub role: Role,
    /// The name it has to be for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whom the peer trusts.
    pub trust: String,
    /// It is accepted.
    pub accepted: bool,
    /// Why not, in the order in which the reasons come to light.
    pub refusals: Vec<Verdict>,
}

/// What is in a file, and what it is worth.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// PEM, DER or PKCS#12.
    pub format: String,
    /// What is in it: "2 certificates and a private key".
    pub contents: String,
    /// The certificates.
    pub certificates: Vec<Entry>,
    /// The private keys.
    pub keys: Vec<KeyInfo>,
    /// What else is in it.
    pub others: Vec<String>,
    /// The chain of the server's or client's own certificate, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// What the peer says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// What must be put right.
    pub problems: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<String>,
}

impl Report {
    /// Looks at what is in a file. A key in a file of its own is given apart.
    #[must_use]
    pub fn new(contents: &Contents, key: Option<&Contents>, expected: &Expectations<'_>) -> Self {
        let mut report = Self {
            format: contents.format.to_string(),
            contents: contents.summary(),
            certificates: Vec::new(),
            keys: Vec::new(),
            others: Vec::new(),
            chain: None,
            judgement: None,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let (lines, ders) = report.readable(contents);
        let parsed: Vec<X509Certificate<'_>> =
            ders.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
        let links = signed_by(&parsed, &expected.trust.certificates);
        for (index, certificate) in parsed.iter().enumerate() {
            report.certificates.push(Entry {
                number: index + 1,
                line: lines[index],
                info: CertificateInfo::of(certificate),
                signed_by: links[index].clone(),
                days_left: 0,
            });
        }
        report.look_at_times(expected.now);
        report.look_at_keys(contents, key, &parsed);
        report.look_at_others(contents);
        if let Some(own) = report.own() {
            report.look_at_chain(own);
            report.judge(own, &ders, expected);
        }
        report
    }

    /// The certificates that can be parsed, with their lines. The others are problems.
    fn readable(&mut self, contents: &Contents) -> (Vec<Option<usize>>, Vec<CertificateDer<'static>>) {
        let (mut lines, mut ders) = (Vec::new(), Vec::new());
        for item in &contents.items {
            let ItemKind::Certificate(der) = &item.kind else { continue };
            match X509Certificate::from_der(der) {
                Ok(([], _)) => {
                    lines.push(item.line);
                    ders.push(der.clone());
                }
                Ok(_) => {
                    self.problems.push(at_line(item.line, "bytes follow after the end of a certificate"))
                }
                Err(error) => {
                    self.problems
                        .push(at_line(item.line, &format!("a certificate cannot be parsed: {error}")));
                }
            }
        }
        (lines, ders)
    }

    fn look_at_times(&mut self, now: Timestamp) {
        // In a bundle of CAs they are others' to renew.
        let advice = match self.certificates.len() > Limit::CHAIN {
            true => "leave it out",
            false => "renew it with `egret certs renew`",
        };
        for entry in &mut self.certificates {
            let left = entry.info.not_after.duration_since(now);
            entry.days_left = left.as_hours().div_euclid(24);
            let subject = &entry.info.subject;
            if left.is_negative() {
                self.problems.push(format!(
                    "certificate {} ({subject}) expired at {}; {advice}",
                    entry.number, entry.info.not_after
                ));
            } else if entry.info.not_before > now {
                self.problems.push(format!(
                    "certificate {} ({subject}) is not valid before {}; check the clocks",
                    entry.number, entry.info.not_before
                ));
            } else if left < SOON {
                self.warnings.push(format!(
                    "certificate {} ({subject}) ends in {} days; {advice}",
                    entry.number, entry.days_left
                ));
            }
        }
    }

    fn look_at_keys(
        &mut self,
        contents: &Contents,
        apart: Option<&Contents>,
        parsed: &[X509Certificate<'_>],
    ) {
        let keys: Vec<&PrivateKeyDer<'_>> =
            contents.keys().chain(apart.into_iter().flat_map(Contents::keys)).collect();
        for key in keys {
            let public = match public_key(key) {
                Ok(public) => public,
                Err(problem) => {
                    self.problems.push(format!("the private key: {problem}; {}", problem.advice()));
                    continue;
                }
            };
            let belongs_to = parsed
                .iter()
                .position(|certificate| certificate.public_key().raw == public)
                .map(|index| index + 1);
            if belongs_to.is_none() && !parsed.is_empty() {
                self.problems.push(
                    "the private key belongs to none of the certificates; give the key that the certificate was made with"
                        .to_owned(),
                );
            }
            let kind = SubjectPublicKeyInfo::from_der(&public)
                .map_or_else(|_| "unknown".to_owned(), |(_, key)| key_kind(&key));
            self.keys.push(KeyInfo { kind, public_key_sha256: sha256(&public), belongs_to });
        }
        for item in contents.items.iter().chain(apart.into_iter().flat_map(|contents| &contents.items)) {
            if matches!(item.kind, ItemKind::EncryptedKey(_) | ItemKind::LegacyEncryptedKey) {
                self.warnings.push(at_line(
                    item.line,
                    "the private key is encrypted: whether it belongs to a certificate shows with its password",
                ));
            }
        }
    }

    fn look_at_others(&mut self, contents: &Contents) {
        for item in &contents.items {
            let text = match &item.kind {
                ItemKind::Csr(der) => match X509CertificationRequest::from_der(der) {
                    Ok((_, request)) => format!(
                        "a certificate signing request of {}, to be sent to a CA",
                        printable::name(&request.certification_request_info.subject)
                    ),
                    Err(_) => "a certificate signing request that cannot be parsed".to_owned(),
                },
                ItemKind::Crl(der) => match CertificateRevocationList::from_der(der) {
                    Ok((_, list)) => crl(&list),
                    Err(_) => "a certificate revocation list that cannot be parsed".to_owned(),
                },
                ItemKind::PublicKey(_) => "a public key".to_owned(),
                ItemKind::Other(label) => format!("a section {:?}, passed over", printable::text(label)),
                _ => continue,
            };
            self.others.push(at_line(item.line, &text));
        }
    }

    /// The certificate that the file is about: the one of the key, or the only one that signed no other.
    fn own(&self) -> Option<usize> {
        if let Some(number) = self.keys.iter().find_map(|key| key.belongs_to) {
            return Some(number - 1);
        }
        let signed_another = |number: usize| {
            self.certificates
                .iter()
                .any(|entry| entry.number != number && entry.signed_by == SignedBy::File { number })
        };
        let mut own = self.certificates.iter().filter(|entry| !signed_another(entry.number));
        let first = own.next()?;
        own.next().is_none().then_some(first.number - 1)
    }

    fn look_at_chain(&mut self, own: usize) {
        let mut path = vec![own + 1];
        let (whole, end) = loop {
            let last = &self.certificates[path[path.len() - 1] - 1];
            match &last.signed_by {
                SignedBy::Itself => break (true, last.info.subject.clone()),
                SignedBy::Trusted { subject } => break (true, subject.clone()),
                SignedBy::File { number } if !path.contains(number) => path.push(*number),
                SignedBy::File { .. } => break (false, last.info.issuer.clone()),
                SignedBy::Namesake { subject } | SignedBy::Unknown { subject } => {
                    break (false, subject.clone());
                }
            }
        };
        let in_order = own == 0 && path.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order {
            let order: Vec<String> = path.iter().map(ToString::to_string).collect();
            self.problems.push(format!(
                "the certificates are in the wrong order, and many peers refuse that; put them in the order {} (`egret certs export` does)",
                order.join(", ")
            ));
        }
        for entry in &self.certificates {
            if !path.contains(&entry.number) && self.keys.iter().any(|key| key.belongs_to.is_some()) {
                self.warnings.push(format!(
                    "certificate {} ({}) is not in the chain of certificate {}; it is sent for nothing",
                    entry.number,
                    entry.info.subject,
                    own + 1
                ));
            }
        }
        self.chain = Some(Chain { path, whole, end, in_order });
    }
}

fn crl(list: &CertificateRevocationList<'_>) -> String {
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_or_else(|_| "?".to_owned(), |time| time.to_string())
    };
    let next = list
        .next_update()
        .map_or_else(|| "no next one announced".to_owned(), |next| format!("the next due {}", time(next)));
    format!(
        "a certificate revocation list of {}: {} revoked, made {}, {next}",
        printable::name(list.issuer()),
        list.iter_revoked_certificates().count(),
        time(list.last_update()),
    )
}

fn at_line(line: Option<usize>, text: &str) -> String {
    line.map_or_else(|| text.to_owned(), |line| format!("line {line}: {text}"))
}
