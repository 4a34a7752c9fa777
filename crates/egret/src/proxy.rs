//! `egret proxy`: the wiring, from the command line to the running proxy and back.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use egret_config::{Compiled, Config, ConsoleConfig, ListCache, Loaded, LogFormat, TracingSettings};
use egret_console::{AdminState, MetricsText, Readiness};
use egret_core::settings::{FlowSettings, HttpSettings, Snapshot};
use egret_flows::changes::Changes;
use egret_flows::store::FlowStore;
use egret_kube::policies::PolicyChanges;
use egret_proxy::access_log::AccessLog;
use egret_proxy::credentials::Credentials;
use egret_proxy::intercept::Interceptor;
use egret_proxy::listener::{self, Bound};
use egret_proxy::metrics::{
    BuildInfo, DnsFigures, InterceptionFigures, Limit, Metrics, ParentFigure, Sources,
};
use egret_proxy::server::Server;
use egret_proxy::upstream::Upstream;
use egret_proxy::worker::Shared;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::ProxyArgs;
use crate::cluster::Sinks;
use crate::cluster_policies::{self, Policies};
use crate::console::ConsoleServer;
use crate::diagnostics::Diagnostics;
use crate::interception::Intercepting;
use crate::otlp::{Otlp, OtlpSettings};
use crate::tls::ListenerSlot;
use crate::{banner, console, flows, interception, machine, reload};

/// How long the access log and the traces may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// How long Ctrl-C lets in-flight work go on.
const INTERRUPTED: Duration = Duration::from_secs(1);

/// The running program, as far as signals and reloads reach it.
pub(crate) struct App {
    /// The command line.
    pub args: ProxyArgs,
    /// The proxy.
    pub server: Server,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The access log.
    pub log: Arc<AccessLog>,
    /// The diagnostic log.
    pub diagnostics: Diagnostics,
    /// The name in `Via` where none is configured.
    pub instance: Arc<str>,
    /// Every address that the proxy itself listens on.
    pub bound: Vec<SocketAddr>,
    /// The listeners, as they are configured and with their TLS.
    pub listeners: Vec<ListenerSlot>,
    /// The settings in force that only a restart can change.
    pub fixed: Fixed,
    /// The store of flows, where there is one.
    pub flows: Option<FlowStore>,
    /// Change rules, breakpoints, and what is held.
    pub changes: Changes,
    /// Where the console is, if there is one.
    pub console: Option<SocketAddr>,
    /// Files of lists that were read, so that a reload reads what has changed alone.
    pub lists: Mutex<ListCache>,
    /// What signs for origins.
    pub intercepting: Mutex<Intercepting>,
    /// The configuration in force, for when policies of the cluster change.
    pub config: Mutex<Config>,
    /// The policies of the cluster.
    pub policies: Policies,
}

/// Settings that are fixed for the life of the process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fixed {
    /// The addresses, and whether TLS is spoken.
    listeners: Vec<(SocketAddr, bool, Vec<ipnet::IpNet>)>,
    workers: usize,
    admin: Option<SocketAddr>,
    console: ConsoleConfig,
    tracing: Option<TracingSettings>,
    kubernetes: Option<egret_config::KubernetesSettings>,
    log_format: LogFormat,
    /// The store of flows, but for what is taken out of them, and whether there is one.
    flows: FlowSettings,
    flows_wanted: bool,
}

impl Fixed {
    /// Those of a configuration.
    #[must_use]
    pub(crate) fn of(compiled: &Compiled, has_console: bool) -> Self {
        Self {
            listeners: compiled
                .listeners
                .iter()
                .map(|listener| (listener.address, listener.tls.is_some(), listener.proxy_protocol.clone()))
                .collect(),
            workers: compiled.process.workers,
            admin: compiled.admin,
            console: compiled.console.clone(),
            tracing: compiled.tracing.clone(),
            kubernetes: compiled.kubernetes.clone(),
            log_format: compiled.log.format,
            flows: FlowSettings { redaction: Default::default(), ..compiled.flows.clone() },
            flows_wanted: flows::are_wanted(compiled, has_console),
        }
    }
}

