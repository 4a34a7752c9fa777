//! Egret in a cluster: the custom resources, the admission webhooks, the controller that keeps bundles,
//! certificates and status, and the index of pods by their addresses.

pub mod admission;
pub mod client;
pub mod controller;
pub mod crd;
pub mod identity;
pub mod import;
pub mod inject;
pub mod no_proxy;
pub mod policies;
pub mod validate;
pub mod watch;
