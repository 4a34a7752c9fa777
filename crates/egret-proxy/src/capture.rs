//! What is kept of flows: copies of what passes go to the store of flows, where somebody asked for them.
//!
//! Where nobody did, a flow pays for one look at an `Option`. Nothing here waits: what the store's queue does
//! not take is lost to whoever looks, and never to the client.

use std::time::Duration;

use egret_core::destination::Destination;
use egret_core::policy::model::{Action, CaptureLevel};
use egret_core::policy::{Ask, RequestFacts, RuleFacts, Seen};
use egret_core::record::{FlowRecord, Treatment};
use egret_flows::capture::{Begin, Facts, FlowCapture, Plan};
use egret_flows::flow::{Decision, Endpoint, Level, Side};
use tokio::time::Instant;

use crate::flow::Flow;
use crate::gate;
use crate::http1::target::Scheme;
use crate::intercept::Inside;
use crate::upstream::pool::UpstreamConnection;

/// How often a worker explains a decision rule by rule. It takes time for every rule; flows between have the
/// rule that decided.
pub const EXPLAIN_EVERY: Duration = Duration::from_millis(50);

/// A flow that is being captured.
#[derive(Debug)]
pub struct Capture {
    flow: FlowCapture,
    /// What is known and not yet handed over.
    facts: Facts,
    /// What follows are frames of a WebSocket.
    frames: bool,
    /// When the flow began.
    started: Instant,
}

/// A request that is about to be sent, or has been refused.
pub struct Request<'a> {
    /// Its head as it came.
    pub head: &'a [u8],
    /// The scheme of its target.
    pub scheme: Scheme,
    /// Where it goes.
    pub destination: &'a Destination,
    /// The tunnel that it came out of.
    pub inside: Option<&'a Inside>,
    /// As rules see it, where one asks.
    pub facts: Option<RequestFacts<'a>>,
}

/// Begins to capture a flow, if its rule or the settings want it, or somebody is about to hold it: then at `least` so
/// much.
pub fn begin(flow: &mut Flow, request: &Request<'_>, by: Option<&RuleFacts>, least: Level) {
    let Some(flows) = &flow.worker.flows else { return };
    let allowed = by.filter(|rule| rule.action == Action::Allow);
    let wanted = allowed.and_then(|rule| rule.capture).unwrap_or(flow.snapshot.capture);
    let level = match wanted.level {
        CaptureLevel::None if least == Level::None => return,
        CaptureLevel::None => Level::None,
        CaptureLevel::Headers => Level::Headers,
        CaptureLevel::Bodies => Level::Bodies,
    };
    let mut plan = Plan { level, body_bytes: wanted.body_bytes };
    // Whoever sends something again wants to see what becomes of it.
    if flow.record.replay_of.is_none() {
        plan = plan.sampled(f64::from(wanted.sample) / 10_000.0, flow.record.id);
    }
    plan.level = plan.level.max(least);
    let begin = Begin {
        id: flow.record.id,
        started: flow.record.started,
        client: flow.record.client,
        tunnel: request.inside.map(|inside| inside.flow),
        treatment: treatment(flow.record.treatment),
        scheme: request.scheme.as_str(),
        destination: Some(Endpoint {
            host: request.destination.host.to_string(),
            port: request.destination.port,
        }),
        replay_of: flow.record.replay_of,
    };
    let Some(captured) = flows.begin(begin, plan, request.head) else { return };
    let facts = Facts {
        decision: explain(flow, request),
        client_tls: request.inside.and_then(|inside| inside.tls.clone()),
        ..Facts::default()
    };
    flow.capture = Some(Box::new(Capture { flow: captured, facts, frames: false, started: flow.started }));
}