/// Runs the proxy until a signal ends it.
pub(crate) fn run(args: ProxyArgs) -> ExitCode {
    let mut lists = ListCache::default();
    let loaded = egret_config::load_with(args.config.as_deref(), &args.overrides(), 1, &mut lists)
        .and_then(|loaded| crate::tls::load(&loaded, &[]).map(|listeners| (loaded, listeners)));
    let (loaded, listeners) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            use std::io::IsTerminal as _;
            anstream::eprint!("{}", egret_config::render(&problems, std::io::stderr().is_terminal()));
            return ExitCode::FAILURE;
        }
    };
    let diagnostics = Diagnostics::start(&loaded.compiled.log);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail("the runtime cannot be started", &error.to_string()),
    };
    match runtime.block_on(serve(args, loaded, listeners, diagnostics, lists)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { what, why }) => fail(&what, &why),
    }
}

struct Failure {
    what: String,
    why: String,
}

fn failure(what: impl Into<String>) -> impl FnOnce(String) -> Failure {
    let what = what.into();
    move |why| Failure { what, why }
}

fn fail(what: &str, why: &str) -> ExitCode {
    anstream::eprintln!("egret: {what}: {why}");
    ExitCode::FAILURE
}

async fn serve(
    args: ProxyArgs,
    loaded: Loaded,
    listeners: Vec<ListenerSlot>,
    diagnostics: Diagnostics,
    mut lists: ListCache,
) -> Result<(), Failure> {
    machine::raise_descriptor_limit();
    let policies = cluster_policies::start(loaded.compiled.kubernetes.as_ref())
        .await
        .map_err(failure("the policies of the cluster cannot be read"))?;
    let policy_changes = policies.as_ref().map(|policies| policies.listen());
    let loaded = match policies {
        Some(_) => with_policies(&args, loaded.config, &mut lists, &policies)?,
        None => loaded,
    };
    let Loaded { config, mut compiled, files } = loaded;
    let workers = worker_count(compiled.process.workers);
    reload::warn(&compiled);
    crate::tls::warn(&listeners);
    let bound = bind_listeners(&listeners, workers)?;
    let admin = bind_admin(&args, compiled.admin)?;
    let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();
    let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
    let console = console::bind(&args, &compiled.console)
        .map_err(|why| failure("the console cannot be served")(why))?;
    let (has_console, console_address) = (console.is_some(), console.as_ref().map(|console| console.address));
    let fixed = Fixed::of(&compiled, has_console);
    let own: Vec<SocketAddr> =
        addresses.iter().copied().chain(admin_address).chain(console_address).collect();
    let instance: Arc<str> = machine::instance_name(args.state_dir.as_deref()).into();
    settle(&mut compiled, &addresses, &own, &instance);
    compiled.snapshot.gate.guard.console = console_address.map(banner::connectable);
    flows::settle(&mut compiled, args.config.is_some(), has_console);
    let flows = match flows::are_wanted(&compiled, has_console) {
        true => Some(
            flows::open(&compiled.flows, args.state_dir.as_deref())
                .map_err(|error| failure("flows cannot be kept")(error.to_string()))?,
        ),
        false => None,
    };
    let changes = Changes::default();
    flows::put_changes_into_force(&changes, &compiled)
        .map_err(|error| failure("the change rules cannot be put into force")(error.to_string()))?;
    let snapshot = compiled.snapshot;

    let intercepting = Intercepting::start(&snapshot.interception, args.state_dir.as_deref())
        .map_err(failure("interception cannot be started"))?;
    let upstream = Upstream::new(&snapshot).map_err(|error| failure("starting")(error.to_string()))?;
    let upstream = Arc::new(upstream);
    let log = AccessLog::start(&snapshot.access_log, workers)
        .map_err(|error| failure("the access log cannot be opened")(error.to_string()))?;
    let log = Arc::new(log);
    let exporter = start_exporter(compiled.tracing.as_ref(), &snapshot)?;
    let cluster = match compiled.kubernetes {
        Some(settings) => {
            let started = crate::cluster::start(settings).await;
            Some(started.map_err(failure("the cluster cannot be watched (`kubernetes`)"))?)
        }
        None => None,
    };
    let workloads = crate::cluster::workloads(cluster.as_ref());
    let credentials = Credentials::new(&snapshot, upstream.clone(), workloads.clone())
        .map_err(|error| failure("credentials cannot be checked")(error.to_string()))?;
    let credentials = Arc::new(credentials);
    let handshakes: Arc<AtomicUsize> = Arc::default();
    let mut sources = sources(&upstream, &credentials, &log, exporter.as_ref());
    let open = handshakes.clone();
    sources.handshakes = Some(Box::new(move || open.load(Ordering::Relaxed) as u64));
    if let Some(cluster) = cluster.clone() {
        sources.workloads = Some(Box::new(move || crate::cluster::figures(&cluster)));
    }
    if let Some(flows) = flows.clone() {
        sources.flows = Some(Box::new(move || flows.counts()));
    }
    let minting: Arc<ArcSwapOption<Interceptor>> = Arc::new(ArcSwapOption::new(intercepting.interceptor()));
    let asked = minting.clone();
    sources.interception = Some(Box::new(move || {
        asked.load().as_ref().map(|interceptor| InterceptionFigures {
            leaves: interceptor.minter.counts(),
            ca_not_after: interceptor.minter.ca().not_after().as_second(),
        })
    }));
    let (asked, of_origins) = (minting.clone(), upstream.clone());
    sources.limits = Some(Box::new(move || {
        let rejections = asked.load().as_ref().map_or(0, |interceptor| interceptor.rejections.evicted());
        vec![
            (Limit::MetOrigins, of_origins.met().evicted()),
            (Limit::Rejections, rejections),
            (Limit::UpstreamTlsConfigurations, of_origins.tls_overflows()),
        ]
    }));
    let of_listeners = listeners.clone();
    sources.certificates = Some(Box::new(move || crate::tls::figures(&of_listeners)));
    let metrics = Arc::new(Metrics::new(workers, build_info(), sources));
    metrics.limit_client_names(snapshot.limits.client_names);
    metrics.limit_workload_names(snapshot.limits.workload_names);
    metrics.limit_policy_rules(snapshot.limits.policy_rules);
    metrics.config_loaded(snapshot.generation);
    // Without anybody to look at them, flows are not kept.
    let shared = Arc::new(Shared {
        tls: bound.iter().filter_map(|bound| Some((bound.address, bound.tls.clone()?))).collect(),
        handshakes,
        handshake_log: Default::default(),
        upstream,
        credentials,
        connections: Default::default(),
        rates: Default::default(),
        udp_associations: Default::default(),
        interception: minting,
        draining: Default::default(),
        trace_ratio: compiled.tracing.as_ref().map(|settings| settings.sample),
        workloads,
        sink: Sinks {
            exporter: exporter.as_ref().map(|exporter| Box::new(exporter.handle()) as _),
            cluster: cluster.clone(),
        }
        .into_sink(),
        flows: flows.clone(),
        changes: changes.clone(),
    });
    let server = Server::start(&snapshot, bound, shared, metrics.clone(), &log, workers)
        .map_err(|error| failure("the workers cannot be started")(error.to_string()))?;
    let lists = Mutex::new(lists);
    let app = Arc::new(App {
        args,
        server,
        metrics,
        log,
        diagnostics,
        instance,
        bound: own,
        listeners,
        fixed,
        flows,
        changes,
        console: console_address,
        lists,
        intercepting: Mutex::new(intercepting),
        config: Mutex::new(config),
        policies,
    });
    if let Some(cluster) = &cluster {
        let app = Arc::downgrade(&app);
        cluster.on_change(Box::new(move |addresses| {
            if let Some(app) = app.upgrade() {
                app.server.recheck_clients(addresses);
            }
        }));
    }
    let files = files.into_iter().chain(interception::lock(&app.intercepting).files()).collect();
    if let Some(admin) = admin {
        serve_admin(&app, admin);
    }
    let console = console.zip(app.flows.clone()).map(|(console, store)| console.start(&app, store));
    // Before anybody is told that it is ready, and may send one.
    let signals = Signals::listen()?;
    announce(&app, admin_address, console.as_ref(), &snapshot);
    live(&app, signals, files, policy_changes).await?;
    app.log.flush(FLUSH);
    if let Some(flows) = &app.flows {
        flows.close();
    }
    if let Some(exporter) = exporter {
        exporter.flush(FLUSH);
    }
    Ok(())
}

