//! The proxy as a whole: worker threads, their snapshots, and the end.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use egret_core::flow_id::{FlowId, FlowIds};
use egret_core::settings::Snapshot;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::access_log::AccessLog;
use crate::control::{CLOSE, CLOSE_IDLE, DRAIN, RECHECK};
use crate::credentials::CredentialsError;
use crate::intercept::Interceptor;
use crate::listener::{self, Acceptor, Bound, Listener, Seat};
use crate::metrics::{Limit, Metrics};
use crate::replay::{self, ReplayRequest};
use crate::upstream::UpstreamError;
use crate::worker::{Shared, Worker};

/// How often kept connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// How long connections without work are kept while draining: a client that is about to use one is
/// answered, and told to close.
const IDLE_GRACE: Duration = Duration::from_secs(2);

/// What is left to connections after the drain period.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// A snapshot cannot be put into force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// For what leads to upstreams.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// For what credentials are checked against.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// The most that `limits.replays` can be.
pub const MAX_REPLAYS: usize = 1024;

/// A request is not sent again now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} requests are being sent again, which is what `limits.replays` allows; try again when some are through"
)]
pub struct TooManyReplays(pub usize);

/// The running proxy.
pub struct Server {
    shared: Arc<Shared>,
    workers: Vec<Arc<Worker>>,
    /// To begin what no client has sent, on each worker's own thread.
    runtimes: Vec<Handle>,
    replays: Arc<Semaphore>,
    threads: Mutex<Vec<(oneshot::Sender<()>, JoinHandle<()>)>>,
    stop_accepting: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    /// The addresses it listens on.
    pub addresses: Vec<SocketAddr>,
    /// Whether TLS is spoken on each of them.
    pub over_tls: Vec<bool>,
}

