//! Egret in a cluster: the custom resources, the admission webhooks, the controller that keeps bundles,
//! certificates and status, and the index of pods by their addresses.

pub mod client;
pub mod watch;
