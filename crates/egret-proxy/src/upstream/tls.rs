//! TLS towards origins and parents.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use egret_core::destination::Host;
use egret_core::identity::TlsVersion;
use egret_core::pattern::HostPattern;
use egret_core::reason::Reason;
use egret_core::record::UpstreamTls;
use egret_core::route::{ParentGroup, ParentScheme};
use egret_core::settings::{OriginTls, Snapshot, UpstreamSettings};
use egret_tls::client::{Alpn, ClientConfigs};
use egret_tls::explain::explain;
use egret_tls::files;
use egret_tls::roots::{GeneralRoots, RootsSource, certificates};
use egret_tls::upstream::{
    AlpnRule, ClientCertificate, Exceptions, MinVersion, PrivateCa, Problem, ProblemKind, Verifier,
    VersionRule,
};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::{DnsName, ServerName, UnixTime};
use tokio::time::{Instant, timeout_at};

use super::error::{DialError, UpstreamError};
use crate::stream::Stream;
use crate::tls_stream::TlsStream;

/// Whom a TLS server may be signed by.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// The general roots and `upstream.trustedCA`.
    Origin,
    /// The general roots and the group's own CA.
    Parent(&'a ParentGroup),
}

type Pem = Option<Arc<[u8]>>;

/// TLS with origins, as one snapshot has it.
struct Origins {
    tls: egret_tls::upstream::UpstreamTls,
    exceptions: Vec<(Vec<HostPattern>, Exceptions)>,
    trusted_ca: Pem,
    /// Other files were read, which may have changed since.
    has_files: bool,
    settings: Vec<OriginTls>,
}

impl Origins {
    fn new(
        general: &GeneralRoots,
        settings: &UpstreamSettings,
        overflows: &Arc<AtomicU64>,
    ) -> Result<Self, UpstreamError> {
        let public = general.with_pem(settings.trusted_ca.as_deref());
        let public = public
            .map_err(|source| UpstreamError::Trust { setting: "upstream.trustedCA".to_owned(), source })?;
        let unusable = |error: &dyn std::fmt::Display| UpstreamError::Origins(error.to_string());
        let configured = certificates(settings.trusted_ca.as_deref().unwrap_or_default());
        let mut tls = egret_tls::upstream::UpstreamSettings { public, configured, ..Default::default() };
        let mut exceptions = Vec::new();
        for origin in &settings.origins {
            let hosts = || origin.hosts.clone();
            if let Some(path) = &origin.trusted_ca {
                let roots = files::load_cas(path).map_err(|error| unusable(&error))?;
                tls.private.push(PrivateCa { hosts: hosts(), roots, only: origin.only_trusted_ca });
            }
            if let Some(shown) = &origin.client_certificate {
                let password = shown.password.as_deref().map(files::Password::load).transpose();
                let password = password.map_err(|error| unusable(&error))?;
                let identity =
                    files::load_identity(&shown.certificate, shown.key.as_deref(), password.as_ref())
                        .map_err(|error| unusable(&error))?;
                tls.client_certificates.push(ClientCertificate { hosts: hosts(), identity });
            }
            let min = match origin.min_version {
                TlsVersion::Tls12 => MinVersion::Tls12,
                TlsVersion::Tls13 => MinVersion::Tls13,
            };
            tls.min_versions.push(VersionRule { hosts: hosts(), min });
            let mut protocols = vec![b"http/1.1".to_vec()];
            if !origin.http1_only {
                protocols.push(b"h2".to_vec());
            }
            tls.alpn.push(AlpnRule { hosts: hosts(), protocols });
            let kinds = origin.accept.iter().map(|code| code.parse::<ProblemKind>());
            let kinds: Vec<_> = kinds.collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
            let excused = Exceptions::of(kinds).map_err(|error| unusable(&error))?;
            let excused = origin.pins.iter().fold(excused, |excused, pin| excused.with_pin(*pin));
            exceptions.push((hosts(), excused));
        }
        for path in &settings.crls {
            tls.crls.extend(files::load_crls(path).map_err(|error| unusable(&error))?);
        }
        Ok(Self {
            tls: egret_tls::upstream::UpstreamTls::new(tls)
                .map_err(|error| unusable(&error))?
                .counting(overflows.clone()),
            exceptions,
            trusted_ca: settings.trusted_ca.clone(),
            has_files: !settings.crls.is_empty()
                || settings
                    .origins
                    .iter()
                    .any(|origin| origin.trusted_ca.is_some() || origin.client_certificate.is_some()),
            settings: settings.origins.clone(),
        })
    }

