//! A flow from its request to its one record.

use std::sync::Arc;
use std::time::SystemTime;

use egret_core::destination::Destination;
use egret_core::gate::Basis;
use egret_core::identity::Identity;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment};
use egret_core::settings::Snapshot;
use tokio::time::Instant;

use crate::capture::Capture;
use crate::forward::change::Editing;
use crate::gate::KeptRequest;
use crate::rates::Lease;
use crate::refuse::Refusal;
use crate::worker::Worker;

/// What a tunnel was asked for.
#[derive(Debug)]
pub struct Asked {
    /// Where it leads.
    pub destination: Destination,
    /// The request that became a tunnel by an upgrade; `None` for a tunnel from its beginning.
    pub request: Option<KeptRequest>,
}

/// One request or tunnel. Its record is written when it is dropped, whatever happened, so that a
/// cancelled task leaves its line as well (invariant 4).
pub struct Flow {
    /// What will be written.
    pub record: FlowRecord,
    /// What the flow is decided by.
    pub snapshot: Arc<Snapshot>,
    /// The worker.
    pub worker: Arc<Worker>,
    /// Who speaks.
    pub identity: Identity,
    /// What a tunnel was asked for, to ask the gate again when the configuration has changed. Boxed: of
    /// requests that are answered at once it is not kept.
    pub asked: Option<Box<Asked>>,
    /// Its place under a rule with a rate limit.
    pub lease: Option<Box<Lease>>,
    /// What change rules and breakpoints have to be asked about its response, where there are any.
    pub edit: Option<Box<Editing>>,
    /// What is kept of it, where anything is.
    pub capture: Option<Box<Capture>>,
    /// When the request arrived.
    pub started: Instant,
    /// Bytes up and down that the metrics know of.
    counted: (u64, u64),
    /// When it ended, if that is known before it is dropped.
    ended: Option<Instant>,
}

impl Flow {
    /// Begins a flow.
    #[must_use]
    pub fn begin(worker: &Arc<Worker>, identity: &Identity, downstream: Protocol) -> Self {
        let record = FlowRecord {
            id: worker.next_id(),
            started: SystemTime::now(),
            client: identity.client,
            user: identity.user.clone(),
            tls: identity.tls.clone(),
            workload: identity.workload.clone(),
            unattributed: identity.unattributed,
            method: MethodName::None,
            target: String::new(),
            treatment: Treatment::Local,
            status: 0,
            reason: None,
            detail: None,
            basis: Basis::default(),
            tunnel_sni: None,
            parent: None,
            dialled: None,
            reused: false,
            bytes_up: 0,
            bytes_down: 0,
            phases: Phases::default(),
            user_agent: None,
            referer: None,
            downstream,
            upstream: None,
            upstream_tls: None,
            changes: None,
            replay_of: None,
            traceparent: None,
            span: None,
            interim: false,
        };
        Self {
            record,
            snapshot: worker.snapshot.load_full(),
            worker: worker.clone(),
            identity: identity.clone(),
            asked: None,
            lease: None,
            edit: None,
            capture: None,
            started: Instant::now(),
            counted: (0, 0),
            ended: None,
        }
    }

    /// Notes a refusal; the status is what the client will read.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.record.status = refusal.status();
        self.failed(refusal);
    }

    /// Notes a failure after the response's head was sent.
    pub fn failed(&mut self, refusal: &Refusal) {
        self.record.reason = Some(refusal.reason);
        if !refusal.detail.is_empty() {
            self.record.detail = Some(refusal.detail.clone());
        }
        if refusal.basis.by.is_some() || refusal.basis.audit.is_some() {
            self.record.basis.clone_from(&refusal.basis);
        }
    }

    /// Notes that the first byte of the response is here.
    pub fn first_byte(&mut self) {
        if self.record.phases.first_byte.is_none() {
            self.record.phases.first_byte = Some(self.started.elapsed());
        }
    }

    /// The flow is over now, and will be dropped. Gives the time, to spare others the question.
    pub fn end(&mut self) -> Instant {
        *self.ended.insert(Instant::now())
    }

    /// Tells the metrics of bytes that they do not know of yet.
    pub fn count_bytes(&mut self) {
        let (up, down) = (self.record.bytes_up, self.record.bytes_down);
        let (more_up, more_down) = (up.saturating_sub(self.counted.0), down.saturating_sub(self.counted.1));
        self.worker.metrics.bytes(more_up, more_down);
        if let Some(name) = self.record.client_name() {
            self.worker.metrics.client_bytes(name, more_up, more_down);
        }
        if let Some(workload) = &self.record.workload {
            self.worker.metrics.workload_bytes(workload, more_up, more_down);
        }
        self.counted = (up, down);
    }

    /// Writes an interim line for a tunnel that goes on.
    pub fn interim(&mut self) {
        self.record.phases.total = self.started.elapsed();
        self.record.interim = true;
        self.worker.log.write(&self.record);
        self.list();
        self.record.interim = false;
    }
}

impl Flow {
    /// Lists a tunnel as going on.
    pub fn list_as_open(&mut self) {
        if self.worker.flows.is_some() {
            self.record.phases.total = self.started.elapsed();
            self.record.interim = true;
            self.list();
            self.record.interim = false;
        }
    }

    /// Shows the record, as it is now, to whoever looks at flows.
    fn list(&self) {
        if let Some(flows) = &self.worker.flows {
            flows.record(self.record.clone(), None);
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let ended = self.ended.unwrap_or_else(Instant::now);
        self.record.phases.total = ended.saturating_duration_since(self.started);
        self.count_bytes();
        self.worker.metrics.finished(&self.record);
        if !self.snapshot.gate.policies.is_empty() {
            self.worker.metrics.decided(&self.record);
        }
        self.worker.log.write(&self.record);
        if let Some(sink) = &self.worker.shared.sink {
            sink.record(&self.record);
        }
        match self.capture.take() {
            Some(capture) => capture.finish(self.record.clone()),
            None => self.list(),
        }
    }
}
