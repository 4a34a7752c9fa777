//! Lists of hosts: their files are read, and kept as long as they stay the same.

mod file;
mod format;
mod line;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_core::policy::NameList;

use crate::config::Config;
use crate::file::{HostList, ListFormat};
use crate::problem::Problem;
use crate::values::ListTerm;

use file::{ReadList, State};

/// Files of lists that were read, so that a reload reads only what has changed. It lives with whoever
/// reloads.
#[derive(Clone, Debug, Default)]
pub struct ListCache {
    files: HashMap<Key, (State, Arc<ReadList>)>,
}

/// What a file was read as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    name: Arc<str>,
    format: ListFormat,
}

/// What a list has come to, for a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFacts {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is a category.
    pub is_category: bool,
    /// How its file is written; `None` when it has none.
    pub format: Option<ListFormat>,
    /// How many names and networks are on it, without those of the lists that it includes.
    pub entries: usize,
    /// The bytes of memory that they take.
    pub memory: usize,
}

/// The two kinds of lists, with the field of the configuration that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListKind {
    HostLists,
    Categories,
}

impl ListKind {
    pub(crate) const ALL: [Self; 2] = [Self::HostLists, Self::Categories];

    /// The field that defines them, and by which rules name them.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::HostLists => "hostLists",
            Self::Categories => "categories",
        }
    }

    /// What one of them is called.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::HostLists => "list",
            Self::Categories => "category",
        }
    }

    pub(crate) fn lists(self, file: &crate::file::ConfigFile) -> &[HostList] {
        match self {
            Self::HostLists => &file.host_lists,
            Self::Categories => &file.categories,
        }
    }
}

/// All lists of a configuration, by kind and name. A list that includes others is all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostLists {
    by_name: BTreeMap<(ListKind, String), Vec<Arc<NameList>>>,
    pub(crate) facts: Vec<ListFacts>,
}

impl HostLists {
    /// What a rule means by the name of a list.
    pub(crate) fn named(&self, kind: ListKind, name: &str) -> &[Arc<NameList>] {
        self.by_name.get(&(kind, name.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Reads all lists. What is wrong is added to the problems.
    pub(crate) fn read(
        config: &Config,
        base_dir: &Path,
        cache: &mut ListCache,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut lists = Self::default();
        let mut used = HashMap::new();
        let before = problems.len();
        for kind in ListKind::ALL {
            let defined = kind.lists(config.file());
            let mut own: BTreeMap<&str, Vec<Arc<NameList>>> = BTreeMap::new();
            for (index, list) in defined.iter().enumerate() {
                let pointer = format!("/{}/{index}", kind.field());
                let name: Arc<str> = list.name.0.as_str().into();
                let mut parts = Vec::new();
                let mut format = None;
                if let Some(path) = &list.file {
                    let path = file_of(&base_dir.join(&path.0));
                    let key = Key { path, name: name.clone(), format: list.format };
                    match cache.read(&key) {
                        Ok((state, read)) => {
                            format = Some(read.format);
                            parts.push(read.list.clone());
                            used.insert(key, (state, read));
                        }
                        Err(error) => error.report(config, &format!("{pointer}/file"), problems),
                    }
                }
                parts.extend(inline(&name, &list.hosts));
                lists.facts.push(ListFacts {
                    name,
                    is_category: kind == ListKind::Categories,
                    format,
                    entries: parts.iter().map(|part| part.len()).sum(),
                    memory: parts.iter().map(|part| part.memory()).sum(),
                });
                own.insert(&list.name.0, parts);
            }
            for list in defined {
                let mut names = BTreeSet::new();
                reach(defined, &list.name.0, &mut names);
                let parts = names.iter().filter_map(|name| own.get(name)).flatten().cloned().collect();
                lists.by_name.insert((kind, list.name.0.clone()), parts);
            }
        }
        // What is in force goes on while the new configuration is refused, and is not to be read again.
        if problems.len() == before {
            cache.files = used;
        }
        lists
    }
}

impl ListCache {
    /// A file as it was read last, or as it is now.
    fn read(&self, key: &Key) -> Result<(State, Arc<ReadList>), file::ListError> {
        let state = State::of(&key.path)?;
        if let Some((seen, read)) = self.files.get(key).filter(|(seen, _)| *seen == state) {
            return Ok((seen.clone(), read.clone()));
        }
        file::read(&key.path, &key.name, key.format).map(|(state, read)| (state, Arc::new(read)))
    }
}

/// Every list that one is made of: itself, and what it includes. Ends where lists include each other.
fn reach<'a>(defined: &'a [HostList], name: &'a str, reached: &mut BTreeSet<&'a str>) {
    if !reached.insert(name) {
        return;
    }
    for list in defined.iter().filter(|list| list.name.0 == name) {
        for include in &list.include {
            reach(defined, &include.0, reached);
        }
    }
}

/// What is written in the configuration itself.
fn inline(name: &Arc<str>, terms: &[ListTerm]) -> Option<Arc<NameList>> {
    if terms.is_empty() {
        return None;
    }
    let mut builder = NameList::builder(name.clone(), terms.len(), 0);
    for term in terms {
        match term {
            // The configuration is far too small for more names than a list can hold.
            ListTerm::Host(pattern) => builder.push(pattern).unwrap_or_default(),
            ListTerm::Network(network) => builder.push_network(*network),
        }
    }
    Some(builder.finish())
}

/// The file that a path means: of a directory, as collections of categories have one for each of them, the
/// domains in it.
fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("domains") } else { path.to_owned() }
}

/// The files of all lists, for a watcher.
pub(crate) fn files(file: &crate::file::ConfigFile, base_dir: &Path) -> Vec<PathBuf> {
    let lists = ListKind::ALL.into_iter().flat_map(|kind| kind.lists(file));
    lists.filter_map(|list| list.file.as_ref()).map(|path| file_of(&base_dir.join(&path.0))).collect()
}
