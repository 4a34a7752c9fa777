//! Checks of `policies` and their lists.

use super::Checks;
use crate::policies;
use crate::problem::Problem;
use crate::source::Position;

impl Checks<'_> {
    /// Gives what is worth a look.
    pub(super) fn policies(&mut self, complete: bool) -> Vec<Problem> {
        self.one_form();
        let config = self.config;
        self.problems.extend(policies::check_lists(config, complete));
        let pointers = policies::pointers(config.file());
        let own: Vec<_> = policies::own(config, &pointers).collect();
        let findings = policies::check(&own, config.file(), complete);
        self.problems.extend(findings.problems);
        findings.warnings
    }

    /// `rules` is short for one policy; beside others nobody could say which comes first.
    fn one_form(&mut self) {
        let file = self.config.file();
        let long = [
            ("policies", !file.policies.is_empty()),
            ("policyFiles", !file.policy_files.is_empty()),
            ("default", file.default_action.is_some()),
        ];
        let short = [
            ("/rules/deny", !file.rules.deny.is_empty()),
            ("/rules/allow", file.rules.allow.is_some()),
            ("/rules/default", file.rules.default.is_some()),
        ];
        let Some((long, _)) = long.into_iter().find(|(_, used)| *used) else { return };
        let Some((short, _)) = short.into_iter().find(|(_, used)| *used) else { return };
        let is_flag = |pointer: &str| matches!(self.config.sheet().spots.get(pointer), Some(spot) if matches!(spot.key, Position::Flag(_)));
        let list = ["deny", "allow"].into_iter().find(|list| is_flag(&format!("/rules/{list}/0/hosts")));
        let place = self.config.place(&format!("/{long}"));
        if let Some(list) = list {
            let message = format!("this adds to `rules`, which cannot stand beside `{long}` ({place})");
            let help = "write a policy with the rule instead; docs/policy.md shows how";
            self.find(&format!("/rules/{list}/0/hosts"), message, help);
            return;
        }
        let message = format!("`rules` cannot stand beside `{long}` ({place})");
        let help = "make the rules one policy: {name: rules, rules: [..]}, each deny rule as {action: Deny, to: \
                    [{hosts: [..], ports: [..]}]}, then each allow rule with action: Allow, and write \
                    `default: Deny` if there is an allow list; a rule with hosts and cidrs becomes two entries of `to`";
        self.find(short, message, help);
    }
}
