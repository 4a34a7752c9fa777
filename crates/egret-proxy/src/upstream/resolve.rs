//! Names to addresses: /etc/hosts, the cache, and the name servers.
//!
//! Answers from memory come without waiting. Questions run on a thread of their own, so that a worker
//! that is busy holds up nobody else's names, and a client that goes away takes no question with it;
//! whoever asks for a name that is being asked for already waits for the same answer.

mod cache;
mod hosts;
mod plan;
mod query;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use egret_core::reason::Reason;
use egret_core::settings::{AddressFamily, DnsSettings};
use hickory_resolver::TokioResolver;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use self::cache::{Cache, Found};
use self::hosts::Hosts;
use self::plan::{Plan, Stamp};
use super::error::{ResolveError, UpstreamError};

/// The addresses of a name, the preferred family first.
pub type Addresses = Arc<[IpAddr]>;

/// What became of a question.
pub type Resolution = Result<Addresses, ResolveError>;

/// How long a waiter has to wait for the name servers before an expired answer will do (RFC 8767
/// section 5 has 1.8 seconds for this).
const STALE_AFTER: Duration = Duration::from_millis(1800);

/// How often the hosts file and resolv.conf are looked at, while there are questions.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Figures of the resolver, for metrics. All but `entries` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsStats {
    /// Questions answered from memory with addresses: from the cache or the hosts file.
    pub hits: u64,
    /// Questions answered from the cache with "no such name" or a failure.
    pub negative_hits: u64,
    /// Questions that the name servers were asked.
    pub misses: u64,
    /// Questions that joined one that was under way.
    pub shared: u64,
    /// Questions answered with an expired answer, because the name servers failed.
    pub stale: u64,
    /// Questions that failed (not those whose name does not exist).
    pub errors: u64,
    /// Names in the cache.
    pub entries: u64,
}

/// The resolver: settings that are swapped, and a thread that asks.
pub(super) struct Resolver {
    inner: Arc<Inner>,
    /// Dropped with the resolver; the thread ends with it.
    _alive: oneshot::Sender<()>,
}

struct Inner {
    core: ArcSwap<Core>,
    runtime: Handle,
    errors: AtomicU64,
    /// Questions that the hosts file answered.
    known: AtomicU64,
    /// Figures of cores that were replaced.
    past: [AtomicU64; 5],
}

/// Everything that belongs to one set of settings. Replaced whole: what an old core still has under way
/// serves its waiters and is not kept.
struct Core {
    settings: DnsSettings,
    plan: Plan,
    client: TokioResolver,
    cache: Cache,
    hosts: ArcSwap<Hosts>,
    system_stamp: Stamp,
    began: Instant,
    /// Milliseconds after `began` when the files were last looked at.
    checked: AtomicU64,
}

impl Core {
    fn new(settings: &DnsSettings) -> Result<Self, UpstreamError> {
        let system_stamp = Stamp::of(plan::RESOLV_CONF.as_ref());
        let plan = Plan::new(settings, plan::RESOLV_CONF.as_ref())?;
        let client = query::client(&plan, settings)?;
        let hosts = Hosts::load(settings.hosts_file.as_deref(), settings.family);
        Ok(Self {
            cache: Cache::new(settings),
            hosts: ArcSwap::from_pointee(hosts),
            client,
            plan,
            system_stamp,
            settings: settings.clone(),
            began: Instant::now(),
            checked: AtomicU64::new(0),
        })
    }

