//! What no schema says about a policy as a whole, and about `from`.

use super::{Findings, Placed};
use crate::file::{LabelSelector, PolicyKind, PolicySource, SelectorOperator};

/// Everything that is wrong with it.
pub(super) fn check(findings: &mut Findings, placed: &Placed<'_>, complete: bool) {
    kind(findings, placed, complete);
    for (index, source) in placed.document.spec.from.iter().enumerate() {
        let field = format!("spec/from/{index}");
        if complete && source.is_empty() {
            let help = "leave `from` out for everybody, or say who";
            findings.find(placed, &field, "this names nobody, and so would be everybody", help);
        }
        accounts(findings, placed, &field, source);
        for (name, selector) in
            [("namespaceSelector", &source.namespace_selector), ("podSelector", &source.pod_selector)]
        {
            if let Some(selector) = selector {
                self::selector(findings, placed, &format!("{field}/{name}"), selector);
            }
        }
    }
}

fn kind(findings: &mut Findings, placed: &Placed<'_>, complete: bool) {
    let document = placed.document;
    match (document.kind, &document.metadata.namespace) {
        (PolicyKind::ClusterEgressPolicy, Some(namespace)) => findings.find(
            placed,
            "metadata/namespace",
            "a ClusterEgressPolicy is in no namespace",
            &format!(
                "for the workloads of {0} write kind: EgressPolicy, or namespaces: [{0}] under `from`",
                namespace.0
            ),
        ),
        (PolicyKind::EgressPolicy, None) if complete => findings.find(
            placed,
            "metadata/name",
            "an EgressPolicy is for one namespace, and this one names none",
            "add namespace: beside the name",
        ),
        (PolicyKind::EgressPolicy, Some(namespace)) => {
            for (index, source) in document.spec.from.iter().enumerate() {
                let names = &source.namespaces;
                if !names.is_empty() && !names.iter().any(|name| name.0.matches(&namespace.0)) {
                    let message =
                        format!("the policy is for the namespace `{}`, which is none of these", namespace.0);
                    let field = format!("spec/from/{index}/namespaces");
                    findings.find(placed, &field, message, "leave the field out");
                }
            }
        }
        _ => {}
    }
    if document.kind == PolicyKind::EgressPolicy && placed.sheet.is_written(&placed.at("spec/priority")) {
        let help = "remove it: all of a namespace's policies hold together, and Deny wins";
        findings.find(placed, "spec/priority", "an EgressPolicy has no priority", help);
    }
}

/// Service accounts of namespaces that are left out.
fn accounts(findings: &mut Findings, placed: &Placed<'_>, field: &str, source: &PolicySource) {
    if source.namespaces.is_empty() {
        return;
    }
    for (index, account) in source.service_accounts.iter().enumerate() {
        let Some((namespace, _)) = account.0.as_str().split_once('/') else { continue };
        let is_pattern = namespace.contains('*');
        if !is_pattern && !source.namespaces.iter().any(|name| name.0.matches(namespace)) {
            let message = format!("this can never match: `namespaces` leaves `{namespace}` out");
            let help = "name the namespace there, or make it an entry of its own";
            findings.find(placed, &format!("{field}/serviceAccounts/{index}"), message, help);
        }
    }
}

fn selector(findings: &mut Findings, placed: &Placed<'_>, field: &str, selector: &LabelSelector) {
    selector_faults(selector, |inner, message, help| {
        findings.find(placed, &format!("{field}/{inner}"), message, help);
    });
}

/// What is wrong with a selector: the field, what is wrong, and what to do.
pub(crate) fn selector_faults(selector: &LabelSelector, mut find: impl FnMut(&str, &str, &str)) {
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        let field = format!("matchExpressions/{index}");
        let wants_values = matches!(requirement.operator, SelectorOperator::In | SelectorOperator::NotIn);
        if requirement.key.is_empty() {
            find(&format!("{field}/key"), "the label has no key", "write it as in app");
        }
        if wants_values && requirement.values.is_empty() {
            find(&field, "In and NotIn need values", "add values: [..], or ask with Exists or DoesNotExist");
        } else if !wants_values && !requirement.values.is_empty() {
            let help = "remove them, or ask with In or NotIn";
            find(&format!("{field}/values"), "Exists and DoesNotExist take no values", help);
        } else if requirement.operator == SelectorOperator::In
            && let Some(value) = selector.match_labels.get(&requirement.key)
            && !requirement.values.contains(value)
        {
            let message = format!("this can never match: `matchLabels` wants `{value}` of the same label");
            find(&field, &message, "remove one of the two");
        }
    }
}
