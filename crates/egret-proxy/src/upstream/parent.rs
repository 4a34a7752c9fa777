//! Parent proxies: which one to take, connecting to it, and tunnels through it.

mod groups;
mod http_connect;
mod socks5;

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use egret_core::destination::{Destination, Host};
use egret_core::gate::{Grant, grant_parent};
use egret_core::reason::Reason;
use egret_core::route::{Parent, ParentGroup, ParentScheme};
use egret_core::settings::Snapshot;
use tokio::time::{Instant, timeout_at};

pub(super) use self::groups::Groups;
use self::groups::ParentState;
use super::error::{DialError, DialPhases};
use super::health::ParentHealth;
use super::tls::Roots;
use super::{Alpn, Upstream, dial};
use crate::stream::Stream;

/// Addresses of a destination that a parent is asked to reach at most, one after the other, when names
/// are resolved here.
const ADDRESSES_TRIED: usize = 3;

/// The value of `Proxy-Authorization` for a parent (RFC 7617), if it has credentials. A secret.
#[must_use]
pub fn proxy_authorization_value(parent: &Parent) -> Option<String> {
    let credentials = parent.credentials.as_ref()?;
    Some(format!("Basic {}", STANDARD.encode(format!("{}:{}", credentials.user, credentials.password))))
}

/// A connection to a parent, on which requests in absolute form can be sent. Where the parent speaks
/// SOCKS5, the connection leads to the origin already (see [`ParentConnection::takes_absolute_form`]).
pub struct ParentConnection {
    /// The connection.
    pub io: Stream,
    /// What arrived ahead of anything that was sent (SOCKS5 only; an origin that speaks first).
    pub early: Vec<u8>,
    /// The parent's address that was dialled.
    pub dialled: SocketAddr,
    /// How long it took.
    pub phases: DialPhases,
    /// Which parent it is.
    pub parent: Destination,
    /// Its health: to mark down when it closes without an answer.
    pub health: Arc<ParentHealth>,
    scheme: ParentScheme,
    authorization: Option<Arc<str>>,
}

impl ParentConnection {
    /// Whether requests go in absolute form (RFC 9112 section 3.2.2), with
    /// [`ParentConnection::proxy_authorization_value`]. Otherwise the connection leads to the origin.
    #[must_use]
    pub fn takes_absolute_form(&self) -> bool {
        self.scheme != ParentScheme::Socks5
    }

    /// The value of `Proxy-Authorization` to send, if the parent has credentials. A secret.
    #[must_use]
    pub fn proxy_authorization_value(&self) -> Option<&str> {
        self.authorization.as_deref().filter(|_| self.takes_absolute_form())
    }
}

/// A tunnel through a parent, to the destination of a grant.
pub struct Tunnelled {
    /// The tunnel.
    pub io: Stream,
    /// What the destination sent right behind the parent's answer.
    pub early: Vec<u8>,
    /// The parent's address that was dialled.
    pub dialled: SocketAddr,
    /// How long it took.
    pub phases: DialPhases,
    /// Which parent it goes through.
    pub parent: Destination,
}

/// Why one parent did not do.
enum Failure {
    /// The parent is at fault: mark it down and try the next.
    Parent(DialError),
    /// Another parent would not help, or must not be asked.
    Final(DialError),
}

/// What is wanted of a parent.
enum Wanted<'a> {
    Connection { grant: &'a Grant },
    Tunnel { grant: &'a Grant, via: Option<&'a str> },
}

impl Upstream {
    /// Connects to a parent of the group, for requests in absolute form. A SOCKS5 parent is told to
    /// connect to the grant's destination.
    ///
    /// Parents are tried in their order; those that failed lately are passed over, unless all others
    /// fail as well. The grant is for the destination, not for the parent.
    ///
    /// # Errors
    /// [`Reason::ParentUnavailable`] when none can be reached, else what the parent said.
    pub async fn connect_parent(
        &self,
        snapshot: &Snapshot,
        group: &ParentGroup,
        grant: &Grant,
        deadline: Instant,
    ) -> Result<ParentConnection, DialError> {
        self.through_group(snapshot, group, &Wanted::Connection { grant }, deadline).await
    }

