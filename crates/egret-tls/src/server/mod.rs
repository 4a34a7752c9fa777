//! TLS towards clients: the configuration of one listener, made from its files.
//!
//! Every listener has keys for its session tickets of its own, and gets new ones when what its clients
//! are judged by changes: a session that was opened under other rules is then not resumed, but shaken
//! hands for anew. Tickets are encrypted with AES-256 under keys that all workers share and that are
//! changed every six hours.

mod failure;
mod names;
pub(crate) mod ocsp;
mod remembered;
mod resolver;
#[cfg(test)]
mod tests;
mod verifier;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egret_core::identity::{ClientTls, TlsVersion};
use egret_core::reason::Reason;
use egret_core::settings::{CertificateFiles, ClientAuth, ListenerTls};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};

use crate::files::{self, FileError, Limit, Password};
use resolver::{Entry, Resolver};
use verifier::ClientVerifier;

pub use failure::{Failure, failure, is_too_old};

/// Protocols in ALPN (RFC 7301), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How long before its end a certificate is worth a warning.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Something wrong with a setting of a listener's `tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// Where it stands under `tls`, as in `certificates/0/key`.
    pub setting: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl std::fmt::Display for SettingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tls.{}: {}", self.setting.replace('/', "."), self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl SettingError {
    fn file(setting: impl Into<String>, error: &FileError) -> Self {
        Self {
            setting: setting.into(),
            message: format!("{}: {}", error.path.display(), error.problem),
            help: Some(error.problem.advice().to_owned()),
        }
    }
}

/// What is worth knowing of a server certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its first name.
    pub name: String,
    /// When it ends, in seconds since the epoch.
    pub not_after: i64,
}

/// What a listener's clients are judged by, and what its sessions therefore depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judging {
    settings: (ClientAuth, TlsVersion, Vec<String>),
    cas: Vec<CertificateDer<'static>>,
    crls: Vec<CertificateRevocationListDer<'static>>,
}

/// TLS of one listener. Immutable; a reload makes a new one.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// For clients that would rather have ChaCha20-Poly1305: they have no AES in hardware.
    for_chacha20: Arc<ServerConfig>,
    verifier: Option<Arc<ClientVerifier>>,
    judging: Judging,
    /// Another number where `judging` is another.
    judged_by: u64,
    identities: Vec<(Vec<CertificateDer<'static>>, Option<Vec<u8>>)>,
    /// The certificates, the default first.
    pub certificates: Vec<CertificateFacts>,
    /// What to tell whoever runs the proxy, although it can be used.
    pub warnings: Vec<String>,
}

impl ServerTls {
    /// Reads the files of a listener. What did not change since `before` is taken over, with the
    /// sessions of its clients. Blocks: not for the data path.
    ///
    /// # Errors
    /// Everything that is wrong, each with its setting.
    pub fn load(settings: &ListenerTls, before: Option<&Self>) -> Result<Self, Vec<SettingError>> {
        let mut loading = Loading::default();
        loading.certificates(&settings.certificates);
        let judging = loading.judging(settings);
        let verifier = loading.verifier(settings, &judging);
        if !loading.errors.is_empty() {
            return Err(loading.errors);
        }
        let Loading { resolver, identities, certificates, warnings, .. } = loading;
        let before = before.filter(|before| before.judging == judging);
        let judged_by = before.map_or_else(next_number, |before| before.judged_by);
        let unchanged = before.filter(|before| before.identities == identities);
        let (config, for_chacha20, verifier) = match unchanged {
            Some(before) => (before.config.clone(), before.for_chacha20.clone(), before.verifier.clone()),
            None => {
                // The judgements of before hold on as well.
                let verifier = before.map_or(verifier, |before| before.verifier.clone());
                let before = before.map(|before| &before.config);
                let config = config(settings, resolver, verifier.clone(), before)
                    .map_err(|error| vec![general(&error)])?;
                let mut for_chacha20 = config.clone();
                for_chacha20.ignore_client_order = false;
                (Arc::new(config), Arc::new(for_chacha20), verifier)
            }
        };
        Ok(Self { config, for_chacha20, verifier, judging, judged_by, identities, certificates, warnings })
    }

    /// The configuration for a client that begins like this.
    #[must_use]
    pub fn config_for(&self, hello: &ClientHello<'_>) -> &Arc<ServerConfig> {
        match hello.cipher_suites().iter().find(|suite| is_known(**suite)) {
            Some(suite) if is_chacha20(*suite) => &self.for_chacha20,
            _ => &self.config,
        }
    }

