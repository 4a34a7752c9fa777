//! Puts the pieces of flows together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use egret_core::flow_id::FlowId;
use egret_core::record::FlowRecord;

use super::StoreSettings;
use crate::capture::{Begin, Counters, Facts, Piece, Plan, micros, request_head, response_head, trailers};
use crate::events;
use crate::flow::{Body, BodyNote, Content, Flow, Headers, Level, Message, MessageKind, Side};
use crate::redact::{Redaction, Redactor};
use crate::websocket::{Deflate, Reader, Received};

/// How often the growing bodies and messages of a flow that goes on are shown.
pub(super) const SHOW_EVERY: Duration = Duration::from_millis(500);
/// The longest body of a flow that goes on that is shown before its end.
const SHOWN_EARLY_BYTES: usize = 256 << 10;

/// A flow that goes on.
#[derive(Debug)]
struct Assembling {
    flow: Flow,
    plan: Plan,
    bodies: [Vec<u8>; 2],
    /// Not all of a body is kept, as it went past a bound.
    cut: [bool; 2],
    readers: Option<Box<[Reader; 2]>>,
    events: Option<Box<events::Reader>>,
    message_bytes: [u64; 2],
    /// It is in the list of those that changed.
    listed: bool,
    /// Something but a body has changed.
    urgent: bool,
    shown: Option<Instant>,
}

/// A flow as it is now, to be put into the ring.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) flow: Flow,
    /// It is the first that is seen of this flow.
    pub(super) new: bool,
}

#[derive(Debug)]
pub(super) struct Assembler {
    active: HashMap<FlowId, Box<Assembling>, foldhash::fast::RandomState>,
    changed: Vec<FlowId>,
    finished: Vec<Flow>,
    bytes: usize,
    settings: StoreSettings,
    counters: Arc<Counters>,
}

impl Assembler {
    pub(super) fn new(settings: StoreSettings, counters: Arc<Counters>) -> Self {
        Self {
            active: HashMap::default(),
            changed: Vec::new(),
            finished: Vec::new(),
            bytes: 0,
            settings,
            counters,
        }
    }

    /// There are flows whose changes are to be shown later.
    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes a piece.
    pub(super) fn piece(&mut self, id: FlowId, piece: Piece, redactor: &Redactor) {
        match piece {
            Piece::Begin(begin, head) => self.begin(begin.0, begin.1, &head, redactor),
            Piece::Record { record, facts, seen, lost } => self.record(*record, facts, seen, lost, redactor),
            Piece::Gone(lost) => {
                let Some(mut this) = self.take(id) else { return };
                this.flow.active = false;
                this.flow.truncated = true;
                this.flow.pieces_lost += lost;
                self.finish(*this, redactor);
            }
            Piece::Body(side, time, bytes) => {
                let Some(this) = self.active.get_mut(&id) else { return };
                if time != 0 {
                    this.events(time, &bytes, &self.settings, redactor);
                }
                if self.bytes + bytes.len() > self.settings.assembling_bytes {
                    this.cut[side as usize] = true;
                } else if !this.cut[side as usize] {
                    self.bytes += bytes.len();
                    this.bodies[side as usize].extend_from_slice(&bytes);
                }
                self.touch(id, false);
            }
            Piece::ResponseHead(head) => {
                let Some(this) = self.active.get_mut(&id) else { return };
                let response = response_head(&head, redactor);
                this.flow.status = response.status;
                this.flow.response = Some(response);
                self.touch(id, true);
            }
            Piece::Trailers(side, lines) => {
                let Some(this) = self.active.get_mut(&id) else { return };
                let fields = trailers(&lines, redactor);
                match (side, &mut this.flow.response) {
                    (Side::Request, _) => this.flow.request.trailers = fields,
                    (Side::Response, Some(response)) => response.trailers = fields,
                    (Side::Response, None) => {}
                }
                self.touch(id, true);
            }
            Piece::Frames(side, time, bytes) => {
                let Some(this) = self.active.get_mut(&id) else { return };
                this.frames(side, time, &bytes, &self.settings, redactor);
                self.touch(id, false);
            }
            Piece::Facts(facts) => {
                let Some(this) = self.active.get_mut(&id) else { return };
                apply(*facts, &mut this.flow, redactor);
                self.touch(id, true);
            }
        }
    }

