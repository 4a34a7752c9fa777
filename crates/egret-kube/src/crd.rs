//! The custom resources: their definitions for the API server, made from the same types as the configuration,
//! and their objects as it hands them out.

mod definition;
mod describe;
mod lenient;
mod object;
mod structural;

pub use definition::{Definition, definitions, yaml};
pub use describe::reference;
pub use lenient::Lenient;
pub use object::{ClusterEgressPolicy, EgressPolicy, EgressProxy, PolicyObject};

/// The API group.
pub const GROUP: &str = "egret.dev";
/// The version of the API.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as `apiVersion` has them.
pub const API_VERSION: &str = "egret.dev/v1alpha1";
/// Who writes by server-side apply.
pub const FIELD_MANAGER: &str = "egret";
