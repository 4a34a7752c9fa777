//! TLS towards origins and parents.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use egret_core::destination::Host;
use egret_core::reason::Reason;
use egret_core::route::{ParentGroup, ParentScheme};
use egret_core::settings::Snapshot;
use egret_tls::client::{Alpn, ClientConfigs};
use egret_tls::explain::explain;
use egret_tls::roots::{GeneralRoots, RootsSource};
use rustls_pki_types::{DnsName, ServerName};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::error::{DialError, UpstreamError};
use crate::stream::Stream;

/// Whom a TLS server may be signed by.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// The general roots and `upstream.trustedCA`.
    Origin,
    /// The general roots and the group's own CA.
    Parent(&'a ParentGroup),
}

type Pem = Option<Arc<[u8]>>;

/// The client configurations of one snapshot.
pub(super) struct TlsState {
    general: GeneralRoots,
    origin_ca: Pem,
    origin: ClientConfigs,
    parents: HashMap<Pem, ClientConfigs>,
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
        let old = old.filter(|old| old.general.store.roots == general.store.roots);
        let origin_ca = snapshot.upstream.trusted_ca.clone();
        let origin = match old.filter(|old| old.origin_ca == origin_ca) {
            Some(old) => old.origin.clone(),
            None => configs(&general, &origin_ca, "upstream.trustedCA")?,
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
        Ok(Self { general, origin_ca, origin, parents })
    }

    fn configs(&self, roots: Roots<'_>) -> Result<ClientConfigs, DialError> {
        match roots {
            Roots::Origin => Ok(self.origin.clone()),
            Roots::Parent(group) => match self.parents.get(&group.trusted_ca) {
                Some(configs) => Ok(configs.clone()),
                // A flow that was decided by the snapshot before this one.
                None => configs(&self.general, &group.trusted_ca, &group.name)
                    .map_err(|error| DialError::new(Reason::Internal, error.to_string())),
            },
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
    ) -> Result<Stream, DialError> {
        let started = Instant::now();
        let peer = io.tcp_beneath().and_then(|tcp| tcp.peer_addr().ok());
        let outcome = match (self.configs(roots), server_name(host)) {
            (Ok(configs), Some(name)) => {
                let connector = TlsConnector::from(configs.for_alpn(alpn).clone());
                timeout_at(deadline, connector.connect(name, io)).await
            }
            (Err(error), _) => return Err(error),
            (_, None) => {
                let detail = format!("{host}: no certificate can be for this name");
                return Err(DialError::new(Reason::TlsFailed, detail));
            }
        };
        let mut error = match outcome {
            Ok(Ok(tls)) => return Ok(Stream::Tls(Box::new(tls))),
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