    fn touch(&mut self, id: FlowId, urgent: bool) {
        let Some(this) = self.active.get_mut(&id) else { return };
        this.urgent |= urgent;
        if !std::mem::replace(&mut this.listed, true) {
            self.changed.push(id);
        }
    }

    fn begin(&mut self, begin: Begin, plan: Plan, head: &[u8], redactor: &Redactor) {
        if self.active.len() >= self.settings.assembling_flows {
            self.counters.pieces_dropped.fetch_add(1, Relaxed);
            return;
        }
        let mut flow = Flow::begun(begin.id, micros(begin.started), begin.client);
        flow.tunnel = begin.tunnel;
        flow.treatment = begin.treatment;
        flow.replay_of = begin.replay_of;
        flow.capture = plan.level;
        flow.request = request_head(head, begin.scheme, redactor);
        if flow.request.host.is_empty()
            && let Some(to) = &begin.destination
        {
            (flow.request.host, flow.request.port) = (to.host.clone(), to.port);
        }
        flow.downstream = flow.request.version.clone();
        flow.destination = begin.destination.or_else(|| flow.request.endpoint());
        let this = Assembling {
            flow,
            plan,
            bodies: Default::default(),
            cut: [false; 2],
            readers: None,
            events: None,
            message_bytes: [0; 2],
            listed: false,
            urgent: true,
            shown: None,
        };
        // The same id again can only be one whose end was lost.
        if let Some(lost) = self.active.insert(begin.id, Box::new(this)) {
            self.bytes -= lost.bodies.iter().map(Vec::len).sum::<usize>();
        }
        self.touch(begin.id, true);
    }

    fn take(&mut self, id: FlowId) -> Option<Box<Assembling>> {
        let this = self.active.remove(&id)?;
        self.bytes -= this.bodies.iter().map(Vec::len).sum::<usize>();
        Some(this)
    }

    fn record(
        &mut self,
        record: FlowRecord,
        facts: Option<Box<Facts>>,
        seen: [u64; 2],
        lost: u32,
        redactor: &Redactor,
    ) {
        let id = record.id;
        let target = redactor.target(&record.target);
        if record.interim
            && let Some(this) = self.active.get_mut(&id)
        {
            this.flow.apply_record(&record, &target);
            return self.touch(id, true);
        }
        let Some(mut this) = self.take(id) else {
            let mut flow = Flow::begun(id, micros(record.started), record.client);
            if let Some(facts) = facts {
                apply(*facts, &mut flow, redactor);
            }
            flow.apply_record(&record, &target);
            flow.pieces_lost = lost;
            flow.truncated = lost > 0;
            self.finished.push(flow);
            return;
        };
        if let Some(facts) = facts {
            apply(*facts, &mut this.flow, redactor);
        }
        this.flow.request.body.length = seen[0];
        if let Some(response) = &mut this.flow.response {
            response.body.length = seen[1];
        }
        this.flow.apply_record(&record, &target);
        this.flow.pieces_lost = lost;
        self.finish(*this, redactor);
    }

    fn finish(&mut self, mut this: Assembling, redactor: &Redactor) {
        this.show_bodies(redactor, true, &self.counters);
        this.flow.truncated |= this.flow.pieces_lost > 0;
        self.finished.push(this.flow);
    }

