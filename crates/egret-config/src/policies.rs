//! Policies: their files, what no schema says about them, and what they become.

mod compile;
mod condition;
mod documents;
mod lists;
mod order;
mod rule;
mod source;
mod target;

use crate::config::Config;
use crate::file::{ConfigFile, PolicyDocument, PolicyKind};
use crate::lists::ListKind;
use crate::problem::Problem;
use crate::sheet::Sheet;
use crate::walk::MOST_FINDINGS;

pub(crate) use compile::policy;
pub use compile::rules_as_policy;
pub(crate) use documents::{DocumentFile, MAX_BYTES as MAX_FILE_BYTES, documents, files};
pub(crate) use source::selector_faults;

/// A policy with the place where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) sheet: &'a Sheet,
    /// Its JSON pointer.
    pub(crate) pointer: &'a str,
    pub(crate) document: &'a PolicyDocument,
}

impl Placed<'_> {
    /// The place of a field of it.
    fn at(&self, field: &str) -> String {
        format!("{}/{field}", self.pointer)
    }

    /// The policy's name, as records have it.
    pub(crate) fn name(&self) -> String {
        let metadata = &self.document.metadata;
        match (&metadata.namespace, self.document.kind) {
            (Some(namespace), PolicyKind::EgressPolicy) => format!("{}/{}", namespace.0, metadata.name.0),
            _ => metadata.name.0.clone(),
        }
    }
}

/// What was found: what is wrong, and what is worth a look.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl Findings {
    fn find(&mut self, placed: &Placed<'_>, field: &str, message: impl AsRef<str>, help: &str) {
        if !self.is_full() {
            let help = (!help.is_empty()).then_some(help);
            self.problems.push(placed.sheet.problem(&placed.at(field), message.as_ref(), help));
        }
    }

    fn warn(&mut self, placed: &Placed<'_>, field: &str, message: impl AsRef<str>, help: &str) {
        if self.warnings.len() < MOST_FINDINGS {
            let help = (!help.is_empty()).then_some(help);
            self.warnings.push(placed.sheet.problem(&placed.at(field), message.as_ref(), help));
        }
    }

    /// Enough was said.
    fn is_full(&self) -> bool {
        self.problems.len() >= MOST_FINDINGS
    }
}

/// Pointers of the policies in the configuration itself.
pub(crate) fn pointers(file: &ConfigFile) -> Vec<String> {
    (0..file.policies.len()).map(|index| format!("/policies/{index}")).collect()
}

/// The policies in the configuration itself.
pub(crate) fn own<'a>(config: &'a Config, pointers: &'a [String]) -> impl Iterator<Item = Placed<'a>> {
    let policies = config.file().policies.iter().zip(pointers);
    policies.map(|(document, pointer)| Placed { sheet: config.sheet(), pointer, document })
}

/// What is wrong with the lists of a configuration, but for their files.
pub(crate) fn check_lists(config: &Config, complete: bool) -> Vec<Problem> {
    lists::check(config, complete)
}

/// What is wrong with policies: each by itself, and all together. `complete` says that nothing was left out
/// for being wrong.
pub(crate) fn check(policies: &[Placed<'_>], file: &ConfigFile, complete: bool) -> Findings {
    let known = known_lists(file);
    let mut findings = Findings::default();
    for placed in policies {
        if findings.is_full() {
            break;
        }
        source::check(&mut findings, placed, complete);
        rule::check(&mut findings, placed, Some(&known), complete);
    }
    order::check(&mut findings, policies);
    // What files of policies say is known once they are read.
    let whole = file.policy_files.is_empty() || policies.len() > file.policies.len();
    if complete && whole && file.default_action.is_none() {
        order::default(&mut findings, policies);
    }
    findings
}

fn known_lists(file: &ConfigFile) -> target::KnownLists<'_> {
    let known = |kind: ListKind| kind.lists(file).iter().map(|list| list.name.0.as_str()).collect();
    target::KnownLists { host_lists: known(ListKind::HostLists), categories: known(ListKind::Categories) }
}

/// What is wrong with one policy, whatever others there are. Without a configuration, nobody knows which lists it
/// can name.
pub(crate) fn check_one(placed: &Placed<'_>, file: Option<&ConfigFile>, complete: bool) -> Findings {
    let mut findings = Findings::default();
    source::check(&mut findings, placed, complete);
    rule::check(&mut findings, placed, file.map(known_lists).as_ref(), complete);
    findings
}

/// What is wrong with policies beside each other.
pub(crate) fn check_together(policies: &[Placed<'_>]) -> Findings {
    let mut findings = Findings::default();
    order::check(&mut findings, policies);
    findings
}
