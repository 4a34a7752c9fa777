//! Connecting to granted addresses: the only place in the program that opens a connection to an
//! upstream (invariant 1).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use egret_core::gate::Grant;
use egret_core::reason::Reason;
use egret_core::settings::UpstreamSettings;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use smallvec::SmallVec;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::DialError;
use crate::stream::Stream;

/// The shortest delay between attempts, whatever is configured (RFC 8305 section 5).
const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// Failures told in full; more are only counted.
const FAILURES_TOLD: usize = 4;

/// Connects to one of the grant's addresses.
///
/// A single address is one connect. Several are raced (RFC 8305 section 5): families take turns,
/// beginning with that of the first address (the resolver has put the preferred one first); the next
/// attempt starts when the delay has passed or the one before has failed; the first to connect wins.
/// TCP_NODELAY is set, keep-alive is not (see [`set_keepalive`]).
///
/// # Errors
/// Why no address could be reached, as far as possible as the destination itself would say it:
/// "refused" says more than "no route" of another address.
pub async fn connect(
    grant: &Grant,
    settings: &UpstreamSettings,
    deadline: Instant,
) -> Result<(Stream, SocketAddr), DialError> {
    let started = Instant::now();
    let mut failures = Failures::default();
    let outcome = match grant.addresses() {
        [] => {
            let detail = format!("no address of {} is known", grant.destination());
            return Err(DialError::new(Reason::Internal, detail));
        }
        [only] => timeout_at(deadline, attempt_one(*only, settings, &mut failures)).await,
        // Boxed, so that the usual case is not as large as this one in every tunnel's memory.
        many => {
            let order = interleave(many);
            Box::pin(timeout_at(deadline, race(&order, settings, &mut failures))).await
        }
    };
    match outcome {
        Ok(Some((tcp, address))) => Ok((Stream::Tcp(tcp), address)),
        Ok(None) => Err(failures.into_error(grant, started, false)),
        Err(_) => Err(failures.into_error(grant, started, true)),
    }
}

/// Switches on TCP keep-alive: the first probe after `idle`, and further ones at the same interval.
///
/// # Errors
/// The system's error; the connection works without.
pub fn set_keepalive(tcp: &TcpStream, idle: Duration) -> io::Result<()> {
    SockRef::from(tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))
}

async fn attempt_one(
    address: SocketAddr,
    settings: &UpstreamSettings,
    failures: &mut Failures,
) -> Option<(TcpStream, SocketAddr)> {
    match attempt(address, settings).await {
        Ok(tcp) => Some((tcp, address)),
        Err(error) => {
            failures.add(address, &error);
            None
        }
    }
}

async fn race(
    addresses: &[SocketAddr],
    settings: &UpstreamSettings,
    failures: &mut Failures,
) -> Option<(TcpStream, SocketAddr)> {
    let delay = settings.attempt_delay.max(MIN_ATTEMPT_DELAY);
    let mut waiting = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    while let Some(&address) = waiting.next()
        && !failures.hopeless
    {
        attempts.push(async move { (address, attempt(address, settings).await) });
        if waiting.len() == 0 {
            break;
        }
        // The next attempt starts when one fails, or after the delay.
        tokio::select! {
            biased;
            Some((address, outcome)) = attempts.next() => match outcome {
                Ok(tcp) => return Some((tcp, address)),
                Err(error) => failures.add(address, &error),
            },
            () = sleep(delay) => {}
        }
    }
    // No further attempt will be started; one of those under way may still succeed.
    while let Some((address, outcome)) = attempts.next().await {
        match outcome {
            Ok(tcp) => return Some((tcp, address)),
            Err(error) => failures.add(address, &error),
        }
    }
    None
}

/// Connects with as few system calls as it takes: a connection that stands is not asked what went wrong.
async fn attempt(address: SocketAddr, settings: &UpstreamSettings) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_tcp_nodelay(true)?;
    let source = if address.is_ipv4() { settings.source_v4 } else { settings.source_v6 };
    if let Some(source) = source {
        bind(&socket, source)?;
    }
    begin(&socket, address)?;
    let tcp = TcpStream::from_std(socket.into())?;
    // An attempt that failed leaves a socket that cannot be written to any more.
    if tcp.ready(Interest::WRITABLE).await?.is_write_closed() {
        return Err(tcp.take_error()?.unwrap_or_else(|| io::ErrorKind::NotConnected.into()));
    }
    Ok(tcp)
}

#[expect(clippy::disallowed_methods, reason = "the one place that connects, to addresses of a grant")]
fn begin(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn bind(socket: &Socket, source: IpAddr) -> io::Result<()> {
    // The port is then chosen by connect, which knows the destination: without this, a source address
    // has no more connections in all than it has ports. A kernel that does not know it does without.
    let _ = setsockopt(socket, IpBindAddressNoPort, &true);
    socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| {
        io::Error::new(error.kind(), format!("the source address {source} cannot be used: {error}"))
    })
}

