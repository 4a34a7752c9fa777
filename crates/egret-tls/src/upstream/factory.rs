//! The client configurations for origins: one for each set of rules that holds for some host, so that sessions
//! are resumed.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use egret_core::destination::Host;
use egret_core::pattern::HostPattern;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::verifier::Trusted;
use super::{Exceptions, Verifier};
use crate::files::Identity;

/// Sessions kept for resumption in each configuration: server names, most recent first.
const SESSIONS: usize = 1024;

/// Configurations kept at most: the limit `upstream_tls_configurations`. Rules make a handful; with more, all are
/// made again, and sessions are lost.
const CONFIGURATIONS: usize = 512;

/// CAs that hosts may be signed by besides the public ones.
#[derive(Clone, Debug)]
pub struct PrivateCa {
    /// Which hosts.
    pub hosts: Vec<HostPattern>,
    /// The CAs.
    pub roots: Vec<CertificateDer<'static>>,
    /// The hosts may be signed by these alone, and by no public CA.
    pub only: bool,
}

/// What is shown to hosts that ask for a certificate.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// Which hosts.
    pub hosts: Vec<HostPattern>,
    /// The certificate and its key.
    pub identity: Identity,
}

/// Which protocols are offered to hosts in ALPN.
#[derive(Clone, Debug)]
pub struct AlpnRule {
    /// Which hosts.
    pub hosts: Vec<HostPattern>,
    /// The protocols that may be offered: `http/1.1` alone for a host that does HTTP/2 badly.
    pub protocols: Vec<Vec<u8>>,
}

/// The lowest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl FromStr for MinVersion {
    type Err = UpstreamSettingsError;

    /// `1.2` or `1.3`, with `TLS` before it or without.
    fn from_str(text: &str) -> Result<Self, UpstreamSettingsError> {
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_prefix("tls").unwrap_or(&lower).trim_start_matches([' ', 'v']);
        match bare {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            "1" | "1.0" | "1.1" | "ssl3" | "sslv3" => {
                Err(UpstreamSettingsError::OldVersion { text: text.to_owned() })
            }
            _ => Err(UpstreamSettingsError::Version { text: text.to_owned() }),
        }
    }
}

/// The lowest version of TLS that is spoken with some hosts.
#[derive(Clone, Debug)]
pub struct VersionRule {
    /// Which hosts.
    pub hosts: Vec<HostPattern>,
    /// The version.
    pub min: MinVersion,
}

/// What holds for TLS towards origins. In each list the first that names a host holds for it, but for private
/// CAs, which all add up.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// The roots that every host may be signed by.
    pub public: RootCertStore,
    /// Those of them that were configured and not the system's, whole: an origin that shows one of them as its own
    /// certificate is trusted by it.
    pub configured: Vec<CertificateDer<'static>>,
    /// Private CAs.
    pub private: Vec<PrivateCa>,
    /// Client certificates.
    pub client_certificates: Vec<ClientCertificate>,
    /// Revocation lists.
    pub crls: Vec<CertificateRevocationListDer<'static>>,
    /// ALPN by host.
    pub alpn: Vec<AlpnRule>,
    /// The lowest version where no rule says otherwise.
    pub min_version: MinVersion,
    /// The lowest version by host.
    pub min_versions: Vec<VersionRule>,
}

impl Default for UpstreamSettings {
    /// Trusts nobody.
    fn default() -> Self {
        Self {
            public: RootCertStore::empty(),
            configured: Vec::new(),
            private: Vec::new(),
            client_certificates: Vec::new(),
            crls: Vec::new(),
            alpn: Vec::new(),
            min_version: MinVersion::default(),
            min_versions: Vec::new(),
        }
    }
}

/// Why settings cannot be used. It prints as one line: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamSettingsError {
    /// A CA cannot be trusted.
    #[error(
        "CA {index} of private CAs {group} cannot be trusted: {detail}; look at it with `egret certs show`"
    )]
    Ca {
        /// Which group, counted from 1.
        group: usize,
        /// Which CA in it, counted from 1.
        index: usize,
        /// Why.
        detail: String,
    },
    /// A revocation list cannot be read.
    #[error(
        "revocation list {index} cannot be used: {detail}; give a whole list (no delta, no indirect one) as its CA publishes it"
    )]
    Crl {
        /// Which, counted from 1.
        index: usize,
        /// Why.
        detail: String,
    },
    /// A client certificate cannot be used.
    #[error("client certificate {index} cannot be used: {detail}")]
    ClientCertificate {
        /// Which, counted from 1.
        index: usize,
        /// Why.
        detail: String,
    },
    /// A version that the program does not have.
    #[error(
        "{text} cannot be the lowest version: TLS 1.0 and 1.1 are broken, and rustls, which Egret speaks TLS with, does not have them (RFC 8996); give 1.2 or 1.3, and tunnel hosts that have nothing better, so that clients speak with them themselves"
    )]
    OldVersion {
        /// What was given.
        text: String,
    },
    /// No version.
    #[error("{text:?} is no version of TLS; give 1.2 or 1.3")]
    Version {
        /// What was given.
        text: String,
    },
    /// The cryptographic provider cannot do it.
    #[error("TLS cannot be set up: {detail}")]
    Provider {
        /// Why.
        detail: String,
    },
}

/// What a configuration is made of.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Parts {
    private: Vec<usize>,
    client: Option<usize>,
    min: MinVersion,
    alpn: Vec<Vec<u8>>,
    exceptions: Exceptions,
}

/// A configuration, and the verifier in it.
type Made = (Arc<ClientConfig>, Arc<Verifier>);

