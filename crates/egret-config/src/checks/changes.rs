//! Checks of `changes`.

use egret_flows::rules::{RuleError, RuleSpec, Rules};

use super::Checks;

impl Checks<'_> {
    pub(super) fn changes(&mut self) {
        let rules = &self.config.file().changes;
        for (index, rule) in rules.iter().enumerate() {
            let pointer = format!("/changes/{index}");
            let spec = match rule.spec() {
                Ok(spec) => spec,
                Err((action, what)) => {
                    self.find(&format!("{pointer}/actions/{action}"), what, "");
                    continue;
                }
            };
            // Also of one that is not in force: it would surprise whoever switches it on.
            let Err(error) = Rules::compile(&[RuleSpec { enabled: true, ..spec }]) else { continue };
            match error {
                RuleError::Filter { error, .. } => {
                    self.find(&format!("{pointer}/filter"), error.to_string(), "")
                }
                RuleError::NeedsBodies(_) => self.find(
                    &format!("{pointer}/filter"),
                    "the filter looks into bodies, which are not there when rules are applied",
                    "use headers, host, path or method",
                ),
                RuleError::Action { action, what, .. } => {
                    self.find(&format!("{pointer}/actions/{}", action - 1), what, "");
                }
                RuleError::Name(_) => self.find(&format!("{pointer}/name"), error.to_string(), ""),
                RuleError::Empty(_) | RuleError::TooManyActions(_) | RuleError::TooMany => {
                    self.find(&pointer, error.to_string(), "");
                }
            }
        }
    }
}
