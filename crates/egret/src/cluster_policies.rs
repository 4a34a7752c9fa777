//! Policies of the cluster in the running proxy.

use std::sync::Arc;
use std::time::Duration;

use egret_config::{ClusterPolicy, KubernetesSettings};
use egret_kube::client::{Access, connect};
use egret_kube::policies::{ClusterPolicies, PolicyChanges};

/// How long the start waits for them. Without them it goes on, and is not ready until they are there.
const FIRST: Duration = Duration::from_secs(5);

/// The policies of the cluster, where the configuration has `kubernetes`.
pub(crate) type Policies = Option<Arc<ClusterPolicies>>;

/// Begins to watch them, and waits a moment for all to be read.
///
/// # Errors
/// Nothing says where the API server is, or what says so cannot be used.
pub(crate) async fn start(settings: Option<&KubernetesSettings>) -> Result<Policies, String> {
    let Some(settings) = settings.filter(|settings| settings.policies) else { return Ok(None) };
    let access = Access { kubeconfig: settings.kubeconfig.clone(), part: "proxy" };
    let client = connect(&access).await.map_err(|error| error.to_string())?;
    let policies = Arc::new(ClusterPolicies::default());
    let following = policies.clone();
    tokio::spawn(async move { following.follow(client).await });
    if !policies.listen().read(&policies, FIRST).await {
        tracing::warn!(
            "the policies of the cluster could not be read yet: the proxy is not ready (/readyz) until they are"
        );
    }
    Ok(Some(policies))
}

/// Those that hold now.
pub(crate) fn current(policies: &Policies) -> Vec<Arc<ClusterPolicy>> {
    policies.as_ref().map(|policies| policies.current()).unwrap_or_default()
}

/// Whether nothing is missing.
pub(crate) fn are_read(policies: &Policies) -> bool {
    policies.as_ref().is_none_or(|policies| policies.is_read())
}

/// Waits for a change, for ever where there is no cluster.
pub(crate) async fn changed(changes: &mut Option<PolicyChanges>) {
    match changes {
        Some(changes) => changes.changed().await,
        None => std::future::pending().await,
    }
}
