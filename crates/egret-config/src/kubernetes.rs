//! `kubernetes`, as those who act on it know it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::file::{BareServiceNames, Kubernetes, KubernetesScope};

/// The cluster that the proxy is in. Fixed for the life of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// The node whose pods are watched; `None` for all.
    pub node: Option<String>,
    /// The namespaces whose pods are watched; empty for all.
    pub namespaces: Vec<String>,
    /// The audience of tokens.
    pub token_audience: String,
    /// A token is refused that comes from another workload's address.
    pub token_must_fit_source: bool,
    /// How long a good token is taken without asking.
    pub token_cache: Duration,
    /// Refusals become Events.
    pub events: bool,
    /// How long what was last seen holds; `None` for ever.
    pub staleness: Option<Duration>,
    /// How long a request from an unknown address waits.
    pub unknown_source_wait: Duration,
    /// What becomes of short names of Services.
    pub bare_service_names: BareServiceNames,
    /// Policies of the cluster are read.
    pub policies: bool,
    /// The cluster's domain, where it is said.
    pub cluster_domain: Option<String>,
}

impl Default for KubernetesSettings {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            node: None,
            namespaces: Vec::new(),
            token_audience: "egret".to_owned(),
            token_must_fit_source: true,
            // As long as the API server itself remembers a token, times six: a pod's end is watched besides.
            token_cache: Duration::from_secs(60),
            events: true,
            staleness: None,
            unknown_source_wait: Duration::from_secs(1),
            bare_service_names: BareServiceNames::Refuse,
            policies: true,
            cluster_domain: None,
        }
    }
}

impl Kubernetes {
    /// The node's name, where only a node's pods are watched; `Err` when nobody says it.
    pub(crate) fn node(&self) -> Result<Option<String>, &'static str> {
        if self.scope == KubernetesScope::Cluster {
            return Ok(None);
        }
        let written = self.node_name.as_ref().map(|name| name.0.clone());
        let name = written.or_else(|| std::env::var("NODE_NAME").ok()).filter(|name| !name.is_empty());
        name.map(Some).ok_or("the pods of one node are to be watched, and nothing says which node it is")
    }

    pub(crate) fn settings(&self, base_dir: &Path) -> KubernetesSettings {
        KubernetesSettings {
            kubeconfig: self.kubeconfig.as_ref().map(|path| base_dir.join(&path.0)),
            node: self.node().ok().flatten(),
            namespaces: self.namespaces.iter().map(|name| name.0.clone()).collect(),
            token_audience: self.token_audience.0.clone(),
            token_must_fit_source: self.token_must_fit_source,
            token_cache: self.token_cache.0,
            events: self.events,
            staleness: self.staleness.map(|time| time.0),
            unknown_source_wait: self.unknown_source_wait.0,
            bare_service_names: self.bare_service_names,
            policies: self.policies,
            cluster_domain: self.cluster_domain.as_ref().map(|domain| domain.0.trim_matches('.').to_owned()),
        }
    }
}
