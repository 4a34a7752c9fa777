//! Listening sockets: one for each worker and address, so that the kernel spreads connections and no
//! queue is shared.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use egret_core::settings::Serves;
use egret_tls::server::ServerTls;
use ipnet::IpNet;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::metrics::Limit;
use crate::stream::Stream;
use crate::worker::Worker;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How long accepting rests when the process has no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// How long handshakes that have begun may take before a listener is closed.
const LAST_HANDSHAKES: Duration = Duration::from_millis(100);

/// What a connection needs to know of the listener that it came in by.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address, with the port that was given.
    pub address: SocketAddr,
    /// TLS, where the listener speaks it; a reload puts another one in.
    pub tls: Option<Arc<ArcSwap<ServerTls>>>,
    /// Networks of balancers, whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Arc<[IpNet]>,
    /// What is served.
    pub serves: Serves,
}

impl Listener {
    /// Whether connections from here begin with a header of the PROXY protocol.
    #[must_use]
    pub fn is_balancer(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxy_protocol.iter().any(|network| network.contains(&address))
    }
}

/// The sockets of one listener, one for each worker.
#[derive(Debug)]
pub struct Bound {
    /// The address, with the port that was given.
    pub address: SocketAddr,
    /// The sockets.
    pub sockets: Vec<TcpListener>,
    /// Somebody else holds the sockets as well and goes on listening when this process is gone.
    pub lent: bool,
    /// TLS; `None` for plain HTTP.
    pub tls: Option<Arc<ArcSwap<ServerTls>>>,
    /// Networks of balancers, whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Arc<[IpNet]>,
    /// What is served.
    pub serves: Serves,
}

/// Binds an address for so many workers. Another process of the same user may bind it as well
/// (SO_REUSEPORT): that is how one instance takes over from another without a gap.
///
/// # Errors
/// The system's error.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Bound> {
    let first = bind_one(address)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < workers.max(1) {
        sockets.push(bind_one(address)?);
    }
    Ok(Bound {
        address,
        sockets,
        lent: false,
        tls: None,
        proxy_protocol: Arc::default(),
        serves: Serves::default(),
    })
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // [::] stands for both families, as people expect.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted connections inherit it, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Takes over a socket that the service manager has bound, shared by all workers.
///
/// # Errors
/// The system's error.
pub fn adopt(socket: &TcpListener, workers: usize) -> io::Result<Bound> {
    socket.set_nonblocking(true)?;
    let _ = socket2::SockRef::from(socket).set_tcp_nodelay(true);
    let sockets = (0..workers.max(1)).map(|_| socket.try_clone()).collect::<io::Result<_>>()?;
    Ok(Bound {
        address: socket.local_addr()?,
        sockets,
        lent: true,
        tls: None,
        proxy_protocol: Arc::default(),
        serves: Serves::default(),
    })
}

/// One socket, as a worker accepts from it.
#[derive(Debug)]
pub struct Acceptor {
    /// The socket.
    pub socket: TcpListener,
    /// The listener. Each worker has one of its own, so that counting references to it does not move a
    /// cache line between processors.
    pub listener: Arc<Listener>,
    /// See [`Bound::lent`].
    pub lent: bool,
}

/// A connection on its way to the worker that will serve it.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, in non-blocking mode.
    pub socket: OwnedFd,
    /// The client's address.
    pub peer: SocketAddr,
    /// The listener.
    pub listener: Arc<Listener>,
}

/// Where a worker's connections can be handed to.
#[derive(Clone, Debug)]
pub struct Seat {
    /// How many connections the worker serves.
    pub load: Arc<AtomicUsize>,
    /// Its door.
    pub door: UnboundedSender<Accepted>,
}

