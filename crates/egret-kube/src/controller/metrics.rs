//! What the controller counts. The names are in one table, from which the documentation is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Name, type, labels and meaning of each metric.
pub const METRICS: &[(&str, &str, &str, &str)] = &[
    ("egret_controller_leader", "gauge", "", "1 while this replica leads"),
    (
        "egret_controller_leader_changes_total",
        "counter",
        "",
        "How often this replica came to lead or ceased to",
    ),
    (
        "egret_controller_watch_current",
        "gauge",
        "kind",
        "1 while the list of this kind is kept current; 0 while what was last seen is gone on with",
    ),
    ("egret_controller_watch_failures_total", "counter", "kind", "Lists and watches that failed"),
    (
        "egret_controller_watch_restarts_total",
        "counter",
        "kind",
        "Lists that were read anew from the beginning, as after 410",
    ),
    (
        "egret_controller_reconciles_total",
        "counter",
        "what, result",
        "Rounds of work, by what was looked after and whether it went well (ok, failed)",
    ),
    (
        "egret_controller_webhook_certificate_not_after_timestamp_seconds",
        "gauge",
        "",
        "When the webhook's certificate ends, in seconds since the epoch; 0 without one",
    ),
    (
        "egret_controller_bundles",
        "gauge",
        "state",
        "Namespaces by the state of their bundle (current, failed, foreign, too-large)",
    ),
    (
        "egret_controller_probes_total",
        "counter",
        "result",
        "Readiness endpoints asked through a proxy (passed, failed)",
    ),
    ("egret_controller_restarts_total", "counter", "kind", "Owners of pods that were restarted for a change"),
    (
        "egret_controller_events_dropped_total",
        "counter",
        "",
        "Events on objects that were not written, because there were too many",
    ),
];

/// A label of one name.
macro_rules! labels {
    ($name:ident, $($field:ident),+) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name { $(pub(crate) $field: &'static str),+ }
    };
}

labels!(Kind, kind);
labels!(Done, what, result);
labels!(Result, result);
labels!(BundleState, state);

/// The metrics of a controller.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) leader: Gauge<i64, AtomicI64>,
    pub(crate) leader_changes: Counter<u64, AtomicU64>,
    pub(crate) reconciles: Family<Done, Counter>,
    pub(crate) bundles: Family<BundleState, Gauge>,
    pub(crate) probes: Family<Result, Counter>,
    pub(crate) restarts: Family<Kind, Counter>,
    pub(crate) events_dropped: Counter<u64, AtomicU64>,
}

impl Metrics {
    /// A round of work is over.
    pub(crate) fn done(&self, what: &'static str, went_well: bool) {
        let result = if went_well { "ok" } else { "failed" };
        self.reconciles.get_or_create(&Done { what, result }).inc();
    }

    /// Puts the metrics into a registry.
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register("egret_controller_leader", help("egret_controller_leader"), self.leader.clone());
        registry.register(
            "egret_controller_leader_changes",
            help("egret_controller_leader_changes_total"),
            self.leader_changes.clone(),
        );
        registry.register(
            "egret_controller_reconciles",
            help("egret_controller_reconciles_total"),
            self.reconciles.clone(),
        );
        registry.register("egret_controller_bundles", help("egret_controller_bundles"), self.bundles.clone());
        registry.register(
            "egret_controller_probes",
            help("egret_controller_probes_total"),
            self.probes.clone(),
        );
        registry.register(
            "egret_controller_restarts",
            help("egret_controller_restarts_total"),
            self.restarts.clone(),
        );
        registry.register(
            "egret_controller_events_dropped",
            help("egret_controller_events_dropped_total"),
            self.events_dropped.clone(),
        );
    }
}

/// What a metric means.
pub(crate) fn help(name: &str) -> &'static str {
    METRICS.iter().find(|row| row.0 == name).map_or("", |row| row.3)
}

#[cfg(test)]
mod tests {
    use super::METRICS;

    #[test]
    fn the_documentation_has_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kubernetes-controller.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (name, kind, _, meaning) in METRICS {
            assert!(text.contains(&format!("| `{name}` | {kind} |")) && text.contains(meaning), "{name}");
        }
    }
}
