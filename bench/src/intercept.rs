//! Requests in tunnels that the proxy looks into: the client speaks TLS with the proxy as if it were the origin.
//!
//! The origins are one, of many names: `h0.bench.test` and so on.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Connection;
use crate::load::{Tally, Target, bounded};

/// How many hosts there are: more than are asked for in one measurement.
const HOSTS: u32 = 50_000;

thread_local! {
    /// The host that was asked for last.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

/// A file with the addresses of all hosts, as `/etc/hosts`.
pub(crate) fn hosts_file() -> String {
    (0..HOSTS).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "127.0.0.1 h{number}.bench.test");
        text
    })
}

/// A request for a host, with the fields that curl sends.
pub(crate) fn request(origin: SocketAddr, host: u32, length: usize) -> Vec<u8> {
    format!(
        "GET /{length} HTTP/1.1\r\nHost: h{host}.bench.test:{}\r\nUser-Agent: egret-bench\r\nAccept: */*\r\n\r\n",
        origin.port()
    )
    .into_bytes()
}

/// A tunnel to a host, with TLS in it.
///
/// # Errors
///
/// The connection, CONNECT or the handshake failed.
pub(crate) async fn open(
    proxy: SocketAddr,
    connector: &TlsConnector,
    origin: SocketAddr,
    host: u32,
) -> io::Result<Connection<TlsStream<TcpStream>>> {
    let name = format!("h{host}.bench.test");
    let tunnel = Connection::open(proxy).await?.into_tunnel(format!("{name}:{}", origin.port())).await?;
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    Ok(Connection::over(connector.connect(name, tunnel.stream).await?))
}

/// Requests on a connection that is kept.
///
/// # Errors
///
/// What was wrong.
pub(crate) async fn keep_alive(
    target: &Target,
    origin: SocketAddr,
    body: usize,
    tally: &Tally,
) -> io::Result<std::convert::Infallible> {
    let connector = connector(target)?;
    let request = request(origin, 0, body);
    let mut tunnel = bounded(open(target.proxy, connector, origin, 0)).await?;
    loop {
        if !tunnel.exchange(&request, body).await? {
            return Err(io::Error::other("the proxy closed a connection inside a tunnel"));
        }
        tally.add(1);
    }
}

/// A tunnel for each request.
///
/// # Errors
///
/// What was wrong.
pub(crate) async fn new_each(
    target: &Target,
    origin: SocketAddr,
    host_each: bool,
    tally: &Tally,
) -> io::Result<std::convert::Infallible> {
    let connector = connector(target)?;
    loop {
        let host = if host_each { next_host() } else { 0 };
        bounded(async {
            let mut tunnel = open(target.proxy, connector, origin, host).await?;
            tunnel.exchange(&request(origin, host, 1024), 1024).await?;
            // With close_notify, as a client ends a TLS connection.
            tunnel.stream.shutdown().await
        })
        .await?;
        tally.add(1);
    }
}

fn next_host() -> u32 {
    LAST.with(|last| {
        last.set((last.get() + 1) % HOSTS);
        last.get()
    })
}

fn connector(target: &Target) -> io::Result<&TlsConnector> {
    target.inside.as_ref().ok_or_else(|| io::Error::other("the proxy looks into no tunnels"))
}