    /// What was agreed in a handshake that is complete. The certificate is judged again: that of a
    /// session that was resumed may have ended since.
    ///
    /// # Errors
    /// The certificate of a resumed session is not good any more.
    pub fn session(&self, connection: &ServerConnection, listener: SocketAddr) -> Result<ClientTls, Failure> {
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let chain = connection.peer_certificates().unwrap_or_default();
        let certificate = match (chain.split_first(), &self.verifier) {
            (Some((leaf, intermediates)), Some(verifier)) => {
                Some(verifier.judge_again(leaf, intermediates, UnixTime::now())?)
            }
            _ => None,
        };
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        Ok(ClientTls {
            version,
            cipher_suite: connection.negotiated_cipher_suite().map_or("", |suite| iana(suite.suite())),
            server_name: connection.server_name().map(Into::into),
            resumed,
            certificate,
            listener,
            judged_by: self.judged_by,
        })
    }

    /// Whether the client of a session that stands would be let in today. Costs nothing while the rules
    /// are those it was judged by.
    ///
    /// # Errors
    /// It would not.
    pub fn still_admits(&self, session: &ClientTls) -> Result<(), Failure> {
        let Some(verifier) = self.verifier.as_ref().filter(|_| session.judged_by != self.judged_by) else {
            return Ok(());
        };
        let chain = session.certificate.as_ref().map(|certificate| certificate.chain());
        let chain: Vec<CertificateDer<'_>> =
            chain.unwrap_or_default().iter().map(|der| CertificateDer::from(&**der)).collect();
        match chain.split_first() {
            Some((leaf, intermediates)) => {
                verifier.judge_again(leaf, intermediates, UnixTime::now()).map(|_| ())
            }
            None if self.judging.settings.0 == ClientAuth::Required => {
                let detail = "client certificates are required now".to_owned();
                Err(Failure { reason: Reason::ClientCertificateMissing, detail })
            }
            None => Ok(()),
        }
    }
}

fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// The name of a cipher suite as IANA registers it; rustls marks those of TLS 1.3.
fn iana(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    // The sort keeps the order of the others.
    provider.cipher_suites.sort_by_key(|suite| !PREFERRED.contains(&suite.suite()));
    Arc::new(provider)
}

fn general(error: &rustls::Error) -> SettingError {
    SettingError { setting: "certificates".to_owned(), message: error.to_string(), help: None }
}

fn config(
    settings: &ListenerTls,
    resolver: Resolver,
    verifier: Option<Arc<ClientVerifier>>,
    before: Option<&Arc<ServerConfig>>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = match settings.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    match before {
        Some(before) => {
            config.ticketer = before.ticketer.clone();
            config.session_storage = before.session_storage.clone();
        }
        None => config.ticketer = ticketer()?,
    }
    // AES-128 and SHA-256 are as good as unbreakable, too, and a good deal cheaper than AES-256 and
    // SHA-384, which most clients name first.
    config.ignore_client_order = true;
    // Each connection uses one ticket up and brings one. A second one, which is usual, holds the client's
    // certificate once more, encrypted once more, and is of use only to clients that open several
    // connections for each one they had before.
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// Cipher suites in the order in which they are chosen. The rest of what rustls has comes behind them.
const PREFERRED: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

fn is_known(suite: CipherSuite) -> bool {
    aws_lc_rs::DEFAULT_CIPHER_SUITES.iter().any(|known| known.suite() == suite)
}

fn is_chacha20(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    aws_lc_rs::Ticketer::new()
}

/// Checks that a key can sign, and belongs to the certificate.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
}

/// What was read so far, and what was wrong with it.
#[derive(Default)]
struct Loading {
    resolver: Resolver,
    identities: Vec<(Vec<CertificateDer<'static>>, Option<Vec<u8>>)>,
    certificates: Vec<CertificateFacts>,
    warnings: Vec<String>,
    errors: Vec<SettingError>,
}

impl Loading {
    fn certificates(&mut self, certificates: &[CertificateFiles]) {
        for (index, files) in certificates.iter().enumerate() {
            let at = |field: &str| format!("certificates/{index}/{field}");
            if let Err(error) = self.certificate(files, &at) {
                self.errors.push(error);
            }
        }
    }

