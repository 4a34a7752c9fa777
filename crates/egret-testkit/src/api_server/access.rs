//! The server's state, and who may do what.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::failure::Failure;
use super::handle::Called;
use super::http::Request;
use super::review::IssuedToken;
use super::store::Store;

/// What every connection of a server shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
}

/// What the server is to refuse: verb, group, plural; a `*` stands for any.
pub(crate) type Rule = (String, String, String);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    /// Bearer tokens and the users they stand for; with none, everybody may come.
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) forbidden: Vec<Rule>,
    /// Answers to give once, in order: verb, plural, status and body.
    pub(crate) failures: Vec<(String, String, u16, Value)>,
    pub(crate) issued: HashMap<String, IssuedToken>,
    /// The `status` to give to a TokenReview of a token.
    pub(crate) reviews: HashMap<String, Value>,
    pub(crate) calls: Vec<Called>,
    /// Raised to end all watches that run.
    pub(crate) watch_epoch: u64,
    /// Raised to drop connections as they are.
    pub(crate) away: bool,
    pub(crate) lingering_pods: bool,
    pub(crate) without_watch_lists: bool,
    pub(crate) bookmark_every: Duration,
    /// Where Services that webhooks name are: `namespace/name`.
    pub(crate) services: BTreeMap<String, SocketAddr>,
    pub(crate) delay: Duration,
}

impl State {
    /// The caller's name.
    pub(crate) fn user(&self, request: &Request) -> Result<String, Failure> {
        let field = request.field("authorization");
        let token =
            field.strip_prefix("Bearer ").or_else(|| field.strip_prefix("bearer ")).unwrap_or_default();
        if let Some(user) = self.users.get(token) {
            return Ok(user.clone());
        }
        if let Some(issued) = self.issued.get(token).filter(|t| t.is_for_the_server()) {
            return Ok(issued.user());
        }
        if self.users.is_empty() { Ok("system:admin".to_owned()) } else { Err(Failure::unauthorized()) }
    }

    pub(crate) fn is_forbidden(&self, verb: &str, group: &str, plural: &str) -> bool {
        let fits = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        self.forbidden.iter().any(|(v, g, p)| fits(v, verb) && fits(g, group) && fits(p, plural))
    }
}
