//! `egret controller`: the command line and the wiring. What it does is in `egret-kube`.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use egret_config::{LogFormat, LogLevel, LogSettings};
use egret_console::{AdminState, MetricsText, Readiness};
use egret_kube::controller::{
    Access, CERTIFICATE_DAYS, Controller, LeaseTimes, NAMESPACE, SERVICE, Settings, Status, WEBHOOKS, connect,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::diagnostics::Diagnostics;

/// How long the webhook goes on to answer when it is to end: until the API server takes another replica.
const DRAIN: Duration = Duration::from_secs(5);
/// The content type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `egret controller`.
#[derive(Debug, Args)]
pub(crate) struct ControllerArgs {
    /// Kubeconfig file of the cluster [default: KUBECONFIG, or the pod's service account, or ~/.kube/config]
    #[arg(long, value_name = "FILE", env = "EGRET_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig file, instead of its current one
    #[arg(long, value_name = "NAME", env = "EGRET_CONTEXT")]
    pub context: Option<String>,
    /// Namespace of the installation: Lease, certificates and CA are in it [default: POD_NAMESPACE, or the pod's
    /// own, or egret-system]
    #[arg(long, value_name = "NAME", env = "EGRET_NAMESPACE")]
    pub namespace: Option<String>,
    /// Service by which the API server reaches the webhook; its certificate is for SERVICE.NAMESPACE.svc
    #[arg(long, value_name = "NAME", env = "EGRET_WEBHOOK_SERVICE", default_value = SERVICE)]
    pub service: String,
    /// Port of that Service
    #[arg(long, value_name = "PORT", env = "EGRET_WEBHOOK_SERVICE_PORT", default_value = "443")]
    pub service_port: u16,
    /// IP address and port that the webhook listens on
    #[arg(long, value_name = "ADDR", env = "EGRET_LISTEN", default_value = "0.0.0.0:9443")]
    pub listen: SocketAddr,
    /// IP address and port for metrics and health, or `off`
    #[arg(long, value_name = "ADDR|off", env = "EGRET_ADMIN", default_value = "0.0.0.0:9090")]
    pub admin: String,
    /// URL by which the API server reaches the webhook, instead of the Service: for a controller outside the
    /// cluster, as in https://10.0.0.5:9443
    #[arg(long, value_name = "URL", env = "EGRET_WEBHOOK_URL", value_parser = webhook_url)]
    pub webhook_url: Option<String>,
    /// Directory with tls.crt, tls.key and perhaps ca.crt for the webhook, as cert-manager makes them, instead of a
    /// certificate that the controller makes and renews itself. Changed files are taken up at once
    #[arg(long, value_name = "DIR", env = "EGRET_WEBHOOK_CERT")]
    pub webhook_cert: Option<PathBuf>,
    /// Seconds that the API server waits for the webhook before it goes on without, 1 to 30
    #[arg(long, value_name = "SECONDS", env = "EGRET_WEBHOOK_TIMEOUT", default_value = "5",
        value_parser = clap::value_parser!(u64).range(1..=30))]
    pub webhook_timeout: u64,
    /// Name of the webhook configurations, mutating and validating, that are made and kept
    #[arg(long, value_name = "NAME", env = "EGRET_WEBHOOK_CONFIGURATION", default_value = WEBHOOKS)]
    pub webhook_configuration: String,
    /// Leave the webhook configurations alone: somebody else makes them
    #[arg(long, env = "EGRET_NO_REGISTER")]
    pub no_register: bool,
    /// Who this replica is among those that want the Lease [default: POD_NAME or the host's name, and a random part]
    #[arg(long, value_name = "NAME", env = "EGRET_IDENTITY")]
    pub identity: Option<String>,
    /// Seconds after which another replica takes over from one that has died, 3 to 300
    #[arg(long, value_name = "SECONDS", env = "EGRET_LEASE_DURATION", default_value = "15",
        value_parser = clap::value_parser!(u64).range(3..=300))]
    pub lease_duration: u64,
    /// How much the controller says about itself on standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "EGRET_LOG_LEVEL", default_value = "info", value_parser = level)]
    pub log_level: LogLevel,
    /// Format of what it says there: text or json
    #[arg(long, value_name = "FORMAT", env = "EGRET_DIAGNOSTICS_FORMAT", default_value = "text", value_parser = format)]
    pub diagnostics_format: LogFormat,
    /// File to write once the webhook listens: JSON with its addresses and process id
    #[arg(long, value_name = "FILE", env = "EGRET_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// Do not print the lines at the start
    #[arg(long, short)]
    pub quiet: bool,
}