    /// Whether it is time to look at the files again; true for one caller only.
    fn check_is_due(&self, now: Instant) -> bool {
        let at = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        let last = self.checked.load(Ordering::Relaxed);
        at.saturating_sub(last) >= CHECK_EVERY.as_millis() as u64
            && self.checked.compare_exchange(last, at, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Resolver {
    pub(super) fn new(settings: &DnsSettings) -> Result<Self, UpstreamError> {
        let core = Core::new(settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        std::thread::Builder::new().name("egret-dns".to_owned()).spawn(move || {
            // Ends when the sender is dropped; questions under way are dropped with the runtime.
            let _ = runtime.block_on(gone);
        })?;
        let inner = Inner {
            core: ArcSwap::from_pointee(core),
            runtime: handle,
            errors: AtomicU64::new(0),
            known: AtomicU64::new(0),
            past: Default::default(),
        };
        Ok(Self { inner: Arc::new(inner), _alive: alive })
    }

    /// Puts settings into force. The cache is kept when nothing changed that answers depend on.
    pub(super) fn apply(&self, settings: &DnsSettings) -> Result<(), UpstreamError> {
        let new = Core::new(settings)?;
        let old = self.inner.core.load();
        if old.settings == new.settings && old.plan == new.plan {
            old.hosts.store(new.hosts.load_full());
        } else {
            self.inner.replace(new);
        }
        Ok(())
    }

    pub(super) fn resolve_cached(&self, name: &Arc<str>) -> Option<Resolution> {
        let now = Instant::now();
        let core = self.inner.core.load();
        if core.check_is_due(now) {
            let inner = self.inner.clone();
            self.inner.runtime.spawn(async move { inner.check_files() });
        }
        if let Some(addresses) = core.hosts.load().find(name) {
            self.inner.known.fetch_add(1, Ordering::Relaxed);
            return Some(Ok(addresses));
        }
        match core.cache.find(name, now) {
            Found::Fresh(resolution) => Some(resolution),
            Found::SoonStale(resolution, flight) => {
                self.inner.launch(core.clone(), name.clone(), flight, None);
                Some(resolution)
            }
            Found::Nothing => None,
        }
    }

    pub(super) async fn resolve(&self, name: &Arc<str>) -> Resolution {
        if let Some(resolution) = self.resolve_cached(name) {
            return resolution;
        }
        let mut waiter = {
            let core = self.inner.core.load_full();
            let (waiter, flight, stale) = core.cache.join(name, Instant::now());
            if let Some(flight) = flight {
                self.inner.launch(core, name.clone(), flight, stale);
            }
            waiter
        };
        let resolution = match waiter.wait_for(Option::is_some).await {
            Ok(resolution) => resolution.clone(),
            Err(_) => None,
        };
        resolution.unwrap_or_else(|| {
            Err(ResolveError::new(Reason::DnsFailed, "the resolver gave up before it had an answer"))
        })
    }

    pub(super) fn stats(&self) -> DnsStats {
        let inner = &*self.inner;
        let mut stats = inner.core.load().cache.stats();
        for (figure, past) in cumulative(&mut stats).into_iter().zip(&inner.past) {
            *figure += past.load(Ordering::Relaxed);
        }
        stats.hits += inner.known.load(Ordering::Relaxed);
        stats.errors = inner.errors.load(Ordering::Relaxed);
        stats
    }
}

fn cumulative(stats: &mut DnsStats) -> [&mut u64; 5] {
    [&mut stats.hits, &mut stats.negative_hits, &mut stats.misses, &mut stats.shared, &mut stats.stale]
}

impl Inner {
    fn replace(&self, new: Core) {
        let old = self.core.swap(Arc::new(new));
        for (figure, past) in cumulative(&mut old.cache.stats()).into_iter().zip(&self.past) {
            past.fetch_add(*figure, Ordering::Relaxed);
        }
    }

    /// Reads the hosts file again if it changed, and resolv.conf. On the resolver's own thread.
    fn check_files(&self) {
        let core = self.core.load_full();
        let file = core.settings.hosts_file.as_deref();
        if file.map_or(Stamp::default(), Stamp::of) != core.hosts.load().stamp() {
            core.hosts.store(Arc::new(Hosts::load(file, core.settings.family)));
        }
        if Stamp::of(plan::RESOLV_CONF.as_ref()) != core.system_stamp {
            match Core::new(&core.settings) {
                Ok(new) => self.replace(new),
                Err(error) => tracing::warn!(%error, "resolv.conf changed and cannot be used"),
            }
        }
    }

    /// Asks the name servers; everybody who waits on the flight gets the answer.
    fn launch(
        self: &Arc<Self>,
        core: Arc<Core>,
        name: Arc<str>,
        flight: watch::Sender<Option<Resolution>>,
        stale: Option<Addresses>,
    ) {
        let landing = Landing { inner: self.clone(), core, name, flight };
        self.runtime.spawn(landing.fly(stale));
    }
}

/// A question under way. However it ends, the cache forgets that it is under way.
struct Landing {
    inner: Arc<Inner>,
    core: Arc<Core>,
    name: Arc<str>,
    flight: watch::Sender<Option<Resolution>>,
}

impl Landing {
    async fn fly(self, stale: Option<Addresses>) {
        let early = |addresses: Addresses| {
            self.flight.send_if_modified(|slot| {
                let first = slot.is_none();
                slot.get_or_insert(Ok(addresses));
                first
            });
        };
        let question =
            query::ask(&self.core.client, &self.core.plan, &self.core.settings, &self.name, &early);
        tokio::pin!(question);
        let answer = match stale {
            None => question.await,
            Some(addresses) => match tokio::time::timeout(STALE_AFTER, &mut question).await {
                Ok(answer) => answer,
                Err(_) => {
                    early(addresses);
                    question.await
                }
            },
        };
        if answer.is_failure() {
            self.inner.errors.fetch_add(1, Ordering::Relaxed);
        }
        let resolution = self.core.cache.land(&self.name, answer, Instant::now());
        self.flight.send_if_modified(|slot| {
            let first = slot.is_none();
            slot.get_or_insert(resolution);
            first
        });
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.core.cache.forget_flight(&self.name, &self.flight);
    }
}

/// Addresses of the families wanted, the preferred one first, each address once.
fn arrange(addresses: impl Iterator<Item = IpAddr> + Clone, family: AddressFamily) -> Vec<IpAddr> {
    let (first_v6, both) = match family {
        AddressFamily::PreferIpv6 => (true, true),
        AddressFamily::PreferIpv4 => (false, true),
        AddressFamily::Ipv6Only => (true, false),
        AddressFamily::Ipv4Only => (false, false),
    };
    let addresses = addresses.map(|address| address.to_canonical());
    let mut arranged: Vec<IpAddr> = Vec::new();
    let second = addresses.clone().filter(|address| both && address.is_ipv6() != first_v6);
    for address in addresses.filter(|address| address.is_ipv6() == first_v6).chain(second) {
        if !arranged.contains(&address) {
            arranged.push(address);
        }
    }
    arranged
}
