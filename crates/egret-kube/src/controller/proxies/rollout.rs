//! What becomes of pods that were made before a change: nothing, a note on their owners, or a restart of these in
//! waves.
//!
//! A restart is what `kubectl rollout restart` does: an annotation on the template. An owner is restarted once for a
//! generation, if all of its pods are available and no PodDisruptionBudget is used up. The next wave begins when this
//! one is ready, and a while later. One that does not become ready stops all that would follow.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use egret_config::file::{EgressProxySpec, Rollout};
use jiff::Timestamp;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::count::Behind;
use super::owners::{Kind, Owner, Owners, Standing, standing};
use crate::controller::api::{Failure, explain, within};
use crate::controller::events::Events;
use crate::controller::metrics::{self, Metrics};
use crate::controller::settings::MANAGER;

/// On an owner: some of its pods were made before a change; says of which EgressProxy and generation.
pub(crate) const OUTDATED: &str = "egret.dev/outdated";
/// On a template: for which EgressProxy and generation it was restarted.
pub(crate) const RESTARTED_FOR: &str = "egret.dev/restarted-for";
/// What `kubectl rollout restart` sets.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// How long a wave may take until it counts as stuck; a Deployment's own deadline.
const STUCK: Duration = Duration::from_secs(600);
/// Owners that a message names.
const NAMED: usize = 5;
/// Owners that are asked about in one round, so that a round ends.
const A_ROUND: usize = 200;

/// What is said about a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing is to be done.
    Complete,
    /// Owners are being restarted, or wait for it; in words.
    Restarting(String),
    /// It does not go on; why.
    Stuck(String),
    /// Only told; in words.
    Told(String),
}

/// Restarts and annotates.
pub(crate) struct Rollouts {
    client: Client,
    events: Events,
    metrics: Arc<Metrics>,
    owners: Owners,
    /// Owners that carry [`OUTDATED`]; `None` until they were looked for.
    annotated: Option<HashMap<Owner, String>>,
    wave: Vec<Restart>,
    pause: Option<Instant>,
}

/// An owner that was restarted and is not ready yet.
#[derive(Clone, Debug)]
struct Restart {
    owner: Owner,
    mark: String,
    began: Instant,
    pause: Duration,
    was_down: bool,
}

impl Rollouts {
    pub(crate) fn new(client: &Client, events: &Events, metrics: &Arc<Metrics>) -> Self {
        Self {
            client: client.clone(),
            events: events.clone(),
            metrics: metrics.clone(),
            owners: Owners::default(),
            annotated: None,
            wave: Vec::new(),
            pause: None,
        }
    }

    /// Looks how the present wave stands. Before the first [`Rollouts::step`] of a round.
    pub(crate) async fn look(&mut self) -> Result<(), Failure> {
        if self.annotated.is_none() {
            self.annotated = Some(self.find_annotated().await?);
        }
        let mut still = Vec::new();
        for restart in std::mem::take(&mut self.wave) {
            let found = within(restart.owner.api(&self.client).get_opt(&restart.owner.name)).await?;
            let moving = found.is_some_and(|object| {
                let standing = standing(restart.owner.kind, &object);
                // What was down before need not come up for it.
                let over = standing == Standing::Settled || (restart.was_down && standing == Standing::Down);
                mark_of(&object) == Some(&restart.mark) && !over
            });
            if moving {
                still.push(restart);
            } else {
                self.pause = self.pause.max(Some(Instant::now() + restart.pause));
            }
        }
        self.wave = still;
        Ok(())
    }

    /// Does what is to be done for one EgressProxy.
    pub(crate) async fn step(
        &mut self,
        proxy: &str,
        generation: i64,
        spec: &EgressProxySpec,
        behind: &[Behind],
    ) -> Result<Progress, Failure> {
        let mark = format!("{proxy}/{generation}");
        let behind = match spec.rollout {
            Rollout::Never => BTreeSet::new(),
            Rollout::Annotate | Rollout::Restart => self.owners.of(&self.client, behind).await?,
        };
        self.annotate(proxy, &mark, &behind).await?;
        if behind.is_empty() {
            return Ok(Progress::Complete);
        }
        match spec.rollout {
            Rollout::Never => Ok(Progress::Complete),
            Rollout::Annotate => Ok(Progress::Told(format!(
                "{} are to be restarted for it: {}",
                owners(behind.len()),
                named(&behind)
            ))),
            Rollout::Restart => self.restart(&mark, spec, &behind).await,
        }
    }

