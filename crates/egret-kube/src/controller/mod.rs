//! `egret controller`: keeps everything in the cluster that pods need to go out through Egret.
//!
//! Every replica serves the webhook, from lists that it watches itself (`facts`). What is written is written by the
//! one that holds the Lease (`lease`, `leader`): the webhook's certificate and registration (`webhook`), the
//! bundles of CAs (`bundle`), and the status of EgressProxies and policies (`proxies`, `policies`).

mod api;
mod bundle;
mod connect;
mod events;
mod facts;
mod leader;
mod lease;
mod metrics;
mod pods;
mod policies;
mod proxies;
mod run;
mod select;
mod settings;
#[cfg(test)]
mod tests;
mod watch;
mod webhook;

use std::collections::BTreeMap;

pub use connect::{Access, ConnectError, Connected, connect};
pub use metrics::METRICS;
pub use run::{Controller, StartError, Status};

pub use settings::{
    CA_NAME, CERTIFICATE_DAYS, LEASE, LeaseTimes, NAMESPACE, SERVICE, Settings, WEBHOOK_SECRET, WEBHOOKS,
};

/// Who made an object, on the object.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "egret-controller");
/// Objects that the controller made.
const LABELS_SELECTOR: &str = "app.kubernetes.io/managed-by=egret-controller";

/// The labels of every object that the controller makes.
fn labels() -> BTreeMap<String, String> {
    [MANAGED_BY, ("app.kubernetes.io/name", "egret"), ("app.kubernetes.io/part-of", "egret")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}