fn level(text: &str) -> Result<LogLevel, String> {
    [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
        .into_iter()
        .find(|level| level.as_str() == text)
        .ok_or_else(|| "it is to be error, warn, info, debug or trace".to_owned())
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("it is to be text or json".to_owned()),
    }
}

/// The API server takes nothing but HTTPS, and refuses user information, queries and fragments.
fn webhook_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    let plain = url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty());
    if !plain || text.contains(['@', '?', '#']) {
        return Err("it is to be as in https://10.0.0.5:9443".to_owned());
    }
    Ok(text.to_owned())
}

impl ControllerArgs {
    fn settings(&self, found: &str) -> Settings {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let namespace = self.namespace.clone().or_else(|| environment("POD_NAMESPACE"));
        // A kubeconfig's namespace is where its owner works, and seldom where Egret is.
        let in_pod = self.kubeconfig.is_none() && environment("KUBERNETES_SERVICE_HOST").is_some();
        let namespace = namespace.or_else(|| in_pod.then(|| found.to_owned()));
        let duration = Duration::from_secs(self.lease_duration);
        Settings {
            namespace: namespace.unwrap_or_else(|| NAMESPACE.to_owned()),
            service: self.service.clone(),
            service_port: self.service_port,
            listen: self.listen,
            webhook_url: self.webhook_url.clone(),
            webhook_cert: self.webhook_cert.clone(),
            register: !self.no_register,
            webhooks: self.webhook_configuration.clone(),
            webhook_timeout: Duration::from_secs(self.webhook_timeout),
            identity: self.identity.clone().unwrap_or_else(identity),
            lease: LeaseTimes {
                duration,
                deadline: duration * 2 / 3,
                retry: (duration / 7).clamp(Duration::from_millis(500), Duration::from_secs(10)),
            },
            webhook_days: CERTIFICATE_DAYS,
        }
    }
}

/// No two replicas are the same, nor one before and after its restart.
fn identity() -> String {
    let name = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    format!("{name}_{:08x}", rand::random::<u32>())
}

/// Runs the controller until a signal ends it.
pub(crate) fn run(args: &ControllerArgs) -> ExitCode {
    let _diagnostics =
        Diagnostics::start(&LogSettings { level: args.log_level, format: args.diagnostics_format });
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail("the runtime cannot be started", &error.to_string()),
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((what, why)) => fail(&what, &why),
    }
}

fn fail(what: &str, why: &str) -> ExitCode {
    anstream::eprintln!("egret: {what}: {why}");
    ExitCode::FAILURE
}

type Failure = (String, String);

