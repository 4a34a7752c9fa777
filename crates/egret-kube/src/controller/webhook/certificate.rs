//! The webhook's certificate: when it is good enough, and how it is changed for the next without a moment in which
//! the API server trusts another than the one that is served.
//!
//! Each certificate has a CA of its own, whose key is thrown away at once: there is no key in the cluster that could
//! make another. A change takes two steps. First the next certificate is *staged*, its CA trusted beside the old one;
//! then, when the API server knows, it is *served*. The old CA is trusted for a while longer, for replicas that have
//! not read the Secret yet.

use std::path::Path;

use egret_tls::authority::{
    Authority, CaRequest, Constraints, KeyType, LeafRequest, Name, Purpose, Subject, default_server_names,
};
use egret_tls::files::{Identity, cas_from_bytes, chain_pem, identity_from_bytes, key_pem};
use egret_tls::inspect::CertificateInfo;
use egret_tls::verify::{self, Usage};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

/// How long the next certificate waits for the API server and the other replicas, at least.
pub(crate) const STAGED: SignedDuration = SignedDuration::from_secs(30);
/// How long the old CA is trusted after a change.
pub(crate) const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// The CA ends this many days after what it signed.
const CA_MARGIN_DAYS: u32 = 30;

/// What the Secret holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    /// What is served, PEM.
    pub(crate) certificate: Vec<u8>,
    /// Its key, PEM.
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// What the API server is to trust, PEM.
    pub(crate) trust: Vec<u8>,
    /// What will be served.
    pub(crate) next: Option<Staged>,
    /// When the last step was made.
    pub(crate) since: Option<Timestamp>,
}

/// A certificate that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged {
    /// PEM.
    pub(crate) certificate: Vec<u8>,
    /// PEM.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing now; look again at this time.
    Keep(Timestamp),
    /// Store this.
    Store(Box<Stored>, &'static str),
}

/// Decides on the next step.
///
/// # Errors
/// No certificate can be made.
pub(crate) fn plan(
    stored: Option<&Stored>,
    names: &[Name],
    days: u32,
    now: Timestamp,
) -> Result<Step, String> {
    let Some(stored) = stored else {
        return Ok(Step::Store(Box::new(make(names, days, now)?), "there was none"));
    };
    let looked = look(&stored.certificate, &stored.key, &stored.trust, names, now);
    let Ok(info) = looked else {
        // What is staged is trusted already.
        if let Some(switched) = switch(stored, names, now) {
            return Ok(Step::Store(Box::new(switched), "the one before could not be used any more"));
        }
        return Ok(Step::Store(Box::new(make(names, days, now)?), "the one before could not be used"));
    };
    let since = stored.since.unwrap_or(info.not_before);
    let after = |span: SignedDuration| since.checked_add(span).unwrap_or(now);
    if stored.next.is_some() {
        if now < after(STAGED) {
            return Ok(Step::Keep(after(STAGED)));
        }
        return Ok(match switch(stored, names, now) {
            Some(switched) => Step::Store(Box::new(switched), "the API server trusts it by now"),
            None => {
                Step::Store(Box::new(Stored { next: None, ..stored.clone() }), "what was staged is no good")
            }
        });
    }
    let renew = renewal(&info);
    if now >= renew {
        let made = make(names, days, now)?;
        let mut trust = trust_of(&stored.trust, now);
        trust.extend(trust_of(&made.trust, now));
        let staged = Stored {
            certificate: stored.certificate.clone(),
            key: stored.key.clone(),
            trust: chain_pem(&trust).into_bytes(),
            next: Some(Staged { certificate: made.certificate, key: made.key }),
            since: Some(now),
        };
        return Ok(Step::Store(Box::new(staged), "the one before ends soon"));
    }
    let trust = trust_of(&stored.trust, now);
    if trust.len() > 1 {
        if now < after(OVERLAP) {
            return Ok(Step::Keep(after(OVERLAP)));
        }
        let own = trust.into_iter().filter(|ca| signed_by(&stored.certificate, ca, now));
        let own: Vec<_> = own.collect();
        let stored = Stored { trust: chain_pem(&own).into_bytes(), ..stored.clone() };
        return Ok(Step::Store(Box::new(stored), "the CA before is needed no more"));
    }
    Ok(Step::Keep(renew))
}

/// When two thirds of its life are over.
fn renewal(info: &CertificateInfo) -> Timestamp {
    let life = info.not_after.duration_since(info.not_before);
    info.not_before.checked_add(life * 2 / 3).unwrap_or(info.not_after)
}

