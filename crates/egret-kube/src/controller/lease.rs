//! Which replica acts: the one that holds the Lease.
//!
//! As client-go does it, and unlike the crates for it: another's Lease has run out when it was *seen* unchanged for
//! its duration, by the own clock. What its times say is not compared with the own clock, so clocks may differ by
//! any amount. Each write names the version that it replaces, so of two that want it one is told 409.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::api::jittered;
use super::api::{Failure, explain, is_status};
use super::settings::{LeaseTimes, MANAGER};

/// The shortest duration that another's Lease is believed to have.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest: nobody can lock the Lease for ever by a number in it.
const LONGEST: Duration = Duration::from_secs(300);

/// How often one try looks again because somebody else wrote in between.
const CONFLICTS: usize = 3;

/// Wants the Lease, holds it, and says whether it is held.
#[derive(Debug)]
pub(crate) struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    times: LeaseTimes,
    leads: watch::Sender<bool>,
    seen: Option<Seen>,
    renewed: Option<Instant>,
    /// Why the last try failed; said once.
    trouble: Option<String>,
}

/// What was last seen of the Lease, and since when it is so.
#[derive(Debug)]
struct Seen {
    lease: Lease,
    since: Instant,
}

/// What a try came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Held,
    OfAnother,
}

impl Elector {
    /// Wants this Lease as this replica. The receiver says whether it has it.
    pub(crate) fn new(
        api: Api<Lease>,
        name: &str,
        identity: &str,
        times: LeaseTimes,
    ) -> (Self, watch::Receiver<bool>) {
        let (leads, receiver) = watch::channel(false);
        let elector = Self {
            api,
            name: name.to_owned(),
            identity: identity.to_owned(),
            times,
            leads,
            seen: None,
            renewed: None,
            trouble: None,
        };
        (elector, receiver)
    }

    /// Goes on until `stop` says so, and then gives the Lease back, so that another need not wait for its end.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.step() => {}
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            }
        }
        let led = *self.leads.borrow();
        self.set(false);
        if led {
            self.release().await;
        }
    }

    /// One try, and the wait after it.
    async fn step(&mut self) {
        let limit = self.remaining();
        match timeout(limit, self.attempt()).await {
            Ok(Ok(Outcome::Held)) => self.held(),
            Ok(Ok(Outcome::OfAnother)) => {
                self.renewed = None;
                self.untroubled();
                self.set(false);
            }
            Ok(Err(failure)) => self.failed(explain(&failure)),
            Err(_) => self.failed("the API server did not answer in time".to_owned()),
        }
        let mut wait = jittered(self.times.retry);
        if *self.leads.borrow() {
            // The deadline must not be slept through.
            wait = wait.min(self.remaining());
        }
        sleep(wait).await;
        self.give_up_in_time();
    }

    /// How long a try may take.
    fn remaining(&self) -> Duration {
        match self.renewed {
            Some(renewed) => self.times.deadline.saturating_sub(renewed.elapsed()),
            None => self.times.deadline,
        }
    }

    fn held(&mut self) {
        self.untroubled();
        self.set(true);
    }

    fn failed(&mut self, why: String) {
        if self.trouble.as_ref() != Some(&why) {
            tracing::warn!(lease = %self.name, %why, "the Lease could not be asked for; trying again");
            self.trouble = Some(why);
        }
        self.give_up_in_time();
    }

    fn untroubled(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(lease = %self.name, "the Lease can be asked for again");
        }
    }

    fn give_up_in_time(&mut self) {
        if self.renewed.is_some_and(|renewed| renewed.elapsed() >= self.times.deadline) {
            self.renewed = None;
            self.set(false);
        }
    }

    fn set(&self, leads: bool) {
        let changed = self.leads.send_if_modified(|now| std::mem::replace(now, leads) != leads);
        match (changed, leads) {
            (true, true) => {
                tracing::info!(lease = %self.name, identity = %self.identity, "this replica leads")
            }
            (true, false) => {
                tracing::warn!(lease = %self.name, identity = %self.identity, "this replica no longer leads");
            }
            (false, _) => {}
        }
    }

    async fn attempt(&mut self) -> Result<Outcome, Failure> {
        for _ in 0..CONFLICTS {
            if let Some(outcome) = self.attempt_once().await? {
                return Ok(outcome);
            }
        }
        Err(Failure::Other("others keep writing to the Lease".to_owned()))
    }

    /// `None` when somebody else wrote in between.
    async fn attempt_once(&mut self) -> Result<Option<Outcome>, Failure> {
        // From before the request: others count from when they see it, which is later.
        let began = Instant::now();
        let Some(found) = self.api.get_opt(&self.name).await? else {
            self.seen = None;
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(None)),
            };
            let created = self.api.create(&parameters(), &lease).await;
            if created.as_ref().is_err_and(|error| is_status(error, 404)) {
                let namespace = self.api.namespace().unwrap_or_default();
                return Err(Failure::Other(format!(
                    "there is no namespace {namespace}; make it (kubectl create namespace {namespace}), or name that of the installation with --namespace"
                )));
            }
            return self.written(created, began);
        };
        self.observe(found);
        let Some(seen) = &self.seen else { return Ok(None) };
        if !self.may_take(seen) {
            return Ok(Some(Outcome::OfAnother));
        }
        let lease =
            Lease { metadata: seen.lease.metadata.clone(), spec: Some(self.spec(seen.lease.spec.as_ref())) };
        let replaced = self.api.replace(&self.name, &parameters(), &lease).await;
        self.written(replaced, began)
    }

    /// Notes what was found, and since when it is so.
    fn observe(&mut self, found: Lease) {
        let same = |seen: &Seen| seen.lease.metadata.resource_version == found.metadata.resource_version;
        if !self.seen.as_ref().is_some_and(same) {
            self.seen = Some(Seen { lease: found, since: Instant::now() });
        }
    }

    /// Whether it is nobody's, the own, or was not renewed for long enough.
    fn may_take(&self, seen: &Seen) -> bool {
        let Some(spec) = &seen.lease.spec else { return true };
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.times.duration, Duration::from_secs).clamp(SHORTEST, LONGEST);
        seen.since.elapsed() >= duration
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let own = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let mut spec = before.cloned().unwrap_or_default();
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.times.duration.as_secs().max(1)).ok();
        spec.acquire_time = own.and_then(|spec| spec.acquire_time.clone()).or(Some(now.clone()));
        spec.renew_time = Some(now);
        let changes_hands = before.is_some() && own.is_none();
        spec.lease_transitions = Some(transitions.saturating_add(i32::from(changes_hands)));
        spec
    }

    fn written(&mut self, result: kube::Result<Lease>, began: Instant) -> Result<Option<Outcome>, Failure> {
        match result {
            Ok(lease) => {
                self.observe(lease);
                self.renewed = Some(began);
                Ok(Some(Outcome::Held))
            }
            // Another was faster, or it is gone: look again before anything else.
            Err(error) if is_status(&error, 409) || is_status(&error, 404) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn release(&mut self) {
        let Some(Seen { lease, .. }) = &self.seen else { return };
        let mut lease = lease.clone();
        let Some(spec) = &mut lease.spec else { return };
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        match timeout(self.times.retry, self.api.replace(&self.name, &parameters(), &lease)).await {
            Ok(Ok(_)) => tracing::info!(lease = %self.name, "the Lease was given back"),
            Ok(Err(error)) => tracing::debug!(%error, "the Lease could not be given back; it runs out"),
            Err(_) => tracing::debug!("the Lease could not be given back in time; it runs out"),
        }
    }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}
