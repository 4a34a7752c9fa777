//! One measurement: a proxy, a scenario, and what the proxy used for it.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::client::Connection;
use crate::load::{self, Tally, Target, bounded};
use crate::origin::{Origin, Ports};
use crate::peers::{Peer, Running};
use crate::plan::{Load, Scenario, Setup};
use crate::{process, tls};

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

/// What came out of one measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// In the scenario's unit: of CPU, or of memory.
    pub(crate) cost: f64,
    /// Operations, or megabytes, in a second; for idle tunnels their number.
    pub(crate) rate: f64,
    /// Operations, or bytes, in the time measured.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Connections opened because the proxy closed one that the client would have kept.
    pub(crate) reopened: u64,
    /// Full handshakes where a session should have been resumed.
    pub(crate) not_resumed: u64,
    /// The first thing that went wrong.
    pub(crate) error: Option<String>,
    /// How many cores the proxy used.
    pub(crate) cores: f64,
    /// How many cores were used by what has no part in the comparison.
    pub(crate) others: f64,
}

impl Sample {
    /// Stands for a measurement that could not be made.
    pub(crate) fn broken(error: &io::Error) -> Self {
        Self {
            cost: f64::NAN,
            rate: f64::NAN,
            done: 0,
            failed: 1,
            reopened: 0,
            not_resumed: 0,
            error: Some(error.to_string()),
            cores: 0.0,
            others: 0.0,
        }
    }

    /// Whether it may stand in a table.
    pub(crate) fn is_valid(&self) -> bool {
        self.failed == 0 && self.done > 0 && self.cost.is_finite()
    }
}

/// Starts a proxy, measures one scenario, and ends it.
///
/// # Errors
///
/// The proxy does not work, or `/proc` cannot be read. Failed operations are no error: they are in the
/// sample.
pub(crate) async fn measure(
    peer: &Peer,
    scenario: &Scenario,
    workers: usize,
    times: Times,
) -> io::Result<Sample> {
    let origin = Origin::start()?;
    let proxy = peer.start(workers, origin.ports, scenario.load.setup()).await?;
    if scenario.load == Load::TlsIdle {
        let connector = tls::connector(false)?;
        let open = async || tls::tunnel(&connector, proxy.address, origin.ports.echo).await;
        return idle(&proxy, tunnels(scenario), open).await;
    }
    if scenario.load == Load::Idle {
        let open = async || Connection::tunnel(proxy.address, origin.ports.echo).await;
        return idle(&proxy, tunnels(scenario), open).await;
    }
    busy(&proxy, origin.ports, scenario, times.warm_up, async || {
        sleep(times.measure).await;
        Ok(())
    })
    .await
}

