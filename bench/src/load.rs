//! What each client does in its loop, and how it is counted.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::{Connection, request};
use crate::origin::Ports;
use crate::peers::Running;
use crate::plan::{Load, Setup};
use crate::{intercept, tls};

/// How long one operation may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a failure a client waits, so that a proxy that refuses everything is not flooded.
const PAUSE: Duration = Duration::from_millis(20);

/// How much the clients read or write at once in bulk.
const BULK: usize = 256 * 1024;

/// What one client has done.
#[derive(Default)]
pub(crate) struct Tally {
    /// Operations that went well, or bytes.
    pub(crate) done: Cell<u64>,
    pub(crate) failed: Cell<u64>,
    /// Connections opened because the proxy closed one that the client would have kept.
    pub(crate) reopened: Cell<u64>,
    /// Full handshakes where a session should have been resumed.
    pub(crate) not_resumed: Cell<u64>,
    /// The first thing that went wrong.
    pub(crate) error: Cell<Option<String>>,
}

impl Tally {
    /// Counts a failure and keeps the reason of the first.
    pub(crate) fn fail(&self, error: &io::Error) {
        self.failed.set(self.failed.get() + 1);
        let first = self.error.take().unwrap_or_else(|| error.to_string());
        self.error.set(Some(first));
    }

    pub(crate) fn add(&self, amount: u64) {
        self.done.set(self.done.get() + amount);
    }
}

/// Where the clients go.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) proxy: SocketAddr,
    /// What speaks TLS in tunnels that the proxy looks into.
    pub(crate) inside: Option<TlsConnector>,
}

/// Runs one client without end; the caller drops it.
pub(crate) async fn client(load: Load, proxy: Target, origin: Ports, tally: Rc<Tally>) {
    loop {
        let Err(error) = rounds(load, &proxy, origin, &tally).await;
        tally.fail(&error);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Rounds until one fails.
async fn rounds(
    load: Load,
    target: &Target,
    origin: Ports,
    tally: &Tally,
) -> io::Result<std::convert::Infallible> {
    let proxy = target.proxy;
    match load {
        Load::InterceptKeepAlive { body } => intercept::keep_alive(target, origin.https, body, tally).await,
        Load::InterceptNew { host_each } => intercept::new_each(target, origin.https, host_each, tally).await,
        Load::KeepAlive { body } => keep_alive(proxy, origin.http, body, tally).await,
        Load::NewConnection => {
            let request = request(origin.http, 1024);
            loop {
                bounded(async { Connection::open(proxy).await?.exchange(&request, 1024).await }).await?;
                tally.add(1);
            }
        }
        Load::Connect => loop {
            bounded(async { Connection::tunnel(proxy, origin.echo).await?.echo(&[b'e'; 64]).await }).await?;
            tally.add(1);
        },
        Load::TlsConnect { resumed } => tls_connect(proxy, origin.echo, resumed, tally).await,
        Load::TlsDownload => {
            let connector = tls::connector(false)?;
            let mut tunnel = bounded(tls::tunnel(&connector, proxy, origin.source)).await?;
            tunnel.stream.write_u8(1).await?;
            tunnel.stream.flush().await?;
            let mut block = vec![0; BULK];
            loop {
                match tunnel.stream.read(&mut block).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => tally.add(read as u64),
                }
            }
        }
        // Idle tunnels are opened and kept by the measurement itself.
        Load::TlsIdle => Err(io::Error::other("nothing happens in idle tunnels")),
        Load::PingPong | Load::Idle => {
            let mut tunnel = bounded(Connection::tunnel(proxy, origin.echo)).await?;
            let mut message = [0; 64];
            let mut number = 0u64;
            loop {
                // A different message each time, so that an old echo is not taken for the new one.
                message[..8].copy_from_slice(&number.to_le_bytes());
                tunnel.echo(&message).await?;
                tally.add(1);
                number += 1;
            }
        }
        Load::Through { body } => {
            let request = request(origin.http, body);
            let mut tunnel = bounded(Connection::tunnel(proxy, origin.http)).await?;
            loop {
                tunnel.exchange(&request, body).await?;
                tally.add(1);
            }
        }
        Load::Download => {
            let mut tunnel = bounded(Connection::tunnel(proxy, origin.source)).await?;
            tunnel.stream.write_u8(1).await?;
            let mut block = vec![0; BULK];
            loop {
                match tunnel.stream.read(&mut block).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => tally.add(read as u64),
                }
            }
        }
        Load::Upload => {
            let mut tunnel = bounded(Connection::tunnel(proxy, origin.sink)).await?;
            let block = vec![b'e'; BULK];
            loop {
                let written = tunnel.stream.write(&block).await?;
                tally.add(written as u64);
            }
        }
    }
}