async fn serve(args: &ControllerArgs) -> Result<(), Failure> {
    let start = |why: String| ("the controller cannot be started".to_owned(), why);
    let access = Access { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() };
    let connected = connect(&access).await.map_err(|error| start(error.to_string()))?;
    let settings = args.settings(&connected.namespace);
    let listener = bind(args.listen, "--listen")?;
    let webhook = listener.local_addr().map_err(|error| start(error.to_string()))?;
    let admin = match args.admin.as_str() {
        "off" => None,
        address => {
            let address: SocketAddr = address.parse().map_err(|_| {
                start(format!(
                    "--admin is `{address}`; write an IP address and port, as in 0.0.0.0:9090, or off"
                ))
            })?;
            Some(bind(address, "--admin")?)
        }
    };
    let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
    let mut signals = Signals::listen().map_err(start)?;
    let host = connected.host.clone();
    let (controller, version) = tokio::select! {
        made = Controller::new(connected, settings.clone()) => made.map_err(|error| start(error.to_string()))?,
        _ = signals.any() => return Ok(()),
    };
    if let Some(admin) = admin {
        serve_admin(admin, controller.status(), webhook);
    }
    let ((stop, stopped), drain_of) = (watch::channel(false), watch::Sender::new(DRAIN));
    if !args.quiet {
        anstream::eprint!("{}", banner(&settings, &host, &version, webhook, admin_address));
    }
    if let Some(path) = &args.ready_file
        && let Err(error) = write_ready_file(path, webhook, admin_address, &settings.identity)
    {
        tracing::warn!(path = %path.display(), %error, "the ready file could not be written");
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let run = controller.run(to_tokio(listener)?, stopped, drain_of.subscribe());
    tokio::pin!(run);
    tokio::select! {
        result = &mut run => return result.map_err(|error| ("the webhook cannot be served".to_owned(), error.to_string())),
        interrupted = signals.any() => {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            tracing::info!(interrupted, "ending");
            if interrupted {
                drain_of.send_replace(Duration::ZERO);
            }
            stop.send_replace(true);
        }
    }
    tokio::select! {
        result = run => result.map_err(|error| ("the webhook".to_owned(), error.to_string())),
        // Whoever presses Ctrl-C twice means it.
        _ = signals.any() => Ok(()),
    }
}

fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("{error}. Another program has this port; choose another with {flag}")
            }
            _ => format!("{error}; choose another address with {flag}"),
        };
        (format!("cannot listen on {address}"), why)
    })
}

fn to_tokio(listener: TcpListener) -> Result<tokio::net::TcpListener, Failure> {
    let handed = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
    handed.map_err(|error| ("the webhook cannot be served".to_owned(), error.to_string()))
}

fn serve_admin(admin: TcpListener, status: Status, webhook: SocketAddr) {
    let asked = status.clone();
    let state = AdminState {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listeners: vec![format!("https://{webhook} (admission webhook)")],
        readiness: Box::new(move || match asked.unready() {
            None => Readiness::Ready,
            Some("draining") => Readiness::Draining,
            Some(_) => Readiness::Starting,
        }),
        metrics: Box::new(move |_| MetricsText { content_type: OPEN_METRICS, body: status.metrics() }),
    };
    tokio::spawn(async move {
        if let Err(error) = egret_console::serve(admin, state).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
}

fn banner(
    settings: &Settings,
    host: &str,
    version: &str,
    webhook: SocketAddr,
    admin: Option<SocketAddr>,
) -> String {
    let certificate = match &settings.webhook_cert {
        Some(dir) => format!("from {}", dir.display()),
        None => format!("in the Secret egret-webhook-tls, for {}", settings.webhook_name()),
    };
    let admin = match admin {
        Some(admin) => format!("http://{admin}/metrics   health: /healthz, /readyz"),
        None => "off".to_owned(),
    };
    format!(
        "egret {} controls the cluster at {host} (Kubernetes {version}).\n  \
           namespace {}   as {}\n  \
           webhook   https://{webhook}   certificate {certificate}\n  \
           metrics   {admin}\n  \
           try       kubectl get egressproxies\n",
        env!("CARGO_PKG_VERSION"),
        settings.namespace,
        settings.identity,
    )
}

fn write_ready_file(
    path: &Path,
    webhook: SocketAddr,
    admin: Option<SocketAddr>,
    identity: &str,
) -> std::io::Result<()> {
    let content = serde_json::json!({
        "webhook": webhook,
        "admin": admin,
        "identity": identity,
        "pid": std::process::id(),
    });
    // Renamed into place, so that nobody reads half of it.
    let draft = path.with_extension("tmp");
    std::fs::write(&draft, format!("{content}\n"))?;
    std::fs::rename(draft, path)
}

/// The signals that end it.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| error.to_string());
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Gives whether it was Ctrl-C.
    async fn any(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => true,
        }
    }
}
