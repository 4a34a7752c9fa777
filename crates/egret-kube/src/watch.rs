//! A list of the API server that is kept current, and what is known of how current it is.
//!
//! A watch that breaks is begun again from where it was, or with a new list where that is gone (410), later
//! and later; meanwhile what was last seen holds. The log says once that it broke, and once that it is well.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, pin_mut};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Resource;
use kube::{Api, Error};
use serde::de::DeserializeOwned;

use crate::client::{Backoff, REQUEST, explain};

/// Objects on one page of a list.
const PAGE: u32 = 500;

/// How long one watch lasts. The API server ends it then, which finds connections that are half dead.
const LASTS: u32 = 280;

/// Pages of one list at most, at [`PAGE`] objects each: twenty million.
const PAGES: usize = 40_000;

/// What became of the objects. A list is `Begin`, each object as `Listed`, and `Listed` is over with `Complete`:
/// what was known before and was not listed is gone.
#[derive(Debug)]
pub enum Change<K> {
    /// A list begins.
    Begin,
    /// An object of the list.
    Listed(K),
    /// The list is complete.
    Complete,
    /// An object was made or has changed.
    Applied(K),
    /// An object is gone.
    Deleted(K),
}

/// What is to be watched.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Field selector; empty for all.
    pub fields: String,
    /// Label selector; empty for all.
    pub labels: String,
}

/// How current a list is. Times are milliseconds since it was made.
#[derive(Debug)]
pub struct Health {
    kind: &'static str,
    began: Instant,
    /// It was read whole at least once.
    read: AtomicBool,
    /// Since when it may be behind; -1 while it is current.
    behind_since: AtomicI64,
    failures: AtomicU64,
    lists: AtomicU64,
}

impl Health {
    /// Of a list that was not read yet; `kind` is for people and metrics.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            began: Instant::now(),
            read: AtomicBool::new(false),
            behind_since: AtomicI64::new(0),
            failures: AtomicU64::new(0),
            lists: AtomicU64::new(0),
        }
    }

    /// What is listed.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it was read whole at least once.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.read.load(Relaxed)
    }

    /// For how long it may have been behind; `None` while it is current.
    #[must_use]
    pub fn behind_for(&self) -> Option<Duration> {
        let since = self.behind_since.load(Relaxed);
        (since >= 0).then(|| self.began.elapsed().saturating_sub(Duration::from_millis(since.unsigned_abs())))
    }

    /// Lists and watches that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// How often it was read whole.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.lists.load(Relaxed)
    }

    fn current(&self) {
        if self.behind_since.swap(-1, Relaxed) >= 0 && self.failures() > 0 {
            tracing::info!(kind = self.kind, "the watch is current again");
        }
    }

    fn broke(&self, why: &str) {
        self.failures.fetch_add(1, Relaxed);
        let now = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let first = self.behind_since.compare_exchange(-1, now, Relaxed, Relaxed).is_ok();
        if first || self.failures() == 1 {
            tracing::warn!(
                kind = self.kind,
                why,
                "the watch broke; what was last seen goes on to hold, and it is begun again"
            );
        } else {
            tracing::debug!(kind = self.kind, why, "the watch cannot be begun");
        }
    }
}

/// Why a watch ended.
enum End {
    /// In its time.
    Time,
    /// What it began from is not known to the API server any more.
    Gone,
    /// It broke.
    Broke(String),
}