/// How many tunnels there are to be, or as many as there are descriptors for: both the proxy and this
/// program need two for each.
fn tunnels(scenario: &Scenario) -> usize {
    const OTHERS: u64 = 1000;
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = descriptors.map_or(u64::MAX, |limit| limit.saturating_sub(OTHERS) / 2);
    scenario.clients.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// Lets the clients run while `during` does, after a warm-up, and counts for that time.
///
/// # Errors
///
/// `/proc` cannot be read, or `during` failed.
pub(crate) async fn busy(
    proxy: &Running,
    origin: Ports,
    scenario: &Scenario,
    warm_up: Duration,
    during: impl AsyncFnOnce() -> io::Result<()>,
) -> io::Result<Sample> {
    // Dropped at the end, and all clients with it.
    let clients = LocalSet::new();
    let inside = match scenario.load.setup() {
        Setup::Intercept => Some(tls::trusting(&proxy.interception_ca()?)?),
        Setup::Plain | Setup::Tls => None,
    };
    let target = Target { proxy: proxy.address, inside };
    let tallies: Vec<Rc<Tally>> = (0..scenario.clients).map(|_| Rc::default()).collect();
    for tally in &tallies {
        clients.spawn_local(load::client(scenario.load, target.clone(), origin, Rc::clone(tally)));
    }
    let work = async {
        sleep(warm_up).await;
        let done: Vec<u64> = tallies.iter().map(|tally| tally.done.get()).collect();
        let start = Reading::now(proxy.pid())?;
        during().await?;
        let end = Reading::now(proxy.pid())?;
        let progress = tallies.iter().zip(done).map(|(tally, before)| tally.done.get() - before).collect();
        io::Result::Ok((start, end, progress))
    };
    let (start, end, progress): (Reading, Reading, Vec<u64>) = clients.run_until(work).await?;

    // A client that did nothing in all that time stands still, and that is a failure too.
    let stalled = progress.iter().filter(|done| **done == 0).count() as u64;
    let done: u64 = progress.iter().sum();
    let failed: u64 = tallies.iter().map(|tally| tally.failed.get()).sum();
    let first_error = tallies.iter().find_map(|tally| tally.error.take());
    let error = first_error.or_else(|| (stalled > 0).then(|| format!("{stalled} clients stood still")));

    let elapsed = (end.when - start.when).as_secs_f64();
    let cpu = (end.proxy.saturating_sub(start.proxy)).as_secs_f64();
    let own = end.own.saturating_sub(start.own).as_secs_f64();
    let machine = end.machine.saturating_sub(start.machine).as_secs_f64();
    let (cost_scale, rate_scale) = if scenario.load.is_bulk() { (1e12, 1e-6) } else { (1e6, 1.0) };
    Ok(Sample {
        cost: cpu * cost_scale / done as f64,
        rate: done as f64 * rate_scale / elapsed,
        done,
        failed: failed + stalled,
        reopened: tallies.iter().map(|tally| tally.reopened.get()).sum(),
        not_resumed: tallies.iter().map(|tally| tally.not_resumed.get()).sum(),
        error,
        cores: cpu / elapsed,
        others: ((machine - cpu - own) / elapsed).max(0.0),
    })
}

/// What has been used up to a moment.
struct Reading {
    when: Instant,
    proxy: Duration,
    own: Duration,
    machine: Duration,
}

impl Reading {
    fn now(proxy: u32) -> io::Result<Self> {
        Ok(Self {
            when: Instant::now(),
            proxy: process::cpu(proxy)?,
            own: process::own_cpu()?,
            machine: process::machine_cpu()?,
        })
    }
}

/// Memory with many tunnels open, over memory with none. Each has carried a message, and does so again
/// at the end, to show that it was there all the time.
async fn idle<Stream: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Running,
    count: usize,
    open: impl AsyncFn() -> io::Result<Connection<Stream>>,
) -> io::Result<Sample> {
    // A few first, so that what is set up once is not counted.
    let few = open_tunnels(&open, 8).await?;
    drop(few);
    sleep(Duration::from_millis(500)).await;
    let before = process::memory(proxy.pid())?;
    let mut tunnels = open_tunnels(&open, count).await?;
    sleep(Duration::from_secs(2)).await;
    let after = process::memory(proxy.pid())?;

    let mut failed = 0;
    let mut error = None;
    for tunnel in &mut tunnels {
        if let Err(fault) = bounded(tunnel.echo(&[b'i'; 64])).await {
            failed += 1;
            error.get_or_insert_with(|| fault.to_string());
        }
    }
    Ok(Sample {
        cost: (after as f64 - before as f64) / count as f64,
        rate: count as f64,
        done: count as u64,
        failed,
        reopened: 0,
        not_resumed: 0,
        error,
        cores: 0.0,
        others: 0.0,
    })
}

/// Opens tunnels one after another: a burst would measure what a burst needs.
async fn open_tunnels<Stream: AsyncRead + AsyncWrite + Unpin>(
    open: &impl AsyncFn() -> io::Result<Connection<Stream>>,
    count: usize,
) -> io::Result<Vec<Connection<Stream>>> {
    let mut tunnels = Vec::with_capacity(count);
    for _ in 0..count {
        let mut tunnel = bounded(open()).await?;
        bounded(tunnel.echo(&[b'o'; 64])).await?;
        tunnels.push(tunnel);
    }
    Ok(tunnels)
}