/// A client with sessions of its own. The first handshake has none to resume and is not held against
/// the proxy.
async fn tls_connect(
    proxy: SocketAddr,
    origin: SocketAddr,
    resumed: bool,
    tally: &Tally,
) -> io::Result<std::convert::Infallible> {
    let connector = tls::connector(resumed)?;
    let mut is_first = true;
    loop {
        let was_resumed = bounded(async {
            let mut tunnel = tls::tunnel(&connector, proxy, origin).await?;
            tunnel.echo(&[b'e'; 64]).await?;
            let was_resumed = tls::was_resumed(&tunnel);
            // With close_notify, as a client ends a TLS connection.
            tunnel.stream.shutdown().await?;
            Ok(was_resumed)
        })
        .await?;
        if was_resumed && !resumed {
            return Err(io::Error::other("a session was resumed that should be new"));
        }
        if resumed && !was_resumed && !is_first {
            tally.not_resumed.set(tally.not_resumed.get() + 1);
        }
        is_first = false;
        tally.add(1);
    }
}

async fn keep_alive(
    proxy: SocketAddr,
    origin: SocketAddr,
    body: usize,
    tally: &Tally,
) -> io::Result<std::convert::Infallible> {
    let request = request(origin, body);
    let mut connection = bounded(Connection::open(proxy)).await?;
    let mut used = false;
    loop {
        let kept = match connection.exchange(&request, body).await {
            Ok(kept) => {
                tally.add(1);
                kept
            }
            // Closed while it was not in use, which a proxy may do.
            Err(error) if used && error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        };
        used = kept;
        if !kept {
            tally.reopened.set(tally.reopened.get() + 1);
            connection = bounded(Connection::open(proxy)).await?;
        }
    }
}

/// One operation, with a limit. Only where a connection is opened: a timer for each exchange on an open
/// one would cost the machine more than it finds out, since a client that stands still is noticed.
pub(crate) async fn bounded<Value>(work: impl Future<Output = io::Result<Value>>) -> io::Result<Value> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// One request and one tunnel, to see that a proxy answers properly.
///
/// # Errors
///
/// What was wrong.
pub(crate) async fn probe(running: &Running, origin: Ports, setup: Setup) -> io::Result<()> {
    let proxy = running.address;
    bounded(async {
        if setup == Setup::Intercept {
            let connector = tls::trusting(&running.interception_ca()?)?;
            for length in [1024, 65536] {
                let mut tunnel = intercept::open(proxy, &connector, origin.https, 0).await?;
                tunnel.exchange(&intercept::request(origin.https, 0, length), length).await?;
            }
            return Ok(());
        }
        if setup == Setup::Tls {
            let connector = tls::connector(false)?;
            tls::refuses_strangers(proxy).await?;
            return tls::tunnel(&connector, proxy, origin.echo).await?.echo(&[b'p'; 64]).await;
        }
        for length in [1024, 65536] {
            Connection::open(proxy).await?.exchange(&request(origin.http, length), length).await?;
        }
        Connection::tunnel(proxy, origin.echo).await?.echo(&[b'p'; 64]).await
    })
    .await
}
