//! Who may: tokens, passwords, sessions, and the wait after wrong ones.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(24 * 3600);
/// The most sessions; the oldest goes for a new one.
const MAX_SESSIONS: usize = 1000;
/// Wrong attempts in a row from one address before the next has to wait.
const FREE_FAILURES: u32 = 10;
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// The most addresses whose attempts are remembered.
const MAX_SOURCES: usize = 4096;

/// A token or a password. Never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// This one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(random_text())
    }

    /// For the link that is printed at the start, and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is this text, in a time that does not tell how much of it is.
    fn is(&self, text: &str) -> bool {
        let (mine, theirs) = (Sha256::digest(&self.0), Sha256::digest(text));
        mine.as_slice().ct_eq(theirs.as_slice()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What one may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Admin,
    ReadOnly,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    pub(crate) name: Option<String>,
    /// The session's token against forgery, and its end; `None` for a program with a token.
    pub(crate) session: Option<SessionFacts>,
}

#[derive(Clone, Debug)]
pub(crate) struct SessionFacts {
    pub(crate) id: String,
    pub(crate) csrf: String,
    pub(crate) expires: SystemTime,
}

struct Session {
    caller: Caller,
    until: Instant,
}

struct Failures {
    count: u32,
    wait_until: Instant,
}

/// What there is to log in with, and who has.
pub(crate) struct Auth {
    token: Secret,
    read_only_token: Option<Secret>,
    password: Option<Secret>,
    sessions: Mutex<HashMap<String, Session>>,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not the token or the password.
    Wrong,
    /// There were too many wrong ones: wait so many seconds.
    Wait(u64),
}

impl Auth {
    pub(crate) fn new(token: Secret, read_only_token: Option<Secret>, password: Option<Secret>) -> Self {
        Self { token, read_only_token, password, sessions: Mutex::default(), failures: Mutex::default() }
    }

    /// How one may log in.
    pub(crate) fn methods(&self) -> Vec<&'static str> {
        let mut methods = vec!["token"];
        methods.extend(self.password.as_ref().map(|_| "password"));
        methods
    }

    fn role_of_token(&self, token: &str) -> Option<Role> {
        // Both are compared, so that the time does not say which there are.
        let admin = self.token.is(token);
        let read_only = self.read_only_token.as_ref().is_some_and(|known| known.is(token));
        match (admin, read_only) {
            (true, _) => Some(Role::Admin),
            (_, true) => Some(Role::ReadOnly),
            _ => None,
        }
    }

    /// A program's token. The right one is never made to wait: it cannot be guessed.
    pub(crate) fn bearer(&self, token: &str, from: IpAddr) -> Result<Caller, Refused> {
        match self.role_of_token(token) {
            Some(role) => Ok(Caller { role, name: None, session: None }),
            None => Err(self.failed(from)),
        }
    }

    /// Exchanges a token for a session.
    pub(crate) fn login_token(&self, token: &str, from: IpAddr) -> Result<Caller, Refused> {
        self.may_try(from)?;
        match self.role_of_token(token) {
            Some(role) => Ok(self.begin(role, None, from)),
            None => Err(self.failed(from)),
        }
    }

    /// Exchanges a password for a session.
    pub(crate) fn login_password(
        &self,
        password: &str,
        name: Option<String>,
        from: IpAddr,
    ) -> Result<Caller, Refused> {
        self.may_try(from)?;
        match &self.password {
            Some(known) if known.is(password) => Ok(self.begin(Role::Admin, name, from)),
            _ => Err(self.failed(from)),
        }
    }

    fn begin(&self, role: Role, name: Option<String>, from: IpAddr) -> Caller {
        lock(&self.failures).remove(&from);
        let facts =
            SessionFacts { id: random_text(), csrf: random_text(), expires: SystemTime::now() + SESSION };
        let caller = Caller { role, name, session: Some(facts.clone()) };
        let now = Instant::now();
        let mut sessions = lock(&self.sessions);
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= MAX_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, s)| s.until).map(|(id, _)| id.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(key_of(&facts.id), Session { caller: caller.clone(), until: now + SESSION });
        caller
    }

    /// The session of a cookie.
    pub(crate) fn session(&self, id: &str) -> Option<Caller> {
        let mut sessions = lock(&self.sessions);
        // Looked up by its hash, so that the time says nothing about the id.
        let key = key_of(id);
        if sessions.get(&key)?.until <= Instant::now() {
            sessions.remove(&key);
            return None;
        }
        sessions.get(&key).map(|session| session.caller.clone())
    }

    pub(crate) fn end(&self, id: &str) {
        lock(&self.sessions).remove(&key_of(id));
    }

    fn may_try(&self, from: IpAddr) -> Result<(), Refused> {
        let now = Instant::now();
        match lock(&self.failures).get(&from) {
            Some(failures) if failures.wait_until > now => {
                Err(Refused::Wait((failures.wait_until - now).as_secs() + 1))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, from: IpAddr) -> Refused {
        let now = Instant::now();
        let mut sources = lock(&self.failures);
        if sources.len() >= MAX_SOURCES && !sources.contains_key(&from) {
            sources.retain(|_, failures| failures.wait_until > now);
            if sources.len() >= MAX_SOURCES {
                return Refused::Wait(MAX_WAIT.as_secs());
            }
        }
        let failures = sources.entry(from).or_insert(Failures { count: 0, wait_until: now });
        failures.count = failures.count.saturating_add(1);
        if failures.count < FREE_FAILURES {
            return Refused::Wrong;
        }
        let doublings = (failures.count - FREE_FAILURES).min(10);
        let wait = Duration::from_secs(1 << doublings).min(MAX_WAIT);
        failures.wait_until = now + wait;
        Refused::Wait(wait.as_secs())
    }
}

/// Whether both texts are the same, in a time that does not tell how much of them is.
pub(crate) fn same(a: &str, b: &str) -> bool {
    Sha256::digest(a).as_slice().ct_eq(Sha256::digest(b).as_slice()).into()
}

fn key_of(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(id))
}

fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn auth() -> Auth {
        Auth::new(Secret::new("admin-token"), Some(Secret::new("viewer")), Some(Secret::new("pass word")))
    }

    #[test]
    fn each_credential_has_its_role() {
        let auth = auth();
        assert_eq!(auth.bearer("admin-token", HERE).unwrap().role, Role::Admin);
        assert_eq!(auth.login_token("viewer", HERE).unwrap().role, Role::ReadOnly);
        assert_eq!(auth.login_password("pass word", None, HERE).unwrap().role, Role::Admin);
        assert_eq!(auth.login_password("viewer", None, HERE).unwrap_err(), Refused::Wrong);
        assert_eq!(auth.bearer("", HERE).unwrap_err(), Refused::Wrong);
    }

    #[test]
    fn refuses_even_the_right_password_for_a_while_after_many_wrong_ones() {
        let auth = auth();
        for _ in 1..FREE_FAILURES {
            assert_eq!(auth.login_password("guess", None, HERE).unwrap_err(), Refused::Wrong);
        }
        assert!(matches!(auth.login_password("guess", None, HERE), Err(Refused::Wait(_))));
        assert!(matches!(auth.login_password("pass word", None, HERE), Err(Refused::Wait(_))));
        assert!(auth.login_password("pass word", None, [10, 0, 0, 1].into()).is_ok());
        assert!(auth.bearer("admin-token", HERE).is_ok());
    }

    #[test]
    fn a_session_ends_when_it_is_ended() {
        let auth = auth();
        let caller = auth.login_token("admin-token", HERE).unwrap();
        let id = caller.session.unwrap().id;
        assert!(auth.session(&id).is_some());
        assert!(auth.session("another").is_none());
        auth.end(&id);
        assert!(auth.session(&id).is_none());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", Secret::new("hush")).contains("hush"));
    }
}
