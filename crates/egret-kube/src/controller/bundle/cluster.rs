//! ClusterTrustBundles, where the API server serves them: `certificates.k8s.io` v1 (from Kubernetes 1.37) or v1beta1
//! (from 1.33, if it was switched on).

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::built::Built;
use crate::controller::api::{Failure, within};
use crate::controller::labels;
use crate::controller::settings::{CA_NAME, MANAGER};

/// How long it is believed that the API server serves them, or does not.
const BELIEVED: Duration = Duration::from_secs(600);
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// Whether, and in which version, the API server serves ClusterTrustBundles.
#[derive(Debug, Default)]
pub(crate) struct TrustBundles {
    found: Mutex<Option<(Instant, Option<ApiResource>)>>,
}

impl TrustBundles {
    /// The way to them; `None` where they are not served.
    pub(crate) async fn api(&self, client: &Client) -> Option<Api<DynamicObject>> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let resource = match known {
            Some((at, resource)) if at.elapsed() < BELIEVED => resource,
            _ => {
                let resource = discover(client).await;
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Instant::now(), resource.clone()));
                resource
            }
        }?;
        Some(Api::all_with(client.clone(), &resource))
    }

    /// Publishes our CAs, for pods that project them.
    pub(crate) async fn publish(&self, client: &Client, built: &Built) -> Result<(), Failure> {
        let Some(api) = self.api(client).await else { return Ok(()) };
        let resource = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let version = resource.and_then(|(_, resource)| resource).map(|resource| resource.api_version);
        let object = json!({
            "apiVersion": version,
            "kind": "ClusterTrustBundle",
            "metadata": { "name": CA_NAME, "labels": labels() },
            "spec": { "trustBundle": built.own },
        });
        let parameters = PatchParams::apply(MANAGER).force();
        within(api.patch(CA_NAME, &parameters, &Patch::Apply(&object))).await.map(drop)
    }
}

async fn discover(client: &Client) -> Option<ApiResource> {
    for version in VERSIONS {
        let group = format!("certificates.k8s.io/{version}");
        let Ok(list) = within(client.list_api_group_resources(&group)).await else { continue };
        if list.resources.iter().any(|resource| resource.kind == "ClusterTrustBundle") {
            return Some(ApiResource {
                group: "certificates.k8s.io".to_owned(),
                version: version.to_owned(),
                api_version: group,
                kind: "ClusterTrustBundle".to_owned(),
                plural: "clustertrustbundles".to_owned(),
            });
        }
    }
    None
}
