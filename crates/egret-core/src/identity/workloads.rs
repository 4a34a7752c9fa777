//! What is known of the workloads of a cluster: whose an address is, whose a token is, and which names are
//! those of its services. The data path asks this; what answers keeps an index of its own.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Groups, Workload};
use crate::destination::Destination;

/// Labels, in the order of their keys; shared by all that have the same.
pub type Labels = Arc<[(Arc<str>, Arc<str>)]>;

/// Something that is answered later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What owns a pod: a Deployment, a Job, a StatefulSet, ….
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Its kind.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Why nobody is known behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unattributed {
    /// It is a node's: a pod on the node's own network, the node itself, or traffic whose source was
    /// rewritten to it (SNAT).
    Node,
    /// More than one pod has it.
    Ambiguous,
    /// No pod and no node has it: it is from outside the cluster, or its source was rewritten (SNAT).
    Unknown,
    /// What is known of pods is too old to be believed.
    Stale,
}

impl Unattributed {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Node, Self::Ambiguous, Self::Unknown, Self::Stale];

    /// As logs and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Ambiguous => "ambiguous",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
        }
    }

    /// For people, after "the source address …".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Node => {
                "is a node's: its own, a pod's on the node's network, or rewritten on the way (SNAT)"
            }
            Self::Ambiguous => "is that of more than one pod",
            Self::Unknown => {
                "is no pod's: it is from outside the cluster, or was rewritten on the way (SNAT)"
            }
            Self::Stale => "cannot be looked up: the API server has been away for too long",
        }
    }
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// A pod's, and of no other.
    Pod(Arc<Workload>),
    /// Nobody is known.
    Nobody(Unattributed),
}

/// What a review of a service-account token said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reviewed {
    /// It is good.
    Good {
        /// `system:serviceaccount:NAMESPACE:NAME`.
        user: Arc<str>,
        /// The groups that it is in.
        groups: Groups,
        /// Whose it is, with the pod where it is bound to one.
        workload: Arc<Workload>,
        /// How long that may be remembered.
        left: Duration,
    },
    /// It is not; the words say why, and hold nothing of it.
    Refused(&'static str),
    /// Nobody could be asked.
    Unavailable(&'static str),
}

/// What becomes of a name that a service of the cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// It is refused; the words say what to write into NO_PROXY.
    Refuse(String),
    /// It is relayed, under its whole name.
    Relay(Destination),
}

/// Knows the workloads of a cluster. Looking up an address takes no lock and waits for nobody.
pub trait Workloads: Send + Sync {
    /// Whose an address is.
    fn behind(&self, address: IpAddr) -> Behind;

    /// As [`Workloads::behind`], and of an address of which nothing is known it waits a moment: what a pod
    /// sends first may be faster than the news of the pod.
    fn appeared(&self, address: IpAddr) -> Later<'_, Behind>;

    /// What is known of a workload that something else has proved: its pod's labels and owner. `None` when
    /// it names a pod that has ended.
    fn completed(&self, proved: &Arc<Workload>) -> Option<Arc<Workload>>;

    /// Asks whose a service-account token is.
    fn reviewed<'a>(&'a self, token: &'a str) -> Later<'a, Reviewed>;

    /// What becomes of a name that a client in this namespace would reach without the proxy.
    fn service(&self, namespace: Option<&str>, destination: &Destination) -> Option<ServiceName>;
}