    fn certificate(
        &mut self,
        files: &CertificateFiles,
        at: &dyn Fn(&str) -> String,
    ) -> Result<(), SettingError> {
        let password = match &files.password {
            Some(path) => {
                Some(Password::load(path).map_err(|error| SettingError::file(at("passwordFile"), &error))?)
            }
            None => None,
        };
        let identity = files::load_identity(&files.certificate, files.key.as_deref(), password.as_ref());
        let identity = identity.map_err(|error| {
            let of_key = files.key.as_ref() == Some(&error.path) && error.path != files.certificate;
            SettingError::file(at(if of_key { "key" } else { "certificate" }), &error)
        })?;
        let unusable = |message: String| SettingError { setting: at("certificate"), message, help: None };
        let leaf = identity.chain[0].clone();
        let parsed = names::parse(&leaf).ok_or_else(|| unusable("it cannot be parsed".to_owned()))?;
        let mut names = names::dns_names(&parsed);
        let staple = match &files.ocsp {
            Some(path) => self.staple(path, parsed.raw_serial()).map_err(|problem| SettingError {
                setting: at("ocspResponse"),
                message: problem,
                help: Some("fetch a new one, as with: openssl ocsp -respout FILE".to_owned()),
            })?,
            None => None,
        };
        let not_after = parsed.validity().not_after.timestamp();
        self.note_validity(&files.certificate, parsed.validity().not_before.timestamp(), not_after);
        self.identities.push((identity.chain.clone(), staple.as_ref().map(|staple| staple.response.clone())));
        let key = certified(identity.chain, identity.key).map_err(|error| unusable(error.to_string()))?;
        self.resolver.add(Entry::new(key, staple), &names);
        let name = if names.is_empty() { names::rfc4514(parsed.subject()) } else { names.swap_remove(0) };
        self.certificates.push(CertificateFacts { name, not_after });
        Ok(())
    }

    fn staple(&mut self, path: &Path, serial: &[u8]) -> Result<Option<ocsp::Staple>, String> {
        let in_file = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let response = files::read(path, Limit::IDENTITY).map_err(|error| in_file(&error.problem))?;
        let staple = ocsp::staple(&response, serial).map_err(|error| in_file(&error))?;
        if staple.until < UnixTime::now() {
            let late = crate::explain::time(staple.until);
            self.warnings
                .push(in_file(&format!("the OCSP response is out of date since {late} and not stapled")));
        }
        Ok(Some(staple))
    }

    fn note_validity(&mut self, path: &Path, not_before: i64, not_after: i64) {
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let at = |time: i64| {
            let time = u64::try_from(time).unwrap_or(0);
            crate::explain::time(UnixTime::since_unix_epoch(Duration::from_secs(time)))
        };
        let path = path.display();
        if not_after < now {
            self.warnings
                .push(format!("{path}: the certificate expired on {}: clients refuse it", at(not_after)));
        } else if not_after < now + SOON.as_secs() as i64 {
            self.warnings.push(format!("{path}: the certificate expires on {}: renew it", at(not_after)));
        } else if not_before > now {
            self.warnings.push(format!(
                "{path}: the certificate is not valid before {}: clients refuse it",
                at(not_before)
            ));
        }
    }

    fn judging(&mut self, settings: &ListenerTls) -> Judging {
        let mut cas = Vec::new();
        if let Some(path) = &settings.client_ca {
            match files::load_cas(path) {
                Ok(loaded) => cas = loaded,
                Err(error) => self.errors.push(SettingError::file("clientCA", &error)),
            }
        }
        let mut crls = Vec::new();
        for (index, path) in settings.crls.iter().enumerate() {
            match files::load_crls(path) {
                Ok(loaded) => crls.extend(loaded),
                Err(error) => self.errors.push(SettingError::file(format!("crl/{index}"), &error)),
            }
        }
        let allowed = settings.allowed_clients.iter().map(ToString::to_string).collect();
        Judging { settings: (settings.client_auth, settings.min_version, allowed), cas, crls }
    }

    fn verifier(&mut self, settings: &ListenerTls, judging: &Judging) -> Option<Arc<ClientVerifier>> {
        if settings.client_auth == ClientAuth::None || !self.errors.is_empty() {
            return None;
        }
        let mut roots = RootCertStore::empty();
        for ca in &judging.cas {
            if let Err(error) = roots.add(ca.clone()) {
                self.errors.push(SettingError {
                    setting: "clientCA".to_owned(),
                    message: format!("a certificate in it cannot be trusted: {error}"),
                    help: None,
                });
            }
        }
        if roots.is_empty() {
            self.errors.push(SettingError {
                setting: "clientCA".to_owned(),
                message: "client certificates are asked for, and no CA is named that may sign them"
                    .to_owned(),
                help: Some("name the CA's certificate file".to_owned()),
            });
            return None;
        }
        let mandatory = settings.client_auth == ClientAuth::Required;
        let verifier =
            ClientVerifier::new(roots, judging.crls.clone(), settings.allowed_clients.clone(), mandatory);
        verifier.map_err(|error| self.errors.push(error)).ok().map(Arc::new)
    }
}
