//! The documentation of the metrics, made from the same table as the metrics.

use std::fmt::Write as _;

use super::families;
use super::labels::{Limit, MethodClass, Phase, StatusClass};

/// Name, type and help of every metric, in the order of the documentation.
#[must_use]
pub fn docs() -> Vec<(&'static str, &'static str, &'static str)> {
    families::ALL.iter().map(|family| (family.name, family.kind.as_str(), family.help)).collect()
}

/// The text of `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         <!-- Made from crates/egret-proxy/src/metrics/families.rs; a test compares. -->\n\n\
         `GET /metrics` on the admin address answers in the Prometheus text format, and in OpenMetrics where the \
         scraper asks for it. Every label has a fixed set of values, or one that the configuration bounds, so no \
         client can make the number of series grow.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in families::ALL {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (family.name, family.kind.as_str(), family.help);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    out.push_str("\n## Values of labels\n\n");
    let words = |values: Vec<&str>| values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    let lists = [
        ("method", words(MethodClass::ALL.iter().map(|value| value.as_str()).collect())),
        ("status_class", words(StatusClass::ALL.iter().map(|value| value.as_str()).collect())),
        ("phase", words(Phase::ALL.iter().map(|value| value.as_str()).collect())),
        ("limit", words(Limit::ALL.iter().map(|value| value.as_str()).collect())),
    ];
    for (label, values) in lists {
        let _ = writeln!(out, "- `{label}`: {values}");
    }
    out.push_str("- `reason`: `ok`, or one of the reason codes\n");
    out
}