/// Families take turns, beginning with the first address's (RFC 8305 section 4).
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second) = (
        addresses.iter().filter(|address| address.is_ipv6() == first_is_v6),
        addresses.iter().filter(|address| address.is_ipv6() != first_is_v6),
    );
    let mut order = Vec::with_capacity(addresses.len());
    loop {
        let pair = (first.next(), second.next());
        order.extend(pair.0.copied());
        order.extend(pair.1.copied());
        if pair == (None, None) {
            return order;
        }
    }
}

/// What became of the attempts that failed.
#[derive(Default)]
struct Failures {
    told: SmallVec<[String; 2]>,
    failed: usize,
    worst: Option<(u8, Reason)>,
    last: Option<SocketAddr>,
    /// No further attempt can succeed either: the fault is on this side.
    hopeless: bool,
}

impl Failures {
    fn add(&mut self, address: SocketAddr, error: &io::Error) {
        let (rank, reason, words) = classify(address, error);
        if self.worst.is_none_or(|(worst, _)| rank > worst) {
            self.worst = Some((rank, reason));
        }
        self.hopeless |= reason == Reason::OutOfDescriptors;
        self.last = Some(address);
        self.failed += 1;
        if self.told.len() < FAILURES_TOLD {
            self.told.push(format!("{address} {words}"));
        }
    }

    fn into_error(mut self, grant: &Grant, started: Instant, timed_out: bool) -> DialError {
        let elapsed = started.elapsed();
        let reason = match self.worst {
            _ if timed_out => Reason::ConnectTimeout,
            Some((_, reason)) => reason,
            None => Reason::ConnectFailed,
        };
        if self.failed > self.told.len() {
            self.told.push(format!("{} more failed", self.failed - self.told.len()));
        }
        if timed_out {
            let silent = grant.addresses().len().saturating_sub(self.failed);
            let whom = match grant.addresses() {
                [only] => only.to_string(),
                many => format!("{silent} of the {} addresses of {}", many.len(), grant.destination()),
            };
            self.told.insert(0, format!("{whom} did not answer within {:.1} s", elapsed.as_secs_f64()));
        }
        let mut error = DialError::new(reason, self.told.join("; "));
        error.phases.connect = Some(elapsed);
        error.dialled = self.last.or(grant.addresses().first().copied());
        error
    }
}

/// How telling a failure is (the higher, the more), its reason, and its words.
fn classify(address: SocketAddr, error: &io::Error) -> (u8, Reason, String) {
    use rustix::io::Errno;
    // An error with words of its own (a source address that cannot be bound) has no number any more.
    let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else {
        return (1, Reason::ConnectFailed, format!("failed: {error}"));
    };
    match errno {
        Errno::MFILE | Errno::NFILE => {
            (5, Reason::OutOfDescriptors, "was not dialled: no file descriptor is left".to_owned())
        }
        Errno::CONNREFUSED => (4, Reason::ConnectRefused, "refused the connection".to_owned()),
        // It stood, and was reset before it was looked at.
        Errno::CONNRESET => (3, Reason::UpstreamReset, "reset the connection at once".to_owned()),
        Errno::TIMEDOUT => (3, Reason::ConnectTimeout, "did not answer".to_owned()),
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN | Errno::AFNOSUPPORT => {
            (0, Reason::ConnectUnreachable, format!("cannot be reached: {error}"))
        }
        // This machine has no IPv6 address to connect from.
        Errno::ADDRNOTAVAIL if address.is_ipv6() => {
            (0, Reason::ConnectUnreachable, format!("cannot be reached: {error}"))
        }
        Errno::ADDRNOTAVAIL => (2, Reason::ConnectFailed, "failed: no local port is free".to_owned()),
        Errno::ACCESS | Errno::PERM => (
            2,
            Reason::ConnectUnreachable,
            format!("is blocked by this machine's firewall or routes: {error}"),
        ),
        _ => (1, Reason::ConnectFailed, format!("failed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        let parse = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let order = interleave(&parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]));
        assert_eq!(order.to_vec(), parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]));
        let order = interleave(&parse(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]));
        assert_eq!(order.to_vec(), parse(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]));
    }

    #[test]
    fn the_most_telling_failure_gives_the_reason() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut failures = Failures::default();
        failures.add(address("[2001:db8::1]:1"), &io::Error::from_raw_os_error(101));
        failures.add(address("192.0.2.1:1"), &io::Error::from_raw_os_error(111));
        failures.add(address("192.0.2.2:1"), &io::Error::from_raw_os_error(113));
        assert_eq!(failures.worst.map(|(_, reason)| reason), Some(Reason::ConnectRefused));
        assert!(!failures.hopeless);
        failures.add(address("192.0.2.2:1"), &io::Error::from_raw_os_error(24));
        assert_eq!(failures.worst.map(|(_, reason)| reason), Some(Reason::OutOfDescriptors));
        assert!(failures.hopeless);
    }
}
