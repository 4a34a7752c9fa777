//! What the tools for policies read: every policy with its place, but none of the files that a proxy needs
//! beside them (keys, users, access logs), which are not there where policies are reviewed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_core::gate::Gate;
use egret_core::group_file::GroupFile;
use egret_core::policy::Policies;
use egret_core::policy::model::{Action, Policy};

use crate::checks::listening_on;
use crate::compile::gate;
use crate::config::{Config, check_bytes, decode};
use crate::file::PolicyKind;
use crate::lists::{HostLists, ListCache, ListFacts};
use crate::overrides::Overrides;
use crate::policies::{self, DocumentFile, rules_as_policy};
use crate::problem::{Place, Problem};
use crate::referenced;
use crate::sheet::Sheet;
use crate::source::Position;
use crate::values::FilePath;
use crate::yaml::{self, Kind};

/// The policies of a configuration, of files with policies alone, or of both.
#[derive(Clone, Debug)]
pub struct PolicyBook {
    /// The configuration; the defaults where there are files of policies alone.
    pub config: Config,
    /// Whether there is a configuration.
    pub has_configuration: bool,
    /// The policies, in the order in which they were written.
    pub policies: Vec<WrittenPolicy>,
    /// What happens where none decides.
    pub default: Action,
    /// The lists of hosts.
    pub lists: Vec<ListFacts>,
    /// The guard and the policies. The guard knows neither listeners nor the machine's addresses.
    pub gate: Gate,
    /// The file of groups, where the configuration names one and it is there.
    pub groups: Option<GroupFile>,
    /// What is not wrong and yet worth a look.
    pub warnings: Vec<Problem>,
}

/// A policy with the place where it was written.
#[derive(Clone, Debug)]
pub struct WrittenPolicy {
    /// The policy.
    pub policy: Policy,
    sheet: Arc<Sheet>,
    pointer: String,
    /// Of `rules`, the short form: how many of them deny.
    short: Option<usize>,
}

impl PolicyBook {
    /// Reads files: one configuration at most, and any number of files or directories of policies. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Vec<Problem>> {
        let mut configuration: Option<(&Path, Vec<u8>)> = None;
        let mut documents = Vec::new();
        for path in paths {
            if path.is_dir() {
                documents.push(path);
                continue;
            }
            let bytes = referenced::policies(path, policies::MAX_FILE_BYTES)
                .map_err(|error| vec![whole(path, error.message, error.help)])?;
            if holds_documents(&bytes, path)? {
                documents.push(path);
            } else if let Some((first, _)) = &configuration {
                let message = format!("`{}` is a configuration already", first.display());
                let help = "give one configuration, and files with policies alone beside it";
                return Err(vec![whole(path, message, Some(help))]);
            } else {
                configuration = Some((path, bytes));
            }
        }
        let (mut config, base_dir) = match &configuration {
            Some((path, bytes)) => {
                let config = check_bytes(bytes, &path.display().to_string(), &Overrides::default())?;
                (config, path.parent().unwrap_or(Path::new("")).to_owned())
            }
            None => (Config::default(), PathBuf::new()),
        };
        for path in documents {
            let seen_from_there = if base_dir.as_os_str().is_empty() {
                path.clone()
            } else {
                std::path::absolute(path).unwrap_or_else(|_| path.clone())
            };
            config.file_mut().policy_files.push(FilePath(seen_from_there));
        }
        Self::compile(config, configuration.is_some(), &base_dir)
    }

    fn compile(config: Config, has_configuration: bool, base_dir: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let files = DocumentFile::read_all(&config, base_dir, &mut problems);
        let mut warnings = config.warnings().to_vec();
        let pointers = policies::pointers(config.file());
        let own: Vec<_> = policies::own(&config, &pointers).collect();
        let all: Vec<_> = own.iter().copied().chain(files.iter().flat_map(DocumentFile::placed)).collect();
        if all.len() > own.len() {
            let findings = policies::check(&all, config.file(), true);
            problems.extend(findings.problems);
            warnings = findings.warnings;
        }
        let lists = HostLists::read(&config, base_dir, &mut ListCache::default(), &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let sheet = Arc::new(config.sheet().clone());
        let mut written: Vec<_> = own
            .iter()
            .map(|placed| WrittenPolicy {
                policy: policies::policy(placed.document, &lists),
                sheet: sheet.clone(),
                pointer: placed.pointer.to_owned(),
                short: None,
            })
            .collect();
        for file in files {
            let (sheet, documents) = file.into_parts();
            let sheet = Arc::new(sheet);
            written.extend(documents.into_iter().map(|(pointer, document)| WrittenPolicy {
                policy: policies::policy(&document, &lists),
                sheet: sheet.clone(),
                pointer,
                short: None,
            }));
        }
        let (policy, default) = rules_as_policy(&config.file().rules);
        if !policy.rules.is_empty() {
            let denying = config.file().rules.deny.len();
            written.push(WrittenPolicy { policy, sheet, pointer: "/rules".to_owned(), short: Some(denying) });
        }
        let default = config.file().default_action.map_or(default, Into::into);
        let compiled = Policies::compile(
            written.iter().map(|written| written.policy.clone()).collect(),
            default == Action::Allow,
        );
        let listeners: Vec<_> = config.file().listeners.iter().map(listening_on).collect();
        let gate = gate(config.file(), &listeners, compiled);
        let groups = config.file().authentication.groups_file.as_ref();
        let groups = groups.and_then(|path| referenced::groups(&base_dir.join(&path.0)).ok());
        Ok(Self {
            has_configuration,
            policies: written,
            default,
            lists: lists.facts,
            gate,
            groups,
            warnings,
            config,
        })
    }

    /// Whether a field of the configuration was written, by its JSON pointer.
    #[must_use]
    pub fn is_written(&self, pointer: &str) -> bool {
        self.config.is_written(pointer)
    }

    /// A problem with a field of the configuration, by its JSON pointer.
    #[must_use]
    pub fn problem(&self, pointer: &str, message: &str, help: Option<&str>) -> Problem {
        self.config.problem(pointer, message, help)
    }
}

