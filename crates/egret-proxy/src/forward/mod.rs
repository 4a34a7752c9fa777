//! Forwarding plain requests. What change rules and breakpoints make of them is in [`change`], where there are any.

mod again;
pub mod change;
pub mod connect;
mod dns_answer;
pub mod exchange;
pub mod request;
pub mod response;

use std::sync::Arc;

use bytes::Bytes;
use egret_core::destination::Destination;
use egret_core::policy::RequestFacts;
use egret_core::reason::Reason;
use egret_core::record::{Protocol, Treatment};
use egret_core::settings::Snapshot;
use egret_flows::flow::Level;

use crate::body::{Pump, Sink};
use crate::capture;
use crate::client::{Client, head_limits};
use crate::enforce;
use crate::flow::Flow;
use crate::gate::{self, Decision, HeadFields};
use crate::http1::fields::{FieldName, list};
use crate::http1::response::Asked;
use crate::http1::target::{Scheme, Target};
use crate::http1::{BodyLength, HeadLimits, ParseError, RequestHead, ResponseHead};
use crate::intercept::Opening;
use crate::metrics::PoolEvent;
use crate::refuse::Refusal;
use crate::relay::Opened;
use crate::upstream::Alpn;
use crate::upstream::pool::{PoolKey, UpstreamConnection};

use connect::Way;
use exchange::{Failed, Upload};
use request::{Extra, Written};

/// Interim responses (1xx) forgiven before the final one.
const MAX_INTERIM: usize = 32;

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is ready for the next request.
    Keep,
    /// It is closed when the client has read what was sent.
    Close,
    /// Both sides have said that they are done.
    Done,
    /// It is reset: what was sent is not complete.
    Reset,
}

/// How a request ended, or what it has become.
#[derive(Debug)]
pub enum Served {
    /// It was answered.
    Answered(After),
    /// A tunnel, to be relayed from here on.
    Tunnel(Opened),
    /// A tunnel that is looked into from here on.
    Inside(Box<Opening>),
}

/// A request that passed the gate, and what is needed to send it.
struct Plan {
    scheme: Scheme,
    destination: Destination,
    decision: Decision,
    way: Way,
    asked: Asked,
    /// The request authenticates the connection it is sent on.
    authenticates: bool,
    /// May be sent again when a kept connection turns out to be dead (RFC 9110 section 9.2.2).
    repeatable: bool,
    version: Protocol,
    body: BodyLength,
    keep_alive: bool,
    /// The one protocol that the client wants to switch to.
    upgrade: Option<Box<[u8]>>,
    limits: HeadLimits,
    /// The client speaks HTTP/2, and so will the origin, if it can.
    wants_http2: bool,
}

/// Serves one request with an absolute target. The request's head stands at the front of the
/// client's input.
///
/// # Errors
/// A refusal to be sent: nothing of a response has gone to the client yet.
pub async fn serve(client: &mut Client, flow: &mut Flow, head: &mut RequestHead) -> Result<Served, Refusal> {
    flow.record.treatment = if client.inside.is_some() { Treatment::Intercept } else { Treatment::Forward };
    // Boxed: it is for those who debug. What it gives as well, or it would be held beside what is made of it.
    let changed = match flow.worker.shared.changes.active() {
        None => None,
        Some(active) => Some(Box::pin(change::prepare_boxed(client, flow, head, active)).await),
    };
    // Matched where it is made: a variable for it would be held to the end.
    let (plan, mut exchange) = match changed.map_or_else(|| prepare(client, flow, head), |changed| *changed) {
        Ok(prepared) => prepared,
        Err(Stopped::Refused(refusal)) => return Err(refusal),
        Err(Stopped::Answered(after)) => return Ok(Served::Answered(after)),
    };
    let snapshot = flow.snapshot.clone();
    let outcome = run(client, flow, &plan, &mut exchange, &snapshot).await;
    flow.record.bytes_up +=
        exchange.upload.pump.data + exchange.body.as_ref().map_or(0, |body| body.len() as u64);
    client.spare.request_head = exchange.upload.pump.take_head();
    let outcome = outcome.map_err(|refusal| in_particular(flow, refusal));
    match (outcome?, exchange.upstream.take()) {
        (Delivered::Whole { keep_client, keep_upstream }, upstream) => {
            if let Some(upstream) = upstream.filter(|_| keep_upstream) {
                keep(client, flow, plan.way.key, upstream);
            }
            Ok(Served::Answered(if keep_client { After::Keep } else { After::Close }))
        }
        (Delivered::Switched, Some(upstream)) => {
            let UpstreamConnection { stream, input, .. } = upstream;
            Ok(Served::Tunnel(Opened { upstream: stream, early: input, own: 0 }))
        }
        (Delivered::Broken | Delivered::Switched, _) => Ok(Served::Answered(After::Reset)),
    }
}