    /// Whether nothing has changed, so that sessions can be kept.
    fn holds_for(&self, settings: &UpstreamSettings) -> bool {
        !self.has_files
            && settings.crls.is_empty()
            && self.trusted_ca == settings.trusted_ca
            && self.settings == settings.origins
    }

    fn config(&self, host: &Host, alpn: Alpn) -> Result<(Arc<ClientConfig>, Arc<Verifier>), DialError> {
        let wanted: &[&[u8]] = match alpn {
            Alpn::None => &[],
            Alpn::Http1 => &[b"http/1.1"],
            Alpn::Http2OrHttp1 => &[b"h2", b"http/1.1"],
        };
        let of_host =
            self.exceptions.iter().find(|(hosts, _)| hosts.iter().any(|pattern| pattern.matches(host)));
        let nothing = Exceptions::default();
        let excused = of_host.map_or(&nothing, |(_, excused)| excused);
        let made = self.tls.config(host, wanted, excused);
        made.map_err(|error| DialError::new(Reason::Internal, error.to_string()))
    }
}

/// The client configurations of one snapshot.
pub(super) struct TlsState {
    general: GeneralRoots,
    origins: Arc<Origins>,
    parents: HashMap<Pem, ClientConfigs>,
    /// How often there were too many configurations for origins, since the start.
    overflows: Arc<AtomicU64>,
}

impl TlsState {
    /// Loads the roots and checks every PEM of the snapshot. What did not change since `old` is taken
    /// over, with its sessions.
    pub(super) fn new(snapshot: &Snapshot, old: Option<&Self>) -> Result<Self, UpstreamError> {
        let general = GeneralRoots::load();
        for warning in &general.warnings {
            tracing::warn!("trust store: {warning}");
        }
        if general.source == RootsSource::BuiltIn {
            tracing::info!("the system has no trusted roots; Mozilla's are used");
        }
        let overflows = old.map(|old| old.overflows.clone()).unwrap_or_default();
        let old = old.filter(|old| old.general.store.roots == general.store.roots);
        let origins = match old.map(|old| &old.origins).filter(|old| old.holds_for(&snapshot.upstream)) {
            Some(old) => old.clone(),
            None => Arc::new(Origins::new(&general, &snapshot.upstream, &overflows)?),
        };
        let mut parents = HashMap::new();
        for group in &snapshot.routes.groups {
            let over_tls = group.parents.iter().any(|parent| parent.scheme == ParentScheme::Https);
            if !(over_tls || group.trusted_ca.is_some()) || parents.contains_key(&group.trusted_ca) {
                continue;
            }
            let kept = old.and_then(|old| old.parents.get(&group.trusted_ca)).cloned();
            let built = match kept {
                Some(kept) => kept,
                None => configs(&general, &group.trusted_ca, &format!("parents `{}` trustedCA", group.name))?,
            };
            parents.insert(group.trusted_ca.clone(), built);
        }
        Ok(Self { general, origins, parents, overflows })
    }

    /// How often there were too many configurations for origins, so that all were made again.
    pub(super) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    /// Whether no rule keeps HTTP/2 from an origin.
    pub(super) fn offers_http2(&self, host: &Host) -> bool {
        !self.origins.tls.alpn(host, &[b"h2"]).is_empty()
    }

    fn configs(&self, group: &ParentGroup) -> Result<ClientConfigs, DialError> {
        match self.parents.get(&group.trusted_ca) {
            Some(configs) => Ok(configs.clone()),
            // A flow that was decided by the snapshot before this one.
            None => configs(&self.general, &group.trusted_ca, &group.name)
                .map_err(|error| DialError::new(Reason::Internal, error.to_string())),
        }
    }

