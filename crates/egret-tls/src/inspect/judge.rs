//! What peers say about a certificate: the verifier's answer, and the words of others for it.

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::certificate::{CertificateInfo, names};
use super::links::{self, SignedBy};
use super::report::{Entry, Expectations, Judgement, Report, Role, Verdict};
use super::words::Refusal;
use crate::authority::Constraints;
use crate::printable;
use crate::verify;

impl Report {
    /// Asks the verifier, and tells its answer in the words of others.
    pub(super) fn judge(
        &mut self,
        own: usize,
        ders: &[CertificateDer<'static>],
        expected: &Expectations<'_>,
    ) {
        let info = &self.certificates[own].info;
        if info.ca && expected.host.is_none() && expected.role.is_none() {
            return;
        }
        let role = expected.role.unwrap_or(match info.for_servers() || !info.for_clients() {
            true => Role::Server,
            false => Role::Client,
        });
        let host = expected.host.filter(|_| role == Role::Server);
        let mut refusals = self.refusals(own, ders, role, expected);
        for refusal in self.refusals_of_root(ders, expected) {
            // The same may have come to light below the root.
            if !refusals.iter().any(|known| std::mem::discriminant(known) == std::mem::discriminant(&refusal))
            {
                refusals.push(refusal);
            }
        }
        refusals.extend(host.and_then(|host| self.name_refusal(own, &ders[own], host)));
        let refusals: Vec<Verdict> = refusals
            .into_iter()
            .map(|refusal| Verdict {
                message: refusal.to_string(),
                sayings: match role {
                    Role::Server => refusal.to_server(expected.now),
                    Role::Client => refusal.to_client(),
                },
                refusal,
            })
            .collect();
        for verdict in &refusals {
            let unknown = matches!(
                verdict.refusal,
                Refusal::SelfSigned | Refusal::UntrustedRoot { .. } | Refusal::MissingIssuer { .. }
            );
            let told = match &verdict.refusal {
                Refusal::Expired { subject, .. } | Refusal::NotYetValid { subject, .. } => {
                    self.certificates.iter().any(|entry| entry.info.subject == *subject)
                }
                _ => false,
            };
            if !told && (!unknown || expected.trust.explicit) {
                self.problems.push(format!("certificate {}: {}", own + 1, verdict.message));
            }
        }
        self.judgement = Some(Judgement {
            certificate: own + 1,
            role,
            host: host.map(str::to_owned),
            trust: expected.trust.source.clone(),
            accepted: refusals.is_empty(),
            refusals,
        });
    }

    /// All that the verifier has against it: what is wrong with the times hides the rest.
    fn refusals(
        &self,
        own: usize,
        ders: &[CertificateDer<'static>],
        role: Role,
        expected: &Expectations<'_>,
    ) -> Vec<Refusal> {
        let others: Vec<CertificateDer<'_>> =
            ders.iter().enumerate().filter(|(index, _)| *index != own).map(|(_, der)| der.clone()).collect();
        let mut found = Vec::new();
        let mut at = expected.now;
        for _ in 0..3 {
            let verified = verify::chain(&ders[own], &others, &expected.trust.certificates, role.usage(), at);
            let Err(error) = verified else { break };
            let (refusal, again) = self.refusal(own, ders, role, expected, &error);
            if !found.contains(&refusal) {
                found.push(refusal);
            }
            match again {
                Some(time) => at = time,
                None => break,
            }
        }
        found
    }

    /// What OpenSSL and Go look at in the root too, and rustls does not: to that one a root is a name and a
    /// key.
    fn refusals_of_root(
        &self,
        ders: &[CertificateDer<'static>],
        expected: &Expectations<'_>,
    ) -> Vec<Refusal> {
        let Some(chain) = self.chain.as_ref().filter(|chain| chain.whole) else { return Vec::new() };
        let last = chain.path.last().map_or(0, |number| number - 1);
        let Ok((_, parsed)) = X509Certificate::from_der(&ders[last]) else { return Vec::new() };
        let Some(root) = links::anchor(&parsed, &expected.trust.certificates) else {
            return Vec::new();
        };
        let subject = root.subject.clone();
        let is_own = chain.path.len() == 1 && root.sha256 == self.certificates[last].info.sha256;
        let root_in_path = root.sha256 == self.certificates[last].info.sha256;
        let between = chain.path.len() - 1 - usize::from(root_in_path && !is_own);
        let mut found = Vec::new();
        if root.not_after < expected.now {
            found.push(Refusal::Expired { subject: subject.clone(), at: root.not_after });
        }
        if root.not_before > expected.now {
            found.push(Refusal::NotYetValid { subject: subject.clone(), at: root.not_before });
        }
        if root.path_length.is_some_and(|most| between > most as usize) {
            found.push(Refusal::PathLength { root: subject.clone() });
        }
        if !root.ca && !is_own {
            found.push(Refusal::NotCa { subject });
        }
        found
    }

    /// The verifier's error as a refusal; for one of time, a moment at which it would not be.
    fn refusal(
        &self,
        own: usize,
        ders: &[CertificateDer<'static>],
        role: Role,
        expected: &Expectations<'_>,
        error: &Error,
    ) -> (Refusal, Option<Timestamp>) {
        let entry = &self.certificates[own];
        let unix = |time: &rustls_pki_types::UnixTime| {
            i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
        };
        let whose = |at: Timestamp, end: bool| {
            let of =
                |entry: &&Entry| if end { entry.info.not_after == at } else { entry.info.not_before == at };
            let found = self.certificates.iter().find(of);
            found.map_or_else(|| "a certificate of the chain".to_owned(), |entry| entry.info.subject.clone())
        };
        let refusal = match error {
            Error::CertExpired { not_after, .. } => {
                let at = unix(not_after).unwrap_or(Timestamp::MAX);
                return (Refusal::Expired { subject: whose(at, true), at }, Some(at));
            }
            Error::CertNotValidYet { not_before, .. } => {
                let at = unix(not_before).unwrap_or(Timestamp::MIN);
                return (Refusal::NotYetValid { subject: whose(at, false), at }, Some(at));
            }
            Error::UnknownIssuer => self.unknown_issuer(own),
            Error::InvalidSignatureForPublicKey => self.namesake(own, ders, &expected.trust.certificates),
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                Refusal::WrongUse { role: role.name(), uses: entry.info.extended_key_usage.clone() }
            }
            Error::NameConstraintViolation => {
                Refusal::NameConstraint { names: forbidden(&ders[own], ders, &expected.trust.certificates) }
            }
            Error::PathLenConstraintViolated => Refusal::PathLength {
                root: self.chain.as_ref().map_or_else(String::new, |chain| chain.end.clone()),
            },
            Error::EndEntityUsedAsCa => Refusal::NotCa { subject: entry.info.issuer.clone() },
            Error::CaUsedAsEndEntity => Refusal::IsCa { role: role.name() },
            Error::UnsupportedCriticalExtension => Refusal::CriticalExtension,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                Refusal::Algorithm { algorithm: entry.info.signature.clone() }
            }
            other => Refusal::Other { detail: other.to_string() },
        };
        (refusal, None)
    }

    fn unknown_issuer(&self, own: usize) -> Refusal {
        let path = self.chain.as_ref().map_or(&[][..], |chain| &chain.path);
        let last = &self.certificates[path.last().map_or(own, |number| number - 1)];
        match &last.signed_by {
            SignedBy::Itself if path.len() <= 1 => Refusal::SelfSigned,
            SignedBy::Itself => Refusal::UntrustedRoot { root: last.info.subject.clone() },
            _ => Refusal::MissingIssuer {
                subject: last.info.subject.clone(),
                issuer: last.info.issuer.clone(),
            },
        }
    }

    fn namesake(&self, own: usize, ders: &[CertificateDer<'_>], trusted: &[CertificateDer<'_>]) -> Refusal {
        let path = self.chain.as_ref().map_or(&[][..], |chain| &chain.path);
        let last = &self.certificates[path.last().map_or(own, |number| number - 1)];
        let namesakes = ders.iter().chain(trusted).filter_map(|der| CertificateInfo::parse(der).ok());
        let key_id_differs = namesakes.filter(|info| info.subject == last.info.issuer).all(|info| {
            last.info.authority_key_id.is_some()
                && info.subject_key_id.is_some()
                && last.info.authority_key_id != info.subject_key_id
        });
        Refusal::Namesake {
            subject: last.info.subject.clone(),
            issuer: last.info.issuer.clone(),
            key_id_differs,
        }
    }

    fn name_refusal(&self, own: usize, der: &CertificateDer<'_>, host: &str) -> Option<Refusal> {
        let bare = host.trim_matches(['[', ']']);
        let fits = ServerName::try_from(bare).is_ok_and(|name| verify::host(der, &name).is_ok());
        let info = &self.certificates[own].info;
        let common_name = info.subject.split(", ").any(|part| part.strip_prefix("CN=") == Some(bare));
        (!fits).then(|| Refusal::OtherName {
            host: printable::text(host),
            names: info.names.clone(),
            common_name,
        })
    }
}

/// The names that some CA at hand may not sign for.
fn forbidden(
    own: &CertificateDer<'_>,
    ders: &[CertificateDer<'_>],
    trusted: &[CertificateDer<'_>],
) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(own) else { return Vec::new() };
    let all: Vec<Constraints> = ders
        .iter()
        .chain(trusted)
        .filter_map(|der| Some(crate::authority::constraints_of(&X509Certificate::from_der(der).ok()?.1)))
        .collect();
    let names = names(&parsed);
    let forbidden = names.iter().filter(|name| !all.iter().all(|constraints| constraints.permit(name)));
    forbidden.map(|name| printable::text(&name.to_string())).collect()
}