    async fn restart(
        &mut self,
        mark: &str,
        spec: &EgressProxySpec,
        behind: &BTreeSet<Owner>,
    ) -> Result<Progress, Failure> {
        if let Some(stuck) = self.wave.iter().find(|restart| restart.began.elapsed() > STUCK) {
            return Ok(Progress::Stuck(format!(
                "{} was restarted {} s ago and is not ready; nothing else is restarted until it is",
                stuck.owner,
                stuck.began.elapsed().as_secs()
            )));
        }
        let (all, waves) = (behind.len(), &spec.restart_waves);
        if !self.wave.is_empty() {
            return Ok(Progress::Restarting(format!(
                "{} restarting, {} behind",
                self.wave.len(),
                owners(all)
            )));
        }
        if self.pause.is_some_and(|pause| Instant::now() < pause) {
            return Ok(Progress::Restarting(format!("waiting between waves, {} behind", owners(all))));
        }
        let mut held_back = Vec::new();
        for owner in behind.iter().take(A_ROUND) {
            if self.wave.len() >= waves.at_once as usize {
                break;
            }
            match self.try_restart(owner, mark).await? {
                Tried::Restarted { was_down } => self.wave.push(Restart {
                    owner: owner.clone(),
                    mark: mark.to_owned(),
                    began: Instant::now(),
                    pause: waves.pause.0,
                    was_down,
                }),
                Tried::Gone => {}
                Tried::HeldBack(why) => held_back.push(format!("{owner}: {why}")),
            }
        }
        if self.wave.is_empty() && !held_back.is_empty() {
            let more = held_back.len().saturating_sub(NAMED);
            held_back.truncate(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Ok(Progress::Stuck(format!("{}{more}", held_back.join("; "))));
        }
        Ok(Progress::Restarting(format!("{} restarting, {} behind", self.wave.len(), owners(all))))
    }

    async fn try_restart(&self, owner: &Owner, mark: &str) -> Result<Tried, Failure> {
        let api = owner.api(&self.client);
        let Some(object) = within(api.get_opt(&owner.name)).await? else { return Ok(Tried::Gone) };
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(Tried::Gone);
        }
        let standing = standing(owner.kind, &object);
        let moving = standing == Standing::Moving;
        if mark_of(&object).is_some_and(|found| found == mark) {
            // By the leader before this one, or its new pods did not pass the webhook: never twice.
            return Ok(match moving {
                true => Tried::Restarted { was_down: true },
                false => Tried::HeldBack(
                    "its pods are behind although it was restarted for this: was the webhook away?"
                        .to_owned(),
                ),
            });
        }
        if let Some(why) = self.objection(owner, &object, moving).await? {
            self.events.warn(&owner.object(object.uid()), "RestartHeldBack", &why).await;
            return Ok(Tried::HeldBack(why));
        }
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": {
            RESTARTED_AT: Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
            RESTARTED_FOR: mark,
        } } } } });
        match within(api.patch(&owner.name, &parameters(), &Patch::Merge(&patch))).await {
            Ok(_) => {
                tracing::info!(%owner, mark, "restarting it for a change of the EgressProxy");
                let kind = owner.kind.as_str();
                self.metrics.restarts.get_or_create(&metrics::Kind { kind }).inc();
                let note = format!("restarted for EgressProxy {mark}");
                self.events.tell(&owner.object(object.uid()), "Restarted", &note).await;
                Ok(Tried::Restarted { was_down: standing == Standing::Down })
            }
            Err(failure) if failure.is_gone() => Ok(Tried::Gone),
            Err(failure) if failure.is_passing() => Err(failure),
            Err(failure) => Ok(Tried::HeldBack(explain(&failure))),
        }
    }

    /// What speaks against a restart now.
    async fn objection(
        &self,
        owner: &Owner,
        object: &DynamicObject,
        moving: bool,
    ) -> Result<Option<String>, Failure> {
        let spec = &object.data["spec"];
        if spec["paused"] == true {
            return Ok(Some("it is paused".to_owned()));
        }
        if spec["updateStrategy"]["type"] == "OnDelete" {
            return Ok(Some("its update strategy is OnDelete: delete its pods yourself".to_owned()));
        }
        if moving {
            return Ok(Some("some of its pods are not available".to_owned()));
        }
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), &owner.namespace);
        let budgets = within(budgets.list(&ListParams::default())).await?;
        let labels = &spec["template"]["metadata"]["labels"];
        let used_up = budgets.items.iter().find(|budget| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let selected = selector.is_some_and(|selector| covers(selector, labels));
            selected && budget.status.as_ref().is_some_and(|status| status.disruptions_allowed == 0)
        });
        Ok(used_up
            .map(|budget| format!("the PodDisruptionBudget {} allows no disruption now", budget.name_any())))
    }

    /// Marks the owners that are behind, and takes the mark from those that are no longer.
    async fn annotate(&mut self, proxy: &str, mark: &str, behind: &BTreeSet<Owner>) -> Result<(), Failure> {
        let Some(annotated) = &mut self.annotated else { return Ok(()) };
        let own = |found: &String| found.rsplit_once('/').is_some_and(|(name, _)| name == proxy);
        let stale: Vec<Owner> = annotated
            .iter()
            .filter(|(owner, found)| own(found) && !behind.contains(*owner))
            .map(|(owner, _)| owner.clone())
            .collect();
        for owner in stale {
            set_outdated(&self.client, &owner, None).await?;
            annotated.remove(&owner);
        }
        let missing: Vec<&Owner> = behind
            .iter()
            .filter(|owner| annotated.get(*owner).is_none_or(|found| found != mark))
            .take(A_ROUND)
            .collect();
        for owner in missing {
            set_outdated(&self.client, owner, Some(mark)).await?;
            annotated.insert(owner.clone(), mark.to_owned());
        }
        Ok(())
    }

    /// Takes the marks of EgressProxies that are gone.
    pub(crate) async fn keep_only(&mut self, names: &HashSet<&str>) -> Result<(), Failure> {
        let Some(annotated) = &mut self.annotated else { return Ok(()) };
        let known = |mark: &str| mark.rsplit_once('/').is_some_and(|(name, _)| names.contains(name));
        let stale: Vec<Owner> =
            annotated.iter().filter(|(_, mark)| !known(mark)).map(|(owner, _)| owner.clone()).collect();
        for owner in stale {
            set_outdated(&self.client, &owner, None).await?;
            annotated.remove(&owner);
        }
        Ok(())
    }

    async fn find_annotated(&self) -> Result<HashMap<Owner, String>, Failure> {
        let mut all = HashMap::new();
        for kind in Kind::ALL {
            let api = kind.everywhere(&self.client);
            let mut parameters = ListParams::default().limit(500);
            loop {
                let list = within(api.list_metadata(&parameters)).await?;
                for object in list.items {
                    if let Some(mark) = object.annotations().get(OUTDATED) {
                        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                        all.insert(Owner { kind, namespace, name }, mark.clone());
                    }
                }
                match list.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => parameters = parameters.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(all)
    }
}

enum Tried {
    /// Now, or by another leader before, and under way.
    Restarted {
        was_down: bool,
    },
    Gone,
    HeldBack(String),
}

async fn set_outdated(client: &Client, owner: &Owner, mark: Option<&str>) -> Result<(), Failure> {
    let patch = json!({ "metadata": { "annotations": { OUTDATED: mark } } });
    let api = owner.api(client);
    match within(api.patch_metadata(&owner.name, &parameters(), &Patch::Merge(&patch))).await {
        Err(failure) if failure.is_gone() => Ok(()),
        result => result.map(drop),
    }
}

fn mark_of(object: &DynamicObject) -> Option<&str> {
    object.data["spec"]["template"]["metadata"]["annotations"][RESTARTED_FOR].as_str()
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// Whether a selector of Kubernetes' own selects these labels.
fn covers(selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector, labels: &Value) -> bool {
    let of = |key: &str| labels[key].as_str();
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| of(key) == Some(value));
    let expressions = selector.match_expressions.iter().flatten().all(|one| {
        let listed =
            of(&one.key).is_some_and(|value| one.values.iter().flatten().any(|known| known == value));
        match one.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => of(&one.key).is_some(),
            "DoesNotExist" => of(&one.key).is_none(),
            // Better held back than disturbed.
            _ => true,
        }
    });
    equal && expressions
}

fn owners(count: usize) -> String {
    if count == 1 { "1 owner".to_owned() } else { format!("{count} owners") }
}

fn named(behind: &BTreeSet<Owner>) -> String {
    let mut names: Vec<String> = behind.iter().take(NAMED).map(ToString::to_string).collect();
    if behind.len() > NAMED {
        names.push(format!("and {} more", behind.len() - NAMED));
    }
    names.join(", ")
}
