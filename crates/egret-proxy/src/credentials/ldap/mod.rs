//! Users of a directory, by LDAP (RFC 4511): search for the user, then bind as what was found.
//!
//! Whatever goes wrong on the way means that nobody knows whether the credentials are good. It never
//! means that they are.

mod connection;
mod groups;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use egret_core::authentication::Directory as Settings;
use egret_core::settings::Snapshot;
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use self::connection::{Connection, Failure, Found};
use self::groups::GroupNames;
use crate::upstream::Upstream;

/// How long a connection may wait for its next use: less than directories and firewalls allow.
const IDLE: Duration = Duration::from_secs(60);

/// How long nobody tries after every server has failed, so that a directory that is down costs each
/// request one look at a clock and not a wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often it is said again that the directory is away.
const REMIND: Duration = Duration::from_secs(60);

/// What the directory says of a user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They belong together. The name is the directory's own spelling.
    Good {
        name: Arc<str>,
        /// The groups, each by its DN and by the name in it.
        groups: Vec<Arc<str>>,
    },
    /// They do, but the user, whose name this is, is in more groups than are read.
    TooManyGroups(Arc<str>),
    /// They do, but the user is in none of the groups.
    NotAllowed,
    /// There is no such user, or the password is wrong.
    Wrong,
}

/// The directory could not be asked. The words are for the log of whoever runs the proxy.
#[derive(Clone, Debug)]
pub(super) struct Unavailable(pub(super) String);

/// A directory and the connections to it.
pub(super) struct Directory {
    pub(super) settings: Arc<Settings>,
    upstream: Arc<Upstream>,
    tls: Arc<ClientConfig>,
    /// Each check has one connection.
    slots: Semaphore,
    idle: Mutex<VecDeque<(Connection, Instant)>>,
    /// The server that answered last.
    server: AtomicUsize,
    state: Mutex<State>,
    is_up: AtomicBool,
}

#[derive(Default)]
struct State {
    failed_at: Option<(Instant, String)>,
    said_at: Option<Instant>,
}

impl Directory {
    pub(super) fn new(settings: Arc<Settings>, upstream: Arc<Upstream>, tls: Arc<ClientConfig>) -> Self {
        Self {
            slots: Semaphore::new(settings.connections.max(1)),
            settings,
            upstream,
            tls,
            idle: Mutex::default(),
            server: AtomicUsize::new(0),
            state: Mutex::default(),
            is_up: AtomicBool::new(true),
        }
    }

    /// Whether the directory answered when it was asked last.
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Asks the directory. Of a user's groups, `most` are read.
    pub(super) async fn check(
        &self,
        snapshot: &Snapshot,
        user: &str,
        password: &str,
        most: usize,
    ) -> Result<Verdict, Unavailable> {
        // RFC 4513 section 5.1.2: a bind with a name and no password succeeds, and proves nothing.
        if user.is_empty() || password.is_empty() {
            return Ok(Verdict::Wrong);
        }
        if let Some(why) = self.failed_just_now() {
            return Err(Unavailable(why));
        }
        let limit = self.settings.timeout;
        let outcome = tokio::time::timeout(limit, self.check_in_turn(snapshot, user, password, most)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Unavailable(format!("no answer within {limit:?} (`authentication.ldap.timeout`)")))
        });
        match &outcome {
            Ok(_) => self.answered(),
            Err(Unavailable(why)) => self.failed(why),
        }
        outcome
    }

    async fn check_in_turn(
        &self,
        snapshot: &Snapshot,
        user: &str,
        password: &str,
        most: usize,
    ) -> Result<Verdict, Unavailable> {
        // Closed by nobody.
        let _slot = self.slots.acquire().await;
        loop {
            let kept = self.take();
            let was_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect(snapshot).await?,
            };
            match self.ask(&mut connection, user, password, most).await {
                Ok(verdict) => {
                    self.keep(connection);
                    return Ok(verdict);
                }
                // The server may have closed it long ago; each round takes one of those away.
                Err(Failure::Connection(_)) if was_kept => {}
                Err(Failure::Connection(why) | Failure::Server(why)) => return Err(Unavailable(why)),
            }
        }
    }

    /// The groups are looked at before the password, so that what is left is one bind whose outcome
    /// alone decides what the client learns.
    async fn ask(
        &self,
        connection: &mut Connection,
        user: &str,
        password: &str,
        most: usize,
    ) -> Result<Verdict, Failure> {
        connection.bind_to_search(&self.settings).await?;
        let mut groups = GroupNames::new(most);
        let Some(Found { dn, name }) = connection.find(&self.settings, user, &mut groups).await? else {
            // As long as for a user that there is, so that the time does not tell.
            let nobody = format!("cn=egret-nobody,{}", self.settings.base);
            connection.bind_as(&nobody, password).await?;
            return Ok(Verdict::Wrong);
        };
        let is_allowed = connection.is_in_an_allowed_group(&self.settings, &dn, &name, &mut groups).await?;
        connection.search_groups(&self.settings, &dn, &name, &mut groups).await?;
        if !connection.bind_as(&dn, password).await? {
            return Ok(Verdict::Wrong);
        }
        if !is_allowed {
            return Ok(Verdict::NotAllowed);
        }
        Ok(match groups.into_names() {
            Some(groups) => Verdict::Good { name, groups },
            None => Verdict::TooManyGroups(name),
        })
    }

    async fn connect(&self, snapshot: &Snapshot) -> Result<Connection, Unavailable> {
        let count = self.settings.servers.len();
        let first = self.server.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..count {
            let index = (first + offset) % count;
            let server = &self.settings.servers[index];
            // A server that does not answer must leave time for the others.
            let share = u32::try_from(count - offset).unwrap_or(u32::MAX);
            let limit = self.settings.timeout / share.saturating_add(1);
            let opening = Connection::open(&self.upstream, snapshot, server, &self.tls, limit);
            match tokio::time::timeout(limit, opening).await {
                Ok(Ok(connection)) => {
                    self.server.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(why)) => failures.push(format!("{}: {why}", server.address)),
                Err(_) => failures.push(format!("{}: no answer within {limit:?}", server.address)),
            }
        }
        Err(Unavailable(failures.join("; ")))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last; what waited for too long is closed.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while idle.front().is_some_and(|(_, since)| since.elapsed() > IDLE) {
            idle.pop_front();
        }
        while let Some((mut connection, _)) = idle.pop_back() {
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        self.idle().push_back((connection, Instant::now()));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed_just_now(&self) -> Option<String> {
        let state = self.state();
        let (at, why) = state.failed_at.as_ref()?;
        (at.elapsed() < RETRY_AFTER).then(|| why.clone())
    }

    fn answered(&self) {
        let mut state = self.state();
        if state.failed_at.take().is_some() {
            state.said_at = None;
            tracing::info!("the directory answers again");
        }
        self.is_up.store(true, Ordering::Relaxed);
    }

    fn failed(&self, why: &str) {
        let mut state = self.state();
        let now = Instant::now();
        state.failed_at = Some((now, why.to_owned()));
        if state.said_at.is_none_or(|at| now - at > REMIND) {
            state.said_at = Some(now);
            tracing::warn!(why, "the directory cannot be asked; who is not known already gets 503");
        }
        self.is_up.store(false, Ordering::Relaxed);
    }
}