    /// The flows that changed, as they are now. `reserve` gives the number of a new one, `known` that of one
    /// that is listed already.
    pub(super) fn ready(
        &mut self,
        redactor: &Redactor,
        known: impl Fn(FlowId) -> Option<u64>,
        mut reserve: impl FnMut() -> u64,
    ) -> Vec<Ready> {
        let mut ready = Vec::with_capacity(self.changed.len() + self.finished.len());
        let now = Instant::now();
        for id in std::mem::take(&mut self.changed) {
            let Some(this) = self.active.get_mut(&id) else { continue };
            let recent = this.shown.is_some_and(|shown| now.duration_since(shown) < SHOW_EVERY);
            if recent && !this.urgent {
                self.changed.push(id);
                continue;
            }
            (this.listed, this.urgent, this.shown) = (false, false, Some(now));
            let new = this.flow.seq == 0;
            if new {
                this.flow.seq = reserve();
            }
            if this.bodies.iter().all(|body| body.len() <= SHOWN_EARLY_BYTES) {
                this.show_bodies(redactor, false, &self.counters);
            }
            ready.push(Ready { flow: this.flow.clone(), new });
        }
        for mut flow in self.finished.drain(..) {
            if flow.seq == 0 {
                // One of which nothing but an interim record was listed.
                flow.seq = known(flow.id).unwrap_or(0);
            }
            let new = flow.seq == 0;
            if new {
                flow.seq = reserve();
            }
            ready.push(Ready { flow, new });
        }
        ready
    }
}

/// Takes over what became known.
fn apply(facts: Facts, flow: &mut Flow, redactor: &Redactor) {
    let Facts {
        identity,
        destination,
        decision,
        treatment,
        client_tls,
        origin_tls,
        client_tls_micros,
        sent_micros,
        tunnel,
        tags,
        changes,
        changed_request,
        changed_response,
    } = facts;
    if let Some(identity) = identity {
        flow.identity = identity;
    }
    if let Some(decision) = decision {
        flow.decision = decision;
    }
    if let Some(treatment) = treatment {
        flow.treatment = treatment;
    }
    flow.destination = destination.or(flow.destination.take());
    flow.client_tls = client_tls.or(flow.client_tls.take());
    flow.origin_tls = origin_tls.or(flow.origin_tls.take());
    flow.timings.client_tls = client_tls_micros.or(flow.timings.client_tls);
    flow.timings.sent = sent_micros.or(flow.timings.sent);
    flow.tunnel = tunnel.or(flow.tunnel);
    flow.tags.extend(tags);
    if !changes.is_empty() {
        flow.changes = changes;
    }
    if let Some(changed) = changed_request {
        let scheme = if flow.request.scheme == "https" { "https" } else { "http" };
        let mut request = request_head(&changed.head, scheme, redactor);
        request.body = changed_body(&request.headers, changed.body, redactor);
        flow.changed_request = Some(Box::new(request));
    }
    if let Some(changed) = changed_response {
        let mut response = response_head(&changed.head, redactor);
        response.body = changed_body(&response.headers, changed.body, redactor);
        flow.changed_response = Some(Box::new(response));
    }
}

/// A body that somebody wrote, as it may be kept.
fn changed_body(headers: &Headers, body: Option<Bytes>, redactor: &Redactor) -> Body {
    let Some(bytes) = body else { return Body::default() };
    match redactor.body(headers, &bytes, true) {
        Redaction::Same => Body::whole(bytes),
        Redaction::Replaced { bytes: kept, .. } => {
            Body { length: bytes.len() as u64, note: Some(BodyNote::Redacted), ..Body::whole(kept) }
        }
        Redaction::Unreadable => {
            Body { length: bytes.len() as u64, note: Some(BodyNote::Unreadable), ..Body::default() }
        }
    }
}

