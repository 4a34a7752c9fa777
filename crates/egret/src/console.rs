//! The web console's place in the process: its port, its secrets, and what it asks of the proxy.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use egret_config::ConsoleConfig;
use egret_console::console::{
    Console, ConsoleSettings, MAGIC_HOST, PoliciesInForce, Proxy, RejectionFacts, ReplayOrder, Secret,
};
use egret_core::flow_id::FlowId;
use egret_flows::store::FlowStore;
use egret_proxy::listener;
use egret_proxy::replay::ReplayRequest;
use egret_tls::interception::CaSet;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cli::ProxyArgs;
use crate::proxy::App;
use crate::{banner, interception, policy};

/// Where it is when nobody says anything.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8081);
/// The environment variable with the token, for containers.
pub(crate) const TOKEN_VARIABLE: &str = "EGRET_CONSOLE_TOKEN";
/// The file in the state directory in which the token is left for `egret flows`.
pub(crate) const TOKEN_FILE: &str = "console-token";
/// Files that change rules of the console may answer with, in the state directory.
const ANSWERS: &str = "answers";
/// The shortest token and password that are taken.
const SHORTEST_TOKEN: usize = 16;
const SHORTEST_PASSWORD: usize = 8;

/// A console that has its port and its secrets.
pub(crate) struct BoundConsole {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
    settings: ConsoleSettings,
    /// The token was made now, and may be shown.
    made: bool,
}

/// A console that is served.
pub(crate) struct ConsoleServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// For the lines at the start: with the token, if that was made just now.
    pub link: String,
}

/// Takes the port and reads the secrets. `None` when it is off, or nobody asked for it and the port is taken.
///
/// # Errors
/// The port cannot be had, or a secret cannot be read or is too short.
pub(crate) fn bind(args: &ProxyArgs, config: &ConsoleConfig) -> Result<Option<BoundConsole>, String> {
    let nobody_asked =
        args.console.as_deref().is_none_or(|text| text.trim().is_empty()) && args.config.is_none();
    let Some(address) = config.address.or(nobody_asked.then_some(DEFAULT)) else { return Ok(None) };
    let listener = match listener::bind(address, 1) {
        Ok(bound) => bound.sockets.into_iter().next(),
        Err(error) if nobody_asked => {
            tracing::warn!(%address, %error, "the console is off; choose another address with --console");
            return Ok(None);
        }
        Err(error) => {
            return Err(format!(
                "cannot listen on {address}: {error}; choose another address with --console"
            ));
        }
    };
    let Some(listener) = listener else { return Ok(None) };
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let token = match (&config.token_file, std::env::var(TOKEN_VARIABLE)) {
        (Some(path), _) => Some(secret(path, SHORTEST_TOKEN)?),
        (None, Ok(token)) if token.len() >= SHORTEST_TOKEN => Some(Secret::new(token)),
        (None, Ok(_)) => {
            return Err(format!("{TOKEN_VARIABLE} is too short: it needs {SHORTEST_TOKEN} characters"));
        }
        (None, Err(_)) => None,
    };
    let read = |path: &Option<std::path::PathBuf>, shortest| {
        path.as_deref().map(|path| secret(path, shortest)).transpose()
    };
    let settings = ConsoleSettings {
        read_only_token: read(&config.read_only_token_file, SHORTEST_TOKEN)?,
        password: read(&config.password_file, SHORTEST_PASSWORD)?,
        names: config.names.clone(),
        answer_files: config.answer_files.clone(),
        token: token.clone().unwrap_or_else(Secret::random),
    };
    Ok(Some(BoundConsole { listener, address, settings, made: token.is_none() }))
}

/// Leaves the token where `egret flows` finds it, for this user alone.
fn leave_token(directory: &Path, token: &Secret) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(directory)?;
    let path = directory.join(TOKEN_FILE);
    // Made anew, so that nobody has it open or is let in by modes of before.
    let draft = directory.join(format!("{TOKEN_FILE}.{}", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(format!("{}\n", token.expose()).as_bytes())?;
    std::fs::rename(draft, path)
}

fn secret(path: &Path, shortest: usize) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.len() < shortest {
        return Err(format!(
            "the first line of {} is too short: it needs {shortest} characters; `openssl rand -hex 32` makes one",
            path.display()
        ));
    }
    Ok(Secret::new(line))
}

