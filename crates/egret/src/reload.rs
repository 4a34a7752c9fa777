//! Taking a changed configuration into use.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use egret_config::{ClusterPolicy, ListCache, Loaded, Problem};
use egret_core::settings::DrainSettings;

use crate::proxy::{App, Fixed, settle};
use crate::{cluster_policies, flows, interception};

/// How often files are looked at. Looking is a few system calls, and works on every file system,
/// behind every kind of symbolic link.
const INTERVAL: Duration = Duration::from_secs(1);

/// Notices that a file has changed: written, replaced, or reached by another link, as Kubernetes
/// does with a ConfigMap.
#[derive(Debug)]
pub(crate) struct Watcher {
    files: Vec<PathBuf>,
    seen: Vec<Option<State>>,
}

type State = (SystemTime, u64, u64);

impl Watcher {
    /// Watches these files.
    #[must_use]
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        let seen = look(&files);
        Self { files, seen }
    }

    /// Watches these files from now on, where those that were watched before count as they were when this
    /// one looked: what has changed while it was being read is noticed.
    fn followed_by(self, mut files: Vec<PathBuf>) -> Self {
        files.sort();
        files.dedup();
        let before: HashMap<PathBuf, Option<State>> = self.files.into_iter().zip(self.seen).collect();
        let seen = look(&files);
        let seen = files.iter().zip(seen).map(|(file, now)| before.get(file).copied().unwrap_or(now));
        let seen = seen.collect();
        Self { files, seen }
    }

    /// Waits until a file has changed, and has then stayed the same for a moment.
    pub(crate) async fn changed(&mut self) {
        let mut candidate = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = look(&self.files);
            if now == self.seen {
                candidate = None;
            } else if candidate.as_ref() == Some(&now) {
                self.seen = now;
                return;
            } else {
                // Half-written files are not read: what changes once more a moment later is waited for.
                candidate = Some(now);
            }
        }
    }
}

fn look(files: &[PathBuf]) -> Vec<Option<State>> {
    use std::os::unix::fs::MetadataExt as _;
    let state = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len(), meta.ino()))
    };
    files.iter().map(state).collect()
}

/// Reads the configuration again and puts it into force, wholly or not at all. Gives the watcher for
/// the files that it refers to now.
pub(crate) fn reload(app: &Arc<App>, watcher: Watcher, cause: &str) -> Watcher {
    let (path, overrides) = (app.args.config.as_deref(), app.args.overrides());
    let load = |generation, lists: &mut ListCache, policies: &[Arc<ClusterPolicy>]| {
        egret_config::load_beside(path, &overrides, generation, lists, policies)
    };
    put_into_force(app, watcher, cause, load)
}

/// Puts the policies that the cluster has now into force, with the configuration as it was read last.
pub(crate) fn take_policies(app: &Arc<App>, watcher: Watcher) -> Watcher {
    let path = app.args.config.as_deref();
    let config = app.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let load = |generation, lists: &mut ListCache, policies: &[Arc<ClusterPolicy>]| {
        egret_config::again(config, path, generation, lists, policies)
    };
    put_into_force(app, watcher, "policies of the cluster", load)
}

