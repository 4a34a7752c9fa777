//! The way to an API server, for commands that ask it something once.

use std::path::Path;
use std::time::Duration;

use egret_kube::client::chain;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// How long a command waits for the API server in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs what asks the API server, to its end or until it has taken too long.
///
/// # Errors
/// What it says, or that there was no answer.
pub(crate) fn ask<T>(question: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, question).await });
    answer.unwrap_or_else(|_| {
        Err(format!(
            "the API server did not answer within {} s: is the cluster of this kubeconfig reachable?",
            PATIENCE.as_secs()
        ))
    })
}

/// A client by a kubeconfig: the one that is named, `KUBECONFIG`, the pod's service account, or `~/.kube/config`.
///
/// # Errors
/// Nothing says where the API server is, or what says so cannot be used.
pub(crate) async fn client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, String> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = match kubeconfig {
        Some(path) => {
            let unusable =
                |error: &dyn std::error::Error| format!("--kubeconfig {}: {}", path.display(), chain(error));
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))?
        }
        None if context.is_some() => Config::from_kubeconfig(&options).await.map_err(|error| {
            format!("the kubeconfig cannot be used: {}; name another with --kubeconfig", chain(&error))
        })?,
        None => Config::infer().await.map_err(|error| {
            format!("nothing says where the cluster is: {}; name a file with --kubeconfig", chain(&error))
        })?,
    };
    Client::try_from(config).map_err(|error| format!("the cluster cannot be asked: {}", chain(&error)))
}

/// Says what could not be done, and why.
pub(crate) fn failed(what: &str, error: &kube::Error) -> String {
    let why = match error {
        kube::Error::Api(status) => status.message.clone(),
        other => chain(other),
    };
    format!("cannot {what}: {why}")
}