/// A request under way. It stays where it is while it is sent and answered: what is handed from one
/// future to the next would be held by both.
struct Exchange {
    written: Written,
    upload: Upload,
    upstream: Option<UpstreamConnection>,
    /// Bytes that go right behind the head, as the body or its beginning: what was edited, or held. The upload has
    /// what is left.
    body: Option<Bytes>,
}

/// A request that is not sent.
pub enum Stopped {
    /// It is refused.
    Refused(Refusal),
    /// It was answered.
    Answered(After),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Exchange {
    /// Makes the request ready for this connection, from its beginning.
    fn use_connection(&mut self, upstream: UpstreamConnection) -> (&mut UpstreamConnection, &mut Upload) {
        let mut head = match &upstream.parent {
            Some(form) => self.written.for_parent(form.authorization.as_deref()),
            None => std::mem::take(&mut self.written.head),
        };
        if let Some(body) = &self.body {
            head.extend_from_slice(body);
        }
        self.upload.restart(head);
        (self.upstream.insert(upstream), &mut self.upload)
    }

    /// Closes a connection that was of no use, and takes back the head that was written for it.
    fn give_up_connection(&mut self) {
        if self.upstream.take().is_some_and(|upstream| upstream.parent.is_none()) {
            self.written.head = self.upload.pump.take_head();
            let behind = self.body.as_ref().map_or(0, Bytes::len);
            self.written.head.truncate(self.written.head.len().saturating_sub(behind));
        }
    }
}

/// A body that is cut off is noticed where nothing is known of rules.
fn in_particular(flow: &Flow, refusal: Refusal) -> Refusal {
    if refusal.reason == Reason::BodyTooLarge && refusal.basis.by.is_none() {
        return enforce::body_too_long(flow);
    }
    refusal
}

/// Sends the request and passes the response on.
async fn run(
    client: &mut Client,
    flow: &mut Flow,
    plan: &Plan,
    exchange: &mut Exchange,
    snapshot: &Arc<Snapshot>,
) -> Result<Delivered, Refusal> {
    let mut response = send(client, flow, plan, exchange, snapshot).await?;
    let Some(upstream) = &mut exchange.upstream else {
        return Err(Refusal::new(Reason::Internal, "a response without a connection"));
    };
    if upstream.http2 {
        response.version = Protocol::Http2;
    }
    flow.record.upstream = Some(response.version);
    flow.record.upstream_tls.clone_from(&upstream.tls);
    flow.first_byte();
    respond(client, flow, plan, upstream, &mut exchange.upload, response, snapshot).await
}

/// Makes a request ready to be sent, as it came.
fn prepare(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
) -> Result<(Plan, Exchange), Stopped> {
    let vetted = vet(client, flow, head, client.filled(), &mut |_, _| Level::None);
    let planned = vetted.and_then(|decision| {
        let memory = std::mem::take(&mut client.spare.request_head);
        let plan = plan(client, flow, head, client.filled(), decision)?;
        Ok((write_request(memory, client.filled(), flow, head, &plan), plan))
    });
    // Also after a refusal: the connection may be kept, and what was refused must not stand there again.
    client.consume(head.length);
    client.spare.request_fields = std::mem::take(&mut head.fields);
    let (written, plan) = planned?;
    let upload = Upload::new(Pump::new(plan.body, Sink::Same, plan.limits, Vec::new()));
    Ok((plan, Exchange { written, upload, upstream: None, body: None }))
}

/// Looks whether a request can be forwarded and may be, and begins to capture it: at least as much as `least` says
/// of one that may.
fn vet(
    client: &Client,
    flow: &mut Flow,
    head: &RequestHead,
    input: &[u8],
    least: &mut dyn FnMut(&mut Flow, &Decision) -> Level,
) -> Result<Decision, Refusal> {
    let Target::Absolute { scheme, destination, .. } = &head.target else {
        return Err(Refusal::new(Reason::NotAProxyRequest, ""));
    };
    let via = flow.snapshot.http.via.clone();
    if request::passed_before(input, &head.fields, &via) {
        return Err(Refusal::new(Reason::LoopDetected, format!("Via names `{via}` already")));
    }
    if head.upgrade && head.body != BodyLength::None {
        return Err(Refusal::new(
            Reason::MalformedRequest,
            "an upgrade request with a body is not forwarded",
        ));
    }
    with_facts(flow, head, input, |flow, facts| {
        let decided = gate::decide(flow, destination, facts);
        let least = decided.as_ref().map_or(Level::None, |decision| least(flow, decision));
        if flow.worker.flows.is_some() {
            let request = capture::Request {
                head: &input[head.method.start..head.length],
                scheme: *scheme,
                destination,
                inside: client.inside.as_deref(),
                facts,
            };
            let by = match &decided {
                Ok(decision) => decision.permit.verdict().by.as_deref(),
                Err(refusal) => refusal.basis.by.as_deref(),
            };
            capture::begin(flow, &request, by, least);
        }
        decided
    })
}

/// The request as rules of policies see it, where one asks.
fn with_facts<T>(
    flow: &mut Flow,
    head: &RequestHead,
    input: &[u8],
    then: impl FnOnce(&mut Flow, Option<RequestFacts<'_>>) -> T,
) -> T {
    let Target::Absolute { scheme, path, .. } = &head.target else { return then(flow, None) };
    let headers = HeadFields::new(head, input);
    let asks = flow.snapshot.gate.policies.asks_requests();
    let path_and_query = if asks { String::from_utf8_lossy(&input[path.clone()]) } else { "".into() };
    let facts = asks.then(|| gate::facts(head, *scheme, &path_and_query, &headers));
    then(flow, facts)
}

/// What is needed to send a request that passed the gate.
fn plan(
    client: &Client,
    flow: &Flow,
    head: &RequestHead,
    input: &[u8],
    decision: Decision,
) -> Result<Plan, Refusal> {
    let Target::Absolute { scheme, destination, .. } = &head.target else {
        return Err(Refusal::new(Reason::NotAProxyRequest, ""));
    };
    let method = &input[head.method.clone()];
    let way = connect::way(*scheme, destination, &decision);
    let idempotent = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE");
    Ok(Plan {
        scheme: *scheme,
        destination: destination.clone(),
        way,
        decision,
        asked: Asked { head: method == b"HEAD", upgrade: head.upgrade },
        repeatable: idempotent && head.body == BodyLength::None,
        version: head.version,
        body: head.body,
        keep_alive: head.keep_alive,
        upgrade: head.value(FieldName::Upgrade, input).filter(|_| head.upgrade).map(Box::from),
        authenticates: head.value(FieldName::Authorization, input).is_some_and(is_connection_scheme),
        limits: head_limits(&flow.snapshot.limits),
        wants_http2: (client.inside.is_some() || flow.record.replay_of.is_some())
            && head.version == Protocol::Http2
            && *scheme == Scheme::Https
            && !head.upgrade,
    })
}

fn write_request(memory: Vec<u8>, input: &[u8], flow: &mut Flow, head: &RequestHead, plan: &Plan) -> Written {
    let traceparent = crate::trace::begin(flow, head.value(FieldName::Traceparent, input));
    let extra = Extra {
        http: &flow.snapshot.http,
        client: flow.identity.ip(),
        traceparent: traceparent.as_ref().map(<[u8; 55]>::as_slice),
    };
    request::write(memory, input, head, plan.way.to_parent, &extra)
}

/// Goes on with an exchange as long as the gate allows it, which is asked whenever the configuration changes.
/// No function: what it holds would be held by one more future.
macro_rules! going_on {
    ($flow:ident, $plan:ident, $upload:ident, $exchange:expr) => {
        loop {
            match $exchange.await {
                Err(ended) if ended.refusal.reason == Reason::PolicyChanged => {
                    if let Some(refusal) = again::decide($flow, $plan, $upload.pump.head()) {
                        break Err(refusal.into());
                    }
                }
                outcome => break outcome,
            }
        }
    };
}

/// Sends the request and gets a response head. A kept connection that turns out to be dead is
/// replaced once, when the request may be sent twice.
async fn send(
    client: &mut Client,
    flow: &mut Flow,
    plan: &Plan,
    exchange: &mut Exchange,
    snapshot: &Arc<Snapshot>,
) -> Result<ResponseHead, Refusal> {
    // A kept connection to a parent says nothing of where this request goes.
    let grant = match plan.decision.parent {
        Some(_) => Some(Box::new(gate::grant(flow, &plan.destination, &plan.decision).await?)),
        None => None,
    };
    let mut alpn = Alpn::Http1;
    let mut kept = None;
    if plan.wants_http2 {
        match Box::pin(connect::shared(flow, &plan.destination, &plan.decision, &plan.way)).await {
            Ok(connection) => kept = Some(connection),
            Err(offer) => alpn = offer,
        }
    }
    if kept.is_none() && alpn == Alpn::Http1 {
        kept = connect::kept(client, flow, &plan.destination, &plan.decision, &plan.way, !plan.repeatable);
    }
    if let Some(upstream) = kept {
        if let Err(refusal) = hold_to_rule(flow, plan, exchange) {
            keep(client, flow, plan.way.key.clone(), upstream);
            return Err(refusal);
        }
        let (upstream, upload) = exchange.use_connection(upstream);
        match going_on!(
            flow,
            plan,
            upload,
            exchange::head(client, upstream, upload, plan.asked, snapshot, plan.limits, &mut flow.capture)
        ) {
            Ok(response) => return Ok(response),
            Err(Failed { unanswered: true, .. }) if plan.repeatable => {
                flow.worker.metrics.pool(PoolEvent::Retry);
                if plan.wants_http2 {
                    flow.worker.http2.forget(&plan.way.key);
                    alpn = Alpn::Http2OrHttp1;
                }
                exchange.give_up_connection();
            }
            Err(failed) => return Err(failed.refusal),
        }
    }
    // Boxed: connections are used again, so this is rare, and dialling keeps many things in mind.
    let upstream = Box::pin(async {
        let grant = match grant {
            Some(grant) => grant,
            None => Box::new(gate::grant(flow, &plan.destination, &plan.decision).await?),
        };
        hold_to_rule(flow, plan, exchange)?;
        if let Some(refusal) = client.inside.as_ref().and_then(|inside| inside.failed_just_now(flow)) {
            return Err(refusal);
        }
        let Plan { scheme, destination, decision, way, .. } = plan;
        connect::fresh(flow, *scheme, destination, decision, way, &grant, alpn).await
    })
    .await?;
    let (upstream, upload) = exchange.use_connection(upstream);
    let outcome = going_on!(
        flow,
        plan,
        upload,
        exchange::head(client, upstream, upload, plan.asked, snapshot, plan.limits, &mut flow.capture)
    );
    outcome.map_err(|failed| failed.refusal)
}

/// Holds a request to the rule that allows it, as long as nothing of it has gone upstream.
fn hold_to_rule(flow: &mut Flow, plan: &Plan, exchange: &mut Exchange) -> Result<(), Refusal> {
    enforce::admit(flow, plan.body)?;
    let most = flow.record.rule().and_then(|rule| rule.max_body_bytes);
    // What was held has been read already.
    if most.is_some_and(|most| exchange.upload.pump.data > most) {
        return Err(enforce::body_too_long(flow));
    }
    exchange.upload.pump.hold_to(most, flow.lease.as_ref().and_then(|lease| lease.pacer()));
    Ok(())
}

enum Delivered {
    Whole { keep_client: bool, keep_upstream: bool },
    Broken,
    Switched,
}

/// Passes the response on: interim ones first, then the final one with its body.
async fn respond(
    client: &mut Client,
    flow: &mut Flow,
    plan: &Plan,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    first: ResponseHead,
    snapshot: &Arc<Snapshot>,
) -> Result<Delivered, Refusal> {
    let mut response = first;
    let mut interim = 0;
    while response.status < 200 && response.status != 101 {
        interim += 1;
        if interim > MAX_INTERIM {
            return Err(Refusal::new(Reason::MalformedResponse, "too many interim responses"));
        }
        response = Box::pin(pass_interim(client, flow, plan, upstream, upload, response, snapshot)).await?;
    }
    if response.status == 407 && upstream.parent.is_some() {
        return Err(Refusal::new(Reason::ParentRefused, "the parent proxy wants credentials (407)"));
    }
    if response.status == 101 {
        again::keep(flow, plan, upload.pump.head());
        return switch(client, flow, plan, upstream, response, snapshot).await;
    }
    if client.inside.is_some()
        && snapshot.interception.strip_alt_svc
        && dns_answer::is_one(crate::buffer::filled(&upstream.input), &response)
    {
        Box::pin(dns_answer::filter(client, upstream, &mut response, snapshot)).await;
    }
    if let Some(capture) = &mut flow.capture {
        capture.response(upstream, response.length);
    }
    upstream.pinned |= plan.authenticates || wants_connection_of_its_own(&response, upstream);
    let mut changed = match flow.edit.take() {
        None => None,
        // Boxed: it is for those who debug.
        Some(editing) => {
            Box::pin(change::response(client, flow, plan, upstream, upload, &response, snapshot, editing))
                .await?
        }
    };
    let keep_upstream = response.keep_alive;
    if let Some(changed) = &mut changed
        && let Some(head) = changed.head.take()
    {
        response = head;
    }
    flow.record.status = response.status;
    let keep_client = plan.keep_alive && upload.is_done() && !client.worker.draining();
    let delivery = response::delivery(&response, plan.version, keep_client);
    let input = changed.as_ref().map(|changed| changed.bytes.as_slice());
    let head = write_response(client, plan, upstream, &response, delivery, snapshot, input);
    let body = response.body;
    client.spare.response_fields = response.fields;
    let mut download = match changed {
        Some(changed) => changed.download(body, delivery.sink, plan.limits, head),
        None => Pump::new(body, delivery.sink, plan.limits, head),
    };
    download.hold_to(None, flow.lease.as_ref().and_then(|lease| lease.pacer()));
    let outcome = going_on!(
        flow,
        plan,
        upload,
        exchange::transfer(client, upstream, upload, &mut download, snapshot, &mut flow.capture)
    );
    flow.record.bytes_down += download.data;
    client.spare.response_head = download.take_head();
    if let Err(broken) = outcome {
        // A body that is wrong from its first byte on came with its head, and neither has gone out yet.
        let reason = broken.refusal.reason;
        if !download.has_begun() && !matches!(reason, Reason::ClientAborted | Reason::TransferStalled) {
            return Err(broken.refusal);
        }
        let refusal = in_particular(flow, broken.refusal);
        flow.failed(&refusal);
        return Ok(Delivered::Broken);
    }
    let clean = upload.is_done() && upstream.input.is_none();
    Ok(Delivered::Whole {
        keep_client: delivery.keep_alive && upload.is_done(),
        keep_upstream: keep_upstream && clean,
    })
}

#[allow(clippy::too_many_arguments, reason = "the parts of one exchange, which live apart")]
async fn pass_interim(
    client: &mut Client,
    flow: &mut Flow,
    plan: &Plan,
    upstream: &mut UpstreamConnection,
    upload: &mut Upload,
    response: ResponseHead,
    snapshot: &Arc<Snapshot>,
) -> Result<ResponseHead, Refusal> {
    let delivery = response::Delivery { sink: Sink::Same, keep_alive: true };
    let head = write_response(client, plan, upstream, &response, delivery, snapshot, None);
    client.spare.response_fields = response.fields;
    // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
    if plan.version != Protocol::Http10 {
        let limit = snapshot.timeouts.body_idle;
        let written = client.write_all(&head, limit).await;
        written.map_err(|error| Refusal::new(Reason::ClientAborted, error.to_string()))?;
    }
    client.spare.response_head = head;
    let next = going_on!(
        flow,
        plan,
        upload,
        exchange::head(client, upstream, upload, plan.asked, snapshot, plan.limits, &mut flow.capture)
    );
    next.map_err(|failed| failed.refusal)
}

async fn switch(
    client: &mut Client,
    flow: &mut Flow,
    plan: &Plan,
    upstream: &mut UpstreamConnection,
    response: ResponseHead,
    snapshot: &Arc<Snapshot>,
) -> Result<Delivered, Refusal> {
    let input = crate::buffer::filled(&upstream.input);
    let mut offers = response.fields.iter().filter(|field| field.name == FieldName::Upgrade);
    let agreed = match (&plan.upgrade, offers.next(), offers.next()) {
        (Some(asked), Some(offer), None) => offer.value(input).eq_ignore_ascii_case(asked),
        _ => false,
    };
    if !agreed {
        return Err(Refusal::new(Reason::MalformedResponse, ParseError::UpgradeResponse.describe()));
    }
    if let Some(capture) = &mut flow.capture {
        capture.response(upstream, response.length);
        if plan.upgrade.as_deref().is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
            capture.follow_frames();
        }
    }
    let delivery = response::Delivery { sink: Sink::Same, keep_alive: true };
    let head = write_response(client, plan, upstream, &response, delivery, snapshot, None);
    flow.record.status = 101;
    let written = client.write_all(&head, snapshot.timeouts.body_idle).await;
    written.map_err(|error| Refusal::new(Reason::ClientAborted, error.to_string()))?;
    Ok(Delivered::Switched)
}

/// Writes a response head for the client and takes it off the upstream's input; or one that stands in `changed`, and
/// was taken off already.
#[allow(clippy::too_many_arguments, reason = "the parts of one exchange, which live apart")]
fn write_response(
    client: &mut Client,
    plan: &Plan,
    upstream: &mut UpstreamConnection,
    response: &ResponseHead,
    delivery: response::Delivery,
    snapshot: &Snapshot,
    changed: Option<&[u8]>,
) -> Vec<u8> {
    let mut out = std::mem::take(&mut client.spare.response_head);
    let input = changed.unwrap_or_else(|| crate::buffer::filled(&upstream.input));
    let written = response::Written {
        client: plan.version,
        delivery,
        to_head_request: plan.asked.head,
        http: &snapshot.http,
        strip_alt_svc: client.inside.is_some() && snapshot.interception.strip_alt_svc,
    };
    response::write(&mut out, input, response, &written);
    if changed.is_some() {
        return out;
    }
    if let Some(buffer) = &mut upstream.input {
        buffer.consume(response.length);
    }
    crate::buffer::release_empty(&mut upstream.input);
    out
}

/// NTLM and Negotiate authenticate a connection, not a request: whoever used it is the only one who
/// may use it again.
fn wants_connection_of_its_own(response: &ResponseHead, upstream: &UpstreamConnection) -> bool {
    let input = crate::buffer::filled(&upstream.input);
    response
        .fields
        .iter()
        .filter(|field| field.name == FieldName::WwwAuthenticate)
        .any(|field| list(field.value(input)).any(is_connection_scheme))
}

fn is_connection_scheme(credentials: &[u8]) -> bool {
    let scheme = credentials.split(|byte| *byte == b' ').next().unwrap_or(credentials);
    scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
}

fn keep(client: &mut Client, flow: &mut Flow, key: PoolKey, upstream: UpstreamConnection) {
    if upstream.http2 {
        // It was for one request; the connection beneath is kept elsewhere.
    } else if upstream.pinned {
        client.pinned = Some(Box::new((key, upstream)));
    } else if upstream.generation == flow.worker.snapshot.load().generation {
        let now = flow.end();
        flow.worker.pool.put(key, upstream, &flow.snapshot.upstream, now);
    }
}
