//! ClusterTrustBundles, where the API server serves them: `certificates.k8s.io` v1 (from Kubernetes 1.37) or v1beta1
//! (from 1.33, if it was switched on).

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::built::Built;
use crate::controller::api::{Failure, within};
use crate::controller::settings::{CA_NAME, MANAGER};
use crate::controller::{LABELS_SELECTOR, labels};

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

    /// Whether pods can project them: v1 says that the kubelets know them too.
    pub(crate) async fn can_be_projected(&self, client: &Client) -> bool {
        self.api(client).await.is_some() && self.version().is_some_and(|version| version.ends_with("/v1"))
    }

    fn version(&self) -> Option<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        Some(found.as_ref()?.1.as_ref()?.api_version.clone())
    }

    /// Publishes the CAs of an EgressProxy: ours alone, and with the public ones.
    pub(crate) async fn publish(&self, client: &Client, proxy: &str, built: &Built) -> Result<(), Failure> {
        let Some(api) = self.api(client).await else { return Ok(()) };
        for (name, text) in [(own_name(proxy), &built.own), (bundle_name(proxy), &built.all)] {
            // Comments are not taken here.
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let text: String = lines.flat_map(|line| [line, "\n"]).collect();
            let object = json!({
                "apiVersion": self.version(),
                "kind": "ClusterTrustBundle",
                "metadata": { "name": name, "labels": labels() },
                "spec": { "trustBundle": text },
            });
            let parameters = PatchParams::apply(MANAGER).force();
            within(api.patch(&name, &parameters, &Patch::Apply(&object))).await?;
        }
        Ok(())
    }

    /// Takes away those of EgressProxies that are gone.
    pub(crate) async fn keep_only(&self, client: &Client, proxies: &[&str]) -> Result<(), Failure> {
        let Some(api) = self.api(client).await else { return Ok(()) };
        let wanted: Vec<String> =
            proxies.iter().flat_map(|proxy| [own_name(proxy), bundle_name(proxy)]).collect();
        let list = within(api.list_metadata(&ListParams::default().labels(LABELS_SELECTOR))).await?;
        for object in list.items.iter().filter(|object| !wanted.contains(&object.name_any())) {
            match within(api.delete(&object.name_any(), &DeleteParams::default())).await {
                Err(failure) if !failure.is_gone() => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The ClusterTrustBundle with the CAs of an EgressProxy alone.
pub(crate) fn own_name(proxy: &str) -> String {
    format!("{CA_NAME}-{proxy}")
}

/// The one with the public CAs as well.
pub(crate) fn bundle_name(proxy: &str) -> String {
    format!("{CA_NAME}-bundle-{proxy}")
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