/// The configuration together with the policies of the cluster.
fn with_policies(
    args: &ProxyArgs,
    config: Config,
    lists: &mut ListCache,
    policies: &Policies,
) -> Result<Loaded, Failure> {
    let current = cluster_policies::current(policies);
    egret_config::again(config, args.config.as_deref(), 1, lists, &current).map_err(|problems| Failure {
        what: "the configuration cannot be taken into use".to_owned(),
        why: problems.iter().map(egret_config::Problem::one_line).collect::<Vec<_>>().join("; "),
    })
}

/// Worker threads for a setting, 0 being one for each core that the process may use (the cgroup's
/// quota included).
fn worker_count(setting: usize) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

/// Sets what only the running process knows.
pub(crate) fn settle(
    compiled: &mut Compiled,
    listeners: &[SocketAddr],
    own: &[SocketAddr],
    instance: &Arc<str>,
) {
    let addresses = machine::addresses();
    // Loopback destinations are decided by the proxy's listeners alone, the loop by all of them.
    compiled.settle_guard(listeners, addresses);
    compiled.snapshot.gate.guard.listeners = own.to_vec();
    let http = &mut compiled.snapshot.http;
    if *http.via == *HttpSettings::default().via {
        http.via = instance.clone();
    }
}

fn bind_listeners(listeners: &[ListenerSlot], workers: usize) -> Result<Vec<Bound>, Failure> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut bound = Vec::new();
    for index in 0..passed.len() {
        let socket = passed.take_tcp_listener(index);
        let adopted =
            socket.and_then(|socket| socket.map(|socket| listener::adopt(&socket, workers)).transpose());
        match adopted {
            Ok(Some(listener)) => bound.push(listener),
            Ok(None) => {}
            Err(error) => {
                return Err(failure("a socket of the service manager cannot be used")(error.to_string()));
            }
        }
    }
    if !bound.is_empty() {
        crate::tls::match_lent(&mut bound, listeners)
            .map_err(failure("the sockets of the service manager do not fit the configuration"))?;
        return Ok(bound);
    }
    for slot in listeners {
        let address = slot.settings.address;
        let mut listener = listener::bind(address, workers).map_err(|error| Failure {
            what: format!("cannot listen on {address}"),
            why: match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    format!("{error}. Another program has this port; choose another with --listen")
                }
                _ => error.to_string(),
            },
        })?;
        listener.tls.clone_from(&slot.tls);
        listener.proxy_protocol = slot.settings.proxy_protocol.as_slice().into();
        listener.serves = slot.settings.serves;
        bound.push(listener);
    }
    Ok(bound)
}

