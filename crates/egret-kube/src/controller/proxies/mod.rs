//! EgressProxies: which of their generations is in force, what their status says, and what becomes of pods that
//! were made before a change.

pub(crate) mod compile;
pub(crate) mod conditions;
pub(crate) mod count;
pub(crate) mod owners;
pub(crate) mod probe;
pub(crate) mod probes;
pub(crate) mod rollout;
pub(crate) mod status;

use std::sync::Arc;

use egret_config::file::{ConditionStatus, EgressProxySpec};

use super::facts::Facts;
use crate::crd::EgressProxy;
use crate::validate::{Report, validate};

/// The condition that says that the readiness endpoints answered.
pub(crate) const READY: &str = "Ready";

/// The settings that pods are given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InForce {
    /// Of this generation.
    pub(crate) generation: i64,
    pub(crate) spec: EgressProxySpec,
}

/// All EgressProxies, in the order in which pods are asked whether they are theirs.
pub(crate) fn ordered(facts: &Facts) -> Vec<Arc<EgressProxy>> {
    let mut all = facts.proxies.store.state();
    let place = |proxy: &EgressProxy| {
        (proxy.spec.value().map_or(i32::MAX, |spec| spec.priority), proxy.name().to_owned())
    };
    all.sort_by_cached_key(|proxy| place(proxy));
    all
}

/// What is in force of an EgressProxy: the present generation, unless its readiness endpoints still have to answer or
/// it cannot be read; then the one before, as the status tells. Every replica comes to the same, without asking.
pub(crate) fn in_force(proxy: &EgressProxy) -> Option<InForce> {
    match present(proxy) {
        Some(present) if present.spec.readiness_endpoints.is_empty() || has_passed(proxy) => Some(present),
        _ => before(proxy),
    }
}

/// The present generation, if nothing is wrong with it.
pub(crate) fn present(proxy: &EgressProxy) -> Option<InForce> {
    let spec = proxy.spec.value()?;
    problems(proxy).is_valid().then(|| InForce { generation: proxy.generation(), spec: spec.clone() })
}

/// What is wrong with an object. The webhook refuses such objects, if it is asked.
pub(crate) fn problems(proxy: &EgressProxy) -> Report {
    validate(EgressProxy::KIND, &proxy.to_value())
}

/// Whether the endpoints answered for the present generation.
pub(crate) fn has_passed(proxy: &EgressProxy) -> bool {
    let status = proxy.status.value();
    let effective = status.and_then(|status| status.effective.as_ref());
    effective.is_some_and(|effective| effective.generation == proxy.generation())
        || status.iter().flat_map(|status| &status.conditions).any(|condition| {
            condition.kind == READY
                && condition.status == ConditionStatus::True
                && condition.observed_generation == Some(proxy.generation())
        })
}

fn before(proxy: &EgressProxy) -> Option<InForce> {
    let effective = proxy.status.value()?.effective.as_ref()?;
    let spec = serde_json::from_value(effective.spec.clone()).ok()?;
    Some(InForce { generation: effective.generation, spec })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn proxy(generation: i64, spec: Value, status: Value) -> EgressProxy {
        let object = json!({
            "metadata": { "name": "default", "generation": generation },
            "spec": spec,
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    const URL: &str = "http://proxy.test:8888";

    #[test]
    fn without_endpoints_the_present_generation_is_in_force() {
        let proxy = proxy(3, json!({ "httpProxy": URL }), json!({}));
        assert_eq!(in_force(&proxy).unwrap().generation, 3);
    }

    #[test]
    fn what_endpoints_have_to_answer_for_waits_and_the_generation_before_stays() {
        let spec = json!({ "httpProxy": URL, "readinessEndpoints": ["http://up.test/"] });
        assert_eq!(in_force(&proxy(1, spec.clone(), json!({}))), None);
        let before =
            json!({ "effective": { "generation": 1, "spec": { "httpProxy": "http://old.test:1" } } });
        let old = in_force(&proxy(2, spec.clone(), before)).unwrap();
        assert_eq!(old.generation, 1);
        assert_eq!(old.spec.proxy_for_http().unwrap().as_str(), "http://old.test:1");
        let passed = json!({ "effective": { "generation": 2, "spec": spec } });
        assert_eq!(in_force(&proxy(2, spec, passed)).unwrap().generation, 2);
    }

    #[test]
    fn what_cannot_be_read_leaves_the_generation_before_in_force() {
        let before = json!({ "effective": { "generation": 1, "spec": { "httpProxy": URL } } });
        let broken = proxy(2, json!({ "httpProxy": 7 }), before);
        assert_eq!(in_force(&broken).unwrap().generation, 1);
    }
}
