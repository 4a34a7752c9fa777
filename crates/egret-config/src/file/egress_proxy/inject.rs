//! `inject`, `computedNoProxy` and `restartWaves`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{NamePattern, Time, WorkloadNoProxy};

/// What is put into pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Inject {
    /// HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in upper and in lower case. What a container sets itself wins, for
    /// both cases of a name.
    pub variables: bool,
    /// ALL_PROXY and all_proxy as well, with the proxy for `https://` URLs. Some clients take it for protocols that
    /// are not HTTP.
    pub all_proxy: bool,
    /// `NODE_USE_ENV_PROXY=1`, without which Node (from 24) pays no attention to the other variables.
    pub node: bool,
    /// The proxy, and with `caTrust` a truststore, as Java's properties in JAVA_TOOL_OPTIONS: Java pays no
    /// attention to the other variables. What a container sets there itself is kept and wins. Java prints a line
    /// about it on standard error at each start.
    pub java: bool,
    /// The CAs of `trustedCA`: bundles mounted read-only at `/etc/egret/ca`, and the variables by which runtimes
    /// find them. Without `trustedCA` it means nothing.
    pub ca_trust: bool,
    /// With `caTrust`, the bundle is also mounted over the well-known paths (`/etc/ssl/certs/ca-certificates.crt`
    /// and its like), for clients that know no variable, as wget does not.
    pub well_known_paths: bool,
    /// Ephemeral containers too, as `kubectl debug` makes them.
    pub ephemeral_containers: bool,
    /// Containers that are left as they are, by name; `*` stands for any characters. Sidecars that bring their own
    /// way out belong here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), example = serde_json::json!(["istio-proxy", "linkerd-*"]))]
    pub skip_containers: Vec<NamePattern>,
}

impl Default for Inject {
    fn default() -> Self {
        Self {
            variables: true,
            all_proxy: false,
            node: true,
            java: false,
            ca_trust: true,
            well_known_paths: false,
            ephemeral_containers: true,
            skip_containers: Vec::new(),
        }
    }
}

/// What is added to `noProxy` from what is known of the cluster. Each kind can be switched off, and single entries
/// left out, where they are to go through the proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ComputedNoProxy {
    /// `localhost`, `127.0.0.1` and `::1`.
    pub localhost: bool,
    /// `.svc` and the domain of the cluster, `.cluster.local` by default.
    pub cluster_domains: bool,
    /// The networks of Services.
    pub service_networks: bool,
    /// The networks of pods.
    pub pod_networks: bool,
    /// The networks, or else the addresses, of nodes.
    pub node_networks: bool,
    /// The API server's names and addresses. Without them, and with the API server in no other entry, programs in
    /// pods ask the proxy for the way to it.
    pub api_server: bool,
    /// Where clouds serve metadata and credentials of the machine: `169.254.169.254` and `fd00:ec2::254`.
    pub metadata_addresses: bool,
    /// Names and addresses inside the cloud that the nodes are in, as in `168.63.129.16` on Azure and
    /// `metadata.google.internal` on Google's.
    pub cloud: bool,
    /// Entries that are left out, spelled as `status.effectiveNoProxy` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), example = serde_json::json!(["169.254.169.254"]))]
    pub except: Vec<WorkloadNoProxy>,
}

impl Default for ComputedNoProxy {
    fn default() -> Self {
        Self {
            localhost: true,
            cluster_domains: true,
            service_networks: true,
            pod_networks: true,
            node_networks: true,
            api_server: true,
            metadata_addresses: true,
            cloud: true,
            except: Vec::new(),
        }
    }
}

/// How owners of pods are restarted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RestartWaves {
    /// How many owners are restarted at once, in the whole cluster. The next wave begins when all of these have
    /// their new pods ready.
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: u32,
    /// How long is waited between a wave that is ready and the next one.
    pub pause: Time,
}

impl Default for RestartWaves {
    fn default() -> Self {
        Self { at_once: 5, pause: Time(Duration::from_secs(30)) }
    }
}