fn bind_admin(args: &ProxyArgs, address: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else { return Ok(None) };
    // The port is shared for a moment when one instance takes over from another.
    match listener::bind(address, 1) {
        Ok(bound) => Ok(bound.sockets.into_iter().next()),
        // Nobody asked for this port: a second proxy on a laptop works without it.
        Err(error) if args.admin.is_none() && args.config.is_none() => {
            tracing::warn!(%address, %error, "metrics and health are off; choose another address with --admin");
            Ok(None)
        }
        Err(error) => {
            Err(failure(format!("cannot listen on {address} for metrics and health"))(error.to_string()))
        }
    }
}

fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("EGRET_REVISION"),
        rustc: env!("EGRET_RUSTC"),
    }
}

fn sources(
    upstream: &Arc<Upstream>,
    credentials: &Arc<Credentials>,
    log: &Arc<AccessLog>,
    exporter: Option<&Otlp>,
) -> Sources {
    let (dns, parents, credentials, log) =
        (upstream.clone(), upstream.clone(), credentials.clone(), log.clone());
    Sources {
        dns: Some(Box::new(move || {
            let stats = dns.stats();
            DnsFigures {
                cache_hits: stats.hits,
                negative_hits: stats.negative_hits,
                cache_misses: stats.misses,
                shared: stats.shared,
                stale: stats.stale,
                failures: stats.errors,
                cache_entries: stats.entries,
            }
        })),
        parents: Some(Box::new(move || {
            let states = parents.parents().into_iter();
            states
                .map(|(group, parent, up, _)| ParentFigure { group, parent: parent.to_string(), up })
                .collect()
        })),
        credentials: Some(Box::new(move || credentials.figures())),
        interception: None,
        limits: None,
        handshakes: None,
        certificates: None,
        flows: None,
        workloads: None,
        access_log_dropped: Some(Box::new(move || log.dropped())),
        spans_dropped: exporter.map(|exporter| {
            let dropped = exporter.dropped();
            Box::new(move || dropped.load(std::sync::atomic::Ordering::Relaxed))
                as Box<dyn Fn() -> u64 + Send + Sync>
        }),
    }
}

