//! `trustedCA`: which CAs pods trust besides the public ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LabelSelector;
use crate::values::{CaCertificates, ObjectName, SignerName};

/// The namespace of an object that is named without one: that of the installation.
const NAMESPACE: &str = "egret-system";

/// CAs as text, or where they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TrustedCa {
    /// PEM, or base64 of PEM as AKS has it.
    Text(CaCertificates),
    /// Where they come from.
    Source(Box<TrustedCaSource>),
}

impl TrustedCa {
    /// Where they come from; text is `inline`.
    #[must_use]
    pub fn source(&self) -> TrustedCaSource {
        match self {
            Self::Text(text) => TrustedCaSource { inline: Some(text.clone()), ..TrustedCaSource::default() },
            Self::Source(source) => (**source).clone(),
        }
    }
}

/// Where CAs come from. Where several are named, all of them are trusted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedCaSource {
    /// The CA by which Egret itself looks into TLS: the Secret `egret-ca` of its namespace. When it is renewed,
    /// pods trust the new one before it signs.
    pub egret: bool,
    /// Certificates as text: PEM, or base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<CaCertificates>,
    /// A ConfigMap with PEM in one of its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"name": "corp-ca"}))]
    pub config_map: Option<CaReference>,
    /// A Secret with PEM in one of its keys. Only certificates are taken from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"name": "corp-ca", "key": "ca.crt"}))]
    pub secret: Option<CaReference>,
    /// A ClusterTrustBundle, or all of a signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"name": "corp-roots"}))]
    pub cluster_trust_bundle: Option<ClusterTrustBundleReference>,
}

impl TrustedCaSource {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A key of a ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaReference {
    /// Its namespace. The controller has to be allowed to read there.
    #[serde(default = "default_namespace")]
    pub namespace: ObjectName,
    /// Its name.
    #[schemars(example = &"corp-ca")]
    pub name: ObjectName,
    /// The key that holds the certificates, in PEM. By default `ca-bundle.crt` or `ca.crt`, whichever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), example = &"ca.crt")]
    pub key: Option<String>,
}

fn default_namespace() -> ObjectName {
    ObjectName(NAMESPACE.to_owned())
}

/// A ClusterTrustBundle by its name, or all of a signer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterTrustBundleReference {
    /// The name of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"corp-roots")]
    pub name: Option<SignerName>,
    /// The signer whose bundles are trusted, all together. Not beside `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"corp.example/roots")]
    pub signer_name: Option<SignerName>,
    /// Which bundles of the signer, by their labels. By default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
}