/// Accepts until told to stop, and then takes what is still in the queue, so that no client that has
/// connected is turned away. The queue of a socket that was lent waits for whoever comes next.
pub async fn accept(
    worker: Arc<Worker>,
    Acceptor { socket, listener, lent }: Acceptor,
    seats: Arc<[Seat]>,
    mut stop: watch::Receiver<bool>,
) {
    #[expect(deprecated, reason = "the replacement is unsafe; a listener never changes its descriptor")]
    let socket = match AsyncFd::with_interest(socket, Interest::READABLE) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(address = %listener.address, %error, "cannot listen");
            return;
        }
    };
    loop {
        tokio::select! {
            biased;
            outcome = socket.async_io(Interest::READABLE, accept_one) => match outcome {
                Ok((accepted, peer)) => admit(&worker, accepted, peer, &listener, &seats),
                Err(error) => rest(&worker, &error).await,
            },
            () = stopped(&mut stop) => break,
        }
    }
    if lent {
        return;
    }
    refuse_new_handshakes(socket.get_ref());
    let end = tokio::time::Instant::now() + LAST_HANDSHAKES;
    while let Ok(outcome) =
        tokio::time::timeout_at(end, socket.async_io(Interest::READABLE, accept_one)).await
    {
        match outcome {
            Ok((accepted, peer)) => admit(&worker, accepted, peer, &listener, &seats),
            Err(error) => rest(&worker, &error).await,
        }
    }
    while let Ok((accepted, peer)) = accept_one(socket.get_ref()) {
        admit(&worker, accepted, peer, &listener, &seats);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is a reason to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn accept_one(socket: &TcpListener) -> io::Result<(OwnedFd, SocketAddr)> {
    loop {
        match rustix::net::acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((accepted, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let Some(peer) = peer else { continue };
                return Ok((accepted, peer));
            }
            // The client was gone before it was accepted.
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Drops the packets that would begin a connection, but not those that complete one. The client sends
/// them again a moment later, when this socket is gone, and meets another instance that listens on
/// the same address. Without this, a connection that is established between the last accept and the
/// close would be reset.
fn refuse_new_handshakes(socket: &TcpListener) {
    // Load the flags of the TCP header; SYN without ACK is dropped.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let program = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, 0x12),
        SockFilter::new(JUMP_EQUAL, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = socket2::SockRef::from(socket).attach_filter(&program) {
        tracing::debug!(%error, "closing the listener without a filter for late handshakes");
    }
}

async fn rest(worker: &Worker, error: &io::Error) {
    let exhausted = matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    );
    if exhausted {
        worker.metrics.limit_hit(Limit::Descriptors);
    }
    worker.metrics.limit_hit(Limit::AcceptPaused);
    tracing::warn!(%error, "accepting rests for {PAUSE:?}");
    tokio::time::sleep(PAUSE).await;
}

/// Chooses the worker for a connection: this one, unless another has clearly less to do.
fn admit(
    worker: &Arc<Worker>,
    socket: OwnedFd,
    peer: SocketAddr,
    listener: &Arc<Listener>,
    seats: &Arc<[Seat]>,
) {
    let accepted = Accepted { socket, peer, listener: listener.clone() };
    let own = worker.load.load(Ordering::Relaxed);
    let least = seats.iter().min_by_key(|seat| seat.load.load(Ordering::Relaxed));
    if let Some(seat) = least {
        let load = seat.load.load(Ordering::Relaxed);
        if own > load + load / 8 + 4 {
            let Err(back) = seat.door.send(accepted) else { return };
            serve(worker, back.0);
            return;
        }
    }
    serve(worker, accepted);
}

/// Serves a connection on this worker.
pub fn serve(worker: &Arc<Worker>, accepted: Accepted) {
    let Accepted { socket, peer, listener } = accepted;
    let present = match Present::admit(worker, peer, &listener) {
        Ok(present) => present,
        Err(limit) => {
            worker.metrics.limit_hit(limit);
            turn_away(worker, socket, peer, limit, listener.tls.is_some());
            return;
        }
    };
    let stream = match tokio::net::TcpStream::from_std(TcpStream::from(socket)) {
        Ok(stream) => Stream::Tcp(stream),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be taken on");
            return;
        }
    };
    tokio::spawn(async move {
        // A box for each stage: what a request needs is many times what a tunnel needs.
        let serving = Box::pin(crate::inlet::serve(&present, stream, peer, listener));
        if let Some(tunnel) = serving.await {
            tunnel.serve().await;
        }
        drop(present);
    });
}

/// A connection's place among all. It is counted out whatever ends its task.
pub struct Present {
    /// The worker that serves it.
    pub worker: Arc<Worker>,
    /// The client that it is counted among the connections of.
    client: OnceLock<IpAddr>,
}

impl Present {
    /// Counts a connection in. Of one that a balancer passes on, the client is not known yet.
    fn admit(worker: &Arc<Worker>, peer: SocketAddr, listener: &Listener) -> Result<Self, Limit> {
        let snapshot = worker.snapshot.load();
        let connections = &worker.shared.connections;
        connections.admit(&snapshot)?;
        let client = OnceLock::new();
        if !listener.is_balancer(peer.ip()) {
            connections.claim(peer.ip(), &snapshot).inspect_err(|_| connections.leave(None))?;
            let _ = client.set(peer.ip());
        }
        worker.load.fetch_add(1, Ordering::Relaxed);
        worker.metrics.connection_opened();
        Ok(Self { worker: worker.clone(), client })
    }

    /// Counts it among the connections of its client.
    ///
    /// # Errors
    /// The client has as many as it may.
    pub fn claim(&self, client: IpAddr) -> Result<(), Limit> {
        let snapshot = self.worker.snapshot.load();
        self.worker.shared.connections.claim(client, &snapshot)?;
        // Done once for each connection.
        let _ = self.client.set(client);
        Ok(())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.worker.load.fetch_sub(1, Ordering::Relaxed);
        self.worker.metrics.connection_closed();
        self.worker.shared.connections.leave(self.client.get().copied());
    }
}

/// Answers a connection over the limit without serving it: one write, and closed.
fn turn_away(worker: &Arc<Worker>, socket: OwnedFd, peer: SocketAddr, limit: Limit, over_tls: bool) {
    use egret_core::reason::Reason;
    use std::io::Write as _;

    use crate::inlet::tls;
    use crate::refuse::{Format, Refusal, Reply};

    let reason = match limit {
        Limit::ConnectionsPerClient => Reason::TooManyConnectionsClient,
        _ => Reason::TooManyConnections,
    };
    let identity = egret_core::identity::Identity::from_address(peer);
    let refusal = Refusal::new(reason, "");
    let socket = TcpStream::from(socket);
    if over_tls {
        let mut flow = crate::flow::Flow::begin(worker, &identity, egret_core::record::Protocol::Tls);
        flow.failed(&refusal);
        // There is no alert that says why; one says at least that it is not the client's fault.
        let _ = (&socket).write_all(&tls::alert(tls::INTERNAL_ERROR));
        part(worker, socket);
        return;
    }
    let mut flow = crate::flow::Flow::begin(worker, &identity, egret_core::record::Protocol::Http11);
    flow.refused(&refusal);
    let reply = Reply {
        id: flow.record.id,
        proxy: &flow.snapshot.http.via,
        format: Format::Text,
        contact: None,
        head: false,
        keep_alive: false,
        target: "",
    };
    let bytes = refusal.http1(&reply);
    drop(flow);
    // The socket does not block and its buffer is empty: a short reply goes, or nobody is there.
    if (&socket).write_all(&bytes).is_ok() {
        part(worker, socket);
    }
}

/// Connections over a limit that each worker keeps for a moment, so that their clients can read why.
const PARTING: usize = 256;

/// Closes a connection whose client may still be sending its request: closing with unread bytes would
/// reset it and take the reply away (RFC 9112 section 9.6).
fn part(worker: &Arc<Worker>, socket: TcpStream) {
    use tokio::io::AsyncReadExt as _;

    const TIME: Duration = Duration::from_secs(1);
    const READS: usize = 64;
    let worker = worker.clone();
    if worker.parting.fetch_add(1, Ordering::Relaxed) >= PARTING {
        worker.parting.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    tokio::spawn(async move {
        // Either fails only where the client is gone.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        if let Ok(mut socket) = tokio::net::TcpStream::from_std(socket) {
            let mut sink = [0; 1024];
            let swallow = async {
                for _ in 0..READS {
                    if !matches!(socket.read(&mut sink).await, Ok(1..)) {
                        break;
                    }
                }
            };
            let _ = tokio::time::timeout(TIME, swallow).await;
        }
        worker.parting.fetch_sub(1, Ordering::Relaxed);
    });
}