fn put_into_force(
    app: &Arc<App>,
    watcher: Watcher,
    cause: &str,
    load: impl FnOnce(u64, &mut ListCache, &[Arc<ClusterPolicy>]) -> Result<Loaded, Vec<Problem>>,
) -> Watcher {
    let generation = app.server.generation() + 1;
    let watcher = Watcher::new(watcher.files);
    let of_ca: Vec<_> = interception::lock(&app.intercepting).files().collect();
    let policies = cluster_policies::current(&app.policies);
    let loaded = {
        let mut lists = app.lists.lock().unwrap_or_else(PoisonError::into_inner);
        load(generation, &mut lists, &policies)
    };
    let loaded = loaded.and_then(|loaded| {
        let listeners = crate::tls::load(&loaded, &app.listeners)?;
        Ok((loaded, listeners))
    });
    let (loaded, listeners) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems {
                tracing::error!("configuration: {}", problem.one_line());
            }
            let why = match problems.len() {
                1 => "it has an error".to_owned(),
                count => format!("it has {count} errors"),
            };
            refused(app, cause, &why);
            // What the refused configuration refers to is where it may be put right.
            let (path, overrides) = (app.args.config.as_deref(), app.args.overrides());
            let files = watcher.files.iter().cloned().chain(egret_config::files_of(path, &overrides));
            let files = files.chain(of_ca).collect();
            return watcher.followed_by(files);
        }
    };
    let config = loaded.config;
    let mut compiled = loaded.compiled;
    let files = watcher.followed_by(loaded.files.into_iter().chain(of_ca).collect());
    if Fixed::of(&compiled, app.console.is_some()) != app.fixed {
        tracing::warn!(
            "addresses, TLS on or off, admin, console, workers, tracing, kubernetes, log.format and flows change with a restart; the rest is in force now"
        );
    }
    settle(&mut compiled, &app.server.addresses, &app.bound, &app.instance);
    compiled.snapshot.gate.guard.console = app.console.map(crate::banner::connectable);
    flows::settle(&mut compiled, app.args.config.is_some(), app.console.is_some());
    let state_dir = app.args.state_dir.as_deref();
    let intercepting = interception::lock(&app.intercepting).next(&compiled.snapshot.interception, state_dir);
    let intercepting = match intercepting {
        Ok(intercepting) => intercepting,
        Err(why) => {
            refused(app, cause, &format!("interception cannot be started: {why}"));
            return files;
        }
    };
    if let Err(error) = app.server.apply(&compiled.snapshot) {
        refused(app, cause, &error.to_string());
        return files;
    }
    app.server.set_interceptor(intercepting.interceptor());
    let watched = files.files.iter().cloned().chain(intercepting.files()).collect();
    let files = files.followed_by(watched);
    *interception::lock(&app.intercepting) = intercepting;
    warn(&compiled);
    crate::tls::warn(&listeners);
    crate::tls::apply(&app.listeners, &listeners);
    app.server.recheck();
    app.metrics.limit_client_names(compiled.snapshot.limits.client_names);
    app.metrics.limit_workload_names(compiled.snapshot.limits.workload_names);
    app.metrics.limit_policy_rules(compiled.snapshot.limits.policy_rules);
    if let Err(error) = app.log.apply(&compiled.snapshot.access_log) {
        tracing::error!(%error, "the access log stays as it was");
    }
    if let Some(store) = &app.flows
        && let Err(error) = flows::redact_by(store, &compiled.flows)
    {
        tracing::error!(%error, "flows are redacted as before");
    }
    if let Err(error) = flows::put_changes_into_force(&app.changes, &compiled) {
        tracing::error!(%error, "the change rules stay as they were");
    }
    app.diagnostics.set_level(compiled.log.level);
    *app.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    app.metrics.config_reloaded(generation);
    tracing::info!(generation, cause, "the configuration was reloaded");
    files
}

/// Says what is not wrong with a configuration, and yet worth a look.
pub(crate) fn warn(compiled: &egret_config::Compiled) {
    for warning in &compiled.warnings {
        tracing::warn!("configuration: {}", warning.one_line());
    }
    for policy in &compiled.left_out {
        for problem in &policy.problems {
            tracing::error!(policy = policy.name, "a policy of the cluster is left out: {problem}");
        }
    }
}

fn refused(app: &App, cause: &str, why: &str) {
    app.metrics.config_refused();
    tracing::error!(cause, why, "the new configuration is refused; the old one stays in force");
}

/// How to shut down, by the configuration in force.
#[must_use]
pub(crate) fn drain_settings(app: &App) -> DrainSettings {
    app.server.snapshot().drain.clone()
}
