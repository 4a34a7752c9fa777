//! The library side of `egret check` and of starting: load, and say what is wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_core::authentication::Authentication;
use egret_core::policy::model::{Action, Mode, Policy};
use egret_core::settings::{ClientAuth, ListenerSettings, ListenerTls};

use crate::compile::{Compiled, PolicySet};
use crate::config::{Config, check_bytes};
use crate::lists::{ListCache, ListFacts};
use crate::objects::{ClusterPolicy, ObjectFile};
use crate::overrides::Overrides;
use crate::policies;
use crate::problem::Problem;
use crate::referenced;
use crate::render::{render, render_json, render_warnings};

/// A configuration that was read, checked and compiled.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What it compiles into.
    pub compiled: Compiled,
    /// The files to watch: the configuration itself, if there is one, and what it refers to.
    pub files: Vec<PathBuf>,
}

/// Loads a configuration, or the defaults when `path` is `None`, with what the command line sets instead.
/// Blocks while it reads files. `generation` goes into the snapshot.
///
/// # Errors
/// Everything that is wrong.
pub fn load(path: Option<&Path>, overrides: &Overrides, generation: u64) -> Result<Loaded, Vec<Problem>> {
    load_with(path, overrides, generation, &mut ListCache::default())
}

/// [`load`] with the lists of hosts that were read before: a file that has not changed since is not read
/// again. An error leaves them as they were.
///
/// # Errors
/// Everything that is wrong.
pub fn load_with(
    path: Option<&Path>,
    overrides: &Overrides,
    generation: u64,
    lists: &mut ListCache,
) -> Result<Loaded, Vec<Problem>> {
    load_beside(path, overrides, generation, lists, &[])
}

/// [`load_with`], together with policies of the cluster.
///
/// # Errors
/// Everything that is wrong; never with the policies of the cluster, see [`Compiled::left_out`].
pub fn load_beside(
    path: Option<&Path>,
    overrides: &Overrides,
    generation: u64,
    lists: &mut ListCache,
    cluster: &[Arc<ClusterPolicy>],
) -> Result<Loaded, Vec<Problem>> {
    let (bytes, name) = match path {
        Some(path) => (referenced::configuration(path)?, path.display().to_string()),
        None => (Vec::new(), "defaults".to_owned()),
    };
    let config = check_bytes(&bytes, &name, overrides)?;
    again(config, path, generation, lists, cluster)
}

/// Compiles a configuration that was loaded before once more: with the policies that the cluster has now, and with
/// the files that it refers to as they are now. Its own text is not read again.
///
/// # Errors
/// Everything that is wrong.
pub fn again(
    config: Config,
    path: Option<&Path>,
    generation: u64,
    lists: &mut ListCache,
    cluster: &[Arc<ClusterPolicy>],
) -> Result<Loaded, Vec<Problem>> {
    let base_dir = path.and_then(Path::parent).unwrap_or(Path::new(""));
    let compiled = config.compile_beside(generation, base_dir, lists, cluster)?;
    let mut files: Vec<_> = path.map(Path::to_owned).into_iter().collect();
    files.extend(config.referenced_files(base_dir));
    Ok(Loaded { config, compiled, files })
}

/// The files that a configuration names, as far as it can be read: those to watch while it is refused.
#[must_use]
pub fn files_of(path: Option<&Path>, overrides: &Overrides) -> Vec<PathBuf> {
    let Some(path) = path else { return Vec::new() };
    let Ok(bytes) = referenced::configuration(path) else { return Vec::new() };
    let config = check_bytes(&bytes, &path.display().to_string(), overrides);
    config.map(|config| config.referenced_files(path.parent().unwrap_or(Path::new("")))).unwrap_or_default()
}

/// How `egret check` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text {
        /// With ANSI colours.
        colour: bool,
    },
    /// A JSON array of problems, empty when there are none.
    Json,
}

/// The answer of `egret check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the configuration is valid. When not, the command's exit status is 1.
    pub valid: bool,
    /// What is not wrong and yet worth a look. It stands in `text` too.
    pub warnings: Vec<Problem>,
    /// What to print on standard output.
    pub text: String,
}

/// `egret check FILE`: checks a configuration and the files it refers to.
#[must_use]
pub fn check_file(path: &Path, form: Form) -> Verdict {
    check_files_with(&[path], form, &Further::none())
}

/// What is wrong with objects of a cluster, and what is worth a look.
pub type ObjectCheck = dyn Fn(&ObjectFile) -> (Vec<Problem>, Vec<Problem>);

/// Further checks, of what this crate cannot see.
pub struct Further<'a> {
    /// Of a configuration: what is wrong.
    pub configuration: &'a dyn Fn(&Loaded) -> Vec<Problem>,
    /// Of objects of a cluster: what is wrong, and what is worth a look.
    pub objects: &'a ObjectCheck,
}

impl Further<'_> {
    fn none() -> Self {
        Self { configuration: &|_| Vec::new(), objects: &|_| Default::default() }
    }
}

/// As [`check_file`], for several files, each a configuration or objects of a cluster, and with further checks.
pub fn check_files_with(paths: &[impl AsRef<Path>], form: Form, further: &Further<'_>) -> Verdict {
    let (mut text, mut all, mut warnings) = (String::new(), Vec::new(), Vec::new());
    for path in paths.iter().map(AsRef::as_ref) {
        match check_one(path, further) {
            Ok((summary, found)) => {
                if let Form::Text { colour } = form {
                    text += &render_warnings(&found, colour);
                    text += &format!("{} is valid: {summary}\n", path.display());
                }
                warnings.extend(found);
            }
            Err(problems) => {
                if let Form::Text { colour } = form {
                    text += &render(&problems, colour);
                }
                all.extend(problems);
            }
        }
    }
    if form == Form::Json {
        text = render_json(&all, &warnings);
    }
    Verdict { valid: all.is_empty(), warnings, text }
}