    /// Opens a tunnel to the grant's destination through a parent of the group: CONNECT (RFC 9110
    /// section 9.3.6) or SOCKS5 (RFC 1928). The parent is told the name, or with `resolve_locally` the
    /// checked addresses. `via` is this proxy's name in the `Via` field sent, if one is to be sent.
    ///
    /// # Errors
    /// [`Reason::ParentUnavailable`] when none can be reached, [`Reason::ParentRefused`] with the
    /// parent's own words when it refuses, [`Reason::ParentProtocol`] when it makes no sense.
    pub async fn tunnel_through(
        &self,
        snapshot: &Snapshot,
        group: &ParentGroup,
        grant: &Grant,
        via: Option<&str>,
        deadline: Instant,
    ) -> Result<Tunnelled, DialError> {
        let wanted = Wanted::Tunnel { grant, via };
        let connection = self.through_group(snapshot, group, &wanted, deadline).await?;
        let ParentConnection { io, early, dialled, phases, parent, .. } = connection;
        Ok(Tunnelled { io, early, dialled, phases, parent })
    }

    async fn through_group(
        &self,
        snapshot: &Snapshot,
        group: &ParentGroup,
        wanted: &Wanted<'_>,
        deadline: Instant,
    ) -> Result<ParentConnection, DialError> {
        let states = self.groups.load().state(group);
        let mut failures: Vec<DialError> = Vec::new();
        let mut passed_over = Vec::new();
        let mut queue: Vec<_> = states.iter().rev().collect();
        let mut last_resort = false;
        loop {
            let Some(state) = queue.pop() else {
                if last_resort || passed_over.is_empty() {
                    return Err(unavailable(group, failures));
                }
                // All others failed: one that was down may be up again.
                last_resort = true;
                queue = std::mem::take(&mut passed_over);
                queue.reverse();
                continue;
            };
            let now = Instant::now();
            if !last_resort && !state.health.admits(now.into_std(), group.retry_after) {
                passed_over.push(state);
                continue;
            }
            // A parent that does not answer must leave time for the others.
            let share = u32::try_from(queue.len() + 1).unwrap_or(u32::MAX);
            let connect_by = now + deadline.saturating_duration_since(now) / share;
            let attempt = self.through_parent(snapshot, group, state, wanted, connect_by, deadline);
            match Box::pin(attempt).await {
                Ok(connection) => {
                    state.health.mark_up();
                    return Ok(connection);
                }
                Err(Failure::Final(error)) => {
                    // It answered, and so it is up.
                    if error.reason == Reason::ParentRefused {
                        state.health.mark_up();
                    }
                    return Err(error);
                }
                Err(Failure::Parent(error)) => {
                    state.health.mark_down(group.retry_after);
                    failures.push(error);
                }
            }
        }
    }

    async fn through_parent(
        &self,
        snapshot: &Snapshot,
        group: &ParentGroup,
        state: &ParentState,
        wanted: &Wanted<'_>,
        connect_by: Instant,
        deadline: Instant,
    ) -> Result<ParentConnection, Failure> {
        let (grant, via) = match *wanted {
            Wanted::Connection { .. } if state.parent.scheme != ParentScheme::Socks5 => {
                return self.reach(snapshot, group, state, connect_by).await;
            }
            Wanted::Connection { grant } => (grant, None),
            Wanted::Tunnel { grant, via } => (grant, via),
        };
        let targets = targets(group, grant).map_err(Failure::Final)?;
        let mut refusal = None;
        for target in &targets {
            let mut connection = self.reach(snapshot, group, state, connect_by.max(Instant::now())).await?;
            let asked = Instant::now();
            let spoken = async {
                match state.parent.scheme {
                    ParentScheme::Socks5 => {
                        let credentials = state.parent.credentials.as_ref();
                        socks5::open(&mut connection.io, target, credentials).await
                    }
                    ParentScheme::Http | ParentScheme::Https => {
                        let authorization = state.authorization.as_deref();
                        http_connect::open(&mut connection.io, target, authorization, via).await
                    }
                }
            };
            let answer = timeout_at(deadline, spoken).await;
            let took = asked.elapsed();
            let connect = connection.phases.connect.unwrap_or_default() + took;
            connection.phases.connect = Some(connect);
            let parent = &state.parent.address;
            let error = match answer {
                Ok(Ok(early)) => {
                    connection.early = early;
                    return Ok(connection);
                }
                Ok(Err(problem)) => problem,
                // The destination may be what is slow; the parent is not blamed.
                Err(_) => Problem {
                    reason: Reason::ConnectTimeout,
                    words: format!(
                        "did not answer within {:.1} s whether it reached {target}",
                        took.as_secs_f64()
                    ),
                },
            };
            let reason = error.reason;
            let mut error = DialError::new(reason, format!("the parent {parent} {}", error.words));
            error = error.at(connection.dialled);
            error.phases = connection.phases;
            match reason {
                Reason::ParentProtocol => return Err(Failure::Parent(error)),
                Reason::ParentRefused => refusal = Some(error),
                _ => return Err(Failure::Final(error)),
            }
        }
        let none = || DialError::new(Reason::Internal, "the parent was not asked for anything");
        Err(Failure::Final(refusal.unwrap_or_else(none)))
    }

