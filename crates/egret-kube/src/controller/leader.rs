//! What the replica that leads does, and no other. All of it ends at once when the Lease is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kube::Client;
use rustls_pki_types::CertificateDer;
use tokio::task::JoinSet;

use super::bundle::keep::Outcomes;
use super::events::Events;
use super::facts::Facts;
use super::metrics::Metrics;
use super::pods::Pods;
use super::settings::Settings;
use super::watch::Changes;
use super::webhook::keep::Registration;
use super::{bundle, policies, proxies};

/// What the parts of the leader's work share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) facts: Facts,
    pub(crate) pods: Pods,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    /// What became of the bundles.
    pub(crate) outcomes: Outcomes,
    /// The CAs of each EgressProxy.
    pub(crate) trusted: Arc<Mutex<HashMap<String, Vec<CertificateDer<'static>>>>>,
    /// Something was found out that a status tells.
    pub(crate) found: Changes,
}

/// Leads, until the future is dropped: that ends everything that it began.
pub(crate) async fn lead(
    client: Client,
    settings: Settings,
    facts: Facts,
    metrics: Arc<Metrics>,
    registration: Registration,
) {
    let mut tasks = JoinSet::new();
    let context = Context {
        facts,
        pods: Pods::watch(&mut tasks, &client),
        events: Events::new(&client, &settings.identity, metrics.clone()),
        metrics,
        outcomes: Outcomes::default(),
        trusted: Arc::default(),
        found: Changes::new(),
    };
    let bundles = bundle::keep::Keeper::new(&mut tasks, &client, &settings, &context);
    let policies = policies::Keeper::new(&mut tasks, &client, &context);
    let proxies = proxies::status::Keeper::new(&client, &settings, &context);
    tasks.spawn(bundles.run());
    tasks.spawn(policies.run());
    tasks.spawn(proxies.run());
    tasks.spawn(registration.run(context.metrics.clone()));
    // None of them ends by itself; one that panicked must not be missed by all who wait for it.
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "a part of the controller broke down; all of it is begun again. Please report this");
            return;
        }
    }
}
