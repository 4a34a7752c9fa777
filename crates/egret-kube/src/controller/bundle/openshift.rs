//! ConfigMaps with OpenShift's label: whoever makes one with `config.openshift.io/inject-trusted-cabundle: "true"` gets
//! the bundle in its key `ca-bundle.crt`. Nothing is mounted. On OpenShift itself this is not done: its own operator
//! does it there, and two that write the same never come to rest.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::built::{ALL_KEY, Built};
use crate::controller::api::{Failure, within};
use crate::controller::settings::MANAGER;

/// The label, and what it has to say.
pub(crate) const SELECTOR: &str = "config.openshift.io/inject-trusted-cabundle=true";
const OPENSHIFT: &str = "config.openshift.io";

/// Knows what was written where.
#[derive(Debug, Default)]
pub(crate) struct Labelled {
    written: HashMap<(String, String), (String, Option<String>)>,
    is_openshift: Option<bool>,
}

impl Labelled {
    /// Whether this is left to OpenShift.
    pub(crate) async fn is_left(&mut self, client: &Client) -> bool {
        if self.is_openshift.is_none() {
            let groups = within(client.list_api_groups()).await;
            self.is_openshift =
                groups.ok().map(|groups| groups.groups.iter().any(|group| group.name == OPENSHIFT));
        }
        self.is_openshift.unwrap_or(true)
    }

    /// Writes the bundle into one of them, if it is not there.
    pub(crate) async fn fill(
        &mut self,
        client: &Client,
        live: &PartialObjectMeta<ConfigMap>,
        built: &Arc<Built>,
    ) -> Result<(), Failure> {
        let (namespace, name) = (live.namespace().unwrap_or_default(), live.name_any());
        let key = (namespace.clone(), name.clone());
        let now = (built.hash.clone(), live.metadata.resource_version.clone());
        if self.written.get(&key) == Some(&now) {
            return Ok(());
        }
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            // Without the UID, one that was deleted just now would be made again.
            "metadata": { "name": name, "uid": live.metadata.uid },
            "data": { ALL_KEY: built.all },
        });
        // The label asks for this key, whoever wrote it before.
        let parameters = PatchParams::apply(MANAGER).force();
        match within(api.patch(&name, &parameters, &Patch::Apply(&object))).await {
            Ok(written) => {
                self.written.insert(key, (built.hash.clone(), written.metadata.resource_version));
                Ok(())
            }
            Err(failure) if failure.is_gone() || failure.has_status(409) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}