impl BoundConsole {
    /// Serves it on threads of its own, beside the data path.
    pub(crate) fn start(self, app: &Arc<App>, store: FlowStore) -> ConsoleServer {
        let Self { listener, address, mut settings, made } = self;
        if settings.answer_files.is_none() {
            let state = app.args.state_dir.clone().or_else(crate::machine::default_state_dir);
            settings.answer_files = state.map(|state| state.join(ANSWERS));
        }
        if let Some(directory) = app.args.state_dir.clone().or_else(crate::machine::default_state_dir)
            && let Err(error) = leave_token(&directory, &settings.token)
        {
            let path = directory.join(TOKEN_FILE);
            tracing::warn!(path = %path.display(), %error, "the console's token was not left for `egret flows`");
        }
        let host = match address.ip() {
            ip if ip.is_unspecified() => format!("127.0.0.1:{}", address.port()),
            _ => address.to_string(),
        };
        let link = match made {
            true => format!("http://{host}/?token={}", settings.token.expose()),
            false => format!("http://{host}/"),
        };
        let proxy = Around { app: app.clone(), url: format!("http://{host}"), started: Timestamp::now() };
        let console = Console::new(settings, store, app.changes.clone(), Box::new(proxy));
        let started = thread::Builder::new().name("console".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .max_blocking_threads(4)
                .thread_name("console")
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(run(console, listener)),
                Err(error) => tracing::error!(%error, "the console cannot be served"),
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "the console cannot be served");
        }
        ConsoleServer { address, link }
    }
}

async fn run(console: Console, listener: TcpListener) {
    let following = console.clone();
    tokio::spawn(async move { following.follow().await });
    if let Err(error) = console.serve(listener).await {
        tracing::error!(%error, "the console is not served any more");
    }
}

/// What the console asks of the proxy.
struct Around {
    app: Arc<App>,
    url: String,
    started: Timestamp,
}

impl Around {
    fn intercepts(&self) -> bool {
        interception::lock(&self.app.intercepting).interceptor().is_some()
    }
}

impl Proxy for Around {
    fn server(&self) -> Value {
        let app = &self.app;
        let snapshot = app.server.snapshot();
        let listeners: Vec<Value> = banner::listeners(app)
            .map(|(url, _)| {
                let over_tls = url.starts_with("https");
                json!({ "url": url, "protocols": ["http", "socks"], "tls": over_tls })
            })
            .collect();
        let credentials = snapshot.authentication.as_ref().map(|settings| {
            let basic = settings.htpasswd.is_some() || settings.ldap.is_some();
            let bearer = settings.jwt.is_some();
            [(basic, "basic"), (bearer, "bearer")]
                .into_iter()
                .filter_map(|(has, name)| has.then_some(name))
                .collect::<Vec<_>>()
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "revision": env!("EGRET_REVISION"),
            "instance": &*app.instance,
            "started": format!("{:.3}", self.started),
            "draining": app.server.draining(),
            "generation": app.server.generation(),
            "listeners": listeners,
            "console": { "url": self.url, "magicHost": MAGIC_HOST },
            "credentials": credentials,
            "capture": {
                "default": format!("{:?}", snapshot.capture.level),
                "bodyLimitBytes": snapshot.capture.body_bytes,
                "redactedHeaders": egret_flows::redact::RedactionSettings::default().headers,
            },
            "features": {
                "intercept": self.intercepts(), "replay": true, "breakpoints": true, "changes": true, "policy": true,
            },
        })
    }

    fn policies(&self) -> PoliciesInForce {
        let snapshot = self.app.server.snapshot();
        PoliciesInForce {
            generation: snapshot.generation,
            source: self.app.args.config.as_ref().map(|path| path.display().to_string()),
            policies: snapshot.gate.policies.clone(),
        }
    }

    fn explain(&self, question: &Value) -> Result<Value, String> {
        let gate = &self.app.server.snapshot().gate;
        policy::explain_for_console(gate, question, SystemTime::now(), self.intercepts())
    }

    fn rejections(&self) -> Vec<RejectionFacts> {
        let Some(interceptor) = interception::lock(&self.app.intercepting).interceptor() else {
            return Vec::new();
        };
        let now = Timestamp::now();
        // Rules may say otherwise for their hosts.
        let usual = self.app.server.snapshot().interception.tunnel_pinned;
        let usual = SignedDuration::try_from(usual).unwrap_or(SignedDuration::MAX);
        let rejections = interceptor.rejections.list().into_iter();
        rejections
            .map(|(identity, host, refused)| {
                let until = interceptor.rejections.pinned_until(&identity, &host, usual, now);
                RejectionFacts {
                    host: host.to_string(),
                    alert: refused.end.alert(),
                    kind: refused.rejection.code(),
                    advice: refused.rejection.advice(),
                    count: refused.count,
                    last_seen: format!("{:.3}", refused.last),
                    passthrough_until: until.map(|until| format!("{until:.3}")),
                    identity,
                }
            })
            .collect()
    }

    fn replay(&self, order: ReplayOrder) -> Result<FlowId, String> {
        let ReplayOrder { replay, http2, user, from } = order;
        let request =
            ReplayRequest { of: replay.of, request: replay.request, body: replay.body, http2, user, from };
        self.app.server.replay(request).map_err(|error| error.to_string())
    }

    fn ca(&self) -> Result<CaSet, String> {
        interception::lock(&self.app.intercepting).cas(self.app.args.state_dir.as_deref())
    }
}
