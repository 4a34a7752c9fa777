//! The round that keeps the status of EgressProxies right. The leader alone makes it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use egret_config::file::{EffectiveProxy, EgressProxyStatus, Rollout};
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::conditions::{Said, merge};
use super::count::{Counted, count};
use super::probe::Way;
use super::probes::{Probed, Probes};
use super::rollout::{Progress, Rollouts};
use super::{InForce, READY, compile, has_passed, in_force, ordered, present, problems};
use crate::controller::api::{Failure, explain, within};
use crate::controller::bundle::keep::Outcome;
use crate::controller::events::Object;
use crate::controller::leader::Context;
use crate::controller::metrics;
use crate::controller::settings::{MANAGER, Settings};
use crate::crd::{API_VERSION, EgressProxy};
use crate::no_proxy::ClusterFacts;

/// How often all is looked at without a change: retries, waves, probes that failed.
const LOOK: Duration = Duration::from_secs(5);
/// Between two rounds, at least: pods come and go all the time.
const REST: Duration = Duration::from_millis(500);

/// Keeps the status.
pub(crate) struct Keeper {
    client: Client,
    settings: Settings,
    context: Context,
    probes: Probes,
    rollouts: Rollouts,
    /// What went wrong with an object, said once.
    troubles: HashMap<String, String>,
}

/// What a round found.
struct Round {
    facts: Arc<ClusterFacts>,
    counted: HashMap<String, Counted>,
    pods_known: bool,
}

impl Keeper {
    pub(crate) fn new(client: &Client, settings: &Settings, context: &Context) -> Self {
        let rollouts = Rollouts::new(client, &context.events, &context.metrics);
        Self {
            client: client.clone(),
            settings: settings.clone(),
            context: context.clone(),
            probes: Probes::default(),
            rollouts,
            troubles: HashMap::new(),
        }
    }

