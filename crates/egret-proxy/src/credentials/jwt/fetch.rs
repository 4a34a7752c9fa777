//! Fetching a JWK set from its URL, again and again. What was good last stays when a fetch fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use egret_core::authentication::KeyUrl;
use egret_core::settings::Snapshot;
use http::Request;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{DnsName, ServerName};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use egret_core::destination::Host;

use super::keys::{Keys, MAX_SET_BYTES};
use crate::stream::Stream;
use crate::tls_stream::TlsStream;
use crate::upstream::Upstream;

/// One fetch, from the name to the last byte.
const FETCH: Duration = Duration::from_secs(10);

/// The first and the longest wait after a fetch that failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Keys that are not known make for a fetch at most so often, or anybody could have the provider asked
/// without end by sending tokens.
const AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// Where keys come from.
pub(super) struct Source {
    pub(super) url: KeyUrl,
    pub(super) refresh: Duration,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
}

type Fetched = Arc<Mutex<Option<SystemTime>>>;

/// The task that fetches. Dropped, it ends.
pub(super) struct Fetcher {
    task: JoinHandle<()>,
    wishes: mpsc::Sender<oneshot::Sender<()>>,
    fetched: Fetched,
}

impl Fetcher {
    /// Starts fetching.
    pub(super) fn start(source: Source, keys: Arc<ArcSwap<Keys>>) -> Self {
        let (wishes, queue) = mpsc::channel(64);
        let fetched = Fetched::default();
        let task = tokio::spawn(run(source, keys, queue, fetched.clone()));
        Self { task, wishes, fetched }
    }

    /// Has the keys fetched now, and waits for it; does nothing when that was done a moment ago.
    pub(super) async fn refresh(&self) {
        let (done, wait) = oneshot::channel();
        if self.wishes.try_send(done).is_ok() {
            // An error means that it was done a moment ago.
            let _ = wait.await;
        }
    }

    /// When a fetch succeeded last.
    pub(super) fn fetched_at(&self) -> Option<SystemTime> {
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    source: Source,
    keys: Arc<ArcSwap<Keys>>,
    mut queue: mpsc::Receiver<oneshot::Sender<()>>,
    fetched: Fetched,
) {
    let mut retry = RETRY.0;
    let mut failing = false;
    let mut waiting = Vec::new();
    loop {
        let tried = Instant::now();
        let outcome = tokio::time::timeout(FETCH, fetch(&source)).await;
        let wait = match outcome.unwrap_or_else(|_| Err(format!("no answer within {FETCH:?}"))) {
            Ok(new) => {
                if failing || keys.load().0.is_empty() {
                    tracing::info!(keys = new.0.len(), "the keys for tokens were fetched");
                }
                keys.store(Arc::new(new));
                *fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
                (retry, failing) = (RETRY.0, false);
                source.refresh
            }
            Err(why) => {
                let kept = keys.load().0.len();
                tracing::warn!(
                    why,
                    kept,
                    "the keys for tokens could not be fetched; those that were are kept"
                );
                failing = true;
                let wait = retry;
                retry = (retry * 2).min(RETRY.1);
                wait
            }
        };
        // Whoever waits looks at the keys now.
        waiting.clear();
        let next = tried + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                wish = queue.recv() => match wish {
                    None => return,
                    // Dropped: it is answered at once.
                    Some(_) if tried.elapsed() < AT_MOST_EVERY && !keys.load().0.is_empty() => {}
                    Some(_) if tried.elapsed() < RETRY.0 => {}
                    Some(wish) => {
                        waiting.push(wish);
                        break;
                    }
                },
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "collects a `Limited` body")]
async fn fetch(source: &Source) -> Result<Keys, String> {
    let stream = connect(source).await?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let request = Request::get(&source.url.path)
        .header(HOST, &source.url.authority)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, concat!("egret/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let (head, body) =
            sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(format!("the answer is {}", head.status));
        }
        let body = Limited::new(body, MAX_SET_BYTES).collect().await;
        let body = body.map_err(|error| format!("the answer cannot be read: {error}"))?;
        Keys::parse(&body.to_bytes()).map_err(|why| format!("the answer is no set of keys: {why}"))
    };
    let outcome = answer.await;
    driver.abort();
    outcome
}

async fn connect(source: &Source) -> Result<Stream, String> {
    let Source { url, upstream, .. } = source;
    let snapshot = source.snapshot.load_full();
    let deadline = Instant::now() + FETCH;
    let stream = upstream.reach_service(&snapshot, &url.server, deadline).await;
    let stream = stream.map_err(|error| error.detail)?;
    if !url.tls {
        return Ok(stream);
    }
    let name = match &url.server.host {
        Host::Name(name) => DnsName::try_from(name.to_string()).ok().map(ServerName::DnsName),
        Host::Address(address) => Some(ServerName::from(*address)),
    };
    let name = name.ok_or("no certificate can be for this name")?;
    let connected = TlsStream::connect(stream, source.tls.clone(), name).await;
    let tls = connected.map_err(|error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        tls.map_or_else(|| error.to_string(), |tls| egret_tls::explain::explain(tls).detail)
    })?;
    Ok(Stream::Tls(tls))
}
