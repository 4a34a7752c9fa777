//! Labels and who selects them.

use std::collections::BTreeMap;
use std::sync::Arc;

use egret_config::file::{EgressProxySpec, LabelSelector, SelectorOperator};
use egret_core::policy::{Operator, Requirement, Selector};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

/// Namespaces that are never given anything.
pub(crate) const SYSTEM: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
/// On a namespace: it is not to be given anything, if it says one of these.
pub(crate) const INJECT: &str = "egret.dev/inject";
const DISABLED: [&str; 2] = ["disabled", "false"];

/// A selector as the API server takes it in a query.
pub(crate) fn query(selector: &LabelSelector) -> String {
    let labels =
        selector.match_labels.iter().map(|(key, value)| format!("{}={}", key.as_str(), value.as_str()));
    let expressions = selector.match_expressions.iter().map(|one| {
        let values = one.values.iter().map(|value| value.as_str().to_owned()).collect::<Vec<_>>().join(",");
        let key = one.key.as_str();
        match one.operator {
            SelectorOperator::In => format!("{key} in ({values})"),
            SelectorOperator::NotIn => format!("{key} notin ({values})"),
            SelectorOperator::Exists => key.to_owned(),
            SelectorOperator::DoesNotExist => format!("!{key}"),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Whether a selector selects these labels; without one, all are selected.
pub(crate) fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let labels: Vec<(Arc<str>, Arc<str>)> =
        labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
    selector.is_none_or(|selector| compiled(selector).matches(&labels))
}

/// A selector as the core evaluates it.
pub(crate) fn compiled(selector: &LabelSelector) -> Selector {
    let equal = selector.match_labels.iter().map(|(key, value)| Requirement {
        key: key.as_str().into(),
        operator: Operator::In,
        values: vec![value.as_str().into()],
    });
    let expressions = selector.match_expressions.iter().map(|one| Requirement {
        key: one.key.as_str().into(),
        operator: match one.operator {
            SelectorOperator::In => Operator::In,
            SelectorOperator::NotIn => Operator::NotIn,
            SelectorOperator::Exists => Operator::Exists,
            SelectorOperator::DoesNotExist => Operator::DoesNotExist,
        },
        values: one.values.iter().map(|value| value.as_str().into()).collect(),
    });
    Selector { requirements: equal.chain(expressions).collect() }
}

/// Whether an EgressProxy is for a namespace. `own` is that of the installation.
pub(crate) fn is_for(spec: &EgressProxySpec, namespace: &Namespace, own: &str) -> bool {
    let name = namespace.name_any();
    spec.enabled
        && name != own
        && !SYSTEM.contains(&name.as_str())
        && namespace.labels().get(INJECT).is_none_or(|value| !DISABLED.contains(&value.as_str()))
        && selects(spec.namespace_selector.as_ref(), namespace.labels())
}

/// Whether a namespace is being deleted, and takes nothing new.
pub(crate) fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
        || namespace.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Terminating")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn namespace(name: &str, labels: Value) -> Namespace {
        serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
    }

    #[test]
    fn never_the_system_nor_itself_nor_who_opted_out() {
        let spec = EgressProxySpec::default();
        for (name, labels, selected) in [
            ("shop", json!({}), true),
            ("shop", json!({ INJECT: "disabled" }), false),
            ("shop", json!({ INJECT: "enabled" }), true),
            ("kube-system", json!({}), false),
            ("egret-system", json!({}), false),
        ] {
            assert_eq!(
                is_for(&spec, &namespace(name, labels.clone()), "egret-system"),
                selected,
                "{name} {labels}"
            );
        }
        let off = EgressProxySpec { enabled: false, ..spec };
        assert!(!is_for(&off, &namespace("shop", json!({})), "egret-system"));
    }

    #[test]
    fn selects_by_labels_and_expressions() {
        let selector: LabelSelector = serde_json::from_value(json!({
            "matchLabels": { "team": "shop" },
            "matchExpressions": [{ "key": "stage", "operator": "NotIn", "values": ["test", "dev"] }],
        }))
        .unwrap();
        let labels = |stage: &str| {
            BTreeMap::from([("team".to_owned(), "shop".to_owned()), ("stage".to_owned(), stage.to_owned())])
        };
        assert!(selects(Some(&selector), &labels("live")));
        assert!(!selects(Some(&selector), &labels("dev")));
        assert!(!selects(Some(&selector), &BTreeMap::new()));
        assert!(selects(None, &BTreeMap::new()));
        assert_eq!(query(&selector), "team=shop,stage notin (test,dev)");
    }
}
