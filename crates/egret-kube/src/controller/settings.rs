//! What the controller is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The namespace of an installation where nothing else is said.
pub const NAMESPACE: &str = "egret-system";
/// The Service of the webhook.
pub const SERVICE: &str = "egret-controller";
/// The Lease of the leader.
pub const LEASE: &str = "egret-controller";
/// The Secret with the webhook's certificate.
pub const WEBHOOK_SECRET: &str = "egret-webhook-tls";
/// The Secret with the CA of interception, and the ConfigMap with the bundles in each selected namespace.
pub const CA_NAME: &str = "egret-ca";
/// The field manager of everything that is applied.
pub(crate) const MANAGER: &str = "egret";
/// The webhook configurations, mutating and validating, if nothing else is said.
pub const WEBHOOKS: &str = "egret";

/// How long certificates of the webhook are valid, in days. They are changed when two thirds are over.
pub const CERTIFICATE_DAYS: u32 = 365;

/// Settings of a controller.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the installation: Lease, Secrets and CA are in it.
    pub namespace: String,
    /// The Service by which the API server reaches the webhook. Its certificate is for
    /// `<service>.<namespace>.svc`.
    pub service: String,
    /// The port of that Service.
    pub service_port: u16,
    /// Where the webhook listens.
    pub listen: SocketAddr,
    /// The webhook's address instead of the Service, for a controller outside the cluster.
    pub webhook_url: Option<String>,
    /// `tls.crt`, `tls.key` and `ca.crt` of somebody else (as cert-manager makes them), instead of certificates of
    /// the controller's own.
    pub webhook_cert: Option<PathBuf>,
    /// Whether the webhook configurations are made and kept.
    pub register: bool,
    /// Their name.
    pub webhooks: String,
    /// How long the API server waits for the webhook, in whole seconds, 1 to 30.
    pub webhook_timeout: Duration,
    /// Who this replica is, among those that want the Lease. No two may have the same.
    pub identity: String,
    /// How the Lease is held.
    pub lease: LeaseTimes,
    /// How long certificates of the webhook are valid, in days.
    pub webhook_days: u32,
}

impl Settings {
    /// The name that the API server asks for, and that the certificate is for.
    #[must_use]
    pub fn webhook_name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }
}

/// How long a Lease is held, and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Others may take it when it was not renewed for so long.
    pub duration: Duration,
    /// The holder gives up when it could not renew for so long. Shorter than `duration`, so that no two act at once.
    pub deadline: Duration,
    /// Between two tries.
    pub retry: Duration,
}

impl Default for LeaseTimes {
    /// Those of Kubernetes' own controllers.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}