    /// Connects to a parent, with TLS where it wants that.
    async fn reach(
        &self,
        snapshot: &Snapshot,
        group: &ParentGroup,
        state: &ParentState,
        deadline: Instant,
    ) -> Result<ParentConnection, Failure> {
        let parent = &state.parent.address;
        let mut phases = DialPhases::default();
        let describe = |mut error: DialError, phases: DialPhases| {
            error.detail = format!("the parent {parent}: {}", error.detail);
            error.phases.dns = phases.dns;
            error.phases.connect = phases.connect.or(error.phases.connect);
            error
        };
        let started = Instant::now();
        let resolved = match timeout_at(deadline, self.addresses_of(&parent.host)).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => return Err(Failure::Parent(describe(error.into(), phases))),
            Err(_) => {
                let error = DialError::new(Reason::DnsTimeout, "its name could not be resolved in time");
                return Err(Failure::Parent(describe(error, phases)));
            }
        };
        if matches!(parent.host, Host::Name(_)) {
            phases.dns = Some(started.elapsed());
        }
        let grant = grant_parent(&snapshot.gate, parent, &resolved)
            .map_err(|denial| Failure::Final(DialError::new(denial.reason, denial.detail)))?;
        let started = Instant::now();
        let (mut io, dialled) = match dial::connect(&grant, &snapshot.upstream, deadline).await {
            Ok(connected) => connected,
            Err(error) if error.reason == Reason::OutOfDescriptors => return Err(Failure::Final(error)),
            Err(error) => return Err(Failure::Parent(describe(error, phases))),
        };
        phases.connect = Some(started.elapsed());
        if state.parent.scheme == ParentScheme::Https {
            let started = Instant::now();
            let roots = Roots::Parent(group);
            io = match self.tls_connect(io, &parent.host, roots, Alpn::Http1, deadline).await {
                Ok(io) => io,
                Err(error) => return Err(Failure::Parent(describe(error, phases))),
            };
            phases.tls = Some(started.elapsed());
        }
        Ok(ParentConnection {
            io,
            early: Vec::new(),
            dialled,
            phases,
            parent: parent.clone(),
            health: state.health.clone(),
            scheme: state.parent.scheme,
            authorization: state.authorization.clone(),
        })
    }
}

/// What a parent answered that is not what was wanted: [`Reason::ParentRefused`] or
/// [`Reason::ParentProtocol`], and words that follow "the parent … ".
struct Problem {
    reason: Reason,
    words: String,
}

impl Problem {
    fn refused(words: impl Into<String>) -> Self {
        Self { reason: Reason::ParentRefused, words: words.into() }
    }

    fn protocol(words: impl Into<String>) -> Self {
        Self { reason: Reason::ParentProtocol, words: words.into() }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::protocol(match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "closed the connection without an answer".to_owned(),
            _ => format!("broke the connection off: {error}"),
        })
    }
}

/// What the parent is asked to connect to.
fn targets(group: &ParentGroup, grant: &Grant) -> Result<Vec<Destination>, DialError> {
    if !group.resolve_locally {
        return Ok(vec![grant.destination().clone()]);
    }
    if grant.addresses().is_empty() {
        let detail = format!("no address of {} is known for the parent", grant.destination());
        return Err(DialError::new(Reason::Internal, detail));
    }
    Ok(grant.addresses().iter().take(ADDRESSES_TRIED).map(|address| (*address).into()).collect())
}

fn unavailable(group: &ParentGroup, failures: Vec<DialError>) -> DialError {
    let detail = match failures.len() {
        0 => format!("the group `{}` has no parent", group.name),
        _ => failures.iter().map(|failure| failure.detail.as_str()).collect::<Vec<_>>().join("; "),
    };
    // Where the parents answered, their own reason tells more than that they were no use.
    let telling = |reason: Reason| {
        matches!(reason, Reason::TlsCertificate | Reason::TlsFailed | Reason::ParentProtocol)
    };
    let reason = match failures.first() {
        Some(first) if telling(first.reason) && failures.iter().all(|other| other.reason == first.reason) => {
            first.reason
        }
        _ => Reason::ParentUnavailable,
    };
    let mut error = DialError::new(reason, detail);
    if let Some(last) = failures.last() {
        error.phases = last.phases;
        error.dialled = last.dialled;
    }
    error
}
