//! What is said about a pod, within the bounds of the API server: it cuts a warning at 256 characters when all of them
//! together pass 4096, and then drops the rest.

use std::collections::BTreeMap;

use super::patch::Patch;
use super::{Injection, Outcome};

/// How many warnings are sent; the last one then says that there are more.
pub const MAX_WARNINGS: usize = 14;

/// How long a warning may be, in characters.
pub const MAX_WARNING_CHARS: usize = 250;

#[derive(Debug, Default)]
pub(super) struct Report {
    warnings: Vec<String>,
    more: usize,
    audit: BTreeMap<&'static str, String>,
}

impl Report {
    pub(super) fn warn(&mut self, text: String) {
        let text = clean(&format!("egret: {text}"), MAX_WARNING_CHARS);
        if self.warnings.contains(&text) {
            return;
        }
        if self.warnings.len() + 1 < MAX_WARNINGS { self.warnings.push(text) } else { self.more += 1 }
    }

    pub(super) fn note(&mut self, key: &'static str, text: String) {
        self.audit.insert(key, clean(&text, MAX_WARNING_CHARS));
    }

    pub(super) fn finish(mut self, outcome: Outcome, patch: Patch) -> Injection {
        if self.more > 0 {
            self.warnings.push(format!("egret: and {} more of the kind", self.more));
        }
        Injection { outcome, patch: patch.into_operations(), warnings: self.warnings, audit: self.audit }
    }
}

/// Warnings become header fields: no control characters, and no more than so many.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        out.pop();
        out.push('…');
    }
    out
}
