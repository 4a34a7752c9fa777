//! What a pod brings of its own, joined with the cluster's list.

use std::collections::BTreeSet;

use super::EffectiveNoProxy;

/// What becomes of a pod's own `NO_PROXY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeRule {
    /// Both lists, in both spellings of the variable.
    #[default]
    Merge,
    /// The pod's own, as it is.
    Keep,
    /// The cluster's alone.
    Replace,
}

/// The cluster's list, ready to be put into pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    entries: Vec<String>,
    value: String,
}

impl Injected {
    /// From the list in force.
    #[must_use]
    pub fn new(effective: &EffectiveNoProxy) -> Self {
        Self { entries: effective.entries.clone(), value: effective.value() }
    }

    /// From entries as they are: no checks.
    #[must_use]
    pub fn from_entries(entries: impl IntoIterator<Item = String>) -> Self {
        let entries: BTreeSet<String> = entries.into_iter().collect();
        let entries: Vec<String> = entries.into_iter().collect();
        Self { value: entries.join(","), entries }
    }

    /// The value for a pod that brings none.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// The pod's own values and the cluster's as one: commas, no spaces, sorted, no duplicates. The pod's entries stay
    /// as they are written, references to other variables (`$(NAME)`) too. `*` takes the place of everything, because
    /// most clients know it only alone. Joining the outcome again changes nothing.
    #[must_use]
    pub fn merge<'a>(&'a self, own: impl IntoIterator<Item = &'a str>) -> String {
        let mut all: BTreeSet<&str> = self.entries.iter().map(String::as_str).collect();
        all.extend(own.into_iter().flat_map(split));
        if all.contains("*") {
            return "*".to_owned();
        }
        all.into_iter().collect::<Vec<_>>().join(",")
    }
}

/// The entries of a value: between commas or white space, empty ones passed over.
pub(crate) fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}