/// Why the flow goes its way, rule by rule.
fn explain(flow: &Flow, request: &Request<'_>) -> Option<Decision> {
    let policies = &flow.snapshot.gate.policies;
    if policies.is_empty() || !flow.worker.may_explain(EXPLAIN_EVERY) {
        return None;
    }
    let seen = request.facts.map_or(Seen::Tunnel, Seen::Request);
    let ask = Ask { seen, ..gate::ask_about_tunnel(flow, request.destination) };
    Some(Decision::from(&policies.explain(&ask)))
}

/// The word of the store for what was done.
pub fn treatment(treatment: Treatment) -> egret_flows::flow::Treatment {
    egret_flows::flow::Treatment::parse(treatment.as_str()).unwrap_or(egret_flows::flow::Treatment::Local)
}

impl Capture {
    /// Everything of the request has been sent just now.
    pub fn sent(&mut self) {
        self.facts.sent_micros = u64::try_from(self.started.elapsed().as_micros()).ok();
    }

    /// The head of a response that came from an origin.
    pub fn response(&mut self, upstream: &mut UpstreamConnection, length: usize) {
        self.facts.origin_tls = upstream.tls_facts();
        let input = crate::buffer::filled(&upstream.input);
        self.flow.response_head(input.get(..length).unwrap_or(input));
        self.hand_over_facts();
    }

    /// An answer that the proxy wrote itself.
    pub fn answer(&mut self, bytes: &[u8]) {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |end| end + 4);
        let (head, body) = bytes.split_at(end);
        self.flow.response_head(head);
        self.flow.body(Side::Response, body);
    }

    /// A piece of the body of such an answer.
    pub fn answer_body(&mut self, piece: &[u8]) {
        self.flow.body(Side::Response, piece);
    }

    /// What rules and people made of it.
    pub fn changed(&mut self, facts: Facts) {
        self.flow.facts(facts);
    }

    /// What follows are frames of a WebSocket.
    pub fn follow_frames(&mut self) {
        self.frames = self.flow.wants_bodies();
    }

    /// Whether what is relayed is looked at.
    #[must_use]
    pub fn follows_frames(&self) -> bool {
        self.frames
    }

    /// Bytes after an upgrade.
    pub fn frames(&mut self, side: Side, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.flow.websocket(side, bytes);
        }
    }

    /// The flow is over.
    pub fn finish(mut self, record: FlowRecord) {
        self.hand_over_facts();
        self.flow.finish(record);
    }

    fn hand_over_facts(&mut self) {
        let facts = std::mem::take(&mut self.facts);
        let Facts { decision, origin_tls, client_tls, sent_micros, .. } = &facts;
        if decision.is_some() || origin_tls.is_some() || client_tls.is_some() || sent_micros.is_some() {
            self.flow.facts(facts);
        }
    }
}

/// Where a copy of a body goes, if anywhere.
#[derive(Debug)]
pub struct Tap<'a> {
    capture: Option<&'a mut FlowCapture>,
    side: Side,
    also: Option<&'a mut Vec<u8>>,
}

impl<'a> Tap<'a> {
    /// Takes what a side sends, where bodies are wanted.
    pub fn on(capture: Option<&'a mut Capture>, side: Side) -> Self {
        let capture = capture.map(|capture| &mut capture.flow).filter(|flow| flow.wants_bodies());
        Self { capture, side, also: None }
    }

    /// The same, and another copy. Whoever wants it bounds what passes.
    #[must_use]
    pub fn also(self, also: &'a mut Vec<u8>) -> Self {
        Self { also: Some(also), ..self }
    }

    /// Whether anything is taken.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.capture.is_some() || self.also.is_some()
    }

    /// A piece of the body, without framing.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(also) = &mut self.also {
            also.extend_from_slice(piece);
        }
        if let Some(capture) = &mut self.capture
            && !piece.is_empty()
        {
            capture.body(self.side, piece);
        }
    }

    /// Trailer fields.
    pub fn trailers(&mut self, lines: &[u8]) {
        if let Some(capture) = &mut self.capture
            && lines.len() > 2
        {
            capture.trailers(self.side, lines);
        }
    }
}