/// Watches for as long as it is polled, and tells of every change in order.
pub async fn watch<K>(api: Api<K>, scope: Scope, health: &Health, mut tell: impl FnMut(Change<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut backoff = Backoff::default();
    let mut version: Option<String> = None;
    loop {
        let began = match version.take() {
            Some(version) => Ok(version),
            None => list(&api, &scope, &mut tell).await,
        };
        let from = match began {
            Ok(from) => from,
            Err(why) => {
                health.broke(&why);
                tokio::time::sleep(backoff.wait()).await;
                continue;
            }
        };
        if !health.is_read() || health.behind_for().is_some() {
            health.read.store(true, Relaxed);
        }
        let mut at = from;
        let end = follow(&api, &scope, &mut at, health, &mut backoff, &mut tell).await;
        match end {
            End::Time => version = Some(at),
            End::Gone => {
                tracing::debug!(
                    kind = health.kind,
                    "the version that the watch was at is gone: listing anew"
                );
                health.failures.fetch_add(1, Relaxed);
                tokio::time::sleep(backoff.wait()).await;
            }
            End::Broke(why) => {
                health.broke(&why);
                version = Some(at);
                tokio::time::sleep(backoff.wait()).await;
            }
        }
    }
}

/// Reads everything, page by page. Gives the version that it was read at.
async fn list<K>(api: &Api<K>, scope: &Scope, tell: &mut impl FnMut(Change<K>)) -> Result<String, String>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    params.field_selector = Some(scope.fields.clone()).filter(|fields| !fields.is_empty());
    params.label_selector = Some(scope.labels.clone()).filter(|labels| !labels.is_empty());
    tell(Change::Begin);
    for _ in 0..PAGES {
        let page = match tokio::time::timeout(REQUEST, api.list(&params)).await {
            Err(_) => return Err(format!("the API server did not answer within {REQUEST:?}")),
            Ok(Err(Error::Api(status))) if status.code == 410 && params.continue_token.is_some() => {
                // What was listed before the page that is gone may be out of date: from the beginning.
                return Err("the list was out of date before it was read".to_owned());
            }
            Ok(Err(error)) => return Err(explain(&error)),
            Ok(Ok(page)) => page,
        };
        page.items.into_iter().for_each(|object| tell(Change::Listed(object)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => {
                tell(Change::Complete);
                return page.metadata.resource_version.ok_or_else(|| "the list has no version".to_owned());
            }
        }
    }
    Err("the list does not end".to_owned())
}

/// Follows changes from a version on, which goes along with them.
async fn follow<K>(
    api: &Api<K>,
    scope: &Scope,
    at: &mut String,
    health: &Health,
    backoff: &mut Backoff,
    tell: &mut impl FnMut(Change<K>),
) -> End
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut params = WatchParams::default().timeout(LASTS);
    params.field_selector = Some(scope.fields.clone()).filter(|fields| !fields.is_empty());
    params.label_selector = Some(scope.labels.clone()).filter(|labels| !labels.is_empty());
    let stream = match tokio::time::timeout(REQUEST, api.watch(&params, at)).await {
        Err(_) => return End::Broke(format!("the API server did not answer within {REQUEST:?}")),
        Ok(Err(Error::Api(status))) if status.code == 410 => return End::Gone,
        Ok(Err(error)) => return End::Broke(explain(&error)),
        Ok(Ok(stream)) => stream,
    };
    pin_mut!(stream);
    health.lists.fetch_add(u64::from(health.behind_for().is_some()), Relaxed);
    health.current();
    let began = Instant::now();
    while let Some(event) = stream.next().await {
        let mut note = |version: Option<&String>| {
            if let Some(version) = version {
                at.clone_from(version);
            }
            backoff.reset();
        };
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                note(object.meta().resource_version.as_ref());
                tell(Change::Applied(object));
            }
            Ok(WatchEvent::Deleted(object)) => {
                note(object.meta().resource_version.as_ref());
                tell(Change::Deleted(object));
            }
            Ok(WatchEvent::Bookmark(mark)) => note(Some(&mark.metadata.resource_version)),
            Ok(WatchEvent::Error(status)) if status.code == 410 => return End::Gone,
            Ok(WatchEvent::Error(status)) => {
                return End::Broke(format!("the API server says {}: {}", status.code, status.message));
            }
            Err(error) => return End::Broke(explain(&error)),
        }
    }
    // The API server ends a watch after its time. One that ends at once, again and again, is broken.
    if began.elapsed() < Duration::from_secs(1) {
        End::Broke("the watch ended as it began".to_owned())
    } else {
        End::Time
    }
}
