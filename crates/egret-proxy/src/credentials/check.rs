//! Finding out whether credentials are good: who may ask, and whom.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use egret_core::authentication::Authentication;
use egret_core::identity::workloads::{Reviewed, Workloads};
use egret_core::identity::{Groups, Proof, User};
use egret_tls::client::Alpn;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::backoff::{Attempt, Backoff, Denied};
use super::header::{Login, Offered};
use super::htpasswd::Users;
use super::jwt::{Bad, Tokens};
use super::ldap::{Directory, Unavailable, Verdict};
use super::verdicts::{Digest, Verdicts, Wrong};
use super::{Credentials, CredentialsError};
use crate::metrics::{Limit, WorkerMetrics};

/// The niceness of threads that compute password hashes: clients that are served already come first, but
/// on a busy machine, too, somebody gets in.
const NICE: i32 = 5;

/// The back ends of one configuration, and what is remembered of their answers.
pub(super) struct State {
    pub(super) settings: Arc<Authentication>,
    pub(super) verdicts: Verdicts,
    pub(super) backoff: Arc<Backoff>,
    pub(super) users: Option<Arc<Users>>,
    pub(super) directory: Option<Arc<Directory>>,
    pub(super) tokens: Option<Arc<Tokens>>,
    workloads: Option<Arc<dyn Workloads>>,
    checks: Arc<Semaphore>,
    handle: Handle,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted(User),
    /// As somebody else, or the same client, has found out a moment ago.
    Remembered(User),
    Wrong(Wrong),
    /// Nothing is checked for this client for so long.
    Blocked(Duration),
    Unavailable(&'static str),
}

/// What a back end says.
enum Said {
    Good { user: User, left: Option<Duration> },
    Wrong { wrong: Wrong, is_guess: bool },
    Unavailable(&'static str),
}

impl State {
    pub(super) fn new(
        shared: &Credentials,
        settings: Arc<Authentication>,
        old: Option<&Self>,
        handle: Handle,
    ) -> Result<Self, CredentialsError> {
        let users = settings.htpasswd.clone().map(|file| Arc::new(Users::new(file)));
        let directory = match &settings.ldap {
            None => None,
            Some(ldap) => {
                let kept = old.and_then(|old| old.directory.clone()).filter(|kept| kept.settings == *ldap);
                Some(match kept {
                    Some(kept) => kept,
                    None => {
                        check_filter("filter", &ldap.filter)?;
                        if let Some(filter) = &ldap.group_filter {
                            check_filter("groupFilter", filter)?;
                        }
                        let pem = ldap.trusted_ca.as_deref();
                        let tls = shared.tls(pem, "authentication.ldap.trustedCA", Alpn::None)?;
                        Arc::new(Directory::new(ldap.clone(), shared.upstream.clone(), tls))
                    }
                })
            }
        };
        let tokens = match &settings.jwt {
            None => None,
            Some(jwt) => {
                let kept = old.and_then(|old| old.tokens.clone()).filter(|kept| kept.settings == *jwt);
                Some(match kept {
                    Some(kept) => kept,
                    None => {
                        let pem = jwt.trusted_ca.as_deref();
                        let tls = shared.tls(pem, "authentication.jwt.trustedCA", Alpn::Http1)?;
                        let mut tokens = Tokens::new(jwt.clone()).map_err(CredentialsError::Keys)?;
                        let _context = handle.enter();
                        tokens.start_fetching(shared.upstream.clone(), tls, shared.snapshot.clone());
                        Arc::new(tokens)
                    }
                })
            }
        };
        let same =
            |old: &&Self| old.settings.backoff == settings.backoff && old.settings.checks == settings.checks;
        let (backoff, checks) = match old.filter(same) {
            Some(old) => (old.backoff.clone(), old.checks.clone()),
            None => (
                Arc::new(Backoff::new(&settings.backoff, settings.checks)),
                Arc::new(Semaphore::new(settings.checks)),
            ),
        };
        let verdicts = Verdicts::new(&settings.cache);
        let workloads = shared.workloads.clone();
        Ok(Self { settings, verdicts, backoff, users, directory, tokens, workloads, checks, handle })
    }

    /// What is known of credentials without a check.
    pub(super) fn known(&self, digest: &Digest) -> Option<Outcome> {
        if let Some(user) = self.verdicts.accepted(digest) {
            return Some(Outcome::Remembered(user));
        }
        self.verdicts.refused(digest).map(Outcome::Wrong)
    }

