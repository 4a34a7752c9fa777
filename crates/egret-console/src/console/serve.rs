//! Serving the console: HTTP/1.1, and TLS on the same port for the check of trust.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use egret_core::destination::Host;
use egret_tls::interception::{InterceptServer, LeafNames, MintSettings, Minter};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;

use super::{Console, Peer};

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// For a request's head, counted from connecting or from the last response; and for a TLS handshake.
const HEAD: Duration = Duration::from_secs(30);
/// The largest request head: a filter of 4096 bytes, percent-encoded, and a cookie.
const HEAD_BYTES: usize = 32 * 1024;
const HEAD_FIELDS: usize = 64;
/// Pause after a failed accept: out of descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The first byte of a TLS record with a ClientHello (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// The CA's certificate, and what was made of it.
type Made = (Vec<u8>, Arc<Minter>, Arc<InterceptServer>);

/// What makes certificates for the check of trust, for as long as the CA is the same.
#[derive(Default)]
struct Trust {
    made: Mutex<Option<Made>>,
}

impl Console {
    /// Serves the console until the future is dropped, which closes all connections. Needs a tokio runtime with
    /// I/O and time; one of its own keeps it off the data path.
    ///
    /// # Errors
    /// The listener cannot be handed to the runtime.
    pub async fn serve(&self, listener: StdListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let trust = Arc::new(Trust::default());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, address)) => {
                        connections.spawn(converse(self.clone(), trust.clone(), stream, address));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the console could not accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Keeps what live views are told. To be run beside [`Console::serve`], once.
    pub async fn follow(&self) {
        self.inner.hub.follow(&self.inner.store).await;
    }
}

async fn converse(console: Console, trust: Arc<Trust>, stream: TcpStream, address: SocketAddr) {
    let mut first = [0];
    match timeout(HEAD, stream.peek(&mut first)).await {
        Ok(Ok(1)) => {}
        _ => return,
    }
    if first[0] != HANDSHAKE {
        return speak(console, Peer { address, over_tls: false }, stream).await;
    }
    match timeout(HEAD, handshake(&console, &trust, stream)).await {
        Ok(Ok(stream)) => speak(console, Peer { address, over_tls: true }, stream).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the console failed"),
        Err(_) => {}
    }
}

async fn handshake(
    console: &Console,
    trust: &Trust,
    stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let local = stream.local_addr()?.ip();
    let started = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let name = started.client_hello().server_name().map(str::to_owned);
    let host = match name {
        Some(name) if console.inner.names.has(&name) => Host::parse(&name).map_err(io::Error::other)?,
        Some(_) => return Err(io::Error::other("the name is not one of the console's")),
        None => Host::Address(local.to_canonical()),
    };
    let (minter, server) = trust.minter(console).await?;
    let leaf = minter.leaf(&LeafNames::of(&host), Timestamp::now()).await.map_err(io::Error::other)?;
    started.into_stream(server.config(&leaf, &[b"http/1.1"])).await
}

impl Trust {
    async fn minter(&self, console: &Console) -> io::Result<(Arc<Minter>, Arc<InterceptServer>)> {
        let inner = console.inner.clone();
        let set = tokio::task::spawn_blocking(move || inner.proxy.ca()).await.map_err(io::Error::other)?;
        let set = set.map_err(io::Error::other)?;
        let mut made = self.made.lock().await;
        let current = set.current.certificate().to_vec();
        if let Some((of, minter, server)) = &*made
            && *of == current
        {
            return Ok((minter.clone(), server.clone()));
        }
        let settings = MintSettings { leaves: 64, ..MintSettings::default() };
        let minter = Arc::new(Minter::new(Arc::new(set.current), settings).map_err(io::Error::other)?);
        let server = Arc::new(InterceptServer::new().map_err(io::Error::other)?);
        *made = Some((current, minter.clone(), server.clone()));
        Ok((minter, server))
    }
}

async fn speak(console: Console, peer: Peer, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(move |request: Request<Incoming>| {
        let console = console.clone();
        async move { Ok::<_, Infallible>(console.answer(peer, request.map(Body::new)).await) }
    });
    let connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEAD_FIELDS)
            .max_header_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the console ended badly");
    }
}