/// What a file comes to in one line, and what is worth a look.
fn check_one(path: &Path, further: &Further<'_>) -> Result<(String, Vec<Problem>), Vec<Problem>> {
    let name = path.display().to_string();
    let bytes = referenced::policies(path, policies::MAX_FILE_BYTES).unwrap_or_default();
    if ObjectFile::is_one(&bytes) {
        let mut file = ObjectFile::read(&bytes, &name)?;
        let (mut problems, warnings) = (further.objects)(&file);
        file.warnings.extend(warnings);
        problems.extend(std::mem::take(&mut file.problems));
        return if problems.is_empty() { Ok((file.summary(), file.warnings)) } else { Err(problems) };
    }
    let loaded = load(Some(path), &Overrides::default(), 1)?;
    let problems = (further.configuration)(&loaded);
    if problems.is_empty() {
        Ok((summary(&loaded.compiled), loaded.compiled.warnings))
    } else {
        Err(problems)
    }
}

/// What a configuration comes to, in one line: what people get wrong without an error.
fn summary(compiled: &Compiled) -> String {
    let tls = |tls: &ListenerTls| match tls.client_auth {
        ClientAuth::None => " (TLS)",
        ClientAuth::Optional => " (TLS, client certificate optional)",
        ClientAuth::Required => " (mutual TLS)",
    };
    let listener = |listener: &ListenerSettings| {
        format!("{}{}", listener.address, listener.tls.as_ref().map_or("", tls))
    };
    let listeners: Vec<_> = compiled.listeners.iter().map(listener).collect();
    let gate = &compiled.snapshot.gate;
    let mut parts = vec![format!("listens on {}", listeners.join(", "))];
    parts.push(match (gate.guard.disabled, gate.guard.allow_loopback) {
        (true, _) => "guard off".to_owned(),
        (false, true) => "guard on but for loopback".to_owned(),
        (false, false) => "guard on".to_owned(),
    });
    parts.push(policy_summary(&compiled.policies));
    parts.extend(lists(&compiled.policies.lists));
    parts.extend(compiled.snapshot.authentication.as_ref().map(|settings| credentials(settings)));
    match compiled.snapshot.routes.groups.len() {
        0 => parts.push("no parents".to_owned()),
        1 => parts.push("1 group of parents".to_owned()),
        count => parts.push(format!("{count} groups of parents")),
    }
    parts.join("; ")
}

/// How many policies and rules there are, and what happens without them.
fn policy_summary(set: &PolicySet) -> String {
    let default = if set.policies.default_allow() { "allowed" } else { "refused" };
    let of = |action: Action| {
        set.policies
            .policies()
            .iter()
            .flat_map(|policy| &policy.rules)
            .filter(|rule| rule.action == action)
            .count()
    };
    let (deny, allow, pass) = (of(Action::Deny), of(Action::Allow), of(Action::Pass));
    let rules = match pass {
        0 => format!("{deny} deny and {allow} allow rules"),
        _ => format!("{deny} deny, {allow} allow and {pass} pass rules"),
    };
    // The short form is a policy in name alone.
    let is_short = |policy: &Policy| &*policy.name == "rules" && policy.from.is_empty();
    let policies = match set.policies.policies() {
        [] => String::new(),
        [only] if is_short(only) => String::new(),
        [_] => "1 policy with ".to_owned(),
        several => format!("{} policies with ", several.len()),
    };
    let tried = set.policies.policies().iter().filter(|policy| policy.mode == Mode::Audit).count();
    let tried = if tried == 0 { String::new() } else { format!(" ({tried} in mode Audit)") };
    format!("{policies}{rules}{tried}, all else is {default}")
}

/// So many lists are named in the summary.
const LISTS_NAMED: usize = 10;

/// The lists of hosts: what is on them, and what their files were taken for.
fn lists(lists: &[ListFacts]) -> Option<String> {
    if lists.is_empty() {
        return None;
    }
    let one = |list: &ListFacts| {
        let kind = if list.is_category { "category" } else { "list" };
        let format = list.format.map_or_else(String::new, |format| format!(" in the format {format}"));
        format!("{kind} {} ({} hosts{format}, {})", list.name, list.entries, memory(list.memory))
    };
    let mut parts: Vec<_> = lists.iter().take(LISTS_NAMED).map(one).collect();
    if let Some(rest) = lists.get(LISTS_NAMED..).filter(|rest| !rest.is_empty()) {
        let hosts: usize = rest.iter().map(|list| list.entries).sum();
        let bytes: usize = rest.iter().map(|list| list.memory).sum();
        parts.push(format!("{} more lists ({hosts} hosts, {})", rest.len(), memory(bytes)));
    }
    Some(parts.join(", "))
}

fn memory(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// What is asked of clients, and how many users a file has.
fn credentials(settings: &Authentication) -> String {
    let mut ends = Vec::new();
    if let Some(file) = &settings.htpasswd {
        let warned = match file.warnings.len() {
            0 => String::new(),
            1 => " (1 line to look at)".to_owned(),
            count => format!(" ({count} lines to look at)"),
        };
        let users = match file.len() {
            1 => "1 user".to_owned(),
            count => format!("{count} users"),
        };
        ends.push(format!("{users} of a file{warned}"));
    }
    if settings.ldap.is_some() {
        ends.push("a directory".to_owned());
    }
    if settings.jwt.is_some() {
        ends.push("tokens".to_owned());
    }
    let asked = if settings.required { "required" } else { "optional" };
    format!("credentials {asked}: {}", ends.join(", "))
}
