//! `policyFiles`: YAML files with policies, one in each document.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::{Config, decode};
use crate::file::PolicyDocument;
use crate::normal;
use crate::problem::Problem;
use crate::referenced;
use crate::sheet::Sheet;
use crate::source::Position;
use crate::walk::{Finding, MOST_FINDINGS, Walk};
use crate::yaml::{self, Kind, Node};

use super::Placed;

/// The largest file of policies, in bytes.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// The most files of a directory.
const MOST_FILES: usize = 10_000;
/// What files of policies are called.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A file with the policies in it.
#[derive(Debug)]
pub(crate) struct DocumentFile {
    sheet: Sheet,
    /// With their pointers.
    policies: Vec<(String, PolicyDocument)>,
}

impl DocumentFile {
    /// Its policies with their places.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        self.policies.iter().map(|(pointer, document)| Placed { sheet: &self.sheet, pointer, document })
    }

    /// Its text with its places, and its policies with their pointers.
    pub(crate) fn into_parts(self) -> (Sheet, Vec<(String, PolicyDocument)>) {
        (self.sheet, self.policies)
    }

    /// Reads all files that the configuration names.
    pub(crate) fn read_all(config: &Config, base_dir: &Path, problems: &mut Vec<Problem>) -> Vec<Self> {
        let mut read = Vec::new();
        for (index, path) in config.file().policy_files.iter().enumerate() {
            let pointer = format!("/policyFiles/{index}");
            let path = base_dir.join(&path.0);
            let files = files_of(&path);
            if path.is_dir() && files.is_empty() {
                let help = "files of policies end in .yaml, .yml or .json";
                let message = format!("the directory `{}` has no files of policies", path.display());
                problems.push(config.problem(&pointer, &message, Some(help)));
            }
            for path in files.iter().take(MOST_FILES) {
                if problems.len() >= MOST_FINDINGS {
                    return read;
                }
                match referenced::policies(path, MAX_BYTES) {
                    Ok(bytes) => match Self::read(&path.display().to_string(), &bytes) {
                        Ok(file) => read.push(file),
                        Err(wrong) => problems.extend(wrong),
                    },
                    Err(error) => problems.push(config.problem(&pointer, &error.message, error.help)),
                }
            }
        }
        read
    }

    /// Reads the policies of a text.
    fn read(name: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let text = decode(bytes, name, MAX_BYTES)?;
        let mut sheet = Sheet::new(name, text);
        let reading = yaml::read_policies(text);
        for range in reading.hidden {
            sheet.source.hide(range);
        }
        let mut findings: Vec<Finding> = reading.faults.into_iter().map(Finding::from).collect();
        let mut walk = Walk::default();
        let mut values = Vec::new();
        for (mut node, path) in documents(reading.roots) {
            normal::document(&mut node);
            let pointer = format!("/{}", values.len());
            values.extend(walk.policy(&node, &path, &pointer).map(|value| (pointer, value)));
        }
        findings.append(&mut walk.findings);
        sheet.spots = walk.spots;
        let mut policies = Vec::new();
        for (pointer, value) in values {
            match serde_json::from_value::<PolicyDocument>(Value::clone(&value)) {
                Ok(document) => policies.push((pointer, document)),
                Err(error) if findings.is_empty() => findings.push(Finding {
                    position: Position::Nowhere,
                    path: String::new(),
                    message: format!("a policy cannot be read: {error}"),
                    help: None,
                    child: None,
                }),
                Err(_) => {}
            }
        }
        if findings.is_empty() {
            return Ok(Self { sheet, policies });
        }
        let shown = findings.iter().take(MOST_FINDINGS);
        Err(shown.map(|finding| finding.problem(&sheet.source)).collect())
    }
}

/// Every policy of a file with the path under which it stands: documents, the items of lists, and those of
/// `kind: List`.
pub(crate) fn documents(roots: Vec<Node>) -> Vec<(Node, String)> {
    let mut documents = Vec::new();
    for root in roots {
        match root.kind {
            Kind::Null => {}
            Kind::List(items) => documents.extend(numbered(items, "")),
            Kind::Map(entries) if is_list(&entries) => {
                for entry in entries {
                    if let ("items", Kind::List(items)) = (entry.key.as_str(), entry.value.kind) {
                        documents.extend(numbered(items, "items"));
                    }
                }
            }
            kind => documents.push((Node { kind, ..root }, String::new())),
        }
    }
    documents
}

fn numbered(items: Vec<Node>, name: &'static str) -> impl Iterator<Item = (Node, String)> {
    items.into_iter().enumerate().map(move |(index, item)| (item, format!("{name}[{index}]")))
}

/// A list of objects, as `kubectl get -o yaml` writes several of them.
fn is_list(entries: &[yaml::Entry]) -> bool {
    entries.iter().any(|entry| {
        entry.key == "kind" && matches!(&entry.value.kind, Kind::Text(kind) if kind.ends_with("List"))
    })
}

/// The files that a path stands for: itself, or those of a directory, in the order of their names.
fn files_of(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = path.read_dir() else { return vec![path.to_owned()] };
    let is_policy = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && EXTENSIONS.contains(&&*extension) && !path.is_dir()
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_policy).collect();
    files.sort();
    files
}

/// Files and directories of policies, for a watcher.
pub(crate) fn files(file: &crate::file::ConfigFile, base_dir: &Path) -> Vec<PathBuf> {
    let paths = file.policy_files.iter().map(|path| base_dir.join(&path.0));
    paths
        .flat_map(|path| {
            let directory = path.is_dir().then(|| path.clone());
            files_of(&path).into_iter().chain(directory)
        })
        .collect()
}
