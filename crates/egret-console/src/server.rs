//! Serving with bounds: connections, head size, time for a head, time in all.

use std::io;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::AdminState;
use crate::routes::router;

/// What a client of the admin server may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// From connecting, or from the last response, to the end of a request head. Shorter than a
    /// scrape interval: a scraper connects again, and nobody holds a connection by doing nothing.
    pub(crate) head: Duration,
    /// A connection in all, so that whoever reads slowly makes room too.
    pub(crate) lifetime: Duration,
    /// For what is in flight when the lifetime is over.
    pub(crate) grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 64,
            head: Duration::from_secs(10),
            lifetime: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}

/// The largest request head: scrapers, probes and browsers stay far below.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// Pause after a failed accept: out of descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the admin pages until the future is dropped, which closes all connections. Needs a tokio
/// runtime with I/O and time; one of its own keeps scrapes off the data path.
///
/// # Errors
/// The listener cannot be handed to the runtime.
pub async fn serve(listener: StdListener, state: AdminState) -> io::Result<()> {
    serve_within(listener, state, Bounds::default()).await
}

pub(crate) async fn serve_within(listener: StdListener, state: AdminState, bounds: Bounds) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let router = router(Arc::new(state));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < bounds.connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone(), bounds));
                }
                Err(error) => {
                    tracing::debug!(%error, "the admin server could not accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router, bounds: Bounds) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .max_headers(HEAD_FIELDS)
            .max_header_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let ended = match timeout(bounds.lifetime, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            timeout(bounds.grace, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended badly");
    }
}
