//! The objects, as the API server hands them out.

use std::borrow::Cow;

use egret_config::file::{EgressProxySpec, EgressProxyStatus, PolicyKind, PolicySpec, PolicyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use super::{API_VERSION, GROUP, Lenient, VERSION};

/// A kind of object: a struct with its parts, and what `kube` has to know of it.
macro_rules! object {
    ($(#[$doc:meta])* $kind:ident, $spec:ty, $status:ty, $plural:literal, $scope:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        pub struct $kind {
            /// Name, namespace, labels, generation and the like.
            #[serde(default)]
            pub metadata: ObjectMeta,
            /// What is wanted.
            #[serde(default)]
            pub spec: Lenient<$spec>,
            /// What is the case.
            #[serde(default)]
            pub status: Lenient<$status>,
        }

        impl $kind {
            /// The name of the kind.
            pub const KIND: &'static str = stringify!($kind);
            /// The name in URLs.
            pub const PLURAL: &'static str = $plural;

            /// Its name; empty where it has none.
            #[must_use]
            pub fn name(&self) -> &str {
                self.metadata.name.as_deref().unwrap_or_default()
            }

            /// How often its `spec` has changed; 0 where the API server did not say.
            #[must_use]
            pub fn generation(&self) -> i64 {
                self.metadata.generation.unwrap_or_default()
            }

            /// The whole object, as it was sent.
            #[must_use]
            pub fn to_value(&self) -> serde_json::Value {
                serde_json::to_value(self).unwrap_or_default()
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = serializer.serialize_struct(Self::KIND, 5)?;
                object.serialize_field("apiVersion", API_VERSION)?;
                object.serialize_field("kind", Self::KIND)?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                match self.status.raw().as_object().is_some_and(|status| !status.is_empty()) {
                    true => object.serialize_field("status", &self.status)?,
                    false => object.skip_field("status")?,
                }
                object.end()
            }
        }

        impl kube::Resource for $kind {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                Self::KIND.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                GROUP.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                VERSION.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                Self::PLURAL.into()
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

object!(
    /// The proxy that workloads use.
    EgressProxy,
    EgressProxySpec,
    EgressProxyStatus,
    "egressproxies",
    ClusterResourceScope
);

object!(
    /// A policy for everybody.
    ClusterEgressPolicy,
    PolicySpec,
    PolicyStatus,
    "clusteregresspolicies",
    ClusterResourceScope
);

object!(
    /// A policy for the workloads of its namespace.
    EgressPolicy,
    PolicySpec,
    PolicyStatus,
    "egresspolicies",
    NamespaceResourceScope
);

/// What both kinds of policies have.
pub trait PolicyObject:
    kube::Resource<DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + serde::de::DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The kind, as documents have it.
    const POLICY_KIND: PolicyKind;

    /// What became of it, as its status says.
    fn status(&self) -> Option<&PolicyStatus>;
}

impl PolicyObject for ClusterEgressPolicy {
    const POLICY_KIND: PolicyKind = PolicyKind::ClusterEgressPolicy;

    fn status(&self) -> Option<&PolicyStatus> {
        self.status.value()
    }
}

impl PolicyObject for EgressPolicy {
    const POLICY_KIND: PolicyKind = PolicyKind::EgressPolicy;

    fn status(&self) -> Option<&PolicyStatus> {
        self.status.value()
    }
}