fn start_exporter(settings: Option<&TracingSettings>, snapshot: &Snapshot) -> Result<Option<Otlp>, Failure> {
    let Some(settings) = settings else { return Ok(None) };
    let refused = |why: String| failure("traces cannot be exported")(why);
    let roots = egret_tls::roots::GeneralRoots::load()
        .with_pem(snapshot.upstream.trusted_ca.as_deref())
        .map_err(|error| refused(error.to_string()))?;
    let tls = egret_tls::client::ClientConfigs::new(roots).map_err(|error| refused(error.to_string()))?;
    let exporter = Otlp::start(OtlpSettings {
        endpoint: settings.endpoint.clone(),
        sample: settings.sample,
        service_name: settings.service_name.clone(),
        include_query: false,
        headers: Vec::new(),
        dns: snapshot.dns.clone(),
        tls: Some(tls.for_alpn(egret_tls::client::Alpn::Http1).clone()),
    });
    exporter.map(Some).map_err(|error| refused(error.to_string()))
}

fn serve_admin(app: &Arc<App>, admin: TcpListener) {
    let (ready, metrics) = (app.clone(), app.metrics.clone());
    let state = AdminState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listeners: banner::listeners(app).map(|(url, what)| format!("{url} ({what})")).collect(),
        readiness: Box::new(move || match ready.server.draining() {
            true => Readiness::Draining,
            false if !cluster_policies::are_read(&ready.policies) => Readiness::Starting,
            false => Readiness::Ready,
        }),
        metrics: Box::new(move |accept| {
            let exposition = metrics.render(accept);
            MetricsText { content_type: exposition.content_type, body: exposition.body }
        }),
    };
    tokio::spawn(async move {
        if let Err(error) = egret_console::serve(admin, state).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
}

/// Says that the proxy is ready: to people, to the service manager, and to whoever asked for a file.
fn announce(app: &App, admin: Option<SocketAddr>, console: Option<&ConsoleServer>, snapshot: &Snapshot) {
    if !app.args.quiet {
        anstream::eprint!(
            "{}",
            banner::text(app, admin, console.map(|console| console.link.as_str()), snapshot)
        );
    }
    if let Some(path) = &app.args.ready_file
        && let Err(error) =
            write_ready_file(path, &app.server.addresses, admin, console.map(|console| console.address))
    {
        tracing::warn!(path = %path.display(), %error, "the ready file could not be written");
    }
    notify(&[sd_notify::NotifyState::Ready]);
}

fn write_ready_file(
    path: &Path,
    listeners: &[SocketAddr],
    admin: Option<SocketAddr>,
    console: Option<SocketAddr>,
) -> std::io::Result<()> {
    let content = serde_json::json!({
        "listeners": listeners,
        "admin": admin,
        "console": console,
        "pid": std::process::id(),
    });
    // Renamed into place, so that nobody reads half of it.
    let draft = path.with_extension("tmp");
    std::fs::write(&draft, format!("{content}\n"))?;
    std::fs::rename(draft, path)
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// The signals that are heard.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    /// From here on they do not end the process by themselves.
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| failure("signals")(error.to_string()));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
        })
    }
}

/// Lives until a signal says otherwise, and ends in order.
async fn live(
    app: &Arc<App>,
    signals: Signals,
    files: Vec<PathBuf>,
    mut policy_changes: Option<PolicyChanges>,
) -> Result<(), Failure> {
    let Signals { mut terminate, mut interrupt, mut hang_up, mut user } = signals;
    let mut watcher = reload::Watcher::new(files);
    let interrupted = loop {
        tokio::select! {
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break true,
            _ = hang_up.recv() => watcher = reload::reload(app, watcher, "SIGHUP"),
            _ = user.recv() => {
                if let Err(error) = app.log.reopen() {
                    tracing::error!(%error, "the access log could not be opened again");
                }
            }
            () = watcher.changed() => watcher = reload::reload(app, watcher, "a changed file"),
            () = cluster_policies::changed(&mut policy_changes) => watcher = reload::take_policies(app, watcher),
        }
    };
    notify(&[sd_notify::NotifyState::Stopping]);
    let drain = reload::drain_settings(app);
    let (delay, timeout) =
        if interrupted { (Duration::ZERO, INTERRUPTED) } else { (drain.delay, drain.timeout) };
    tracing::info!(?delay, ?timeout, connections = app.server.connections(), "draining");
    tokio::select! {
        () = app.server.drain(delay, timeout) => {}
        _ = interrupt.recv() => {}
    }
    app.server.stop().await;
    Ok(())
}
