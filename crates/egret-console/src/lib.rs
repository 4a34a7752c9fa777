//! What people look at: the admin server and the web console.
//!
//! The admin HTTP server has health, readiness, metrics, and a page that says what this is. It answers `GET` and
//! `HEAD` alone, changes nothing and shows no secret. The [`console`] shows flows, and has logins.
//!
//! What both tell comes through closures and a trait, so that this crate knows nothing of the data path.

pub mod console;
mod page;
mod routes;
mod server;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests connect to a server of their own on loopback")]
mod tests;

use std::fmt;

pub use server::serve;

/// Whether the process wants traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not all listeners are up yet.
    Starting,
    /// It does.
    Ready,
    /// It is shutting down and wants no new connections.
    Draining,
}

impl Readiness {
    /// As `/readyz` says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// The answer to a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsText {
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// The metrics.
    pub body: String,
}

/// Says whether the process wants traffic.
pub type AskReadiness = Box<dyn Fn() -> Readiness + Send + Sync>;
/// Writes the metrics for a scraper with this `Accept` field.
pub type AskMetrics = Box<dyn Fn(Option<&str>) -> MetricsText + Send + Sync>;

/// What the admin server tells, and where it gets it from. The closures are called on the server's
/// runtime and must not block.
pub struct AdminState {
    /// The version of Egret.
    pub version: String,
    /// The listeners, as people should read them: `127.0.0.1:8888 (HTTP proxy)`.
    pub listeners: Vec<String>,
    /// Whether the process wants traffic.
    pub readiness: AskReadiness,
    /// The metrics.
    pub metrics: AskMetrics,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("version", &self.version)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}
