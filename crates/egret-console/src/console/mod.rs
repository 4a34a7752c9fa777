//! The web console: the pages, and the API behind them (docs/openapi.yaml).
//!
//! Every request passes `Console::answer`: first by which name it came, then who it is, then what it wants.

mod api;
mod audit;
mod auth;
mod bodies;
mod ca;
mod changes;
mod detail;
mod events;
mod export;
mod flows;
mod held;
mod hub;
mod names;
mod pages;
mod policy;
mod problem;
mod query;
mod replay;
mod serve;
mod shape;
mod stats;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use egret_core::flow_id::FlowId;
use egret_flows::changes::Changes;
use egret_flows::store::FlowStore;
use egret_tls::interception::CaSet;
use serde_json::Value;
use tokio::sync::Semaphore;

use audit::Audit;
use auth::{Auth, Refused};
use hub::Hub;
use names::OwnNames;
use problem::Problem;

pub use auth::Secret;
pub use detail::detail;
pub use names::MAGIC_HOST;
pub use policy::PoliciesInForce;
pub use shape::summary;

/// How the console is set up.
#[derive(Clone, Debug)]
pub struct ConsoleSettings {
    /// The token that may do everything.
    pub token: Secret,
    /// A token that may look, and change nothing.
    pub read_only_token: Option<Secret>,
    /// A password that may do everything.
    pub password: Option<Secret>,
    /// Further names that the console is reached by.
    pub names: Vec<String>,
    /// The directory with files that change rules of the console may answer with.
    pub answer_files: Option<PathBuf>,
}

/// A request to send again.
#[derive(Clone, Debug)]
pub struct ReplayOrder {
    /// The request.
    pub replay: egret_flows::replay::Replay,
    /// It came over HTTP/2, and goes on so if the origin can.
    pub http2: bool,
    /// The name of whoever sends it, if the login had one.
    pub user: Option<String>,
    /// Their address.
    pub from: SocketAddr,
}

/// A client that did not accept a certificate of the interception CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionFacts {
    /// Who the client is.
    pub identity: String,
    /// The host that it asked for.
    pub host: String,
    /// The TLS alert that it sent, by its name in RFC 8446; `None` if it went without one.
    pub alert: Option<String>,
    /// What that means, as a word.
    pub kind: &'static str,
    /// What it means, and what to do.
    pub advice: &'static str,
    /// How often, in a row.
    pub count: u32,
    /// When the last was, in RFC 3339.
    pub last_seen: String,
    /// Until when it is tunnelled.
    pub passthrough_until: Option<String>,
}

/// What the console asks of the proxy around it. It is called on threads that may block.
pub trait Proxy: Send + Sync {
    /// What is running, as `Server` of the API; `now` and `store` are added.
    fn server(&self) -> Value;
    /// The policies in force.
    fn policies(&self) -> PoliciesInForce;
    /// What would happen to a request (`ExplainRequest`), as `PolicyTrace`.
    ///
    /// # Errors
    /// What is wrong with the question, for people.
    fn explain(&self, question: &Value) -> Result<Value, String>;
    /// The CA of interception.
    ///
    /// # Errors
    /// Why there is none, for people.
    fn ca(&self) -> Result<CaSet, String>;
    /// Clients that rejected a certificate of the CA, the latest first.
    fn rejections(&self) -> Vec<RejectionFacts>;
    /// Sends a request again. Gives the id of the new flow.
    ///
    /// # Errors
    /// Why it is not sent now, for people.
    fn replay(&self, order: ReplayOrder) -> Result<FlowId, String>;
}

/// The console of a process. Clones are the same one.
#[derive(Clone)]
pub struct Console {
    inner: Arc<Inner>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    auth: Auth,
    names: OwnNames,
    audit: Audit,
    store: FlowStore,
    changes: Changes,
    answer_files: Option<PathBuf>,
    hub: Hub,
    proxy: Box<dyn Proxy>,
    streams: Arc<Semaphore>,
    epoch: String,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) over_tls: bool,
}

