//! Access records of the past, line by line: Egret's JSON and logfmt, and Squid's native format.
//!
//! Lines come from anybody who could send a request, so each is bounded, and what cannot be used is counted
//! and passed over.

mod json;
mod logfmt;
mod progress;
mod read;
mod squid;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use egret_core::destination::Destination;
use egret_core::identity::{
    CertificateName, ClientCertificate, ClientTls, Identity, NameKind, Proof, TlsVersion, User, Workload,
};

pub(super) use self::progress::Progress;
pub(super) use self::read::{Lines, Source, Stats, read_all};
use super::subject::account_of;
use super::target::Target;

/// What the line of a flow says, as far as policies ask.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields<'a> {
    /// When it ended, in milliseconds since 1970.
    pub(super) time: Option<i64>,
    pub(super) client: Option<IpAddr>,
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) certificate: Option<Cow<'a, str>>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) service_account: Option<Cow<'a, str>>,
    pub(super) method: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    pub(super) status: u16,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) blame: Option<Cow<'a, str>>,
    /// The address that was connected to, where it is the destination's own.
    pub(super) dialled: Option<IpAddr>,
    /// Some connection was made.
    pub(super) connected: bool,
    /// The proxy answered by itself.
    pub(super) local: bool,
    pub(super) audit_policy: Option<Cow<'a, str>>,
    pub(super) audit_rule: Option<Cow<'a, str>>,
    pub(super) user_agent: Option<Cow<'a, str>>,
    pub(super) bytes_up: u64,
    pub(super) interim: bool,
}

/// A flow of the past.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) target: Target,
    pub(super) was: Was,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    /// It was allowed, and reached its destination.
    Reached,
    /// It was allowed, and failed on its way.
    Failed,
    /// A rule or the default denied it.
    Denied,
    /// The built-in guard denied it, which no policy can change.
    Guarded,
}

/// Why a line cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unusable {
    /// It is longer than any record.
    TooLong,
    /// It is no record in a format that is known.
    NoRecord,
    /// It names no destination.
    NoDestination,
    /// It never came to a decision: bad requests, credentials that were asked for, limits, and what the
    /// proxy answers by itself.
    Undecided,
}

impl Unusable {
    /// In words, for a count.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::TooLong => "longer than any record",
            Self::NoRecord => "no record in a format that is known (JSON, logfmt, Squid's native)",
            Self::NoDestination => "without a destination that can be read",
            Self::Undecided => {
                "never came to a decision (bad requests, missing credentials, limits, own pages)"
            }
        }
    }
}

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Result<Record<'_>, Unusable> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| Unusable::NoRecord)?;
    let fields = match text.trim_start().as_bytes().first() {
        Some(b'{') => json::fields(text),
        Some(b'0'..=b'9') => squid::fields(text),
        _ => logfmt::fields(text),
    }
    .ok_or(Unusable::NoRecord)?;
    let was = was(&fields).ok_or(Unusable::Undecided)?;
    let target = Target::parse(&fields.target).map_err(|_| Unusable::NoDestination)?;
    Ok(Record { fields, target, was })
}

fn was(fields: &Fields<'_>) -> Option<Was> {
    match fields.reason.as_deref() {
        Some("denied-by-rule" | "denied-by-default") => return Some(Was::Denied),
        Some("denied-by-guard" | "loop-detected") => return Some(Was::Guarded),
        // A rule allowed it, and refused what it was then used for.
        Some(
            "sni-mismatch"
            | "tls-version-too-low"
            | "client-hello-malformed"
            | "body-too-large"
            | "rate-limited",
        ) => return Some(Was::Failed),
        _ => {}
    }
    let is_good = (100..500).contains(&fields.status);
    match (fields.reason.as_deref(), fields.blame.as_deref()) {
        (None, _) if fields.local => None,
        (None, _) => Some(Was::Reached),
        (Some(_), Some("upstream")) => {
            Some(if is_good && fields.connected { Was::Reached } else { Was::Failed })
        }
        (Some(_), _) if fields.connected => Some(if is_good { Was::Reached } else { Was::Failed }),
        (Some(_), _) => None,
    }
}

impl Record<'_> {
    /// The destination.
    pub(super) fn destination(&self) -> &Destination {
        &self.target.destination
    }

    /// Whether a rule of a policy in mode Audit would have denied it.
    pub(super) fn audit_denied(&self) -> bool {
        self.fields.audit_rule.is_some()
    }

    /// When it was.
    pub(super) fn when(&self) -> SystemTime {
        let millis = self.fields.time.unwrap_or(0);
        let since = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { SystemTime::UNIX_EPOCH - since } else { SystemTime::UNIX_EPOCH + since }
    }

    /// The identity, as far as the record tells it: without groups and labels.
    pub(super) fn identity(&self) -> Identity {
        let fields = &self.fields;
        let client = fields.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut identity = Identity::from_address(SocketAddr::new(client, 0));
        identity.user = fields.user.as_deref().map(|name| User {
            name: name.into(),
            proof: Proof::Htpasswd,
            groups: Vec::<Arc<str>>::new().into(),
            workload: None,
        });
        if let Some(name) = fields.certificate.as_deref() {
            let certificate = ClientCertificate::new(vec![certificate_name(name)]);
            identity.tls = Some(Arc::new(ClientTls {
                version: TlsVersion::Tls13,
                cipher_suite: "TLS13_AES_256_GCM_SHA384",
                server_name: None,
                resumed: false,
                certificate: Some(Arc::new(certificate)),
                listener: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 8443),
                judged_by: 0,
            }));
        }
        identity.workload = self.account().map(|(namespace, account)| {
            Arc::new(Workload {
                namespace: namespace.into(),
                service_account: account.map(Into::into),
                ..Workload::default()
            })
        });
        identity
    }

    /// The namespace and the service account.
    pub(super) fn account(&self) -> Option<(&str, Option<&str>)> {
        let fields = &self.fields;
        if let Some(namespace) = fields.namespace.as_deref() {
            return Some((namespace, fields.service_account.as_deref()));
        }
        let (namespace, account) = account_of(fields.certificate.as_deref()?)?;
        Some((namespace, Some(account)))
    }
}

/// The name that stands for a certificate in records, of which the kind is told by its look.
pub(super) fn certificate_name(name: &str) -> CertificateName {
    let kind = if name.contains("://") || name.starts_with("urn:") {
        NameKind::Uri
    } else if name.contains('=') {
        NameKind::Subject
    } else if name.contains('@') {
        NameKind::Email
    } else {
        NameKind::Dns
    };
    CertificateName::new(kind, name)
}

/// The address of `address:port`, or of an address alone.
fn address(text: &str) -> Option<IpAddr> {
    let parsed = text.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| text.parse::<IpAddr>());
    parsed.ok().map(|address| address.to_canonical())
}

/// An RFC 3339 time in milliseconds since 1970.
fn millis(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests;
