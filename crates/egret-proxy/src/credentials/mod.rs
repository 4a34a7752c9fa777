//! Who the client is, by what it sends in `Proxy-Authorization` (RFC 9110 section 11.7) or in SOCKS5's
//! user name and password.
//!
//! A client that was found good lately costs one look-up. Everybody else is checked on threads of their
//! own: password hashes take long on purpose, and a directory may take longer. When a check cannot be
//! made, nobody is let in.
//!
//! A further kind of credentials is one more file here with a `check`, one more field in
//! [`egret_core::authentication::Authentication`], and one more [`egret_core::identity::Proof`]. A
//! Kubernetes service account's token is a bearer token: it is told from a JWT of a provider by its issuer,
//! in `check`, and the API server is asked about it.

mod admit;
mod apr1;
mod backoff;
mod check;
pub mod header;
pub mod htpasswd;
mod jwt;
mod ldap;
mod verdicts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use egret_core::identity::workloads::Workloads;
use egret_core::settings::Snapshot;
use egret_tls::client::{Alpn, ClientConfigs};
use egret_tls::roots::{GeneralRoots, TrustError};
use tokio::runtime::{Handle, Runtime};

use self::check::State;
use crate::upstream::Upstream;

pub use self::admit::{Asked, admit, asked, check_password, refresh_groups, still_hold};

/// Credentials cannot be checked as the configuration wants it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A PEM with further CAs cannot be used.
    #[error("{setting}: {source}")]
    Trust {
        /// Which setting it belongs to.
        setting: &'static str,
        /// What is wrong with it.
        source: TrustError,
    },
    /// The TLS library refuses its configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A filter that finds users or groups of the directory is none.
    #[error("authentication.ldap.{setting}: `{filter}` is not a search filter (RFC 4515)")]
    Filter {
        /// Which setting it is.
        setting: &'static str,
        /// The filter.
        filter: String,
    },
    /// The keys for tokens cannot be used.
    #[error("{0}")]
    Keys(String),
    /// The threads that check cannot be started.
    #[error("the threads that check credentials cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What credentials are checked against, shared by all workers.
pub struct Credentials {
    upstream: Arc<Upstream>,
    workloads: Option<Arc<dyn Workloads>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    state: ArcSwapOption<State>,
    /// Runs the checks; there is none before the first configuration that asks for credentials.
    runtime: Mutex<Option<Runtime>>,
}

/// A configuration that can be put into force.
pub struct Prepared {
    snapshot: Arc<Snapshot>,
    state: Option<Arc<State>>,
}

/// Figures for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CredentialsFigures {
    /// Credentials that were accepted and are remembered.
    pub remembered: u64,
    /// Client addresses whose failures are remembered.
    pub clients: u64,
    /// Whether the directory answered when it was asked last; `None` without a directory.
    pub directory_up: Option<bool>,
    /// Keys for tokens; `None` where none are taken.
    pub keys: Option<u64>,
    /// When keys were last fetched, in seconds since the epoch; `None` before the first time.
    pub keys_fetched: Option<f64>,
}

impl Credentials {
    /// What a snapshot asks for.
    ///
    /// # Errors
    /// What of it cannot be put into force.
    pub fn new(
        snapshot: &Snapshot,
        upstream: Arc<Upstream>,
        workloads: Option<Arc<dyn Workloads>>,
    ) -> Result<Self, CredentialsError> {
        let credentials = Self {
            upstream,
            workloads,
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot.clone())),
            state: ArcSwapOption::empty(),
            runtime: Mutex::new(None),
        };
        let prepared = credentials.prepare(snapshot)?;
        credentials.commit(prepared);
        Ok(credentials)
    }

    /// Makes ready for a new snapshot. What did not change is taken over: connections to a directory,
    /// keys, and what is remembered.
    ///
    /// # Errors
    /// What of it cannot be put into force.
    pub fn prepare(&self, snapshot: &Snapshot) -> Result<Prepared, CredentialsError> {
        let snapshot = Arc::new(snapshot.clone());
        let Some(settings) = &snapshot.authentication else { return Ok(Prepared { snapshot, state: None }) };
        let old = self.state.load_full();
        if let Some(old) = old.as_ref().filter(|old| old.settings == *settings) {
            let state = Some(old.clone());
            return Ok(Prepared { snapshot, state });
        }
        let handle = self.handle()?;
        let state = State::new(self, settings.clone(), old.as_deref(), handle)?;
        for warning in settings.htpasswd.iter().flat_map(|file| &file.warnings) {
            tracing::warn!(line = warning.line, "htpasswd file: {}", warning.what);
        }
        Ok(Prepared { snapshot, state: Some(Arc::new(state)) })
    }

    /// Puts it into force.
    pub fn commit(&self, prepared: Prepared) {
        self.snapshot.store(prepared.snapshot);
        self.state.store(prepared.state);
    }

    /// Figures for the metrics; `None` where no credentials are asked for.
    #[must_use]
    pub fn figures(&self) -> Option<CredentialsFigures> {
        let state = self.state.load();
        let state = state.as_ref()?;
        let seconds =
            |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let tokens = state.tokens.as_ref().map(|tokens| tokens.figures());
        Some(CredentialsFigures {
            remembered: state.verdicts.len() as u64,
            clients: state.backoff.len() as u64,
            directory_up: state.directory.as_ref().map(|directory| directory.is_up()),
            keys: tokens.map(|(keys, _)| keys as u64),
            keys_fetched: tokens.and_then(|(_, at)| at).map(seconds),
        })
    }

    /// The runtime of the checks. One thread waits for directories; password hashes have threads of
    /// their own, half as many as there are cores.
    fn handle(&self) -> Result<Handle, std::io::Error> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads((cores / 2).max(1))
            .thread_name("egret-login")
            .enable_all()
            .build()?;
        Ok(runtime.insert(built).handle().clone())
    }

    fn tls(
        &self,
        pem: Option<&[u8]>,
        setting: &'static str,
        alpn: Alpn,
    ) -> Result<Arc<rustls::ClientConfig>, CredentialsError> {
        let roots = GeneralRoots::load()
            .with_pem(pem)
            .map_err(|source| CredentialsError::Trust { setting, source })?;
        Ok(ClientConfigs::new(roots)?.for_alpn(alpn).clone())
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            // May be dropped where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}