impl WrittenPolicy {
    /// Something about a field, as in `spec/rules/0/to/1/hosts/2`, or about what holds it where it was not
    /// written.
    #[must_use]
    pub fn problem(&self, field: &str, message: &str, help: Option<&str>) -> Problem {
        self.sheet.problem(&self.at(field), message, help)
    }

    /// A value as it was written, quotes and all.
    #[must_use]
    pub fn raw(&self, field: &str) -> Option<&str> {
        match &self.sheet.spots.get(&self.at(field))?.value {
            Position::File(range) => self.sheet.source.text.get(range.clone()),
            _ => None,
        }
    }

    /// A place in words: "on line 3", and of which file where that is another than `other`'s.
    #[must_use]
    pub fn place(&self, field: &str, other: &Self) -> String {
        self.sheet.place_from(&self.at(field), &other.sheet)
    }

    /// The kind of the policy, as documents have it.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        match self.policy.tier {
            egret_core::policy::model::Tier::Cluster { .. } => PolicyKind::ClusterEgressPolicy,
            egret_core::policy::model::Tier::Namespace { .. } => PolicyKind::EgressPolicy,
        }
    }

    /// Whether it was written as `rules`, the short form.
    #[must_use]
    pub fn is_short_form(&self) -> bool {
        self.short.is_some()
    }

    fn at(&self, field: &str) -> String {
        let Some(denying) = self.short else { return format!("{}/{field}", self.pointer) };
        let Some(rest) = field.strip_prefix("spec/rules/") else { return self.pointer.clone() };
        let (index, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let index: usize = index.parse().unwrap_or(0);
        let (list, index) =
            if index < denying { ("deny", index) } else { ("allow", index - denying.min(index)) };
        // Hosts and networks stand in the rule itself there.
        let rest = match rest.strip_prefix("to/") {
            Some(target) => target.split_once('/').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
        format!("{}/{list}/{index}{rest}", self.pointer)
    }
}

fn whole(path: &Path, message: String, help: Option<&str>) -> Problem {
    let place = Place::File(path.display().to_string().into());
    Problem { message, help: help.map(ToOwned::to_owned), path: String::new(), place }
}

/// Whether a file has policies alone: documents as a cluster has them, or a list of them.
fn holds_documents(bytes: &[u8], path: &Path) -> Result<bool, Vec<Problem>> {
    let text = decode(bytes, &path.display().to_string(), policies::MAX_FILE_BYTES)?;
    let roots = yaml::read_policies(text).roots;
    let [root] = roots.as_slice() else { return Ok(roots.len() > 1) };
    Ok(match &root.kind {
        Kind::List(_) => true,
        Kind::Map(entries) => {
            let of_documents = ["apiVersion", "kind", "metadata", "spec", "name", "from", "priority"];
            entries.iter().any(|entry| {
                of_documents.contains(&entry.key.as_str())
                    || entry.key == "rules" && matches!(entry.value.kind, Kind::List(_))
            })
        }
        _ => false,
    })
}
