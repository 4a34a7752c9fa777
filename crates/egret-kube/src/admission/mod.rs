//! The admission webhook: what the API server asks before it stores a pod or one of our objects, and the server that
//! answers.
//!
//! | path | what |
//! |---|---|
//! | `POST /mutate` | pods and ephemeral containers: [`crate::inject`] |
//! | `POST /validate` | `EgressProxy`, `ClusterEgressPolicy`, `EgressPolicy` |
//! | `GET /healthz` | the process is alive |
//! | `GET /readyz` | it has a certificate and settings, and is not about to end |
//!
//! **A pod is always allowed.** What cannot be decided, for whatever reason, is allowed as it is, with a warning: a
//! webhook that is broken must never stop a cluster's pods. An envelope that is no AdmissionReview is refused with a
//! status of HTTP, since there is nothing to answer to; under `failurePolicy: Ignore` the API server then goes on
//! without.
//!
//! The controller fills in what the webhook answers by: [`Webhook::set_snapshot`], [`Webhook::certificates`].

mod certificate;
mod metrics;
mod mutate;
mod review;
mod routes;
mod server;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests connect to a server of their own on loopback")]
mod tests;
mod validate;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Semaphore;

use crate::inject::{Labels, Snapshot};

pub use certificate::{CertificateError, Certificates};
pub use metrics::{Limit, Metrics};
pub use review::{Review, ReviewError};
pub use validate::{Validate, Verdict};

/// The bounds of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the body of a request may be, in bytes. The API server takes objects of up to 3 MiB, and sends two of
    /// them where one is changed.
    pub body_bytes: usize,
    /// How long the bodies of all requests under way may be together. Requests beyond it wait, for as long as a body
    /// may take.
    pub bodies_bytes: usize,
    /// Connections at once. API servers keep a few each.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a connection may wait for its first request.
    pub first_request: Duration,
    /// How long the body of a request may take. API servers give up after 30 seconds at most.
    pub body: Duration,
    /// How long the labels of a namespace may take that was not seen yet.
    pub lookup: Duration,
    /// How long requests under way may take when the server ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 * 1024 * 1024,
            bodies_bytes: 64 * 1024 * 1024,
            connections: 512,
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(10),
            body: Duration::from_secs(10),
            lookup: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}

/// Asks for the labels of a namespace that the watch has not shown yet; `None` where they cannot be had.
pub type LookUpNamespace =
    Box<dyn Fn(&str) -> Pin<Box<dyn Future<Output = Option<Labels>> + Send>> + Send + Sync>;

/// The webhook. Clones are the same one.
#[derive(Clone)]
pub struct Webhook {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    snapshot: ArcSwapOption<Snapshot>,
    certificates: Certificates,
    validate: Validate,
    look_up: Option<LookUpNamespace>,
    metrics: Metrics,
    draining: AtomicBool,
    /// What is left of `bodies_bytes`, in KiB.
    room: Semaphore,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl Webhook {
    /// A webhook without certificate and settings: it is not ready, and allows every pod as it is.
    #[must_use]
    pub fn new(limits: Limits, validate: Validate, look_up: Option<LookUpNamespace>) -> Self {
        let room = Semaphore::new(limits.bodies_bytes.div_ceil(1024).min(Semaphore::MAX_PERMITS));
        Self {
            inner: Arc::new(Inner {
                room,
                limits,
                snapshot: ArcSwapOption::empty(),
                certificates: Certificates::default(),
                validate,
                look_up,
                metrics: Metrics::default(),
                draining: AtomicBool::new(false),
            }),
        }
    }

    /// Puts settings into force: for the next request.
    pub fn set_snapshot(&self, snapshot: Snapshot) {
        self.inner.snapshot.store(Some(Arc::new(snapshot)));
    }

    /// The settings in force.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.inner.snapshot.load_full()
    }

    /// The certificate, which can be changed at any time.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.inner.certificates
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Says at `/readyz` that no further requests are wanted, before the server ends.
    pub fn begin_drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Why it is not ready, if it is not.
    #[must_use]
    pub fn unready(&self) -> Option<&'static str> {
        if self.inner.draining.load(Ordering::Relaxed) {
            return Some("draining");
        }
        if !self.inner.certificates.is_set() {
            return Some("no certificate yet");
        }
        self.inner.snapshot.load().is_none().then_some("no settings yet")
    }
}
