//! `egret node`: nodes and their tools behind the proxy. All changes are planned before the first is made; each
//! can be made again without effect, and taken back.

mod args;
mod docker;
mod drop_ins;
mod environment;
mod error;
mod output;
mod root;
mod settings;
mod trust;
mod whole;

use std::process::{Command, ExitCode};

pub(crate) use args::NodeArgs;
use args::{InstallArgs, Mode, NodeCommand, RemoveArgs, ShowArgs, Target};
use error::NodeError;
use root::{Change, Root};
use settings::Proxy;

const CONTAINERD: &str = "/etc/systemd/system/containerd.service.d/http-proxy.conf";
const KUBELET: &str = "/etc/systemd/system/kubelet.service.d/http-proxy.conf";
const APT: &str = "/etc/apt/apt.conf.d/95egret-proxy";

/// What becomes of one of the node's programs.
struct Step {
    target: Target,
    changes: Vec<Change>,
    /// What makes the program notice.
    next: Option<&'static [&'static str]>,
}

impl Step {
    fn is_needed(&self) -> bool {
        self.changes.iter().any(Change::is_needed)
    }
}

/// Runs a command. Exit status 1 when it failed.
pub(crate) fn run(args: &NodeArgs) -> ExitCode {
    let result = match &args.command {
        NodeCommand::Install(args) => install(args),
        NodeCommand::Remove(args) => remove(args),
        NodeCommand::Show(args) => show(args),
    };
    match result {
        Ok(text) => crate::print(&text),
        Err(error) => {
            anstream::eprintln!("egret: {error}");
            ExitCode::FAILURE
        }
    }
}

fn install(args: &InstallArgs) -> Result<String, NodeError> {
    let root = Root::new(&args.place.root)?;
    let proxy = Proxy::of(args, &root)?;
    let ca = args.ca.as_deref().map(settings::ca).transpose()?;
    if proxy.is_none() && ca.is_none() {
        return Err(NodeError::Usage(
            "there is nothing to install: give --http-proxy URL, --ca FILE or both".into(),
        ));
    }
    let mut steps = Vec::new();
    for target in chosen(&args.place.only) {
        let asked_for = args.place.only.contains(&target);
        let changes = match (target, &proxy, &ca) {
            (Target::Trust, _, Some(ca)) => trust::install(&root, ca)?,
            (Target::Trust, _, None) if asked_for => {
                return Err(NodeError::Usage("--only trust needs --ca FILE, the CA to be trusted".into()));
            }
            (Target::Trust, _, None) => continue,
            (_, None, _) if asked_for => {
                return Err(NodeError::Usage(format!("--only {} needs --http-proxy URL", target.name())));
            }
            (_, None, _) => continue,
            (Target::Containerd, Some(proxy), _) => {
                vec![whole::install(&root, CONTAINERD, drop_ins::systemd(proxy))?]
            }
            (Target::Kubelet, Some(proxy), _) => {
                vec![whole::install(&root, KUBELET, drop_ins::systemd(proxy))?]
            }
            (Target::Docker, Some(proxy), _) => vec![docker::install(&root, proxy)?],
            (Target::Apt, Some(_), _) if !asked_for && !trust::has_apt(&root) => continue,
            (Target::Apt, Some(proxy), _) => vec![whole::install(&root, APT, drop_ins::apt(proxy))?],
            (Target::Environment, Some(proxy), _) => vec![environment::install(&root, proxy)?],
        };
        steps.push(Step { target, changes, next: next(target, &root, Direction::Install) });
    }
    let warnings = proxy.map(|proxy| proxy.warnings).unwrap_or_default();
    carry_out(&root, &steps, &args.mode, &warnings)
}

fn remove(args: &RemoveArgs) -> Result<String, NodeError> {
    let root = Root::new(&args.place.root)?;
    let mut steps = Vec::new();
    for target in chosen(&args.place.only) {
        let changes = match target {
            Target::Containerd => vec![whole::remove(&root, CONTAINERD)?],
            Target::Kubelet => vec![whole::remove(&root, KUBELET)?],
            Target::Docker => vec![docker::remove(&root)?],
            Target::Apt => vec![whole::remove(&root, APT)?],
            Target::Environment => vec![environment::remove(&root)?],
            Target::Trust => trust::remove(&root)?,
        };
        steps.push(Step { target, changes, next: next(target, &root, Direction::Remove) });
    }
    carry_out(&root, &steps, &args.mode, &[])
}

fn show(args: &ShowArgs) -> Result<String, NodeError> {
    let root = Root::new(&args.place.root)?;
    let mut lines = Vec::new();
    for target in chosen(&args.place.only) {
        let (state, path) = match target {
            Target::Containerd => (whole::state(&root, CONTAINERD)?, CONTAINERD.to_owned()),
            Target::Kubelet => (whole::state(&root, KUBELET)?, KUBELET.to_owned()),
            Target::Docker => (docker::state(&root)?, docker::PATH.to_owned()),
            Target::Apt => (whole::state(&root, APT)?, APT.to_owned()),
            Target::Environment => (environment::state(&root)?, environment::PATH.to_owned()),
            Target::Trust => trust::state(&root)?,
        };
        lines.push((target, state, path));
    }
    Ok(output::states(&lines))
}

fn chosen(only: &[Target]) -> Vec<Target> {
    Target::ALL.into_iter().filter(|target| only.is_empty() || only.contains(target)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Install,
    Remove,
}

/// What makes a program notice its new settings.
fn next(target: Target, root: &Root, direction: Direction) -> Option<&'static [&'static str]> {
    match target {
        Target::Containerd => Some(&["systemctl", "restart", "containerd"]),
        Target::Docker => Some(&["systemctl", "restart", "docker"]),
        Target::Kubelet => Some(&["systemctl", "restart", "kubelet"]),
        // Read each time that a program starts.
        Target::Apt | Target::Environment => None,
        Target::Trust if direction == Direction::Install => Some(trust::store(root).update),
        Target::Trust => Some(trust::store(root).forget),
    }
}

/// Makes the changes, or says what they would be.
fn carry_out(root: &Root, steps: &[Step], mode: &Mode, warnings: &[String]) -> Result<String, NodeError> {
    let mut text = output::plan(steps, mode.apply, warnings);
    if mode.apply {
        for change in steps.iter().flat_map(|step| &step.changes).filter(|change| change.is_needed()) {
            root.make(change)?;
        }
    }
    let trust = steps.iter().find(|step| step.target == Target::Trust && step.is_needed());
    let run = trust.and_then(|step| step.next).filter(|_| mode.apply && root.is_here());
    if let Some(command) = run {
        run_to_its_end(command)?;
        text.push_str(&format!("\nran {}\n", command.join(" ")));
    }
    text.push_str(&output::next_steps(steps, mode.apply, run.is_some(), root));
    Ok(text)
}

fn run_to_its_end(command: &[&str]) -> Result<(), NodeError> {
    let failed = |why: String| NodeError::Command { command: command.join(" "), why };
    let (program, arguments) = command.split_first().ok_or_else(|| failed("there is no command".into()))?;
    let output = Command::new(program).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}
