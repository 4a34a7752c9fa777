//! The status of policies: whether their fields are right, and whether proxies decide by them. The leader alone writes
//! it. Proxies read the policies themselves, and do not wait for it.

use std::sync::Arc;
use std::time::Duration;

use egret_config::file::{PolicyFinding, PolicySpec, PolicyStatus};
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::watcher::Config;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::api::{Failure, explain, within};
use super::leader::Context;
use super::proxies::conditions::{Said, merge};
use super::proxies::status::difference;
use super::settings::MANAGER;
use super::watch::{Changes, Watched, keep};
use crate::crd::{ClusterEgressPolicy, EgressPolicy, PolicyObject};
use crate::validate::{FieldProblem, validate};

/// How often all are looked at without a change.
const LOOK: Duration = Duration::from_secs(60);
/// Findings that a status lists.
const LISTED: usize = 50;

/// Keeps the status of policies.
pub(crate) struct Keeper {
    client: Client,
    context: Context,
    cluster: Watched<ClusterEgressPolicy>,
    namespaced: Watched<EgressPolicy>,
    changes: Changes,
}

impl Keeper {
    /// Begins to watch.
    pub(crate) fn new(tasks: &mut JoinSet<()>, client: &Client, context: &Context) -> Self {
        let changes = Changes::new();
        let cluster = keep(
            tasks,
            Api::all(client.clone()),
            Config::default(),
            "ClusterEgressPolicy",
            |policy: &mut ClusterEgressPolicy| policy.metadata.managed_fields = None,
            &changes,
        );
        let namespaced = keep(
            tasks,
            Api::all(client.clone()),
            Config::default(),
            "EgressPolicy",
            |policy: &mut EgressPolicy| policy.metadata.managed_fields = None,
            &changes,
        );
        Self { client: client.clone(), context: context.clone(), cluster, namespaced, changes }
    }

    /// Makes rounds for ever.
    pub(crate) async fn run(self) {
        let mut changes = self.changes.listen();
        loop {
            changes.changed_within(LOOK).await;
            let now = Timestamp::now();
            let mut went_well = true;
            for policy in self.cluster.store.state() {
                let api = Api::all(self.client.clone());
                went_well &= reported(look_after(&api, &policy, now).await, policy.name());
            }
            for policy in self.namespaced.store.state() {
                let namespace = policy.namespace().unwrap_or_default();
                let api = Api::namespaced(self.client.clone(), &namespace);
                went_well &= reported(look_after(&api, &policy, now).await, policy.name());
            }
            self.context.metrics.done("policies", went_well);
        }
    }
}

fn reported(result: Result<(), Failure>, name: &str) -> bool {
    match result {
        Ok(()) => true,
        // Deleted half-way.
        Err(failure) if failure.is_gone() => true,
        Err(failure) => {
            tracing::warn!(
                name,
                why = explain(&failure),
                "the status of a policy could not be written; trying again"
            );
            false
        }
    }
}

async fn look_after<P: PolicyObject>(api: &Api<P>, policy: &Arc<P>, now: Timestamp) -> Result<(), Failure> {
    if policy.meta().deletion_timestamp.is_some() {
        return Ok(());
    }
    let object = serde_json::to_value(&**policy).unwrap_or_default();
    let generation = policy.meta().generation.unwrap_or_default();
    let before = policy.status().cloned().unwrap_or_default();
    let status = status(&P::kind(&()), &object, &before, generation, now);
    let after = serde_json::to_value(&status).unwrap_or_default();
    let raw = object.get("status").cloned().unwrap_or_else(|| json!({}));
    let Some(difference) = difference(&raw, &after) else { return Ok(()) };
    let patch = json!({
        "metadata": { "resourceVersion": policy.meta().resource_version },
        "status": difference,
    });
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match within(api.patch_status(&policy.name_any(), &parameters, &Patch::Merge(&patch))).await {
        // The watch brings what is there now.
        Err(failure) if failure.has_status(409) => Ok(()),
        result => result.map(drop),
    }
}

/// What is said about a policy.
fn status(
    kind: &str,
    object: &Value,
    before: &PolicyStatus,
    generation: i64,
    now: Timestamp,
) -> PolicyStatus {
    let report = validate(kind, object);
    let said = match report.is_valid() {
        true => [
            Said::new("Accepted", true, "Valid", "every field is right"),
            in_force(object, report.warnings.len()),
        ],
        false => [
            Said::new("Accepted", false, "Invalid", report.one_line()),
            Said::new(
                "InForce",
                false,
                "NotAccepted",
                "proxies do not take it: those that had a right version of it go on with that one",
            ),
        ],
    };
    let finding = |problem: &FieldProblem| PolicyFinding {
        path: problem.path.clone(),
        message: problem.message.clone(),
        help: problem.help.clone(),
    };
    PolicyStatus {
        observed_generation: Some(generation),
        conditions: merge(&before.conditions, &said, generation, now),
        rules: object["spec"]["rules"].as_array().and_then(|rules| i64::try_from(rules.len()).ok()),
        findings: report.errors.iter().chain(&report.warnings).take(LISTED).map(finding).collect(),
    }
}

fn in_force(object: &Value, warnings: usize) -> Said {
    let spec: Option<PolicySpec> = serde_json::from_value(object["spec"].clone()).ok();
    let audit = spec.is_some_and(|spec| serde_json::to_value(spec.mode).is_ok_and(|mode| mode == "Audit"));
    let more = match warnings {
        0 => String::new(),
        1 => "; one finding says where a rule cannot work".to_owned(),
        several => format!("; {several} findings say where rules cannot work"),
    };
    match audit {
        true => Said::new(
            "InForce",
            true,
            "Audit",
            format!("proxies record what it would refuse, and refuse nothing by it{more}"),
        ),
        false => Said::new("InForce", true, "Enforced", format!("proxies decide by it{more}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spec: &Value) -> PolicyStatus {
        let object = json!({
            "apiVersion": "egret.dev/v1alpha1", "kind": "ClusterEgressPolicy",
            "metadata": { "name": "p", "generation": 4, "uid": "1", "resourceVersion": "1" },
            "spec": spec,
        });
        status("ClusterEgressPolicy", &object, &PolicyStatus::default(), 4, Timestamp::UNIX_EPOCH)
    }

    fn conditions(status: &PolicyStatus) -> Vec<(String, bool)> {
        let is_true = |condition: &egret_config::file::StatusCondition| {
            condition.status == egret_config::file::ConditionStatus::True
        };
        status.conditions.iter().map(|condition| (condition.kind.clone(), is_true(condition))).collect()
    }

    #[test]
    fn a_right_policy_is_accepted_and_in_force() {
        let status = of(&json!({ "rules": [{ "action": "Allow", "to": [{ "hosts": ["example.com"] }] }] }));
        assert_eq!(
            conditions(&status),
            [("Accepted".to_owned(), true), ("InForce".to_owned(), true)],
            "{status:?}"
        );
        assert_eq!((status.rules, status.observed_generation), (Some(1), Some(4)));
    }

    #[test]
    fn a_wrong_one_says_where() {
        let status = of(&json!({ "rules": [{ "action": "Allow", "to": [{ "hosts": ["exa mple.com"] }] }] }));
        assert_eq!(conditions(&status), [("Accepted".to_owned(), false), ("InForce".to_owned(), false)]);
        assert!(status.findings[0].path.starts_with("spec.rules[0]"), "{status:?}");
    }
}
