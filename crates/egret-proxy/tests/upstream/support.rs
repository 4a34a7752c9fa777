//! Grants, servers and snapshots that the tests share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use egret_core::destination::Destination;
use egret_core::gate::{Gate, Grant, Guard};
use egret_core::identity::Identity;
use egret_core::policy::Ask;
use egret_core::settings::{DnsSettings, Snapshot};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How many connections a test server serves before it ends.
pub(crate) const CONNECTIONS: usize = 100;

pub(crate) fn deadline(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

pub(crate) fn gate() -> Gate {
    Gate { guard: Guard { allow_loopback: true, ..Guard::default() }, ..Gate::default() }
}

pub(crate) fn grant(destination: &str, addresses: &[IpAddr]) -> Grant {
    let destination = Destination::parse_authority(destination).unwrap();
    let identity = Identity::from_address("127.0.0.1:1".parse().unwrap());
    let ask = Ask::for_tunnel(&identity, &destination, SystemTime::UNIX_EPOCH);
    let permit = gate().evaluate(&ask).unwrap();
    gate().grant(&ask, &permit, addresses).unwrap()
}

pub(crate) fn grant_unresolved(destination: &str) -> Grant {
    let destination = Destination::parse_authority(destination).unwrap();
    let identity = Identity::from_address("127.0.0.1:1".parse().unwrap());
    let ask = Ask::for_tunnel(&identity, &destination, SystemTime::UNIX_EPOCH);
    let permit = gate().evaluate(&ask).unwrap();
    gate().grant_unresolved(&ask, &permit).unwrap()
}

/// A snapshot that asks nobody but the servers given.
pub(crate) fn snapshot(servers: &[SocketAddr]) -> Snapshot {
    Snapshot {
        gate: gate(),
        dns: DnsSettings {
            // Port 1: nobody listens there.
            servers: if servers.is_empty() { vec!["127.0.0.1:1".parse().unwrap()] } else { servers.to_vec() },
            hosts_file: None,
            search: Some(Vec::new()),
            ndots: Some(1),
            ..DnsSettings::default()
        },
        ..Snapshot::default()
    }
}

/// A server that says hello and then gives back what it gets.
pub(crate) async fn echo(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for _ in 0..CONNECTIONS {
            let Ok((mut tcp, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let _ = tcp.write_all(b"hello ").await;
                let (mut read, mut write) = tcp.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

/// Sends a word through a tunnel to an echo server, and checks what comes back.
pub(crate) async fn assert_echo(io: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), early: &[u8]) {
    io.write_all(b"world").await.unwrap();
    io.flush().await.unwrap();
    let mut got = early.to_vec();
    while got.len() < b"hello world".len() {
        let read = tokio::time::timeout(Duration::from_secs(10), io.read_buf(&mut got));
        assert_ne!(read.await.unwrap().unwrap(), 0, "the tunnel closed after {got:?}");
    }
    assert_eq!(got, b"hello world");
}

/// A listener whose backlog is full: connections to it are neither accepted nor refused.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _fillers: Vec<TcpStream>,
}

pub(crate) async fn black_hole(ip: &str, port: u16) -> BlackHole {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.set_reuse_address(true).unwrap();
    let wanted = SocketAddr::new(ip.parse().unwrap(), port);
    listener.bind(&wanted.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..16 {
        match tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            Ok(filler) => fillers.push(filler.unwrap()),
            Err(_) => return BlackHole { address, _listener: listener, _fillers: fillers },
        }
    }
    panic!("the backlog of {address} does not fill up");
}

/// A port on 127.0.0.1 that nobody listens on (it was free a moment ago).
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn name(text: &str) -> Arc<str> {
    text.into()
}
