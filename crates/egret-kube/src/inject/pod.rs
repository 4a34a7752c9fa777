//! A pod, as far as it matters here. What does not matter is passed over unread, however it looks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pod {
    pub(crate) metadata: Option<Metadata>,
    pub(crate) spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) host_network: Option<bool>,
    pub(crate) os: Option<Named>,
    pub(crate) node_selector: Option<BTreeMap<String, String>>,
    pub(crate) init_containers: Option<Vec<Container>>,
    pub(crate) containers: Option<Vec<Container>>,
    pub(crate) ephemeral_containers: Option<Vec<Container>>,
    pub(crate) volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) env: Option<Vec<Variable>>,
    pub(crate) env_from: Option<Vec<EnvFrom>>,
    pub(crate) volume_mounts: Option<Vec<Mount>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) value_from: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvFrom {
    pub(crate) prefix: Option<String>,
    pub(crate) config_map_ref: Option<Named>,
    pub(crate) secret_ref: Option<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) mount_path: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) config_map: Option<Named>,
    pub(crate) projected: Option<Projected>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Projected {
    pub(crate) sources: Option<Vec<Source>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    pub(crate) cluster_trust_bundle: Option<Bundle>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Bundle {
    pub(crate) name: Option<String>,
}

impl Pod {
    pub(crate) fn annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.as_ref()?.annotations.as_ref()
    }

    pub(crate) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.as_ref()?.labels.as_ref()
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations()?.get(name).map(String::as_str)
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels()?.get(name).map(String::as_str)
    }

    /// Whether it says that it is for Windows nodes.
    pub(crate) fn is_windows(&self) -> bool {
        let selected = |label| self.spec.node_selector.as_ref().and_then(|selector| selector.get(label));
        let by_label = selected("kubernetes.io/os").or_else(|| selected("beta.kubernetes.io/os"));
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
            || by_label.is_some_and(|os| os == "windows")
    }

    pub(crate) fn is_host_network(&self) -> bool {
        self.spec.host_network == Some(true)
    }
}