    /// Finds out. The check goes on when the caller goes away, so that nobody guesses for free.
    pub(super) async fn find_out(
        self: &Arc<Self>,
        shared: &Credentials,
        metrics: &WorkerMetrics,
        offered: Offered,
        digest: Digest,
        client: IpAddr,
    ) -> Outcome {
        let turn = match self.verdicts.turn(&digest).await {
            Ok(user) => return Outcome::Remembered(user),
            Err(turn) => turn,
        };
        // Whoever had the turn before may have found that they are wrong.
        if let Some(known) = self.known(&digest) {
            return known;
        }
        let (admitted, table_is_full) = self.backoff.admit(client);
        if table_is_full {
            metrics.limit_hit(Limit::LoginClients);
        }
        let attempt = match admitted {
            Ok(attempt) => attempt,
            Err(Denied::Blocked(time)) => {
                metrics.limit_hit(Limit::LoginFailures);
                return Outcome::Blocked(time);
            }
            Err(Denied::Busy) => return too_many(metrics),
        };
        let Ok(permit) = self.checks.clone().try_acquire_owned() else { return too_many(metrics) };
        let snapshot = shared.snapshot.load_full();
        let state = self.clone();
        let check = self.handle.spawn(async move {
            let asking = state.ask(&snapshot, offered, permit);
            let said = tokio::time::timeout(state.settings.timeout, asking).await;
            let said = said.unwrap_or(Said::Unavailable("the check was not done in time"));
            state.count(&attempt, &said, digest);
            said
        });
        match check.await {
            Ok(Said::Good { user, left }) => {
                self.verdicts.accept(turn, user.clone(), left);
                Outcome::Accepted(user)
            }
            Ok(Said::Wrong { wrong, .. }) => Outcome::Wrong(wrong),
            Ok(Said::Unavailable(why)) => Outcome::Unavailable(why),
            Err(error) => {
                tracing::error!(%error, "a check of credentials failed in a way that it should not");
                Outcome::Unavailable("the check failed")
            }
        }
    }

    fn count(&self, attempt: &Attempt, said: &Said, digest: Digest) {
        match said {
            Said::Good { .. } => Backoff::succeeded(attempt),
            Said::Wrong { wrong, is_guess } => {
                if *is_guess && !self.verdicts.was_refused(&digest) {
                    self.backoff.failed(attempt);
                }
                self.verdicts.refuse(digest, *wrong);
            }
            Said::Unavailable(_) => {}
        }
    }

    async fn ask(
        &self,
        snapshot: &egret_core::settings::Snapshot,
        offered: Offered,
        permit: OwnedSemaphorePermit,
    ) -> Said {
        match offered {
            Offered::Basic(login) => self.ask_password(snapshot, login, permit).await,
            Offered::Bearer(token) if self.is_for_the_api_server(&token) => self.ask_api_server(token).await,
            Offered::Bearer(token) => self.ask_token(token, permit).await,
            Offered::Other(_) => Said::Unavailable("the scheme is not spoken here"),
        }
    }

    /// The file is asked for the users that it has, the directory for all others.
    async fn ask_password(
        &self,
        snapshot: &egret_core::settings::Snapshot,
        login: Login,
        permit: OwnedSemaphorePermit,
    ) -> Said {
        let wrong = Said::Wrong { wrong: Wrong::Password, is_guess: true };
        match (&self.users, &self.directory) {
            (Some(users), directory) if directory.is_none() || users.has(&login.user) => {
                let users = users.clone();
                let found = compute(permit, move || users.check(&login.user, &login.password)).await;
                match found {
                    Some(Some(name)) => self.good(name, Proof::Htpasswd, Vec::new(), None),
                    Some(None) => wrong,
                    None => Said::Unavailable("the check failed"),
                }
            }
            (_, Some(directory)) => {
                match directory.check(snapshot, &login.user, &login.password, self.settings.max_groups).await
                {
                    Ok(Verdict::Good { name, groups }) => self.good(name, Proof::Ldap, groups, None),
                    Ok(Verdict::TooManyGroups(name)) => self.too_many_groups(&name),
                    Ok(Verdict::NotAllowed) => Said::Wrong { wrong: Wrong::NotAllowed, is_guess: false },
                    Ok(Verdict::Wrong) => wrong,
                    Err(Unavailable(why)) => {
                        tracing::debug!(why, "the directory cannot be asked");
                        Said::Unavailable("the directory cannot be asked")
                    }
                }
            }
            (_, None) => Said::Unavailable("passwords are not taken here"),
        }
    }

