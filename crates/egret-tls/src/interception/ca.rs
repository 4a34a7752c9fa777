//! The CA that signs for origins, checked when it is loaded.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::CaError;
use crate::authority::{
    Authority, AuthorityError, CA_DAYS, CaRequest, Constraints, KeyType, LeafRequest, Name, Purpose, Subject,
    Validity, constraints_of,
};
use crate::files::{FileProblem, Identity, Password, chain_pem, key_pem, load_identity};
use crate::inspect::CertificateInfo;
use crate::verify::{self, Usage};

/// A CA with fewer days left than this is warned about: clients need time to get another one.
pub const CA_RENEW_DAYS: i64 = 30;

/// A new CA is valid since this long ago, so that clients with a slow clock take it, and what it signs.
pub(super) const CA_BACKDATE: SignedDuration = SignedDuration::from_hours(48);

/// A name that no client asks for, under which a certificate is made to see that it verifies.
const PROBE: &str = "probe.egret.test";

/// A CA that may sign for origins. Whoever has its key can read what its clients send to anybody: the key is
/// never printed, and leaves this type only to be stored.
#[derive(Debug)]
pub struct InterceptionCa {
    authority: Authority,
    info: CertificateInfo,
    /// Of each CA of the chain: a name has to be permitted by all.
    constraints: Vec<Constraints>,
    /// When all CAs of the chain are valid.
    validity: Validity,
    warnings: Vec<String>,
}

impl InterceptionCa {
    /// Makes a CA: a root of its own, P-256, for ten years, that may sign no other CA. No two have the same
    /// name, for clients find the issuer by it.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn create(now: Timestamp) -> Result<Self, CaError> {
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| AuthorityError::Random)?;
        let request = CaRequest {
            subject: Subject {
                common_name: format!("Egret interception CA {:08x}", u32::from_be_bytes(random)),
                organization: Some("Egret".to_owned()),
            },
            key_type: KeyType::EcdsaP256,
            days: CA_DAYS,
            path_length: Some(0),
            constraints: Constraints::default(),
        };
        let since = now.checked_sub(CA_BACKDATE).unwrap_or(now);
        Self::from_authority(Authority::create(&request, since)?, now)
    }

    /// Reads a CA that somebody else has made: certificate and key in PEM, in two files or in one; PKCS#12;
    /// the key encrypted or not; with the CAs above it behind its certificate.
    ///
    /// # Errors
    /// The files cannot be used, do not belong together, or hold no CA that may sign for servers now.
    pub fn load(
        certificate: &Path,
        key: Option<&Path>,
        password: Option<&Password>,
        now: Timestamp,
    ) -> Result<Self, CaError> {
        Self::from_identity(load_identity(certificate, key, password)?, now)
    }

    /// Takes a certificate with its chain and key as a CA for interception.
    ///
    /// # Errors
    /// As [`InterceptionCa::load`].
    pub fn from_identity(identity: Identity, now: Timestamp) -> Result<Self, CaError> {
        Self::from_authority(Authority::from_identity(identity)?, now)
    }

    fn from_authority(authority: Authority, now: Timestamp) -> Result<Self, CaError> {
        let infos = authority
            .chain()
            .iter()
            .map(CertificateInfo::parse)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|detail| AuthorityError::Encoding { detail })?;
        check(&infos, now)?;
        let constraints = authority.chain().iter().filter_map(|der| X509Certificate::from_der(der).ok());
        let constraints: Vec<_> = constraints.map(|(_, parsed)| constraints_of(&parsed)).collect();
        probe(&authority, &constraints, &infos, now)?;
        let own = authority.validity();
        let validity = infos.iter().fold(own, |whole, info| Validity {
            not_before: whole.not_before.max(info.not_before),
            not_after: whole.not_after.min(info.not_after),
        });
        let warnings = warnings(&infos, now);
        let info = infos
            .into_iter()
            .next()
            .ok_or_else(|| AuthorityError::Encoding { detail: "there is no certificate".to_owned() })?;
        Ok(Self { authority, info, constraints, validity, warnings })
    }

    /// The CA's certificate, which signs.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.authority.chain()[0]
    }

    /// The CA's certificate and those of the CAs above it, as far as they are known.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.authority.chain()
    }

    /// What clients have to trust: the last certificate of the chain. That is the root where it came along,
    /// and else the highest CA that is known.
    #[must_use]
    pub fn anchor(&self) -> &CertificateDer<'static> {
        self.chain().last().unwrap_or_else(|| self.certificate())
    }

    /// What its certificate says.
    #[must_use]
    pub fn info(&self) -> &CertificateInfo {
        &self.info
    }

    /// What is to be told to whoever runs the proxy, a sentence each: that it ends soon, for which names it
    /// may sign, that some clients do not know its kind of key.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Its last second, or that of a CA above it, whichever is first.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.validity.not_after
    }

    /// Certificate with its chain, and key, both in PEM, to be stored where nobody else can read them.
    ///
    /// # Errors
    /// The key cannot be written.
    pub fn to_pem(&self) -> Result<(String, Zeroizing<String>), FileProblem> {
        let identity = self.authority.identity();
        Ok((chain_pem(&identity.chain), key_pem(&identity.key)?))
    }

    pub(super) fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it, and every CA above it, may sign for this name.
    pub(super) fn permits(&self, name: &Name) -> bool {
        self.constraints.iter().all(|constraints| constraints.permit(name))
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(super) fn identity(&self) -> &Identity {
        self.authority.identity()
    }
}

