//! The way to the API server: from a kubeconfig, or as a pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};

/// To the API server, the handshake aside.
const CONNECT: Duration = Duration::from_secs(5);

/// What any one request may take that is no watch.
pub const REQUEST: Duration = Duration::from_secs(20);

/// How long a watch may say nothing. Bookmarks come about once a minute, so a longer silence is a
/// connection that a firewall has forgotten.
const SILENCE: Duration = Duration::from_secs(180);

/// Where the API server is said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A kubeconfig file; its current context is used. Without one `KUBECONFIG` is looked at, then the
    /// pod's service account, then `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The part of the program that asks, for the API server's audit log: `proxy`, `controller`.
    pub part: &'static str,
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A kubeconfig file was named, and cannot be used.
    #[error("the kubeconfig {} cannot be used: {why}. Name another in `kubernetes.kubeconfig`", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Nothing says where the API server is.
    #[error(
        "nothing says where the API server is: this is no pod with a service account ({in_cluster}), and there is no kubeconfig ({kubeconfig}). \
         Run it in the cluster, or name a file in `kubernetes.kubeconfig` or KUBECONFIG"
    )]
    Nowhere {
        /// What speaks against a pod.
        in_cluster: String,
        /// What speaks against a kubeconfig.
        kubeconfig: String,
    },
    /// The client cannot be made.
    #[error("the client for the API server cannot be made: {0}")]
    Client(String),
}

/// Makes a client; nothing is sent yet, and the API server may be away. It finds new tokens of the pod's
/// service account by itself. Must be called within a runtime of tokio, which the client then runs on.
///
/// # Errors
/// Nothing says where the API server is, or what says so cannot be used.
pub async fn connect(access: &Access) -> Result<Client, AccessError> {
    let mut config = configuration(access).await?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    let agent = format!("egret-{}/{}", access.part, env!("CARGO_PKG_VERSION"));
    if let Ok(value) = http::HeaderValue::try_from(agent) {
        config.headers.push((http::header::USER_AGENT, value));
    }
    let builder = ClientBuilder::try_from(config).map_err(|error| AccessError::Client(chain(&error)))?;
    Ok(builder.build())
}

async fn configuration(access: &Access) -> Result<Config, AccessError> {
    let options = KubeConfigOptions::default();
    if let Some(path) = &access.kubeconfig {
        return from_file(path, &options).await;
    }
    if let Some(path) = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
        let failed = |error| AccessError::Kubeconfig { path: path.clone().into(), why: chain(&error) };
        return Config::from_kubeconfig(&options).await.map_err(failed);
    }
    let in_cluster = match Config::incluster() {
        Ok(config) => return Ok(config),
        Err(error) => chain(&error),
    };
    Config::from_kubeconfig(&options)
        .await
        .map_err(|error| AccessError::Nowhere { in_cluster, kubeconfig: chain(&error) })
}

async fn from_file(path: &Path, options: &KubeConfigOptions) -> Result<Config, AccessError> {
    let failed = |why: String| AccessError::Kubeconfig { path: path.to_owned(), why };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(chain(&error)))?;
    Config::from_custom_kubeconfig(kubeconfig, options).await.map_err(|error| failed(chain(&error)))
}

/// An error of the API server's in words, with what to do where that is known.
#[must_use]
pub fn explain(error: &Error) -> String {
    match error {
        Error::Api(status) if status.code == 403 => {
            format!(
                "{} (RBAC does not allow it; docs/kubernetes-identity.md lists what is needed)",
                status.message
            )
        }
        Error::Api(status) if status.code == 401 => {
            format!("the API server does not know this client: {}", status.message)
        }
        Error::Api(status) if status.message.is_empty() => format!("the API server answered {}", status.code),
        Error::Api(status) => status.message.clone(),
        error => chain(error),
    }
}

/// An error with its causes: kube's own say little without them.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        // Some repeat their cause.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// Waits between tries: they double up to a limit, and each is shortened by chance by up to a half, so that
/// replicas that failed together do not try again together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Default for Backoff {
    /// From half a second to half a minute.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }
}

impl Backoff {
    /// From `first` to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// It went well.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}
