//! Whom policies are for, indexed so that a client costs nothing for policies that are not about it.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::bits::Bits;
use super::model::Source;
use super::networks::NetworkTable;
use crate::identity::{CertificateName, Identity, NameKind, NamePattern, Workload};
use crate::pattern::{Glob, any_network_contains};

impl Source {
    /// Whether it is for this client.
    #[must_use]
    pub fn matches(&self, identity: &Identity) -> bool {
        let user = identity.user.as_ref();
        let workload = identity.workload.as_deref();
        (self.users.is_empty() || user.is_some_and(|user| any(&self.users, &user.name)))
            && (self.groups.is_empty()
                || user.is_some_and(|user| user.groups.iter().any(|group| any(&self.groups, group))))
            && (self.certificates.is_empty()
                || identity.certificate().is_some_and(|shown| shown.matches_any(&self.certificates)))
            && (self.networks.is_empty() || any_network_contains(&self.networks, identity.ip()))
            && (self.namespaces.is_empty()
                || workload.is_some_and(|workload| any(&self.namespaces, &workload.namespace)))
            && (self.service_accounts.is_empty()
                || workload.is_some_and(|workload| is_account(&self.service_accounts, workload)))
            && self.namespace_selector.as_ref().is_none_or(|selector| {
                workload.is_some_and(|workload| selector.matches(&workload.namespace_labels))
            })
            && self
                .pod_selector
                .as_ref()
                .is_none_or(|selector| workload.is_some_and(|workload| selector.matches(&workload.labels)))
    }
}

fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

fn is_account(globs: &[Glob], workload: &Workload) -> bool {
    let Some(account) = &workload.service_account else { return false };
    globs.iter().any(|glob| {
        glob.matches(account)
            || glob.as_str().contains('/') && glob.matches(&format!("{}/{account}", workload.namespace))
    })
}

/// A source with the units (of rules) that it opens.
#[derive(Clone, Debug)]
struct Entry {
    source: Source,
    namespace: Option<Arc<str>>,
    units: SmallVec<[u32; 2]>,
}

impl Entry {
    fn matches(&self, identity: &Identity) -> bool {
        let is_in_namespace = self.namespace.as_ref().is_none_or(|namespace| {
            identity.workload.as_ref().is_some_and(|workload| workload.namespace == *namespace)
        });
        is_in_namespace && self.source.matches(identity)
    }
}

/// The sources of all policies. Each stands under one of its fields, the one that tells clients apart best;
/// a client looks up what it is, and only what is found there is compared in full.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    entries: Vec<Entry>,
    everybody: Bits,
    users: Keys,
    groups: Keys,
    certificates: [Keys; 4],
    namespaces: Keys,
    networks: NetworkTable,
    /// Those with nothing to look up.
    others: Vec<u32>,
}

impl Who {
    /// Adds whom these units are for.
    pub(super) fn insert(&mut self, from: &[Source], namespace: Option<&Arc<str>>, units: &[u32]) {
        if from.is_empty() && namespace.is_none() {
            units.iter().for_each(|unit| self.everybody.set(*unit));
            return;
        }
        let anybody = [Source::default()];
        for source in if from.is_empty() { &anybody } else { from } {
            self.insert_source(source, namespace, units);
        }
    }

    fn insert_source(&mut self, source: &Source, namespace: Option<&Arc<str>>, units: &[u32]) {
        let Ok(number) = u32::try_from(self.entries.len()) else { return };
        if let Some(namespace) = namespace {
            self.namespaces.exactly(namespace, number);
        } else if !source.users.is_empty() {
            self.users.insert_all(&source.users, number);
        } else if !source.certificates.is_empty() {
            for pattern in &source.certificates {
                self.certificates[pattern.kind() as usize].insert_name(pattern, number);
            }
        } else if !source.groups.is_empty() {
            self.groups.insert_all(&source.groups, number);
        } else if !source.namespaces.is_empty() {
            self.namespaces.insert_all(&source.namespaces, number);
        } else if !source.networks.is_empty() {
            source.networks.iter().for_each(|network| self.networks.insert(*network, number));
        } else {
            self.others.push(number);
        }
        let entry = Entry {
            source: source.clone(),
            namespace: namespace.cloned(),
            units: SmallVec::from_slice(units),
        };
        self.entries.push(entry);
    }

    /// The units that are for this client.
    pub(super) fn units_for(&self, identity: &Identity) -> Bits {
        let mut units = self.everybody.clone();
        if self.entries.is_empty() {
            return units;
        }
        let mut found = |numbers: &[u32]| {
            for number in numbers {
                let entry = &self.entries[*number as usize];
                if entry.units.iter().any(|unit| !units.has(*unit)) && entry.matches(identity) {
                    entry.units.iter().for_each(|unit| units.set(*unit));
                }
            }
        };
        if let Some(user) = &identity.user {
            self.users.find(&user.name, &mut found);
            user.groups.iter().for_each(|group| self.groups.find(group, &mut found));
        }
        for CertificateName { kind, value } in identity.certificate().map_or(&[][..], |shown| shown.names()) {
            self.certificates[*kind as usize].find(value, &mut found);
        }
        if let Some(workload) = &identity.workload {
            self.namespaces.find(&workload.namespace, &mut found);
        }
        self.networks.find(identity.ip(), &mut found);
        found(&self.others);
        units
    }
}

type Numbers = SmallVec<[u32; 2]>;

/// Texts and patterns with the numbers of what they belong to.
#[derive(Clone, Debug, Default)]
struct Keys {
    exact: HashMap<Box<str>, Numbers>,
    /// Patterns by what they begin with, and the lengths of those beginnings.
    prefixes: HashMap<Box<str>, Numbers>,
    lengths: Vec<usize>,
}

impl Keys {
    fn insert_all(&mut self, globs: &[Glob], number: u32) {
        for glob in globs {
            if glob.is_exact() {
                self.exactly(glob.as_str(), number);
            } else {
                self.with_prefix(glob.literal_prefix(), number);
            }
        }
    }

    fn insert_name(&mut self, pattern: &NamePattern, number: u32) {
        let (prefix, is_whole) = pattern.literal_prefix();
        if is_whole { self.exactly(&prefix, number) } else { self.with_prefix(&prefix, number) }
    }

    fn exactly(&mut self, text: &str, number: u32) {
        self.exact.entry(text.into()).or_default().push(number);
    }

    fn with_prefix(&mut self, prefix: &str, number: u32) {
        self.prefixes.entry(prefix.into()).or_default().push(number);
        if let Err(at) = self.lengths.binary_search(&prefix.len()) {
            self.lengths.insert(at, prefix.len());
        }
    }

    fn find(&self, text: &str, found: &mut impl FnMut(&[u32])) {
        if let Some(numbers) = self.exact.get(text) {
            found(numbers);
        }
        for length in &self.lengths {
            let Some(prefix) = text.get(..*length) else { continue };
            if let Some(numbers) = self.prefixes.get(prefix) {
                found(numbers);
            }
        }
    }
}

// The kinds index `Who::certificates`.
const _: () = assert!(NameKind::Subject as usize == 3);