impl Server {
    /// Starts the workers on these listeners. Each listener needs a socket for each worker.
    ///
    /// # Errors
    /// A thread or a runtime could not be made.
    pub fn start(
        snapshot: &Snapshot,
        bound: Vec<Bound>,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
        log: &AccessLog,
        count: usize,
    ) -> io::Result<Self> {
        let count = count.max(1);
        let addresses = bound.iter().map(|bound| bound.address).collect();
        let over_tls = bound.iter().map(|bound| bound.tls.is_some()).collect();
        let (stop_accepting, stop) = watch::channel(false);
        let seed = rand::random();
        let workers: Vec<_> = (0..count)
            .map(|index| {
                let ids = FlowIds::new(seed, index as u64, count as u64);
                let counters = metrics.worker(index);
                let log = log.handle(index);
                Arc::new(Worker::new(index, snapshot.clone(), shared.clone(), counters, log, ids))
            })
            .collect();
        let mut doors = Vec::new();
        let mut seats = Vec::new();
        for worker in &workers {
            let (door, queue) = mpsc::unbounded_channel();
            doors.push(queue);
            seats.push(Seat { load: worker.load.clone(), door });
        }
        let seats: Arc<[Seat]> = seats.into();
        let mut sockets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for listener in bound {
            for (of_worker, socket) in sockets.iter_mut().zip(listener.sockets) {
                let of_socket = Listener {
                    address: listener.address,
                    tls: listener.tls.clone(),
                    proxy_protocol: listener.proxy_protocol.iter().copied().collect(),
                    serves: listener.serves,
                };
                of_worker.push(Acceptor { socket, listener: Arc::new(of_socket), lent: listener.lent });
            }
        }
        let mut threads = Vec::new();
        let mut runtimes = Vec::new();
        for ((worker, sockets), mut queue) in workers.iter().zip(sockets).zip(doors) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtimes.push(runtime.handle().clone());
            let (end, ended) = oneshot::channel::<()>();
            let (worker, seats, stop) = (worker.clone(), seats.clone(), stop.clone());
            let main = async move {
                for acceptor in sockets {
                    tokio::spawn(listener::accept(worker.clone(), acceptor, seats.clone(), stop.clone()));
                }
                let door = worker.clone();
                tokio::spawn(async move {
                    while let Some(accepted) = queue.recv().await {
                        listener::serve(&door, accepted);
                    }
                });
                tokio::spawn(sweep(worker));
                // An error means that the server is gone, which ends the worker just as well.
                let _ = ended.await;
            };
            let thread =
                std::thread::Builder::new().name(format!("egret-{}", threads.len())).spawn(move || {
                    runtime.block_on(main);
                    runtime.shutdown_background();
                })?;
            threads.push((end, thread));
        }
        Ok(Self {
            shared,
            workers,
            runtimes,
            replays: Arc::new(Semaphore::new(MAX_REPLAYS)),
            threads: Mutex::new(threads),
            stop_accepting,
            metrics,
            addresses,
            over_tls,
        })
    }

    /// Puts a new snapshot into force: at once for new flows, and open tunnels pass its gate again.
    ///
    /// # Errors
    /// The snapshot cannot be used; the old one stays in force.
    pub fn apply(&self, snapshot: &Snapshot) -> Result<(), ApplyError> {
        let credentials = self.shared.credentials.prepare(snapshot)?;
        self.shared.upstream.apply(snapshot)?;
        self.shared.credentials.commit(credentials);
        for worker in &self.workers {
            worker.snapshot.store(Arc::new(snapshot.clone()));
            worker.registry.signal(RECHECK);
        }
        Ok(())
    }

    /// Sends a request again. Gives the id of the flow that it is.
    ///
    /// # Errors
    /// As many are under way as `limits.replays` allows.
    pub fn replay(&self, replay: ReplayRequest) -> Result<FlowId, TooManyReplays> {
        let most = self.snapshot().limits.replays.min(MAX_REPLAYS);
        let under_way = MAX_REPLAYS - self.replays.available_permits();
        let permit = self.replays.clone().try_acquire_owned();
        let least =
            self.workers.iter().enumerate().min_by_key(|(_, worker)| worker.load.load(Ordering::Relaxed));
        let index = least.map_or(0, |(index, _)| index);
        let worker = self.workers[index].clone();
        match permit {
            Ok(permit) if under_way < most => {
                let id = worker.next_id();
                self.runtimes[index].spawn(replay::serve(worker, id, replay, permit));
                Ok(id)
            }
            _ => {
                // Counted on the thread that may.
                self.runtimes[index].spawn(async move { worker.metrics.limit_hit(Limit::Replays) });
                Err(TooManyReplays(most))
            }
        }
    }

    /// Puts another maker of certificates for origins into force; `None` for none.
    pub fn set_interceptor(&self, interceptor: Option<Arc<Interceptor>>) {
        self.shared.interception.store(interceptor);
    }

    /// Has open tunnels pass the gate again: something else than the snapshot has changed.
    pub fn recheck(&self) {
        self.signal(RECHECK);
    }

    /// Has open tunnels of these clients pass the gate again: it changed who is behind the addresses.
    pub fn recheck_clients(&self, clients: &HashSet<IpAddr>) {
        for worker in &self.workers {
            worker.registry.signal_clients(RECHECK, clients);
        }
    }

    /// The snapshot in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.workers[0].snapshot.load_full()
    }

    /// The generation of the snapshot in force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot().generation
    }

    /// How many client connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.workers.iter().map(|worker| worker.registry.len()).sum()
    }

    /// Whether draining has begun.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Ends in order: not ready, no new connections, in-flight work finished, and what is left at the
    /// deadline closed with a reason. Cancelling it skips to the end.
    pub async fn drain(&self, delay: Duration, timeout: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        // Nobody should wait for the deadline because of what somebody looks at.
        self.shared.changes.release_all();
        self.metrics.set_draining(true);
        tokio::time::sleep(delay).await;
        let deadline = tokio::time::Instant::now() + timeout;
        self.stop_accepting.send_replace(true);
        self.signal(DRAIN);
        let grace = tokio::time::Instant::now() + IDLE_GRACE.min(timeout / 4);
        if !self.emptied(grace.min(deadline)).await {
            self.signal(CLOSE_IDLE);
            self.emptied(deadline).await;
        }
    }

    /// Closes what is left, with a reason, and ends the workers.
    pub async fn stop(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.stop_accepting.send_replace(true);
        self.signal(CLOSE);
        self.emptied(tokio::time::Instant::now() + LAST_MOMENT).await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for (end, thread) in threads {
            let _ = end.send(());
            let _ = thread.join();
        }
    }

    fn signal(&self, signal: u8) {
        for worker in &self.workers {
            worker.registry.signal(signal);
        }
    }

    /// Waits until no connection is open. False when some are at the deadline.
    async fn emptied(&self, deadline: tokio::time::Instant) -> bool {
        // Connections may still stand in the listeners' queues at first.
        tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + Duration::from_millis(150)))
            .await;
        while self.connections() > 0 {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

async fn sweep(worker: Arc<Worker>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let snapshot = worker.snapshot.load_full();
        worker.pool.sweep(snapshot.generation, snapshot.upstream.pool_idle);
        if worker.index == 0 {
            worker.shared.rates.sweep(tokio::time::Instant::now());
        }
        worker.http2.sweep(snapshot.generation, snapshot.upstream.pool_idle);
    }
}