    /// Makes rounds for ever.
    pub(crate) async fn run(mut self) {
        let mut facts = self.context.facts.changes.listen();
        let mut pods = self.context.pods.changes.listen();
        let mut found = self.context.found.listen();
        loop {
            tokio::select! {
                () = facts.changed_within(LOOK) => {}
                () = pods.changed_within(LOOK) => {}
                () = found.changed_within(LOOK) => {}
                passed = self.probes.answered() => {
                    let result = if passed { "passed" } else { "failed" };
                    self.context.metrics.probes.get_or_create(&metrics::Result { result }).inc();
                }
            }
            if self.context.facts.are_read() && self.context.facts.are_settled() {
                let went_well = self.round(Timestamp::now()).await;
                self.context.metrics.done("egressproxies", went_well);
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn round(&mut self, now: Timestamp) -> bool {
        let proxies = ordered(&self.context.facts);
        let forces: Vec<(String, InForce)> =
            proxies.iter().filter_map(|proxy| Some((proxy.name().to_owned(), in_force(proxy)?))).collect();
        let namespaces = self.context.facts.namespaces.store.state();
        let namespaces = namespaces.into_iter().map(|namespace| (namespace.name_any(), namespace)).collect();
        let pods_known = self.context.pods.are_read();
        let counted = match pods_known {
            true => count(&self.context.pods.all(), &namespaces, &forces, &self.settings.namespace),
            false => HashMap::new(),
        };
        let round = Round { facts: self.context.facts.of_cluster(), counted, pods_known };
        let names: Vec<&str> = proxies.iter().map(|proxy| proxy.name()).collect();
        self.probes.keep_only(&names);
        self.troubles.retain(|name, _| names.contains(&name.as_str()));
        let mut went_well = true;
        if pods_known && !proxies.is_empty() {
            let known: HashSet<&str> = names.iter().copied().collect();
            let looked = self.rollouts.look().await;
            let kept = self.rollouts.keep_only(&known).await;
            for failure in [looked, kept].into_iter().filter_map(Result::err) {
                went_well = false;
                tracing::debug!(why = explain(&failure), "owners of pods could not be looked at");
            }
        }
        for proxy in &proxies {
            if proxy.metadata.deletion_timestamp.is_some() {
                continue;
            }
            match self.one(proxy, &round, now).await {
                Ok(()) => {
                    self.troubles.remove(proxy.name());
                }
                Err(failure) if failure.is_gone() => {}
                Err(failure) => {
                    went_well = false;
                    let why = explain(&failure);
                    if self.troubles.insert(proxy.name().to_owned(), why.clone()).as_ref() != Some(&why) {
                        tracing::warn!(name = proxy.name(), %why, "an EgressProxy could not be looked after; trying again");
                    }
                }
            }
        }
        went_well
    }

    async fn one(&mut self, proxy: &Arc<EgressProxy>, round: &Round, now: Timestamp) -> Result<(), Failure> {
        let before = proxy.status.value().cloned().unwrap_or_default();
        let mut status = before.clone();
        let mut said = Vec::new();
        let generation = proxy.generation();
        let report = problems(proxy);
        said.push(match report.is_valid() {
            true => Said::new("Accepted", true, "Valid", "every field is right"),
            false => Said::new("Accepted", false, "Invalid", report.one_line()),
        });
        let force = match present(proxy) {
            Some(present) => self.ready(proxy, present, &mut said),
            None => {
                let old = in_force(proxy);
                let message = match &old {
                    Some(old) => format!("pods are still given generation {}", old.generation),
                    None => "pods are given nothing: the object is not accepted".to_owned(),
                };
                said.push(Said::new(READY, false, "NotAccepted", message));
                old
            }
        };
        if let Some(force) = &force {
            let computed = compile::no_proxy(&force.spec, &round.facts);
            status.effective_no_proxy = computed.entries;
            for warning in &computed.warnings {
                self.warn(proxy, "NoProxy", warning).await;
            }
            let spec = match proxy.spec.value() {
                Some(_) if force.generation == generation => proxy.spec.raw().clone(),
                _ => before.effective.as_ref().map(|old| old.spec.clone()).unwrap_or_default(),
            };
            status.effective = Some(EffectiveProxy { generation: force.generation, spec });
        } else {
            status.effective_no_proxy = Vec::new();
            status.effective = None;
        }
        self.trusted(proxy, &mut status, &mut said);
        if let Some(force) = &force
            && round.pods_known
        {
            let counted = round.counted.get(proxy.name()).cloned().unwrap_or_default();
            status.pods = Some(counted.pods.clone());
            let progress = if force.spec.enabled {
                self.rollouts.step(proxy.name(), force.generation, &force.spec, &counted.behind).await
            } else {
                Ok(Progress::Complete)
            };
            said.push(progressing(force.spec.rollout, &counted, progress));
        } else if round.pods_known {
            status.pods = None;
        }
        // While the endpoints are asked for the first time, what was said of the generation before stays.
        let decided = said.iter().all(|said| said.kind != READY || said.status.is_some());
        status.observed_generation = if decided { Some(generation) } else { before.observed_generation };
        status.conditions = merge(&before.conditions, &said, generation, now);
        self.tell(proxy, &said).await;
        write(&self.client, proxy, &status).await
    }

    /// Decides whether the present generation takes effect, and gives what is in force.
    fn ready(&mut self, proxy: &EgressProxy, present: InForce, said: &mut Vec<Said>) -> Option<InForce> {
        let generation = present.generation;
        let spec = &present.spec;
        if !spec.enabled {
            said.push(Said::new(READY, false, "Disabled", "`enabled` is false: new pods are given nothing"));
            return Some(present);
        }
        let endpoints: Vec<String> =
            spec.readiness_endpoints.iter().map(|endpoint| endpoint.0.clone()).collect();
        let probed = match endpoints.is_empty() || has_passed(proxy) {
            true => Probed::Passed,
            false => {
                let way = self.way(proxy, &present);
                self.probes.of(proxy.name(), generation, &endpoints, &way)
            }
        };
        let old = in_force(proxy).filter(|force| force.generation != generation);
        let meanwhile = match &old {
            Some(old) => format!("pods are still given generation {}", old.generation),
            None => "pods are given nothing until then".to_owned(),
        };
        match probed {
            Probed::Passed => {
                let message = format!("new pods are given generation {generation}");
                said.push(Said::new(READY, true, "InForce", message));
                Some(present)
            }
            Probed::Asking => {
                let message = format!("the readiness endpoints are being asked; {meanwhile}");
                said.push(Said::new(READY, None, "Probing", message));
                old
            }
            Probed::Failed(why) => {
                let message = format!("generation {generation} does not take effect: {why}; {meanwhile}");
                said.push(Said::new(READY, false, "ReadinessEndpointFailed", message));
                old
            }
        }
    }

    fn way(&self, proxy: &EgressProxy, present: &InForce) -> Way {
        let url = |proxy: Option<&egret_config::values::WorkloadProxy>| {
            proxy.map(|proxy| proxy.as_str().to_owned())
        };
        Way {
            http: url(present.spec.proxy_for_http()),
            https: url(present.spec.proxy_for_https()),
            trusted: self.trusted_by(proxy.name()),
        }
    }

    fn trusted_by(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let known = self.context.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned().unwrap_or_default()
    }

    fn trusted(&self, proxy: &EgressProxy, status: &mut EgressProxyStatus, said: &mut Vec<Said>) {
        const KIND: &str = "CATrusted";
        let Some(spec) = proxy.spec.value() else { return };
        if spec.trusted_ca.is_none() || !spec.inject.ca_trust {
            status.trusted_ca = Vec::new();
            said.push(Said::new(KIND, true, "NotWanted", "pods are given no CAs: `trustedCA` is not set"));
            return;
        }
        let outcomes = self.context.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = outcomes.get(proxy.name()).filter(|outcome| outcome.generation == proxy.generation());
        let Some(Outcome { certificates, trouble, namespaces, .. }) = outcome else {
            said.push(Said::new(KIND, None, "Pending", "the bundles are being written"));
            return;
        };
        status.trusted_ca.clone_from(certificates);
        said.push(match trouble {
            Some(trouble) => Said::new(KIND, false, trouble.reason, trouble.message.clone()),
            None => {
                let message = {
                    let (count, cas) =
                        (certificates.len(), if certificates.len() == 1 { "CA is" } else { "CAs are" });
                    let of = if *namespaces == 1 { "namespace" } else { "namespaces" };
                    format!("{count} {cas} in the bundles of {namespaces} {of}")
                };
                Said::new(KIND, true, "Published", message)
            }
        });
    }

    /// Events for what is wrong.
    async fn tell(&self, proxy: &EgressProxy, said: &[Said]) {
        for said in said.iter().filter(|said| said.status == Some(false) && said.kind != "Progressing") {
            if said.reason != "Disabled" {
                self.warn(proxy, said.reason, &said.message).await;
            }
        }
        if let Some(stuck) = said.iter().find(|said| said.reason == "RestartStuck") {
            self.warn(proxy, stuck.reason, &stuck.message).await;
        }
    }

    async fn warn(&self, proxy: &EgressProxy, reason: &str, note: &str) {
        let uid = proxy.metadata.uid.clone();
        let object = Object::new(API_VERSION, EgressProxy::KIND, None, proxy.name(), uid);
        self.context.events.warn(&object, reason, note).await;
    }
}

fn progressing(rollout: Rollout, counted: &Counted, progress: Result<Progress, Failure>) -> Said {
    const KIND: &str = "Progressing";
    let outdated = counted.pods.outdated;
    match progress {
        Ok(Progress::Complete) if outdated > 0 && rollout == Rollout::Never => Said::new(
            KIND,
            false,
            "NotAsked",
            format!("{outdated} pods are out of date, and `rollout: Never` leaves them"),
        ),
        Ok(Progress::Complete) => Said::new(KIND, false, "Complete", "no pod is to be made anew"),
        Ok(Progress::Told(message)) => Said::new(KIND, false, "Annotated", message),
        Ok(Progress::Restarting(message)) => Said::new(KIND, true, "Restarting", message),
        Ok(Progress::Stuck(message)) => Said::new(KIND, true, "RestartStuck", message),
        Err(failure) => Said::new(KIND, None, "Unknown", explain(&failure)),
    }
}

/// Writes a status, if it says something else than before. What somebody else wrote in between stays (409).
async fn write(client: &Client, proxy: &EgressProxy, status: &EgressProxyStatus) -> Result<(), Failure> {
    let after = serde_json::to_value(status).unwrap_or_default();
    let Some(difference) = difference(proxy.status.raw(), &after) else { return Ok(()) };
    let patch = json!({
        "metadata": { "resourceVersion": proxy.metadata.resource_version },
        "status": difference,
    });
    let api: Api<EgressProxy> = Api::all(client.clone());
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match within(api.patch_status(proxy.name(), &parameters, &Patch::Merge(&patch))).await {
        // The watch brings what is there now, and the next round begins from it.
        Err(failure) if failure.has_status(409) => Ok(()),
        result => result.map(drop),
    }
}

/// The JSON merge patch (RFC 7396) from one object to another; `None` where they are the same.
pub(crate) fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return Some(after.clone()) };
    let mut patch = serde_json::Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(known) => {
                if let Some(difference) = difference(known, value) {
                    patch.insert(key.clone(), difference);
                }
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_what_is_other_and_takes_away_what_is_gone() {
        let before = json!({ "a": 1, "b": { "c": 1, "d": 2 }, "e": [1], "f": 1 });
        let after = json!({ "a": 1, "b": { "c": 2 }, "e": [1, 2] });
        assert_eq!(
            difference(&before, &after),
            Some(json!({ "b": { "c": 2, "d": null }, "e": [1, 2], "f": null }))
        );
        assert_eq!(difference(&before, &before), None);
    }
}
