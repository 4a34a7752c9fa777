//! Kept upstream connections, shared by all clients of one worker.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use egret_core::destination::Destination;
use egret_core::record::UpstreamTls;
use egret_core::settings::UpstreamSettings;
use egret_flows::flow::TlsFacts;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::metrics::{PoolEvent, WorkerMetrics};
use crate::stream::Stream;

/// An HTTP/1.1 connection to an origin or to a parent.
#[derive(Debug)]
pub struct UpstreamConnection {
    /// The bytes.
    pub stream: Stream,
    /// Bytes that were read and not yet used.
    pub input: Option<Buffer>,
    /// The address that was dialled.
    pub address: SocketAddr,
    /// The generation of the snapshot it was dialled under.
    pub generation: u64,
    /// It leads to an HTTP parent, which takes whole URLs.
    pub parent: Option<ParentForm>,
    /// The TLS session, where it leads to an origin over TLS.
    pub tls: Option<Arc<UpstreamTls>>,
    /// It is a stream of an HTTP/2 connection, for one request.
    pub http2: bool,
    /// It authenticated one client (NTLM, Negotiate) and serves nobody else.
    pub pinned: bool,
    /// More of it, once somebody has asked.
    pub facts: Option<Arc<TlsFacts>>,
}

impl UpstreamConnection {
    /// What was agreed in TLS with the origin; `None` without TLS.
    pub fn tls_facts(&mut self) -> Option<Arc<TlsFacts>> {
        if self.facts.is_none() && self.tls.is_some() {
            let problem = self.tls.as_ref().and_then(|tls| tls.excused.as_deref()).map(str::to_owned);
            self.facts = self.stream.tls_facts().map(|facts| Arc::new(TlsFacts { problem, ..facts }));
        }
        self.facts.clone()
    }
}

/// What a request needs to be taken by an HTTP parent.
#[derive(Clone)]
pub struct ParentForm {
    /// The value of `Proxy-Authorization`. A secret.
    pub authorization: Option<Arc<str>>,
}

impl std::fmt::Debug for ParentForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ParentForm(..)")
    }
}

/// What a kept connection can be used for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The parent group it leads through.
    pub parent: Option<Arc<str>>,
    /// TLS is spoken on it.
    pub tls: bool,
    /// The origin; for a plain parent the parent itself.
    pub destination: Destination,
}

#[derive(Debug)]
struct Kept {
    connection: UpstreamConnection,
    since: Instant,
}

/// The kept connections of one worker. The lock is only ever taken by the worker's own thread.
#[derive(Debug)]
pub struct Pool {
    inner: Mutex<Inner>,
    metrics: Arc<WorkerMetrics>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Looked up twice for every request, so not with the standard library's hasher. A client that
    /// could make keys collide would find as many of them as connections may be kept.
    by_key: HashMap<PoolKey, Vec<Kept>, foldhash::fast::RandomState>,
    count: usize,
}

impl Pool {
    /// An empty pool that counts with these counters.
    #[must_use]
    pub fn new(metrics: Arc<WorkerMetrics>) -> Self {
        Self { inner: Mutex::default(), metrics }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner().count
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A living connection for this key, the one used last first. `now` may be a little ago. `surely`
    /// asks the kernel whether the other side has closed, for requests that cannot be sent twice.
    pub fn take(
        &self,
        key: &PoolKey,
        generation: u64,
        settings: &UpstreamSettings,
        now: Instant,
        surely: bool,
    ) -> Option<UpstreamConnection> {
        let mut inner = self.inner();
        let kept = inner.by_key.get_mut(key)?;
        let mut found = None;
        let mut taken = 0;
        let oldest = now.checked_sub(settings.pool_idle);
        while let Some(mut candidate) = kept.pop() {
            taken += 1;
            self.metrics.pool(PoolEvent::Released);
            if self.is_usable(&mut candidate, generation, oldest, surely) {
                found = Some(candidate.connection);
                break;
            }
        }
        if kept.is_empty() && found.is_none() {
            inner.by_key.remove(key);
        }
        inner.count -= taken;
        found
    }

    fn is_usable(&self, kept: &mut Kept, generation: u64, oldest: Option<Instant>, surely: bool) -> bool {
        let current = kept.connection.generation == generation;
        if !current || oldest.is_some_and(|oldest| kept.since < oldest) {
            return false;
        }
        let quiet = is_quiet(&mut kept.connection.stream, surely);
        if !quiet {
            self.metrics.pool(PoolEvent::Stale);
        }
        quiet
    }

    /// Keeps a connection for later, as one that has been idle since `since`.
    pub fn put(
        &self,
        key: PoolKey,
        connection: UpstreamConnection,
        settings: &UpstreamSettings,
        since: Instant,
    ) {
        let mut inner = self.inner();
        if inner.count >= settings.pool_total {
            return;
        }
        let kept = inner.by_key.entry(key).or_default();
        if kept.len() >= settings.pool_per_origin {
            return;
        }
        kept.push(Kept { connection, since });
        inner.count += 1;
        self.metrics.pool(PoolEvent::Kept);
    }

    /// Closes what is too old, of another generation, or closed by the other side.
    pub fn sweep(&self, generation: u64, idle: Duration) {
        let mut inner = self.inner();
        let oldest = Instant::now().checked_sub(idle);
        let mut count = 0;
        inner.by_key.retain(|_, kept| {
            kept.retain_mut(|one| {
                let usable = self.is_usable(one, generation, oldest, false);
                if !usable {
                    self.metrics.pool(PoolEvent::Released);
                }
                usable
            });
            count += kept.len();
            !kept.is_empty()
        });
        inner.count = count;
    }
}

/// Whether a connection without work has nothing to say. Anything that comes unasked, the end
/// included, makes it unusable.
fn is_quiet(stream: &mut Stream, surely: bool) -> bool {
    if surely && let Some(tcp) = stream.as_tcp() {
        let mut byte = [0_u8; 1];
        let seen = rustix::net::recv(tcp, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        return matches!(seen, Err(error) if error == rustix::io::Errno::AGAIN);
    }
    let mut byte = [0_u8; 1];
    let mut context = Context::from_waker(Waker::noop());
    matches!(Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)), Poll::Pending)
}
