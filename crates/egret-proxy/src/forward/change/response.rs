//! The response's way back.

use std::sync::Arc;

use bytes::Bytes;
use egret_core::reason::Reason;
use egret_core::record::Protocol;
use egret_core::settings::Snapshot;
use egret_flows::capture::{Changed, Facts};
use egret_flows::changes::{HeldBody, Verdict};
use egret_flows::edit;
use egret_flows::flow::{Level, Side};
use egret_flows::rules::subject_response;
use tokio::time::Instant;

use super::super::response::delivery;
use super::super::{Plan, Upload};
use super::{
    Editing, dropped, facts, gather, hold, hold_until_decided, in_front, micros_now, note, note_breakpoint,
    wait,
};
use crate::body::{Pump, Sink};
use crate::buffer;
use crate::capture;
use crate::client::Client;
use crate::flow::Flow;
use crate::http1::response::parse;
use crate::http1::{BodyLength, Fields, HeadLimits, Parsed, ResponseHead};
use crate::refuse::Refusal;
use crate::upstream::pool::UpstreamConnection;

/// A response that was changed or held.
pub(in crate::forward) struct ChangedResponse {
    /// The bytes that its head stands in. It was taken off the upstream's input.
    pub(in crate::forward) bytes: Vec<u8>,
    /// Its head, where that is another.
    pub(in crate::forward) head: Option<ResponseHead>,
    /// All of its body, where that is another.
    body: Option<Bytes>,
    /// What was read of its body.
    gathered: Option<gather::Gathered>,
}

impl ChangedResponse {
    /// The transfer to the client, beginning with this head.
    pub(in crate::forward) fn download(
        self,
        body: BodyLength,
        sink: Sink,
        limits: HeadLimits,
        head: Vec<u8>,
    ) -> Pump {
        match (self.body, self.gathered) {
            (Some(edited), _) => Pump::new(BodyLength::None, Sink::Same, limits, in_front(head, &edited)),
            (None, Some(gathered)) => {
                let mut pump = gathered.pump;
                pump.restart(in_front(head, &gathered.raw.into()));
                pump
            }
            (None, None) => Pump::new(body, sink, limits, head),
        }
    }
}

/// Asks rules, breakpoints and people what becomes of a response, whose head stands at the front of the upstream's
/// input. `None`: it stays as it is.
///
/// # Errors
/// A refusal in its place: it was dropped, or what was made of it cannot be sent.
#[allow(clippy::too_many_arguments, reason = "the parts of one exchange, which live apart")]
pub(in crate::forward) async fn response(
    client: &mut Client,
    flow: &mut Flow,
    plan: &Plan,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    head: &ResponseHead,
    snapshot: &Arc<Snapshot>,
    mut editing: Box<Editing>,
) -> Result<Option<Box<ChangedResponse>>, Refusal> {
    let original = buffer::filled(&upstream.input)[..head.length].to_vec();
    subject_response(&mut editing.subject, &original);
    editing.subject.upstream = flow.record.upstream.map(|protocol| protocol.as_str().into());
    editing.subject.dialled = flow.record.dialled;
    let now = micros_now();
    editing.subject.timings.first_byte =
        flow.record.phases.first_byte.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let effect = editing.active.rules.on_response(&mut editing.subject, now);
    let hold = hold(flow, &editing.active, &editing.subject, Side::Response, &effect, now);
    note(flow, &editing);
    if !effect.changed && hold.is_none() && effect.delay.is_zero() {
        return Ok(None);
    }
    let waited = hold.is_some() || !effect.delay.is_zero();
    if hold.is_some() && flow.capture.is_none() {
        capture_late(flow, client, plan, &editing);
        if let Some(capture) = &mut flow.capture {
            capture.response(upstream, head.length);
        }
    }
    let began = Instant::now();
    wait::pause(client, effect.delay).await?;
    if let Some(buffer) = &mut upstream.input {
        buffer.consume(head.length);
    }
    buffer::release_empty(&mut upstream.input);
    let mut changed = ChangedResponse { bytes: original, head: None, body: None, gathered: None };
    let mut is_changed = effect.changed;
    if let Some(hold) = hold {
        let sink = delivery(head, plan.version, true).sink;
        let endless = is_endless(&editing) || plan.asked.head;
        changed.gathered =
            gather::response(client, flow, upstream, upload, head, sink, endless, snapshot).await?;
        let held = match &changed.gathered {
            Some(gathered) => gathered.held(),
            None if head.body == BodyLength::None => HeldBody::None,
            None => HeldBody::TooLong,
        };
        match hold_until_decided(client, flow, &editing.subject, Side::Response, hold, held).await? {
            Verdict::GoOn | Verdict::Answer(_) => {}
            Verdict::Drop => return Err(dropped(Side::Response)),
            Verdict::Changed(edited, body) => {
                editing.subject = *edited;
                note_breakpoint(flow, &mut editing);
                (is_changed, changed.body) = (true, body);
            }
        }
    }
    if waited {
        facts(flow).held_response = Some(began.elapsed());
    }
    if is_changed && let Some(subject) = &editing.subject.response {
        let version = if head.version == Protocol::Http10 { "HTTP/1.0" } else { "HTTP/1.1" };
        changed.bytes = edit::response_head(subject, version);
        changed.head = Some(read_again(plan, &changed.bytes, head)?);
        if plan.asked.head {
            changed.body = changed.body.map(|_| Bytes::new());
        }
    }
    if let Some(capture) = &mut flow.capture {
        let message = Changed { head: changed.bytes.as_slice().into(), body: changed.body.clone() };
        capture.changed(Facts {
            changes: editing.subject.changes.clone(),
            changed_response: is_changed.then_some(message),
            ..Facts::default()
        });
    }
    Ok(Some(Box::new(changed)))
}

/// Begins to capture a flow that was not to be, because somebody is about to look at it.
fn capture_late(flow: &mut Flow, client: &Client, plan: &Plan, editing: &Editing) {
    let Some((head, scheme)) = &editing.original else { return };
    if flow.worker.flows.is_none() {
        return;
    }
    let request = capture::Request {
        head,
        scheme: *scheme,
        destination: &plan.destination,
        inside: client.inside.as_deref(),
        facts: None,
    };
    let by = flow.record.basis.by.clone();
    capture::begin(flow, &request, by.as_deref(), Level::Headers);
}

/// Whether the body goes on for as long as somebody has something to say.
fn is_endless(editing: &Editing) -> bool {
    let kind = editing.subject.response.as_ref().and_then(|response| response.headers.text("content-type"));
    kind.is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.starts_with("text/event-stream") || kind.starts_with("application/grpc")
    })
}

/// Reads a head that was changed. The version is that of the origin.
fn read_again(plan: &Plan, bytes: &[u8], before: &ResponseHead) -> Result<ResponseHead, Refusal> {
    match parse(bytes, &plan.limits, plan.asked, Fields::new()) {
        Ok(Parsed::Complete(head)) if head.length == bytes.len() => {
            Ok(ResponseHead { version: before.version, ..head })
        }
        Ok(_) => Err(Refusal::new(Reason::ChangeFailed, "the changed head of the response has no end")),
        Err(error) => {
            Err(Refusal::new(Reason::ChangeFailed, format!("the changed response: {}", error.describe())))
        }
    }
}
