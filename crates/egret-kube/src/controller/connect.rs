//! The way to the API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::client::chain;

/// To the API server, the handshake aside.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API server is said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A kubeconfig file. Without one `KUBECONFIG` is looked at, then the pod's service account, then
    /// `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context of that file, if not its current one.
    pub context: Option<String>,
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A kubeconfig file was named, and cannot be used.
    #[error(
        "the kubeconfig {} cannot be used: {detail}. Name another with --kubeconfig, or another of its contexts with --context",
        path.display()
    )]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// Nothing says where the API server is.
    #[error(
        "nothing says where the API server is: this is no pod with a service account ({in_cluster}), and there is no kubeconfig ({kubeconfig}). \
         Run it in the cluster, or name a file with --kubeconfig or KUBECONFIG"
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

/// A way to the API server.
#[derive(Clone)]
pub struct Connected {
    /// The client.
    pub client: Client,
    /// The host that it connects to.
    pub host: String,
    /// The namespace that it is in: the pod's, or that of the kubeconfig's context.
    pub namespace: String,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connected").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Makes a client. Nothing is sent yet.
///
/// # Errors
/// Nothing says where the API server is, or what says so cannot be used.
pub async fn connect(access: &Access) -> Result<Connected, ConnectError> {
    let mut config = configuration(access).await?;
    config.connect_timeout = Some(CONNECT);
    let agent = concat!("egret-controller/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    let (host, namespace) =
        (config.cluster_url.host().unwrap_or_default().to_owned(), config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| ConnectError::Client(chain(&error)))?;
    Ok(Connected { client, host, namespace })
}

async fn configuration(access: &Access) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &access.kubeconfig {
        return from_file(path, &options).await;
    }
    if let Some(path) = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        let failed = |detail: String| ConnectError::Kubeconfig { path: path.clone(), detail };
        return Config::from_kubeconfig(&options).await.map_err(|error| failed(chain(&error)));
    }
    // A context is one of a kubeconfig.
    let in_cluster = match access.context {
        None => match Config::incluster() {
            Ok(config) => return Ok(config),
            Err(error) => chain(&error),
        },
        Some(_) => "--context names one of a kubeconfig".to_owned(),
    };
    Config::from_kubeconfig(&options)
        .await
        .map_err(|error| ConnectError::Nowhere { in_cluster, kubeconfig: chain(&error) })
}

async fn from_file(path: &Path, options: &KubeConfigOptions) -> Result<Config, ConnectError> {
    let failed = |detail: String| ConnectError::Kubeconfig { path: path.to_owned(), detail };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(chain(&error)))?;
    Config::from_custom_kubeconfig(kubeconfig, options).await.map_err(|error| failed(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(text: &str, context: Option<&str>) -> Result<Connected, ConnectError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, text).unwrap();
        let access = Access { kubeconfig: Some(path), context: context.map(str::to_owned) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(connect(&access))
    }

    const GOOD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
        users: [{name: u, user: {}}]\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n";

    #[test]
    fn takes_a_kubeconfig() {
        client_of(GOOD, None).unwrap();
        client_of(GOOD, Some("a")).unwrap();
    }

    #[test]
    fn says_which_kubeconfig_cannot_be_used_and_why() {
        for (text, context, detail) in [
            (GOOD, Some("b"), "b"),
            ("- no", None, "kubeconfig"),
            ("apiVersion: v1\nkind: Config\n", None, "context"),
        ] {
            let error = client_of(text, context).err().unwrap().to_string();
            assert!(error.contains(detail) && error.contains("--kubeconfig"), "{error}");
        }
        let access = Access { kubeconfig: Some("/nonexistent/config".into()), context: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(connect(&access)).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/config"), "{error}");
    }
}