impl Console {
    /// A console for this store, and for these rules and breakpoints.
    #[must_use]
    pub fn new(settings: ConsoleSettings, store: FlowStore, changes: Changes, proxy: Box<dyn Proxy>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let inner = Inner {
            auth: Auth::new(settings.token, settings.read_only_token, settings.password),
            names: OwnNames::new(&settings.names),
            audit: Audit::default(),
            store,
            changes,
            answer_files: settings.answer_files,
            hub: Hub::new(),
            proxy,
            streams: Arc::new(Semaphore::new(events::MAX_STREAMS)),
            epoch: base36(u64::try_from(since.as_millis()).unwrap_or(0)),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) async fn answer(&self, peer: Peer, request: Request<Body>) -> Response<Body> {
        let mut response = match answer(&self.inner, peer, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        harden(&mut response);
        response
    }
}

/// The path that a page asks over TLS to learn whether its browser trusts the CA.
const TRUST_CHECK: &str = "/api/v1/ca/trust-check";

async fn answer(inner: &Arc<Inner>, peer: Peer, request: Request<Body>) -> Result<Response<Body>, Problem> {
    let path = request.uri().path().to_owned();
    if path == TRUST_CHECK && matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(trusted());
    }
    let authority = inner.names.check(request.uri(), request.headers())?;
    if path == "/api" || path.starts_with("/api/") {
        return api::answer(inner, peer, &authority, request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Pages are only read",
        ));
    }
    if ca::is_download(&path) {
        let inner = inner.clone();
        return blocking(move || ca::download(&path, inner.proxy.ca())).await?;
    }
    if path == "/"
        && let Some(token) = token_of(request.uri().query().unwrap_or_default())
    {
        return Ok(login_by_link(inner, peer, &token));
    }
    pages::file(&path).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such page")
            .advice("The console is at /")
    })
}

fn trusted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    headers.insert(CROSS_ORIGIN_RESOURCE, HeaderValue::from_static("cross-origin"));
    response
}

fn token_of(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
}

/// The link that is printed at the start. Whether or not the token is right, it is out of the address bar then.
fn login_by_link(inner: &Inner, peer: Peer, token: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    match inner.auth.login_token(token, peer.address.ip()) {
        Ok(caller) => {
            inner.audit.note(Some(&caller), peer.address.ip(), "login", "", "by link");
            if let Some(session) = &caller.session {
                set_cookie(&mut response, &session.id, peer.over_tls);
            }
        }
        Err(Refused::Wrong | Refused::Wait(_)) => {
            inner.audit.note(None, peer.address.ip(), "login-refused", "", "by link");
        }
    }
    response
}

/// The name of the cookie.
pub(crate) const COOKIE: &str = "egret_console";

pub(crate) fn set_cookie(response: &mut Response<Body>, value: &str, over_tls: bool) {
    let secure = if over_tls { "; Secure" } else { "" };
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

const CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// On every response: nothing is cached, framed, guessed at, or read by others.
fn harden(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    let always = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (CROSS_ORIGIN_OPENER, "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let unless_said = [
        (CROSS_ORIGIN_RESOURCE, "same-origin"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in unless_said {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

impl Inner {
    /// A revision as the API writes it.
    pub(crate) fn revision_text(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// A row of lists, which says whether the flow is held.
    pub(crate) fn summary(&self, flow: &egret_flows::flow::Flow) -> Value {
        let mut value = shape::summary(flow);
        self.mark_held(flow, &mut value);
        value
    }

    pub(crate) fn mark_held(&self, flow: &egret_flows::flow::Flow, value: &mut Value) {
        if flow.active && self.changes.held_count() > 0 && self.changes.is_held(flow.id) {
            value["state"] = "held".into();
        }
    }

    /// The number of a revision, if it is one of this process.
    pub(crate) fn revision_of(&self, text: &str) -> Option<u64> {
        let (epoch, number) = text.split_once('-')?;
        if epoch == self.epoch { number.parse().ok() } else { None }
    }
}

/// Runs what may block beside the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::internal("the work ended early"))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]));
        number /= 36;
    }
    digits.iter().rev().collect()
}