    async fn ask_token(&self, token: zeroize::Zeroizing<String>, permit: OwnedSemaphorePermit) -> Said {
        let Some(tokens) = self.tokens.clone() else { return Said::Unavailable("tokens are not taken here") };
        tokens.learn(&token).await;
        match compute(permit, move || tokens.check(&token)).await {
            Some(Ok(token)) if token.groups.len() > self.settings.max_groups => {
                self.too_many_groups(&token.user)
            }
            Some(Ok(token)) => self.good(token.user, Proof::Jwt, token.groups, Some(token.left)),
            Some(Err(Bad::NoKeys)) => Said::Unavailable("the keys for tokens are not there yet"),
            Some(Err(Bad::Claims(why))) => Said::Wrong { wrong: Wrong::Token(why), is_guess: false },
            Some(Err(Bad::Forged(why))) => Said::Wrong { wrong: Wrong::Token(why), is_guess: true },
            None => Said::Unavailable("the check failed"),
        }
    }

    /// Whether a token is one of a service account: where tokens of a provider are taken as well, what is not
    /// from one of its issuers.
    fn is_for_the_api_server(&self, token: &str) -> bool {
        let Some(jwt) = self.settings.jwt.as_ref().filter(|_| self.settings.service_accounts.is_some())
        else {
            return self.settings.service_accounts.is_some();
        };
        issuer(token).is_none_or(|issuer| !jwt.issuers.contains(&issuer))
    }

    async fn ask_api_server(&self, token: zeroize::Zeroizing<String>) -> Said {
        let Some(workloads) = &self.workloads else {
            return Said::Unavailable("no API server is configured");
        };
        match workloads.reviewed(&token).await {
            Reviewed::Good { user, groups, workload, left } => {
                match self.good(user, Proof::ServiceAccount, groups.to_vec(), Some(left)) {
                    Said::Good { user, left } => {
                        Said::Good { user: User { workload: Some(workload), ..user }, left }
                    }
                    other => other,
                }
            }
            Reviewed::Refused(why) => Said::Wrong { wrong: Wrong::Token(why), is_guess: true },
            Reviewed::Unavailable(why) => Said::Unavailable(why),
        }
    }

    /// A user with the groups that were proved, and those of the file of groups.
    fn good(&self, name: Arc<str>, proof: Proof, groups: Vec<Arc<str>>, left: Option<Duration>) -> Said {
        let groups = Groups::from(groups).with_others(self.settings.groups_of(&name));
        tracing::debug!(user = &*name, proof = proof.as_str(), groups = ?&*groups, "a user was found good");
        Said::Good { user: User { name, proof, groups, workload: None }, left }
    }

    fn too_many_groups(&self, user: &str) -> Said {
        let most = self.settings.max_groups;
        tracing::warn!(user, most, "a user is refused who is in more groups than `authentication.maxGroups`");
        Said::Wrong { wrong: Wrong::TooManyGroups, is_guess: false }
    }
}

/// The issuer that a token names, of which nothing is verified yet.
fn issuer(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

fn check_filter(setting: &'static str, filter: &str) -> Result<(), CredentialsError> {
    match ldap3::parse_filter(filter.replace("{user}", "x").replace("{dn}", "x")) {
        Ok(_) => Ok(()),
        Err(_) => Err(CredentialsError::Filter { setting, filter: filter.to_owned() }),
    }
}

fn too_many(metrics: &WorkerMetrics) -> Outcome {
    metrics.limit_hit(Limit::CredentialChecks);
    Outcome::Unavailable("too many checks of credentials are under way (`authentication.checks`)")
}

/// Computes on a thread that may be blocked. What nobody waits for any more when its turn comes is left
/// out. The permit is kept until the end, so that no more is queued than may be.
async fn compute<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (give, take) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if give.is_closed() {
            return;
        }
        // On Linux this is the calling thread's own. A failure means the usual priority.
        let _ = rustix::process::setpriority_process(None, NICE);
        let _ = give.send(work());
    });
    take.await.ok()
}