impl Assembling {
    /// Puts the bodies into the flow as they may be kept.
    fn show_bodies(&mut self, redactor: &Redactor, last: bool, counters: &Counters) {
        for side in [Side::Request, Side::Response] {
            let cut = self.cut[side as usize];
            let lost = self.flow.pieces_lost > 0;
            let bytes = match last {
                true => std::mem::take(&mut self.bodies[side as usize]),
                false => self.bodies[side as usize].clone(),
            };
            let (headers, body) = match (side, &mut self.flow.response) {
                (Side::Request, _) => (&self.flow.request.headers, &mut self.flow.request.body),
                (Side::Response, Some(response)) => (&response.headers, &mut response.body),
                (Side::Response, None) => continue,
            };
            if self.plan.level != Level::Bodies {
                continue;
            }
            body.captured = bytes.len() as u64;
            body.length = body.length.max(body.captured);
            body.truncated = cut || (last && body.captured < body.length);
            if last && body.truncated {
                counters.bodies_truncated.fetch_add(1, Relaxed);
                self.flow.truncated = true;
            }
            body.note = (lost && body.truncated).then_some(BodyNote::PiecesLost);
            if bytes.is_empty() {
                continue;
            }
            body.content = match redactor.body(headers, &bytes, last && !body.truncated) {
                Redaction::Same => Content::Memory(bytes.into()),
                Redaction::Replaced { bytes, was_encoded, truncated } => {
                    body.decoded = was_encoded;
                    body.captured = bytes.len() as u64;
                    body.truncated |= truncated;
                    body.note = Some(BodyNote::Redacted);
                    Content::Memory(bytes)
                }
                Redaction::Unreadable => {
                    counters.bodies_unreadable.fetch_add(u64::from(last), Relaxed);
                    body.captured = 0;
                    body.note = Some(BodyNote::Unreadable);
                    Content::None
                }
            };
        }
    }

    fn frames(&mut self, side: Side, time: u64, bytes: &[u8], settings: &StoreSettings, redactor: &Redactor) {
        let response = self.flow.response.as_ref();
        let readers = self.readers.get_or_insert_with(|| {
            let reader = |side| {
                Reader::new(settings.message_bytes, response.and_then(|r| Deflate::agreed(&r.headers, side)))
            };
            Box::new([reader(Side::Request), reader(Side::Response)])
        });
        let (flow, kept) = (&mut self.flow, &mut self.message_bytes[side as usize]);
        let bounds = Bounds { messages: settings.messages, bytes: self.plan.body_bytes };
        let result = readers[side as usize].feed(bytes, |received| {
            let Received { kind, payload, length, truncated } = received;
            let message = Message { from: side, kind, time, length, truncated, event: None, payload };
            keep(message, flow, kept, bounds, redactor);
        });
        // Bytes that are no frames are nothing that could be shown; the flow says that there was more.
        flow.truncated |= result.is_err();
    }

    /// Reads what may be a stream of events.
    fn events(&mut self, time: u64, bytes: &[u8], settings: &StoreSettings, redactor: &Redactor) {
        let plain = self.flow.response.as_ref().is_some_and(|response| {
            let of = |name: &str| response.headers.text(name).unwrap_or_default();
            let kind = of("content-type").split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/event-stream") && of("content-encoding").is_empty()
        });
        if !plain {
            return;
        }
        let reader = self.events.get_or_insert_with(|| Box::new(events::Reader::new(settings.message_bytes)));
        let side = Side::Response;
        let (flow, kept) = (&mut self.flow, &mut self.message_bytes[side as usize]);
        let bounds = Bounds { messages: settings.messages, bytes: self.plan.body_bytes };
        reader.feed(bytes, |events::Event { name, data: payload, length, truncated }| {
            let (kind, event) = (MessageKind::Event, name.map(Into::into));
            let message = Message { from: side, kind, time, length, truncated, event, payload };
            keep(message, flow, kept, bounds, redactor);
        });
    }
}

/// How much of the messages of one side is kept.
#[derive(Clone, Copy)]
struct Bounds {
    messages: usize,
    bytes: u64,
}

/// Puts a message into the flow as it may be kept, if there is room.
fn keep(message: Message, flow: &mut Flow, kept: &mut u64, bounds: Bounds, redactor: &Redactor) {
    let room = *kept + message.payload.len() as u64 <= bounds.bytes;
    if flow.messages.len() >= bounds.messages || !room {
        flow.messages_dropped += 1;
        flow.truncated = true;
        return;
    }
    *kept += message.payload.len() as u64;
    let (payload, truncated) = match message.kind {
        MessageKind::Text | MessageKind::Event => {
            match redactor.message(&message.payload, !message.truncated) {
                Redaction::Same => (message.payload, message.truncated),
                Redaction::Replaced { bytes, truncated, .. } => (bytes, message.truncated || truncated),
                Redaction::Unreadable => (Bytes::new(), true),
            }
        }
        _ => (message.payload, message.truncated),
    };
    flow.messages.push(Message { payload, truncated, ..message });
}
