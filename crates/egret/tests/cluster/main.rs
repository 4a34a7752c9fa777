//! Against a real API server: `./test --cluster` with KUBECONFIG set. Nothing else runs these; without kubelets all of
//! it works, for no pod has to start.
//!
//! What a run makes has names of its own, and is taken away at its end. The custom resources are made if they are not
//! there, and stay.

#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "tests speak to servers on loopback")]

mod admission;
mod bundles;
mod harness;
mod leases;
mod manifests;
mod resources;
mod statuses;