    /// Shakes hands as a client. The server must prove that it is `host`.
    pub(super) async fn connect(
        &self,
        io: Stream,
        host: &Host,
        roots: Roots<'_>,
        alpn: Alpn,
        deadline: Instant,
    ) -> Result<(Stream, Arc<UpstreamTls>), DialError> {
        let started = Instant::now();
        let peer = io.tcp_beneath().and_then(|tcp| tcp.peer_addr().ok());
        let Some(name) = server_name(host) else {
            let detail = format!("{host}: no certificate can be for this name");
            return Err(DialError::new(Reason::TlsFailed, detail));
        };
        let (config, verifier) = match roots {
            Roots::Origin => {
                let (config, verifier) = self.origins.config(host, alpn)?;
                (config, Some(verifier))
            }
            Roots::Parent(group) => (self.configs(group)?.for_alpn(alpn).clone(), None),
        };
        let mut error = match timeout_at(deadline, TlsStream::connect(io, config, name.clone())).await {
            Ok(Ok(tls)) => {
                let facts = facts(tls.connection(), &name, verifier.as_deref());
                return Ok((Stream::Tls(tls), Arc::new(facts)));
            }
            Ok(Err(error)) if verifier.is_some() => origin_failure(host, &error),
            Ok(Err(error)) => failure(host, &error),
            Err(_) => {
                let waited = started.elapsed().as_secs_f64();
                let detail = format!("{host}: the TLS handshake was not complete after {waited:.1} s");
                DialError::new(Reason::TlsFailed, detail)
            }
        };
        error.phases.tls = Some(started.elapsed());
        error.dialled = peer;
        Err(error)
    }
}

/// What was agreed with a server, and what was excused.
fn facts(connection: &ClientConnection, name: &ServerName<'_>, verifier: Option<&Verifier>) -> UpstreamTls {
    let excused = verifier.filter(|verifier| verifier.excuses()).zip(connection.peer_certificates());
    let excused = excused.and_then(|(verifier, chain)| {
        let (own, above) = chain.split_first()?;
        verifier.check(own, above, &[], name, UnixTime::now()).ok()
    });
    let codes: Vec<_> = excused.iter().flatten().map(|problem| problem.kind().code()).collect();
    UpstreamTls {
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        },
        excused: (!codes.is_empty()).then(|| codes.join(",").into()),
    }
}

fn configs(general: &GeneralRoots, pem: &Pem, setting: &str) -> Result<ClientConfigs, UpstreamError> {
    let roots = general
        .with_pem(pem.as_deref())
        .map_err(|source| UpstreamError::Trust { setting: setting.to_owned(), source })?;
    Ok(ClientConfigs::new(roots)?)
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => DnsName::try_from(name.to_string()).ok().map(ServerName::DnsName),
        Host::Address(address) => Some(ServerName::from(*address)),
    }
}

/// What is wrong with an origin, and what can be done.
fn origin_failure(host: &Host, error: &io::Error) -> DialError {
    let Some(problem) = Problem::of_io(error) else { return failure(host, error) };
    let reason = if problem.kind().is_certificate() { Reason::TlsCertificate } else { Reason::TlsFailed };
    let (what, code, advice) = (problem.what(), problem.kind(), problem.advice());
    DialError::new(reason, format!("{host}: {what} ({code}); {advice}"))
}

fn failure(host: &Host, error: &io::Error) -> DialError {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        let problem = explain(error);
        let reason = if problem.certificate { Reason::TlsCertificate } else { Reason::TlsFailed };
        return DialError::new(reason, format!("{host}: {}", problem.detail));
    }
    let detail = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection during the TLS handshake".to_owned(),
        io::ErrorKind::ConnectionReset => "it reset the connection during the TLS handshake".to_owned(),
        _ => format!("the connection failed during the TLS handshake: {error}"),
    };
    DialError::new(Reason::TlsFailed, format!("{host}: {detail}"))
}
