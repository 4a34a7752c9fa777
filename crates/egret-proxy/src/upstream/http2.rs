//! HTTP/2 with origins (RFC 9113), for clients that speak it themselves: gRPC does not work without.
//!
//! A request goes through the shared path as HTTP/1.1, as all do; here it becomes a stream of a connection that
//! others share, by way of a pipe, and the response comes back as HTTP/1.1. So there is one way in which requests
//! are forwarded, and one in which framing is judged.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use egret_core::record::UpstreamTls;
use egret_flows::flow::TlsFacts;
use h2::client::SendRequest;
use tokio::time::Instant;

use super::pool::{PoolKey, UpstreamConnection};
use crate::stream::Stream;

mod carry;

/// How long it is remembered that an origin does not speak HTTP/2.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Origins that are remembered by each worker: the limit `http2_origins`.
const ORIGINS: usize = 4096;

/// Bytes of one direction of a request that may be on their way between the shared path and the stream.
const PIPE: usize = 64 * 1024;

/// What one stream may have on its way to the proxy, and what all of a connection may.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// The largest list of fields that is taken.
const FIELDS: u32 = 256 * 1024;

/// A connection that requests share.
#[derive(Clone)]
pub struct Live {
    sender: SendRequest<Bytes>,
    open: Arc<AtomicUsize>,
    /// The address that was dialled.
    pub address: SocketAddr,
    generation: u64,
    tls: Option<Arc<UpstreamTls>>,
    facts: Option<Arc<TlsFacts>>,
}

/// What is known of an origin.
pub enum Learned {
    /// A connection stands.
    Http2(Live),
    /// It does not speak HTTP/2.
    Http1,
    /// Nothing.
    Nothing,
}

enum Known {
    Http2 { live: Live, used: Instant },
    Http1 { until: Instant },
}

/// What one worker knows of the origins that its clients want to speak HTTP/2 with.
#[derive(Default)]
pub struct Http2Origins {
    known: Mutex<HashMap<PoolKey, Known>>,
}

impl Http2Origins {
    fn known(&self) -> MutexGuard<'_, HashMap<PoolKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of this origin.
    pub fn find(&self, key: &PoolKey, generation: u64) -> Learned {
        let now = Instant::now();
        match self.known().get_mut(key) {
            Some(Known::Http2 { live, used }) if live.generation == generation && live.has_room() => {
                *used = now;
                Learned::Http2(live.clone())
            }
            Some(Known::Http1 { until }) if now < *until => Learned::Http1,
            _ => Learned::Nothing,
        }
    }

    /// Notes what an origin has chosen. The connection is kept for others. False when all others were forgotten
    /// for it: the limit `http2_origins` struck.
    pub fn learn(&self, key: PoolKey, live: Option<Live>) -> bool {
        let now = Instant::now();
        let mut known = self.known();
        let has_room = known.len() < ORIGINS || known.contains_key(&key);
        if !has_room {
            known.clear();
        }
        let what = match live {
            Some(live) => Known::Http2 { live, used: now },
            None => Known::Http1 { until: now + REMEMBERED },
        };
        known.insert(key, what);
        has_room
    }

    /// Forgets a connection that was of no use.
    pub fn forget(&self, key: &PoolKey) {
        self.known().remove(key);
    }

    /// Lets go of what was not used for so long, or is of another generation. Requests under way end in peace.
    pub fn sweep(&self, generation: u64, idle: Duration) {
        let now = Instant::now();
        self.known().retain(|_, known| match known {
            Known::Http2 { live, used } => {
                let busy = live.open.load(Ordering::Relaxed) > 0;
                live.generation == generation && (busy || now.saturating_duration_since(*used) < idle)
            }
            Known::Http1 { until } => now < *until,
        });
    }
}

impl Live {
    /// Begins to speak HTTP/2 on a connection that has agreed on it.
    ///
    /// # Errors
    /// The frame layer's.
    pub async fn begin(
        stream: Stream,
        address: SocketAddr,
        generation: u64,
        tls: Option<Arc<UpstreamTls>>,
    ) -> Result<Self, h2::Error> {
        // Streams do not know what they are on, so it is noted for all of them.
        let problem = tls.as_ref().and_then(|tls| tls.excused.as_deref()).map(str::to_owned);
        let facts = stream.tls_facts().map(|facts| Arc::new(TlsFacts { problem, ..facts }));
        let (sender, connection) = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(FIELDS)
            .handshake::<_, Bytes>(stream)
            .await?;
        tokio::spawn(async move {
            // Whoever has a stream open hears of the error there.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection to an origin ended");
            }
        });
        Ok(Self { sender, open: Arc::default(), address, generation, tls, facts })
    }

    /// Whether the origin takes one more stream.
    fn has_room(&self) -> bool {
        self.open.load(Ordering::Relaxed) < self.sender.current_max_send_streams().max(1)
    }

    /// A stream of it, as a connection that serves one request. `None`: the connection has ended.
    pub async fn open(&self) -> Option<UpstreamConnection> {
        let sender = self.sender.clone().ready().await.ok()?;
        let (near, far) = tokio::io::duplex(PIPE);
        let open = Open::count(&self.open);
        tokio::spawn(async move {
            let _open = open;
            carry::carry(sender, far).await;
        });
        Some(UpstreamConnection {
            stream: Stream::Pipe(Box::new(near)),
            input: None,
            address: self.address,
            generation: self.generation,
            parent: None,
            tls: self.tls.clone(),
            http2: true,
            pinned: false,
            facts: self.facts.clone(),
        })
    }
}

/// A stream's place among the open ones.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
