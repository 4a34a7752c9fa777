//! Policies of the cluster, as the proxies read them.
//!
//! Every replica watches them by itself. An object that is wrong keeps its last right version, where this replica has
//! seen one, and else is left out; the controller's leader says so in the object's status. With the API server away,
//! what was last seen goes on to hold.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use egret_config::ClusterPolicy;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::sync::watch;

use crate::client::REQUEST;
use crate::crd::{ClusterEgressPolicy, EgressPolicy, PolicyObject};
use crate::watch::{Change, Health, Scope};
use store::Store;

/// Changes that come close together are taken into use together: compiling takes time, and whoever applies a
/// directory of policies makes many at once.
const TOGETHER: Duration = Duration::from_millis(250);

/// How long it takes until a kind that is not known is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// How many policies there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCounts {
    /// That are right, and taken as they are.
    pub accepted: usize,
    /// That are wrong, and stand as they were before.
    pub kept: usize,
    /// That are wrong, and left out.
    pub left_out: usize,
}

/// The policies of a cluster, kept current.
#[derive(Debug)]
pub struct ClusterPolicies {
    store: Store,
    /// Counts up with every change that may change a decision.
    version: watch::Sender<u64>,
    cluster: Health,
    namespaced: Health,
    /// The API server does not know the kind.
    absent: [AtomicBool; 2],
}

impl Default for ClusterPolicies {
    fn default() -> Self {
        Self {
            store: Store::default(),
            version: watch::Sender::new(0),
            cluster: Health::new(ClusterEgressPolicy::KIND),
            namespaced: Health::new(EgressPolicy::KIND),
            absent: Default::default(),
        }
    }
}

impl ClusterPolicies {
    /// Reads all, and watches for as long as it is polled.
    pub async fn follow(&self, client: Client) {
        let cluster =
            self.watch::<ClusterEgressPolicy>(Api::all(client.clone()), &self.cluster, &self.absent[0]);
        let namespaced = self.watch::<EgressPolicy>(Api::all(client), &self.namespaced, &self.absent[1]);
        tokio::join!(cluster, namespaced);
    }

    async fn watch<P: PolicyObject>(&self, api: Api<P>, health: &Health, absent: &AtomicBool) {
        self.wait_for_definition(&api, health.kind(), absent).await;
        let mut round = store::Round::default();
        crate::watch::watch(api, Scope::default(), health, |change| {
            let is_news = match change {
                Change::Begin => {
                    round = store::Round::default();
                    false
                }
                Change::Listed(object) => {
                    round.saw(&object);
                    self.store.put(&object)
                }
                // That the first list is there is news by itself: whoever waits for it may go on.
                Change::Complete => self.store.retain::<P>(&round) || !health.is_read(),
                Change::Applied(object) => self.store.put(&object),
                Change::Deleted(object) => self.store.remove(&object),
            };
            if is_news {
                self.version.send_modify(|version| *version += 1);
            }
        })
        .await;
    }

    /// Waits until the API server knows the kind: until then there can be no object of it.
    async fn wait_for_definition<P: PolicyObject>(&self, api: &Api<P>, kind: &str, absent: &AtomicBool) {
        let one = ListParams::default().limit(1);
        while let Ok(Err(kube::Error::Api(status))) =
            tokio::time::timeout(REQUEST, api.list_metadata(&one)).await
            && status.code == 404
        {
            if !absent.swap(true, Relaxed) {
                let help = "`egret crds | kubectl apply --server-side -f -` makes it known";
                tracing::warn!(kind, help, "the API server does not know policies of this kind");
                self.version.send_modify(|version| *version += 1);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        absent.store(false, Relaxed);
    }

    /// The policies that hold, in the order of their kinds and names.
    #[must_use]
    pub fn current(&self) -> Vec<Arc<ClusterPolicy>> {
        self.store.current()
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> PolicyCounts {
        self.store.counts()
    }

    /// Whether all of them were read at least once. A kind that the API server does not know has none.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let is_read = |health: &Health, absent: &AtomicBool| health.is_read() || absent.load(Relaxed);
        is_read(&self.cluster, &self.absent[0]) && is_read(&self.namespaced, &self.absent[1])
    }

    /// For how long they may have been behind what the API server has; `None` while they are current.
    #[must_use]
    pub fn behind_for(&self) -> Option<Duration> {
        self.cluster.behind_for().max(self.namespaced.behind_for())
    }

    /// Somebody who is told of changes.
    #[must_use]
    pub fn listen(&self) -> PolicyChanges {
        PolicyChanges { version: self.version.subscribe() }
    }
}

/// Tells of changes.
#[derive(Clone, Debug)]
pub struct PolicyChanges {
    version: watch::Receiver<u64>,
}

impl PolicyChanges {
    /// Waits for a change since the last time, and for what comes right behind it.
    pub async fn changed(&mut self) {
        if self.version.changed().await.is_err() {
            // Nobody will ever tell of one.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(TOGETHER).await;
        self.version.mark_unchanged();
    }

    /// Waits until all policies were read, at most for this long. Whether they were.
    pub async fn read(&mut self, policies: &ClusterPolicies, most: Duration) -> bool {
        let read = async {
            while !policies.is_read() {
                // Health is set right after the change that tells of a whole list.
                let _ = tokio::time::timeout(Duration::from_millis(50), self.version.changed()).await;
            }
        };
        tokio::time::timeout(most, read).await.is_ok()
    }
}
