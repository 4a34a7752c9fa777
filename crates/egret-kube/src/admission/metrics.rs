//! What the webhook counts.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::inject;

/// Upper bounds of the buckets, in seconds. The goal is 5 ms for 99 of 100.
const BUCKETS: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// What a request was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// What became of a pod.
    Injection(inject::Outcome),
    /// It is about nothing that matters here.
    Unchanged,
    /// One of our objects, right.
    Allowed,
    /// One of our objects, wrong.
    Refused,
    /// Our own fault; allowed.
    Failed,
    /// No AdmissionReview.
    Malformed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Injection(outcome) => outcome.as_str(),
            Self::Unchanged => "unchanged",
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// A bound of the server that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `body_bytes`
    BodyBytes,
    /// `bodies_bytes`
    BodiesBytes,
    /// `connections`
    Connections,
    /// `handshake`
    Handshake,
    /// `first_request`
    FirstRequest,
    /// `body`
    Body,
    /// `lookup`
    Lookup,
    /// `drain`
    Drain,
}

impl Limit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::BodyBytes => "body_bytes",
            Self::BodiesBytes => "bodies_bytes",
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::FirstRequest => "first_request",
            Self::Body => "body",
            Self::Lookup => "lookup",
            Self::Drain => "drain",
        }
    }
}

impl EncodeLabelValue for Limit {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    webhook: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: Limit,
}

/// The counters of a webhook. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<WebhookLabels, Histogram, fn() -> Histogram>,
    limits: Family<LimitLabels, Counter>,
    pub(super) connections: Gauge<i64, std::sync::atomic::AtomicI64>,
    handshakes_failed: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            limits: Family::default(),
            connections: Gauge::default(),
            handshakes_failed: Counter::default(),
        }
    }
}

impl Metrics {
    /// Puts them into what is scraped.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "egret_webhook_requests",
            "Requests of the API server, by webhook (mutate, validate) and outcome.",
            self.requests.clone(),
        );
        registry.register(
            "egret_webhook_duration_seconds",
            "How long an answer took, from the end of the request's head.",
            self.durations.clone(),
        );
        registry.register(
            "egret_webhook_limit_hits",
            "How often a bound of the webhook's server was reached, by its name.",
            self.limits.clone(),
        );
        registry.register(
            "egret_webhook_connections_open",
            "Connections to the webhook that are open.",
            self.connections.clone(),
        );
        registry.register(
            "egret_webhook_handshake_failures",
            "TLS handshakes with the webhook that failed.",
            self.handshakes_failed.clone(),
        );
    }

    pub(super) fn answered(&self, webhook: &'static str, outcome: Outcome, took: Duration) {
        self.requests.get_or_create(&RequestLabels { webhook, outcome }).inc();
        self.durations.get_or_create(&WebhookLabels { webhook }).observe(took.as_secs_f64());
    }

    pub(super) fn limit_hit(&self, limit: Limit) {
        self.limits.get_or_create(&LimitLabels { limit }).inc();
    }

    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// How often a bound was reached.
    #[must_use]
    pub fn limit_hits(&self, limit: Limit) -> u64 {
        self.limits.get_or_create(&LimitLabels { limit }).get()
    }

    /// How many requests had an outcome, by the names of the metric's labels.
    #[must_use]
    pub fn count(&self, webhook: &'static str, outcome: &str) -> u64 {
        let all = inject::Outcome::ALL.map(Outcome::Injection);
        let others =
            [Outcome::Unchanged, Outcome::Allowed, Outcome::Refused, Outcome::Failed, Outcome::Malformed];
        let found = all.into_iter().chain(others).find(|one| one.as_str() == outcome);
        found.map_or(0, |outcome| self.requests.get_or_create(&RequestLabels { webhook, outcome }).get())
    }
}