fn check(infos: &[CertificateInfo], now: Timestamp) -> Result<(), CaError> {
    for (below, info) in infos.iter().enumerate() {
        let subject = || info.subject.clone();
        if info.not_after < now {
            return Err(CaError::Expired { subject: subject(), at: info.not_after });
        }
        if info.not_before > now {
            return Err(CaError::NotYetValid { subject: subject(), from: info.not_before });
        }
        if !info.for_servers() {
            return Err(CaError::NotForServers { subject: subject() });
        }
        if !info.ca {
            return Err(AuthorityError::NotCa { subject: subject() }.into());
        }
        if let Some(allowed) = info.path_length.filter(|allowed| (*allowed as usize) < below) {
            return Err(CaError::PathLength { subject: subject(), allowed, found: below });
        }
    }
    Ok(())
}

/// Signs a certificate and verifies it up to the highest CA that is known, as clients will.
fn probe(
    authority: &Authority,
    constraints: &[Constraints],
    infos: &[CertificateInfo],
    now: Timestamp,
) -> Result<(), CaError> {
    // Under constraints, a name that they permit; what else would be refused is not the CA's fault.
    let permitted = constraints.iter().flat_map(|constraints| &constraints.permitted);
    let mut names = permitted
        .filter_map(|subtree| subtree.example())
        .chain([Name::Dns(PROBE.to_owned()), Name::Ip(std::net::Ipv4Addr::LOCALHOST.into())]);
    let is_permitted = |name: &Name| constraints.iter().all(|constraints| constraints.permit(name));
    let Some(name) = names.find(is_permitted) else { return Ok(()) };
    let request = LeafRequest {
        purpose: Purpose::Server,
        subject: Subject { common_name: "probe".to_owned(), organization: None },
        names: vec![name],
        key_type: KeyType::EcdsaP256,
        days: 1,
    };
    let subject = || infos.first().map(|info| info.subject.clone()).unwrap_or_default();
    let unverified = |detail: String| match infos.iter().find(|info| weak(info)) {
        Some(info) => CaError::WeakKey { subject: info.subject.clone(), key: info.key.clone() },
        None => CaError::Unverified { subject: subject(), detail },
    };
    let leaf = authority.issue(&request, now).map_err(|error| match error {
        AuthorityError::Unverified { detail } => unverified(detail),
        error => error.into(),
    })?;
    let chain = authority.chain();
    let (anchor, between) = match chain.split_last() {
        Some((anchor, between)) => (std::slice::from_ref(anchor), between),
        None => return Ok(()),
    };
    verify::chain(&leaf.chain[0], between, anchor, Usage::Server, now)
        .map_err(|error| unverified(error.to_string()))
}

/// Whether clients refuse what such a key signs.
fn weak(info: &CertificateInfo) -> bool {
    let bits = info.key.strip_prefix("RSA ").and_then(|rest| rest.split(' ').next());
    bits.and_then(|bits| bits.parse::<u32>().ok()).is_some_and(|bits| bits < 2048)
}

fn warnings(infos: &[CertificateInfo], now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    for info in infos {
        let left = info.not_after.duration_since(now).as_hours() / 24;
        if left < CA_RENEW_DAYS {
            warnings.push(format!(
                "the CA {} ends at {}, in {left} days; change it before (`egret ca rotate`, if Egret made it), or clients refuse everything that is intercepted",
                info.subject, info.not_after
            ));
        }
        if let Some(constraints) = &info.name_constraints {
            let mut limits = Vec::new();
            if !constraints.permitted.is_empty() {
                limits.push(format!("only for {}", constraints.permitted.join(", ")));
            }
            if !constraints.excluded.is_empty() {
                limits.push(format!("never for {}", constraints.excluded.join(", ")));
            }
            warnings.push(format!(
                "the CA {} may sign {}; other hosts cannot be intercepted",
                info.subject,
                limits.join(", and ")
            ));
        }
    }
    let Some(own) = infos.first() else { return warnings };
    if own.key.starts_with("RSA") {
        warnings.push(format!(
            "the key of the CA is {}: each certificate takes up to some milliseconds to sign, against a fraction of one with ECDSA P-256",
            own.key
        ));
    }
    if own.key.starts_with("Ed25519") {
        warnings.push(
            "the key of the CA is Ed25519, which browsers, Windows and macOS do not know; take a CA with ECDSA P-256"
                .to_owned(),
        );
    }
    if infos.last().is_some_and(|last| last.subject != last.issuer) {
        warnings.push(format!(
            "the root above the CA is not in its file; clients have to trust {} already",
            infos.last().map(|last| last.issuer.as_str()).unwrap_or_default()
        ));
    }
    warnings
}