fn switch(stored: &Stored, names: &[Name], now: Timestamp) -> Option<Stored> {
    let next = stored.next.as_ref()?;
    look(&next.certificate, &next.key, &stored.trust, names, now).ok()?;
    Some(Stored {
        certificate: next.certificate.clone(),
        key: next.key.clone(),
        trust: stored.trust.clone(),
        next: None,
        since: Some(now),
    })
}

/// Makes a CA and what it signs, and forgets the CA's key.
fn make(names: &[Name], days: u32, now: Timestamp) -> Result<Stored, String> {
    let subject = |common_name: String| Subject { common_name, organization: Some("Egret".to_owned()) };
    let tag = now.as_second();
    let authority = Authority::create(
        &CaRequest {
            subject: subject(format!("Egret webhook CA {tag:x}{:04x}", rand::random::<u16>())),
            key_type: KeyType::EcdsaP256,
            days: days.saturating_add(CA_MARGIN_DAYS),
            path_length: Some(0),
            constraints: Constraints::default(),
        },
        now,
    )
    .map_err(|error| error.to_string())?;
    let request = LeafRequest {
        purpose: Purpose::Server,
        subject: subject("Egret webhook".to_owned()),
        names: names.to_vec(),
        key_type: KeyType::EcdsaP256,
        days,
    };
    let identity = authority.issue(&request, now).map_err(|error| error.to_string())?;
    let key = key_pem(&identity.key).map_err(|problem| problem.to_string())?;
    Ok(Stored {
        certificate: chain_pem(&identity.chain).into_bytes(),
        key: Zeroizing::new(key.as_bytes().to_vec()),
        trust: chain_pem(authority.chain()).into_bytes(),
        next: None,
        since: Some(now),
    })
}

/// The names that the certificate is for: as the API server calls it, by Service or by URL, and from here.
pub(crate) fn names(service: &str, namespace: &str, url: Option<&str>) -> Vec<Name> {
    let mut names = default_server_names(service, namespace);
    let host = url.and_then(|url| url.parse::<http::Uri>().ok()?.host().map(str::to_owned));
    if let Some(host) = host {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = match bare.parse() {
            Ok(address) => Name::Ip(address),
            Err(_) => Name::Dns(bare.to_ascii_lowercase()),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Looks at a certificate: whether it belongs to its key, is valid now, is for these names, and verifies under what
/// is to be trusted. Without `trust` the last is not asked.
///
/// # Errors
/// Why not, in words.
pub(crate) fn look(
    certificate: &[u8],
    key: &[u8],
    trust: &[u8],
    names: &[Name],
    now: Timestamp,
) -> Result<CertificateInfo, String> {
    let identity = read(certificate, key)?;
    let info = CertificateInfo::parse(&identity.chain[0])?;
    if now > info.not_after {
        return Err(format!("it ended at {}", info.not_after));
    }
    let missing = names.iter().find(|name| !info.names.contains(&name.to_string()));
    if let Some(missing) = missing {
        return Err(format!("it is not for {missing}"));
    }
    let trust = trust_of(trust, now);
    let signed = verify::chain(&identity.chain[0], &identity.chain[1..], &trust, Usage::Server, now);
    signed.map_err(|error| format!("it does not verify under its CA: {error}"))?;
    Ok(info)
}

/// Reads a certificate with its key.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn read(certificate: &[u8], key: &[u8]) -> Result<Identity, String> {
    identity_from_bytes((Path::new("tls.crt"), certificate), Some((Path::new("tls.key"), key)), None)
        .map_err(|error| error.to_string())
}

/// The CAs of a PEM that have not ended; nothing where it is none.
pub(crate) fn trust_of(pem: &[u8], now: Timestamp) -> Vec<CertificateDer<'static>> {
    let all = cas_from_bytes(Path::new("ca.crt"), pem).unwrap_or_default();
    let in_time = |ca: &CertificateDer<'static>| {
        CertificateInfo::parse(ca).is_ok_and(|info| info.ca && info.not_after >= now)
    };
    all.into_iter().filter(in_time).collect()
}

fn signed_by(certificate: &[u8], ca: &CertificateDer<'static>, now: Timestamp) -> bool {
    let chain = egret_tls::files::Contents::parse(certificate, None);
    let first = chain.ok().and_then(|contents| contents.certificates().next().cloned());
    first.is_some_and(|leaf| verify::chain(&leaf, &[], std::slice::from_ref(ca), Usage::Server, now).is_ok())
}

#[cfg(test)]
mod tests;
