//! The objects of the API server, trimmed to what is needed of them: the rest is never kept.

use std::borrow::Cow;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{NamespaceResourceScope, Resource};
use serde::Deserialize;

macro_rules! resource {
    ($name:ident, $kind:literal, $plural:literal, $scope:ty) => {
        impl Resource for $name {
            type DynamicType = ();
            type Scope = $scope;

            fn kind(_: &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group(_: &()) -> Cow<'_, str> {
                "".into()
            }
            fn version(_: &()) -> Cow<'_, str> {
                "v1".into()
            }
            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// A pod: whose it is, where, and its addresses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Pod {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: PodSpec,
    pub(crate) status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    pub(crate) node_name: Option<String>,
    pub(crate) service_account_name: Option<String>,
    pub(crate) host_network: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    pub(crate) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(crate) pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pub(crate) pod_ips: Option<Vec<Address>>,
    #[serde(rename = "hostIP")]
    pub(crate) host_ip: Option<String>,
    #[serde(rename = "hostIPs")]
    pub(crate) host_ips: Option<Vec<Address>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Address {
    pub(crate) ip: String,
}

resource!(Pod, "Pod", "pods", NamespaceResourceScope);

impl Pod {
    /// Whether its processes have ended for good; its address may be another pod's then.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Its addresses, IPv4-mapped IPv6 reduced to IPv4.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        addresses(self.status.pod_ip.as_ref(), self.status.pod_ips.as_ref())
    }

    /// Those of the node that it is on.
    pub(crate) fn node_addresses(&self) -> Vec<IpAddr> {
        addresses(self.status.host_ip.as_ref(), self.status.host_ips.as_ref())
    }
}

fn addresses(first: Option<&String>, all: Option<&Vec<Address>>) -> Vec<IpAddr> {
    let all = all.into_iter().flatten().map(|address| &address.ip);
    let mut found: Vec<IpAddr> = Vec::new();
    for text in first.into_iter().chain(all) {
        if let Ok(address) = text.parse::<IpAddr>()
            && !found.contains(&address.to_canonical())
        {
            found.push(address.to_canonical());
        }
    }
    found
}

/// A namespace or a Service, of which the metadata is enough.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Namespace {
    pub(crate) metadata: ObjectMeta,
}

resource!(Namespace, "Namespace", "namespaces", kube::core::ClusterResourceScope);

/// A Service, of which the metadata is enough.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    pub(crate) metadata: ObjectMeta,
}

resource!(Service, "Service", "services", NamespaceResourceScope);