/// TLS towards origins.
pub struct UpstreamTls {
    settings: UpstreamSettings,
    lists: Arc<[CertRevocationList<'static>]>,
    keys: Vec<Arc<CertifiedKey>>,
    configurations: Mutex<HashMap<Parts, Made>>,
    /// How often all configurations were made again.
    overflows: Arc<AtomicU64>,
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UpstreamTls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl UpstreamTls {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first thing in them that cannot be used: nothing that somebody configured is left out without a word.
    pub fn new(settings: UpstreamSettings) -> Result<Self, UpstreamSettingsError> {
        for (group, private) in settings.private.iter().enumerate() {
            for (index, der) in private.roots.iter().enumerate() {
                webpki::anchor_from_trusted_cert(der).map_err(|error| UpstreamSettingsError::Ca {
                    group: group + 1,
                    index: index + 1,
                    detail: format!("{error:?}"),
                })?;
            }
        }
        let list = |(index, der): (usize, &CertificateRevocationListDer<'_>)| {
            OwnedCertRevocationList::from_der(der).map(CertRevocationList::from).map_err(|error| {
                UpstreamSettingsError::Crl { index: index + 1, detail: format!("{error:?}") }
            })
        };
        let lists = settings.crls.iter().enumerate().map(list).collect::<Result<Vec<_>, _>>()?;
        let key = |(index, certificate): (usize, &ClientCertificate)| {
            let Identity { chain, key } = certificate.identity.clone();
            crate::server::certified(chain, key).map(Arc::new).map_err(|error| {
                UpstreamSettingsError::ClientCertificate { index: index + 1, detail: error.to_string() }
            })
        };
        let keys = settings.client_certificates.iter().enumerate().map(key).collect::<Result<_, _>>()?;
        let (configurations, overflows) = (Mutex::default(), Arc::default());
        Ok(Self { lists: lists.into(), keys, configurations, overflows, settings })
    }

    /// Counts on with this counter how often there were too many configurations, so that all were made again: the
    /// limit `upstream_tls_configurations`.
    #[must_use]
    pub fn counting(mut self, overflows: Arc<AtomicU64>) -> Self {
        self.overflows = overflows;
        self
    }

    /// The configuration for a host, and its verifier: these protocols are wanted, the most wanted first, and
    /// offered as far as the rules for the host allow; policy excuses these. The same question gets the same
    /// configuration, with its sessions.
    ///
    /// # Errors
    /// The cryptographic provider cannot do it; this does not happen with the one that is built in.
    pub fn config(
        &self,
        host: &Host,
        wanted: &[&[u8]],
        exceptions: &Exceptions,
    ) -> Result<(Arc<ClientConfig>, Arc<Verifier>), UpstreamSettingsError> {
        let parts = self.parts(host, wanted, exceptions);
        let mut configurations = self.configurations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = configurations.get(&parts) {
            return Ok(found.clone());
        }
        if configurations.len() >= CONFIGURATIONS {
            configurations.clear();
            self.overflows.fetch_add(1, Ordering::Relaxed);
        }
        let made = self.build(&parts)?;
        configurations.insert(parts, made.clone());
        Ok(made)
    }

    /// The protocols that are offered to a host, of those that are wanted.
    #[must_use]
    pub fn alpn(&self, host: &Host, wanted: &[&[u8]]) -> Vec<Vec<u8>> {
        let rule = self.settings.alpn.iter().find(|rule| names(&rule.hosts, host));
        let allowed = |protocol: &&&[u8]| {
            rule.is_none_or(|rule| rule.protocols.iter().any(|allowed| allowed == **protocol))
        };
        wanted.iter().filter(allowed).map(|protocol| protocol.to_vec()).collect()
    }

    fn parts(&self, host: &Host, wanted: &[&[u8]], exceptions: &Exceptions) -> Parts {
        let settings = &self.settings;
        let private = settings.private.iter().enumerate();
        Parts {
            private: private.filter(|(_, ca)| names(&ca.hosts, host)).map(|(index, _)| index).collect(),
            client: settings.client_certificates.iter().position(|client| names(&client.hosts, host)),
            min: settings
                .min_versions
                .iter()
                .find(|rule| names(&rule.hosts, host))
                .map_or(settings.min_version, |rule| rule.min),
            alpn: self.alpn(host, wanted),
            exceptions: exceptions.clone(),
        }
    }

    fn build(&self, parts: &Parts) -> Result<Made, UpstreamSettingsError> {
        let groups = || parts.private.iter().filter_map(|index| self.settings.private.get(*index));
        let (mut roots, mut configured) = if groups().any(|ca| ca.only) {
            (RootCertStore::empty(), Vec::new())
        } else {
            (self.settings.public.clone(), self.settings.configured.clone())
        };
        configured.extend(groups().flat_map(|ca| ca.roots.iter().cloned()));
        roots.add_parsable_certificates(groups().flat_map(|ca| ca.roots.iter().cloned()));
        let roots = Trusted { roots: Arc::new(roots), configured: configured.into() };
        let verifier = Verifier::new(roots, self.lists.clone(), parts.exceptions.clone());
        let verifier = Arc::new(verifier);
        const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        let versions = match parts.min {
            MinVersion::Tls12 => rustls::DEFAULT_VERSIONS,
            MinVersion::Tls13 => TLS13,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .map_err(|error| UpstreamSettingsError::Provider { detail: error.to_string() })?
            // Not less strict than the usual one, but more, and with better words: see its docs.
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match parts.client.and_then(|index| self.keys.get(index)) {
            Some(key) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                key.as_ref().clone(),
            ))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = parts.alpn.clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok((Arc::new(config), verifier))
    }
}

fn names(patterns: &[HostPattern], host: &Host) -> bool {
    patterns.iter().any(|pattern| pattern.matches(host))
}
