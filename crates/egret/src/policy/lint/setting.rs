//! Policies beside each other and in their configuration: priorities, lists, who can be known.

use std::collections::{HashMap, HashSet};

use egret_config::{PolicyBook, Severity, WrittenPolicy};
use egret_core::policy::model::{Action, Tier};
use egret_core::settings::ClientAuth;

use super::Findings;

pub(super) fn look(book: &PolicyBook, findings: &mut Findings) {
    priorities(book, findings);
    no_effect(book, findings);
    if book.has_configuration {
        unused_lists(book, findings);
        unprovable(book, findings);
    }
}

/// Policies of one priority whose words differ: their names decide.
fn priorities(book: &PolicyBook, findings: &mut Findings) {
    let mut first: HashMap<i32, &WrittenPolicy> = HashMap::new();
    let denies = |policy: &WrittenPolicy| policy.policy.rules.iter().any(|rule| rule.action != Action::Allow);
    for policy in &book.policies {
        let Tier::Cluster { priority } = policy.policy.tier else { continue };
        let Some(other) = first.get(&priority) else {
            first.insert(priority, policy);
            continue;
        };
        if denies(policy) || denies(other) {
            let message = format!(
                "policies `{}` and `{}` have the same priority {priority}: the order of their names says which is asked first",
                other.policy.name, policy.policy.name
            );
            let help = "give each a priority of its own, the lower the earlier";
            findings.of_policy((Severity::Hint, "equal-priority"), policy, "metadata/name", message, help);
        }
    }
}

/// Rules that allow where everything is allowed.
fn no_effect(book: &PolicyBook, findings: &mut Findings) {
    let mut rules = book.policies.iter().flat_map(|policy| &policy.policy.rules);
    let Some(first) = book.policies.first() else { return };
    if book.has_configuration
        && book.default == Action::Allow
        && rules.all(|rule| rule.action == Action::Allow)
    {
        let message = "these policies deny nothing: every rule allows, and so does the default";
        let help = "write `default: Deny`";
        findings.of_policy((Severity::Warning, "no-effect"), first, "metadata/name", message, help);
    }
}

fn unused_lists(book: &PolicyBook, findings: &mut Findings) {
    let targets = book.policies.iter().flat_map(|policy| &policy.policy.rules).flat_map(|rule| &rule.to);
    let mut used: HashSet<&str> =
        targets.flat_map(|target| &target.lists).map(|list| &**list.name()).collect();
    let file = book.config.file();
    for (field, noun, lists) in
        [("hostLists", "list", &file.host_lists), ("categories", "category", &file.categories)]
    {
        used.extend(lists.iter().flat_map(|list| &list.include).map(|name| name.0.as_str()));
        for (index, list) in lists.iter().enumerate() {
            if !used.contains(list.name.0.as_str()) {
                let message = format!("no rule names the {noun} `{}`", list.name.0);
                let help = "name it in a rule, or take it out: its file is read all the same";
                let problem = book.problem(&format!("/{field}/{index}/name"), &message, Some(help));
                findings.add(Severity::Warning, "unused-list", problem);
            }
        }
    }
}

/// Identities that nothing in the configuration can prove.
fn unprovable(book: &PolicyBook, findings: &mut Findings) {
    let file = book.config.file();
    let authentication = &file.authentication;
    let proves_users =
        authentication.htpasswd.is_some() || authentication.ldap.is_some() || authentication.jwt.is_some();
    let proves_groups =
        authentication.ldap.is_some() || authentication.jwt.is_some() || authentication.groups_file.is_some();
    let proves_certificates = file
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref())
        .any(|tls| ClientAuth::from(tls.client_auth) != ClientAuth::None);
    // What says nothing about clients at all is a piece of a configuration, as `suggest` writes it.
    let is_whole = book.is_written("/authentication") || book.is_written("/listeners");
    let severity = if is_whole { Severity::Warning } else { Severity::Hint };
    for policy in &book.policies {
        for (index, source) in policy.policy.from.iter().enumerate() {
            let asks = [
                (
                    "users",
                    !source.users.is_empty(),
                    proves_users,
                    "`authentication` names no htpasswd file, directory or issuer of tokens",
                ),
                (
                    "groups",
                    !source.groups.is_empty(),
                    proves_groups,
                    "`authentication` names no directory, issuer of tokens or file of groups",
                ),
                (
                    "certificates",
                    !source.certificates.is_empty(),
                    proves_certificates,
                    "no listener asks clients for certificates",
                ),
            ];
            for (field, asks, proves, why) in asks {
                if asks && !proves {
                    let message =
                        format!("nobody is ever known by `{field}` here, so this is for nobody: {why}");
                    let field = format!("spec/from/{index}/{field}");
                    let help = "add what proves them, or take it out";
                    findings.of_policy((severity, "unprovable-identity"), policy, &field, message, help);
                }
            }
        }
    }
}
