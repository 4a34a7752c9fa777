//! Texts and labels that many pods have in common, kept once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use egret_core::identity::Labels;

/// What is kept once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: HashSet<Arc<str>>,
    labels: HashSet<Labels>,
    /// How many there were when what nobody has any more was last thrown out.
    before: usize,
}

impl Interner {
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new
    }

    pub(crate) fn labels(&mut self, labels: Option<&BTreeMap<String, String>>) -> Labels {
        let pairs = labels.into_iter().flatten();
        let pairs: Vec<_> = pairs.map(|(key, value)| (self.text(key), self.text(value))).collect();
        if let Some(known) = self.labels.get(pairs.as_slice()) {
            return known.clone();
        }
        let new: Labels = pairs.into();
        self.labels.insert(new.clone());
        new
    }

    /// Throws out what nobody has any more, when it may be worth the time.
    pub(crate) fn tidy(&mut self) {
        if self.texts.len() + self.labels.len() < 2 * self.before.max(1000) {
            return;
        }
        self.labels.retain(|labels| Arc::strong_count(labels) > 1);
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.before = self.texts.len() + self.labels.len();
    }
}
